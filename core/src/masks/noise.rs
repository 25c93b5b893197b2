//! Noise that cannot be averaged out: the same for the same key and entity, however often it is asked.
//!
//! Evenly distributed up to the amount, to either side. With an entity column, all values of an entity
//! in columns of the domain move by the same share of their amount; without one, the value itself
//! chooses. NaN, infinities and NULL stay. A result beyond its type is the type's last value.

use super::canonical::{self, Form};
use super::civil::{self, DAY};
use super::decimal::Decimal;
use super::prf::{Prf, below};
use super::value::{
    DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
};
use super::{IntWidth, MaskError, Masked, TypeFamily, Value};
use std::fmt::Write;

/// How much noise at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// In the value's own unit.
    Absolute(Decimal),
    /// Of the value, in percent. Of zero that is nothing.
    Percent(Decimal),
    /// Microseconds, for dates whole days.
    Time(i64),
}

const UNITS: [(&str, i64); 5] = [
    ("second", 1_000_000),
    ("minute", 60_000_000),
    ("hour", 3_600_000_000),
    ("day", DAY),
    ("week", 7 * DAY),
];

impl Amount {
    /// Reads `10%` or `3 days`; nothing for anything else and for what is not above zero.
    pub fn parse(text: &str) -> Option<Amount> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            let percent: Decimal = percent.trim_end().parse().ok()?;
            return percent.is_positive().then_some(Amount::Percent(percent));
        }
        let (count, unit) = text.split_once(' ')?;
        let unit = unit.trim().trim_end_matches('s');
        let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let count: i64 = count.parse().ok().filter(|count| *count > 0)?;
        // A century is noise enough.
        let total = count.checked_mul(*micros).filter(|total| *total <= 36_525 * DAY)?;
        Some(Amount::Time(total))
    }

    /// Whether values of a family can have such noise.
    pub fn fits(&self, family: &TypeFamily) -> bool {
        match (self, family) {
            (Amount::Absolute(by), TypeFamily::Integer(_)) => {
                by.to_i64().is_some_and(|by| by <= 1 << 62)
            }
            (
                Amount::Absolute(_) | Amount::Percent(_),
                TypeFamily::Integer(_) | TypeFamily::Numeric | TypeFamily::Float,
            ) => true,
            (Amount::Time(micros), TypeFamily::Date) => *micros >= DAY,
            (Amount::Time(_), TypeFamily::Timestamp | TypeFamily::TimestampTz) => true,
            _ => false,
        }
    }
}

/// An amount of time in the largest unit that it is a multiple of.
pub(super) fn time_text(micros: i64) -> String {
    let fits = UNITS.iter().rev().find(|(_, unit)| micros % unit == 0);
    let (name, unit) = fits.copied().unwrap_or(UNITS[0]);
    let count = micros / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// Noise of one domain.
pub(super) struct Noise {
    prf: Prf,
    amount: Amount,
    by_entity: bool,
    width: IntWidth,
    key: Vec<u8>,
}

/// Shares are in billionths.
const WHOLE: i64 = 1_000_000_000;

impl Noise {
    pub(super) fn new(prf: Prf, amount: Amount, by_entity: bool, family: &TypeFamily) -> Noise {
        let width = match family.element() {
            TypeFamily::Integer(width) => *width,
            _ => IntWidth::Eight,
        };
        Noise { prf, amount, by_entity, width, key: Vec::with_capacity(64) }
    }

    /// The function under it.
    pub(super) fn prf(&mut self) -> &mut Prf {
        &mut self.prf
    }

    /// 64 even bits that belong to the entity, or to the value where there is no entity column.
    fn word(&mut self, value: Value<'_>, entity: Option<Value<'_>>) -> Option<u64> {
        let of = if self.by_entity { entity? } else { value };
        canonical::write(of, Form::Auto, &mut self.key);
        Some(self.prf.words(&self.key)[0])
    }

    pub(super) fn mask<'o>(
        &mut self,
        value: Value<'_>,
        entity: Option<Value<'_>>,
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        // Without an entity there is no noise, so there is no value.
        let Some(word) = self.word(value, entity) else { return Ok(Masked::Null) };
        let out_of_range = || MaskError::OutOfRange { mask: "noise" };
        // From -1 to 1.
        let share = below(word, 2 * WHOLE as u64 + 1) as i64 - WHOLE;
        match (self.amount, value) {
            (amount, Value::Integer(number)) => {
                let most = match amount {
                    Amount::Absolute(by) => by.to_i64(),
                    Amount::Percent(percent) => share_of(number, percent),
                    Amount::Time(_) => return Err(MaskError::Unreadable { mask: "noise" }),
                };
                let by = even(word, most.ok_or_else(out_of_range)?);
                let top = i64::MAX >> (63 - self.width.bits());
                let sum = i128::from(number) + i128::from(by);
                let inside = sum.clamp(-i128::from(top) - 1, i128::from(top));
                i64::try_from(inside).map(Masked::Integer).map_err(|_| out_of_range())
            }
            (
                Amount::Absolute(_) | Amount::Percent(_),
                Value::Numeric("NaN" | "Infinity" | "-Infinity"),
            ) => Ok(Masked::Unchanged),
            (amount @ (Amount::Absolute(_) | Amount::Percent(_)), Value::Numeric(text)) => {
                let number: Decimal = text.parse().map_err(|_| out_of_range())?;
                let places = number.parts().1;
                let by = match amount {
                    Amount::Percent(percent) => percent_of(number, percent, share, places),
                    Amount::Absolute(by) => by.scaled(share, places.max(by.parts().1)),
                    Amount::Time(_) => None,
                };
                let noisy = by.and_then(|by| number.checked_add(by)).ok_or_else(out_of_range)?;
                // Writing to a string does not fail.
                let _ = write!(out, "{noisy}");
                Ok(Masked::Numeric(out))
            }
            (Amount::Absolute(by), Value::Float(number)) => {
                Ok(Masked::Float(number + by.to_f64() * share as f64 / WHOLE as f64))
            }
            (Amount::Percent(percent), Value::Float(number)) => {
                let by = number * (percent.to_f64() / 100.0) * (share as f64 / WHOLE as f64);
                let noisy = (number + by).clamp(f64::MIN, f64::MAX);
                Ok(if number.is_finite() { Masked::Float(noisy) } else { Masked::Unchanged })
            }
            (Amount::Time(_), Value::Date(DATE_INFINITY | DATE_MINUS_INFINITY))
            | (
                Amount::Time(_),
                Value::Timestamp(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY)
                | Value::TimestampTz(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY),
            ) => Ok(Masked::Unchanged),
            (Amount::Time(micros), Value::Date(day)) => {
                let moved = i64::from(day) + even(word, micros / DAY);
                let (least, last) = (i64::from(civil::MIN_DATE), i64::from(civil::END_DATE) - 1);
                i32::try_from(moved.clamp(least, last))
                    .map(Masked::Date)
                    .map_err(|_| out_of_range())
            }
            (Amount::Time(micros), Value::Timestamp(at)) => {
                Ok(Masked::Timestamp(moved(at, word, micros)))
            }
            (Amount::Time(micros), Value::TimestampTz(at)) => {
                Ok(Masked::TimestampTz(moved(at, word, micros)))
            }
            _ => Err(MaskError::Unreadable { mask: "noise" }),
        }
    }
}

/// An integer from -by to by; `by` is at most 2^62.
fn even(word: u64, by: i64) -> i64 {
    below(word, 2 * by.unsigned_abs() + 1) as i64 - by
}

fn moved(at: i64, word: u64, micros: i64) -> i64 {
    at.saturating_add(even(word, micros)).clamp(civil::MIN_TIMESTAMP, civil::END_TIMESTAMP - 1)
}

/// `percent` of an integer's size, rounded up: rounded down it would be nothing for small integers, which
/// would be shown as they are.
fn share_of(number: i64, percent: Decimal) -> Option<i64> {
    let (units, scale) = percent.parts();
    let product = i128::from(number).checked_abs()?.checked_mul(units)?;
    let whole = 10i128.checked_pow(scale.checked_add(2)?)?;
    let up = product / whole + i128::from(product % whole > 0);
    i64::try_from(up).ok().filter(|most| *most <= 1 << 62)
}

/// `number × percent / 100 × share`, rounded to `places`.
fn percent_of(number: Decimal, percent: Decimal, share: i64, places: u32) -> Option<Decimal> {
    let (units, scale) = percent.normalized().parts();
    let (of, of_scale) = number.parts();
    let product = Decimal::new(units.checked_mul(of)?, scale + of_scale + 2)?;
    product.scaled(share, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(amount: &str, by_entity: bool, family: TypeFamily) -> Noise {
        let amount =
            Amount::parse(amount).unwrap_or_else(|| Amount::Absolute(amount.parse().unwrap()));
        assert!(amount.fits(&family));
        Noise::new(Prf::new(&[9; 32]), amount, by_entity, &family)
    }

    fn integer(noise: &mut Noise, value: i64, entity: Option<i64>) -> i64 {
        let entity = entity.map(Value::Integer);
        match noise.mask(Value::Integer(value), entity, &mut String::new()).unwrap() {
            Masked::Integer(value) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn amounts() {
        assert_eq!(Amount::parse("3 days"), Some(Amount::Time(3 * DAY)));
        assert_eq!(Amount::parse("1 week").map(|_| time_text(7 * DAY)).as_deref(), Some("1 week"));
        assert_eq!(time_text(90 * 60_000_000), "90 minutes");
        for text in ["", "%", "0%", "-1%", "3", "3 months", "0 days", "99999999999 days", "é %"] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn is_the_same_however_often_it_is_asked() {
        let family = TypeFamily::Integer(IntWidth::Eight);
        let (mut one, mut other) = (noise("100", true, family.clone()), noise("100", true, family));
        for entity in 0..100 {
            let first = integer(&mut one, 5000, Some(entity));
            assert_eq!(integer(&mut other, 5000, Some(entity)), first);
        }
        let values: Vec<i64> = (0..1000).map(|e| integer(&mut one, 0, Some(e))).collect();
        assert!(values.iter().all(|v| v.abs() <= 100));
        assert!(values.iter().any(|v| *v > 90) && values.iter().any(|v| *v < -90));
        let mean = values.iter().sum::<i64>() as f64 / 1000.0;
        assert!(mean.abs() < 10.0, "{mean}");
    }

    #[test]
    fn small_integers_move_too() {
        let mut noise = noise("10%", true, TypeFamily::Integer(IntWidth::Two));
        let mut seen: Vec<i64> = (0..100).map(|e| integer(&mut noise, 7, Some(e))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [6, 7, 8]);
        assert_eq!(share_of(i64::MIN, "1".parse().unwrap()), Some(92_233_720_368_547_759));
    }

    #[test]
    fn floats_end_at_the_ends_of_the_type() {
        let mut noise = noise("100%", true, TypeFamily::Float);
        for entity in 0..20 {
            let entity = Some(Value::Integer(entity));
            let mut out = String::new();
            let noisy = noise.mask(Value::Float(f64::MAX), entity, &mut out);
            assert!(matches!(noisy, Ok(Masked::Float(of)) if of.is_finite()), "{noisy:?}");
        }
    }

    #[test]
    fn without_an_entity_there_is_no_value() {
        let mut noise = noise("5", true, TypeFamily::Integer(IntWidth::Four));
        assert_eq!(noise.mask(Value::Integer(1), None, &mut String::new()), Ok(Masked::Null));
    }

    #[test]
    fn ends_at_the_ends_of_the_type() {
        let mut noise = noise("50000", false, TypeFamily::Integer(IntWidth::Two));
        for value in -100..100 {
            assert!(IntWidth::Two.holds(integer(&mut noise, value * 327, None)));
        }
    }

    #[test]
    fn numerics_keep_their_places() {
        let mut noise = noise("10%", true, TypeFamily::Numeric);
        let mut out = String::new();
        let entity = Some(Value::Integer(3));
        let Ok(Masked::Numeric(text)) = noise.mask(Value::Numeric("1234.50"), entity, &mut out)
        else {
            panic!("no numeric")
        };
        let number: f64 = text.parse().unwrap();
        assert!(
            (1111.05..=1357.95).contains(&number) && text.split_once('.').unwrap().1.len() == 2
        );
        let nan = noise.mask(Value::Numeric("NaN"), entity, &mut out);
        assert_eq!(nan, Ok(Masked::Unchanged));
    }

    #[test]
    fn infinite_times_stay() {
        let mut noise = noise("3 days", false, TypeFamily::Date);
        let mut out = String::new();
        let infinite = noise.mask(Value::Date(DATE_INFINITY), None, &mut out);
        assert_eq!(infinite, Ok(Masked::Unchanged));
    }

    proptest! {
        #[test]
        fn stays_within_the_amount(value in any::<i64>(), entity in any::<i64>(), by in 1i64..1 << 40) {
            let mut noise = noise(&by.to_string(), true, TypeFamily::Integer(IntWidth::Eight));
            prop_assert!(integer(&mut noise, value, Some(entity)).abs_diff(value) <= by as u64);
        }

        #[test]
        fn times_stay_within_the_amount(day in -700_000i32..700_000, entity in any::<i64>()) {
            let mut noise = noise("3 days", true, TypeFamily::Date);
            let entity = Some(Value::Integer(entity));
            let Ok(Masked::Date(moved)) = noise.mask(Value::Date(day), entity, &mut String::new())
            else { panic!("no date") };
            prop_assert!(moved.abs_diff(day) <= 3);
        }

        #[test]
        fn no_numeric_panics(text in "-?[0-9]{0,60}(\\.[0-9]{0,60})?", percent in 1u32..1_000_000) {
            let mut noise = noise(&format!("{percent}%"), false, TypeFamily::Numeric);
            let _ = noise.mask(Value::Numeric(&text), None, &mut String::new());
        }
    }
}
