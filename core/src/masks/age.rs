//! Ages in years, from a birth date or as they are, with all of 90 and above as one (HIPAA,
//! 45 CFR 164.514(b)(2)(i)(C)).

use super::civil::{self, DAY};
use super::value::{
    DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
};
use super::{Edge, MaskError, Masked, Value};

/// The age that stands for all above.
pub(super) const POOLED: i64 = 90;

/// Whole years from a day to another, as `age()` counts them: who is born on a 29 February has a
/// birthday on 1 March in other years. Negative before birth.
fn years(birth: i64, today: i64) -> i64 {
    let (birth, today) = (civil::date(birth), civil::date(today));
    let before = (today.month, today.day) < (birth.month, birth.day);
    today.year - birth.year - i64::from(before)
}

/// The age of a value, at most 90; nothing for an infinite or a future birth.
fn age_of(value: Value<'_>, today: i32, mask: &'static str) -> Result<Option<i64>, MaskError> {
    let age = match value {
        Value::Integer(age) => age,
        Value::Date(DATE_INFINITY | DATE_MINUS_INFINITY)
        | Value::Timestamp(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY)
        | Value::TimestampTz(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY) => return Ok(None),
        Value::Date(birth) => years(i64::from(birth), i64::from(today)),
        Value::Timestamp(at) | Value::TimestampTz(at) => {
            years(at.div_euclid(DAY), i64::from(today))
        }
        _ => return Err(MaskError::Unreadable { mask }),
    };
    Ok((age >= 0).then_some(age.min(POOLED)))
}

/// The age; NULL for one that is none.
pub(super) fn age<'o>(value: Value<'_>, today: i32) -> Result<Masked<'o>, MaskError> {
    Ok(age_of(value, today, "age")?.map_or(Masked::Null, Masked::Integer))
}

/// The band of `width` years that the age lies in; that of 90 has no end.
pub(super) fn band<'o>(value: Value<'_>, width: u32, today: i32) -> Result<Masked<'o>, MaskError> {
    let width = i64::from(width.max(1));
    Ok(match age_of(value, today, "age_band")? {
        None => Masked::Null,
        Some(POOLED) => Masked::Range { lower: Some(Edge::Integer(POOLED)), upper: None },
        Some(age) => {
            let lower = age / width * width;
            let upper = (lower + width).min(POOLED);
            Masked::Range { lower: Some(Edge::Integer(lower)), upper: Some(Edge::Integer(upper)) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::civil::Civil;

    fn day(year: i64, month: i64, day: i64) -> i32 {
        i32::try_from(civil::days(Civil { year, month, day })).unwrap()
    }

    fn born(year: i64, month: i64, of: i64) -> Masked<'static> {
        age(Value::Date(day(year, month, of)), day(2025, 3, 1)).unwrap()
    }

    #[test]
    fn ages() {
        assert_eq!(born(2015, 3, 1), Masked::Integer(10));
        assert_eq!(born(2015, 3, 2), Masked::Integer(9));
        assert_eq!(born(2016, 2, 29), Masked::Integer(9));
        assert_eq!(born(2025, 3, 1), Masked::Integer(0));
        assert_eq!(born(2025, 3, 2), Masked::Null);
    }

    #[test]
    fn ninety_and_above_are_one() {
        assert_eq!(born(1935, 3, 1), Masked::Integer(90));
        assert_eq!(born(1904, 11, 7), Masked::Integer(90));
        assert_eq!(age(Value::Integer(113), 0), Ok(Masked::Integer(90)));
        assert_eq!(born(1935, 3, 2), Masked::Integer(89));
    }

    #[test]
    fn bands() {
        let of = |age, width| band(Value::Integer(age), width, 0).unwrap();
        let range = |lower, upper: Option<i64>| Masked::Range {
            lower: Some(Edge::Integer(lower)),
            upper: upper.map(Edge::Integer),
        };
        assert_eq!(of(42, 10), range(40, Some(50)));
        assert_eq!(of(89, 20), range(80, Some(90)));
        assert_eq!(of(90, 10), range(90, None));
        assert_eq!(of(120, 7), range(90, None));
    }

    #[test]
    fn infinite_births_have_no_age() {
        assert_eq!(age(Value::Date(DATE_INFINITY), 0), Ok(Masked::Null));
        assert_eq!(age(Value::TimestampTz(TIMESTAMP_MINUS_INFINITY), 0), Ok(Masked::Null));
        assert_eq!(age(Value::Timestamp(i64::MIN + 1), i32::MAX - 1), Ok(Masked::Integer(90)));
    }
}
