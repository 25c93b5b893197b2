//! Steps of the values of a column, one after the other.
//!
//! What [`generalize`] does for one value, with what is the same for all of them kept: the width as
//! an integer, and the last unit of time, in which the next value mostly lies as well.

use super::generalize::{self, Place, Step};
use super::{Edge, IntWidth, MaskError, Masked, Value};

/// Puts values into steps.
#[derive(Debug)]
pub(super) struct Generalizer {
    step: Step,
    /// The width, if integers have it.
    width: Option<i64>,
    /// The last unit that a date was in, in days.
    days: Span,
    /// The last unit that a timestamp was in, in microseconds.
    times: Span,
}

/// From its first value to that behind its last; none are in it if they are the same.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    from: i64,
    to: i64,
}

impl Span {
    fn holds(self, value: i64) -> bool {
        self.from <= value && value < self.to
    }
}

impl Generalizer {
    pub(super) fn new(step: Step) -> Generalizer {
        let width = match step {
            Step::Width(width) => width.to_i64(),
            Step::Unit(_) => None,
        };
        Generalizer { step, width, days: Span::default(), times: Span::default() }
    }

    /// The lower end of the step, of the value's own type; see [`generalize::lower`].
    pub(super) fn lower<'o>(
        &mut self,
        value: Value<'_>,
        width: IntWidth,
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        let known = match value {
            Value::Integer(number) => {
                self.integer(number).filter(|lower| width.holds(*lower)).map(Masked::Integer)
            }
            Value::Date(day) => self.date(day).map(Masked::Date),
            Value::Timestamp(at) => self.timestamp(at).map(Masked::Timestamp),
            Value::TimestampTz(at) => self.timestamp(at).map(Masked::TimestampTz),
            _ => None,
        };
        match known {
            Some(known) => Ok(known),
            None => generalize::lower(self.step, value, |number| width.holds(number), out),
        }
    }

    /// The lower end of an integer's step, as far as it follows from what is kept; `None` leaves it to the
    /// whole way.
    #[inline]
    pub(super) fn integer(&self, number: i64) -> Option<i64> {
        number.checked_sub(number.checked_rem_euclid(self.width?)?)
    }

    /// That of a day's.
    #[inline]
    pub(super) fn date(&mut self, day: i32) -> Option<i32> {
        if !self.days.holds(day.into()) {
            self.days = self.span(Value::Date(day))?;
        }
        i32::try_from(self.days.from).ok()
    }

    /// That of a point in time's, with or without a time zone.
    #[inline]
    pub(super) fn timestamp(&mut self, at: i64) -> Option<i64> {
        if !self.times.holds(at) {
            self.times = self.span(Value::Timestamp(at))?;
        }
        Some(self.times.from)
    }

    /// The step as a range; see [`generalize::range`].
    pub(super) fn range<'o>(
        &mut self,
        value: Value<'_>,
        width: IntWidth,
    ) -> Result<Masked<'o>, MaskError> {
        let inside = |edge: &Edge| !matches!(edge, Edge::Integer(at) if !width.holds(*at));
        match self.known(value) {
            Some((lower, upper)) => Ok(Masked::Range {
                lower: Some(lower).filter(inside),
                upper: Some(upper).filter(inside),
            }),
            None => generalize::range(self.step, value, |number| width.holds(number)),
        }
    }

    /// Both ends of a value's step, as far as they follow from what is kept.
    fn known(&mut self, value: Value<'_>) -> Option<(Edge, Edge)> {
        match value {
            Value::Integer(number) => {
                let lower = self.integer(number)?;
                Some((Edge::Integer(lower), Edge::Integer(lower.checked_add(self.width?)?)))
            }
            Value::Date(day) => {
                let lower = self.date(day)?;
                Some((Edge::Date(lower), Edge::Date(i32::try_from(self.days.to).ok()?)))
            }
            Value::Timestamp(at) | Value::TimestampTz(at) => {
                let lower = self.timestamp(at)?;
                Some((Edge::Timestamp(lower), Edge::Timestamp(self.times.to)))
            }
            _ => None,
        }
    }

    /// The unit of time of a value, if it has two ends.
    fn span(&self, value: Value<'_>) -> Option<Span> {
        match generalize::place(self.step, value, "generalize").ok()? {
            Place::In((Some(Edge::Date(from)), Some(Edge::Date(to)))) => {
                Some(Span { from: from.into(), to: to.into() })
            }
            Place::In((Some(Edge::Timestamp(from)), Some(Edge::Timestamp(to)))) => {
                Some(Span { from, to })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::civil;
    use crate::masks::generalize::Unit;
    use crate::masks::{
        DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
    };
    use proptest::prelude::*;

    /// Both ways for all of the values, in their order, by one generalizer.
    fn same<'v>(
        step: Step,
        width: IntWidth,
        values: impl IntoIterator<Item = Value<'v>>,
    ) -> Result<(), TestCaseError> {
        let mut generalizer = Generalizer::new(step);
        let (mut out, mut plain) = (String::new(), String::new());
        let holds = |number| width.holds(number);
        for value in values {
            out.clear();
            plain.clear();
            prop_assert_eq!(
                generalizer.lower(value, width, &mut out),
                generalize::lower(step, value, holds, &mut plain)
            );
            prop_assert_eq!(generalizer.range(value, width), generalize::range(step, value, holds));
        }
        Ok(())
    }

    /// The values at and beside the ends of a type.
    fn ends(least: i64, end: i64) -> Vec<i64> {
        let around = |at: i64| (-2..=2).filter_map(move |by| at.checked_add(by));
        around(least).chain(around(end)).chain(around(0)).collect()
    }

    #[test]
    fn ends_of_the_types() {
        let days: Vec<Value<'_>> = ends(civil::MIN_DATE.into(), civil::END_DATE.into())
            .into_iter()
            .filter_map(|day| i32::try_from(day).ok())
            .chain([DATE_INFINITY, DATE_MINUS_INFINITY])
            .map(Value::Date)
            .collect();
        let times: Vec<i64> = ends(civil::MIN_TIMESTAMP, civil::END_TIMESTAMP)
            .into_iter()
            .chain([TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY])
            .collect();
        for (name, unit) in Unit::ALL {
            let step = Step::Unit(*unit);
            let values = days.iter().chain(days.iter().rev()).copied();
            same(step, IntWidth::Eight, values).unwrap_or_else(|error| panic!("{name}: {error}"));
            for of in [Value::Timestamp, Value::TimestampTz] {
                let values = times.iter().chain(times.iter().rev()).copied().map(of);
                same(step, IntWidth::Eight, values)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
        for width in [IntWidth::Two, IntWidth::Four, IntWidth::Eight] {
            let last = i64::MAX >> (63 - width.bits());
            for of in ["1", "7", "10", "32767", "9223372036854775807", "0.5"] {
                let step = Step::Width(of.parse().expect("a number"));
                let numbers = ends(-last - 1, last).into_iter().map(Value::Integer);
                same(step, width, numbers).unwrap_or_else(|error| panic!("{of}: {error}"));
            }
        }
    }

    #[test]
    fn dates_and_times_do_not_mix() {
        let step = Step::Unit(Unit::Month);
        let values = [Value::Timestamp(5), Value::Date(5), Value::TimestampTz(5), Value::Date(-40)];
        same(step, IntWidth::Eight, values).expect("the same");
    }

    proptest! {
        #[test]
        fn times_near_each_other(
            start in civil::MIN_TIMESTAMP..civil::END_TIMESTAMP,
            steps in prop::collection::vec(-40 * civil::DAY..40 * civil::DAY, 1..40),
        ) {
            let mut at = start;
            let times: Vec<i64> = steps.iter().map(|by| { at = at.saturating_add(*by); at }).collect();
            for (_, unit) in Unit::ALL {
                same(Step::Unit(*unit), IntWidth::Eight, times.iter().copied().map(Value::TimestampTz))?;
            }
        }

        #[test]
        fn any_times_and_days(
            times in prop::collection::vec(any::<i64>(), 1..20),
            days in prop::collection::vec(any::<i32>(), 1..20),
        ) {
            for (_, unit) in Unit::ALL {
                let step = Step::Unit(*unit);
                same(step, IntWidth::Eight, times.iter().copied().map(Value::Timestamp))?;
                same(step, IntWidth::Eight, days.iter().copied().map(Value::Date))?;
            }
        }

        #[test]
        fn any_integers(numbers in prop::collection::vec(any::<i64>(), 1..20), of in 1i64..) {
            for of in [of, of % 1000 + 1] {
                let step = Step::Width(of.into());
                for width in [IntWidth::Two, IntWidth::Four, IntWidth::Eight] {
                    same(step, width, numbers.iter().copied().map(Value::Integer))?;
                    let small = numbers.iter().map(|number| Value::Integer(number % 40_000));
                    same(step, width, small)?;
                }
            }
        }

        #[test]
        fn numerics_and_floats(number in any::<f64>(), text in "-?[0-9]{1,30}(\\.[0-9]{1,9})?") {
            let step = Step::Width("2.5".parse().expect("a number"));
            same(step, IntWidth::Eight, [Value::Float(number), Value::Numeric(&text)])?;
        }
    }
}
