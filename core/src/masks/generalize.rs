//! Steps that a value lies in: widths of numbers, units of time, bands between bounds.
//!
//! A step is `[lower, upper)`. Lower ends are multiples of the width or begin a unit, rounded down
//! for negative numbers too. Times are of the session's clock for `timestamp` and of UTC for
//! `timestamptz`. ±infinity, NaN and NULL stay what they are.

use super::civil::{self, Civil, DAY};
use super::decimal::Decimal;
use super::value::{
    DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
};
use super::{Edge, MaskError, Masked, TypeFamily, Value};
use std::fmt::Write;

/// How wide a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// For numbers; above zero.
    Width(Decimal),
    /// For dates and times.
    Unit(Unit),
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// A day.
    Day,
    /// From Monday, as in ISO 8601.
    Week,
    /// A month.
    Month,
    /// Three months, from January.
    Quarter,
    /// A year.
    Year,
    /// From a year that ends in 0.
    Decade,
    /// From a year that ends in 01, as in `date_trunc`.
    Century,
}

impl Unit {
    /// The units by name.
    pub const ALL: &[(&'static str, Unit)] = &[
        ("minute", Unit::Minute),
        ("hour", Unit::Hour),
        ("day", Unit::Day),
        ("week", Unit::Week),
        ("month", Unit::Month),
        ("quarter", Unit::Quarter),
        ("year", Unit::Year),
        ("decade", Unit::Decade),
        ("century", Unit::Century),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Unit::ALL.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }

    /// Microseconds of a unit shorter than a day.
    fn micros(self) -> Option<i64> {
        match self {
            Unit::Minute => Some(60_000_000),
            Unit::Hour => Some(3_600_000_000),
            _ => None,
        }
    }

    /// First day of the unit that a day lies in, and of the next.
    fn days(self, day: i64) -> (i64, i64) {
        let Civil { year, month, .. } = civil::date(day);
        let first = |year, month| civil::days(Civil { year, month, day: 1 });
        let years = |from: i64, count| (first(from, 1), first(from + count, 1));
        let months = |from: i64, count: i64| {
            let after = from + count;
            let next = if after > 12 { first(year + 1, 1) } else { first(year, after) };
            (first(year, from), next)
        };
        match self {
            Unit::Minute | Unit::Hour | Unit::Day => (day, day + 1),
            // 2000-01-01 was a Saturday, the sixth day of its week.
            Unit::Week => {
                let monday = day - (day + 5).rem_euclid(7);
                (monday, monday + 7)
            }
            Unit::Month => months(month, 1),
            Unit::Quarter => months((month - 1) / 3 * 3 + 1, 3),
            Unit::Year => years(year, 1),
            Unit::Decade => years(year.div_euclid(10) * 10, 10),
            Unit::Century => years((year - 1).div_euclid(100) * 100 + 1, 100),
        }
    }
}

impl Step {
    /// Whether values of a family have such steps.
    pub fn fits(&self, family: &TypeFamily) -> bool {
        match (self, family) {
            (Step::Width(width), TypeFamily::Integer(_)) => width.to_i64().is_some(),
            (Step::Width(_), TypeFamily::Numeric | TypeFamily::Float) => true,
            (Step::Unit(unit), TypeFamily::Date) => unit.micros().is_none(),
            (Step::Unit(_), TypeFamily::Timestamp | TypeFamily::TimestampTz) => true,
            _ => false,
        }
    }
}

fn date(days: i64) -> Option<Edge> {
    let inside = (i64::from(civil::MIN_DATE)..i64::from(civil::END_DATE)).contains(&days);
    i32::try_from(days).ok().filter(|_| inside).map(Edge::Date)
}

fn timestamp(micros: Option<i64>) -> Option<Edge> {
    micros
        .filter(|at| (civil::MIN_TIMESTAMP..civil::END_TIMESTAMP).contains(at))
        .map(Edge::Timestamp)
}

/// The step of a finite value: its ends, none where the type has no such value.
type Ends = (Option<Edge>, Option<Edge>);

pub(super) enum Place {
    /// Infinity or NaN: in no step.
    Nowhere,
    /// Between these ends.
    In(Ends),
}

fn unreadable(mask: &'static str) -> MaskError {
    MaskError::Unreadable { mask }
}

/// Where a value lies.
pub(super) fn place(step: Step, value: Value<'_>, mask: &'static str) -> Result<Place, MaskError> {
    let ends = match (step, value) {
        (Step::Width(width), Value::Integer(number)) => {
            let width = width.to_i64().ok_or_else(|| unreadable(mask))?;
            let below = i128::from(number).div_euclid(width.into()) * i128::from(width);
            let edge = |n: i128| i64::try_from(n).ok().map(Edge::Integer);
            (edge(below), edge(below + i128::from(width)))
        }
        (Step::Width(_), Value::Numeric("NaN" | "Infinity" | "-Infinity")) => {
            return Ok(Place::Nowhere);
        }
        (Step::Width(width), Value::Numeric(text)) => {
            let out_of_range = || MaskError::OutOfRange { mask };
            let number: Decimal = text.parse().map_err(|_| out_of_range())?;
            let lower = number.floor_to(width).ok_or_else(out_of_range)?;
            (Some(Edge::Numeric(lower)), lower.checked_add(width).map(Edge::Numeric))
        }
        (Step::Unit(_), Value::Date(DATE_INFINITY | DATE_MINUS_INFINITY)) => {
            return Ok(Place::Nowhere);
        }
        (Step::Unit(unit), Value::Date(day)) => {
            let (lower, upper) = unit.days(i64::from(day));
            (date(lower), date(upper))
        }
        (
            Step::Unit(_),
            Value::Timestamp(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY)
            | Value::TimestampTz(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY),
        ) => return Ok(Place::Nowhere),
        (Step::Unit(unit), Value::Timestamp(at) | Value::TimestampTz(at)) => match unit.micros() {
            Some(micros) => {
                let lower = at.div_euclid(micros).checked_mul(micros);
                (timestamp(lower), timestamp(lower.and_then(|at| at.checked_add(micros))))
            }
            None => {
                let (lower, upper) = unit.days(at.div_euclid(DAY));
                (timestamp(lower.checked_mul(DAY)), timestamp(upper.checked_mul(DAY)))
            }
        },
        _ => return Err(unreadable(mask)),
    };
    Ok(Place::In(ends))
}

/// The lower end of the step, of the value's own type.
///
/// # Errors
/// [`MaskError::OutOfRange`] where the type has no such value, below its first step.
pub(super) fn lower<'o>(
    step: Step,
    value: Value<'_>,
    holds: impl Fn(i64) -> bool,
    out: &'o mut String,
) -> Result<Masked<'o>, MaskError> {
    let mask = "generalize";
    if let (Step::Width(width), Value::Float(number)) = (step, value) {
        let width = width.to_f64();
        let lower = (number / width).floor() * width;
        return match (number.is_finite(), lower.is_finite()) {
            (false, _) => Ok(Masked::Unchanged),
            (true, true) => Ok(Masked::Float(lower)),
            (true, false) => Err(MaskError::OutOfRange { mask }),
        };
    }
    let Place::In((lower, _)) = place(step, value, mask)? else { return Ok(Masked::Unchanged) };
    match lower {
        None => Err(MaskError::OutOfRange { mask }),
        Some(Edge::Integer(lower)) if !holds(lower) => Err(MaskError::OutOfRange { mask }),
        Some(Edge::Integer(lower)) => Ok(Masked::Integer(lower)),
        Some(Edge::Numeric(lower)) => {
            // Writing to a string does not fail.
            let _ = write!(out, "{lower}");
            Ok(Masked::Numeric(out))
        }
        Some(Edge::Date(lower)) => Ok(Masked::Date(lower)),
        Some(Edge::Timestamp(lower)) if matches!(value, Value::TimestampTz(_)) => {
            Ok(Masked::TimestampTz(lower))
        }
        Some(Edge::Timestamp(lower)) => Ok(Masked::Timestamp(lower)),
    }
}

/// The step as a range; NULL for what is in none.
///
/// # Errors
/// [`MaskError::OutOfRange`] for a numeric of more than 38 digits.
pub(super) fn range<'o>(
    step: Step,
    value: Value<'_>,
    holds: impl Fn(i64) -> bool,
) -> Result<Masked<'o>, MaskError> {
    let inside = |edge: &Edge| !matches!(edge, Edge::Integer(at) if !holds(*at));
    Ok(match place(step, value, "generalize_range")? {
        Place::Nowhere => Masked::Null,
        Place::In((lower, upper)) => {
            Masked::Range { lower: lower.filter(inside), upper: upper.filter(inside) }
        }
    })
}

/// The range between two bounds, open at the ends and where the type ends; NULL for NaN.
pub(super) fn band<'o>(
    bounds: &[Decimal],
    value: Value<'_>,
    holds: impl Fn(i64) -> bool,
) -> Result<Masked<'o>, MaskError> {
    let mask = "bands";
    let edge = |at: Option<&Decimal>, integer: bool| match integer {
        false => at.copied().map(Edge::Numeric),
        // The first integer that is not below a bound with a fraction.
        true => at.and_then(|bound| ceiling(*bound)).filter(|at| holds(*at)).map(Edge::Integer),
    };
    let (at, integer) = match value {
        Value::Integer(number) => {
            (bounds.partition_point(|bound| *bound <= Decimal::from(number)), true)
        }
        Value::Numeric("NaN") => return Ok(Masked::Null),
        Value::Numeric("Infinity") => (bounds.len(), false),
        Value::Numeric("-Infinity") => (0, false),
        Value::Numeric(text) => {
            let number: Decimal = text.parse().map_err(|_| MaskError::OutOfRange { mask })?;
            (bounds.partition_point(|bound| *bound <= number), false)
        }
        _ => return Err(unreadable(mask)),
    };
    let lower = at.checked_sub(1).and_then(|before| bounds.get(before));
    Ok(Masked::Range { lower: edge(lower, integer), upper: edge(bounds.get(at), integer) })
}

fn ceiling(bound: Decimal) -> Option<i64> {
    let floor = bound.floor_to(Decimal::from(1))?;
    let whole = floor.to_i64()?;
    if floor == bound { Some(whole) } else { whole.checked_add(1) }
}

#[cfg(test)]
#[path = "generalize_tests.rs"]
mod tests;
