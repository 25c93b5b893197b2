//! Dates moved by a number of days of their entity's own.
//!
//! All dates of an entity move alike, so intervals within it are exact. The offset is 1 to `days`
//! days to either side, never none. Infinite dates stay; an entity that is NULL has no offset, and its
//! dates become NULL.

use super::canonical::{self, Form};
use super::civil::{self, DAY};
use super::prf::{Prf, below};
use super::value::{
    DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
};
use super::{MaskError, Masked, Value};

/// Shifts of one domain.
pub(super) struct Shifts {
    prf: Prf,
    days: u32,
    entity: Vec<u8>,
}

impl Shifts {
    pub(super) fn new(prf: Prf, days: u32) -> Shifts {
        Shifts { prf, days: days.max(1), entity: Vec::with_capacity(64) }
    }

    /// The function under it.
    pub(super) fn prf(&mut self) -> &mut Prf {
        &mut self.prf
    }

    /// The days that an entity's dates are moved.
    fn offset(&mut self, entity: Value<'_>) -> i64 {
        canonical::write(entity, Form::Auto, &mut self.entity);
        let [word, ..] = self.prf.words(&self.entity);
        let days = i64::from(self.days);
        let offset = below(word, 2 * u64::from(self.days)) as i64 - days;
        if offset >= 0 { offset + 1 } else { offset }
    }

    pub(super) fn mask<'o>(
        &mut self,
        value: Value<'_>,
        entity: Option<Value<'_>>,
    ) -> Result<Masked<'o>, MaskError> {
        let Some(entity) = entity else { return Ok(Masked::Null) };
        let out_of_range = MaskError::OutOfRange { mask: "date_shift" };
        let moved = |at: i64, by: i64| {
            let moved = at.checked_add(by.checked_mul(DAY)?)?;
            (civil::MIN_TIMESTAMP..civil::END_TIMESTAMP).contains(&moved).then_some(moved)
        };
        match value {
            Value::Date(DATE_INFINITY | DATE_MINUS_INFINITY)
            | Value::Timestamp(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY)
            | Value::TimestampTz(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY) => {
                Ok(Masked::Unchanged)
            }
            Value::Date(day) => {
                let moved = i64::from(day) + self.offset(entity);
                let inside =
                    (i64::from(civil::MIN_DATE)..i64::from(civil::END_DATE)).contains(&moved);
                let moved = i32::try_from(moved).ok().filter(|_| inside);
                moved.map(Masked::Date).ok_or(out_of_range)
            }
            Value::Timestamp(at) => {
                moved(at, self.offset(entity)).map(Masked::Timestamp).ok_or(out_of_range)
            }
            Value::TimestampTz(at) => {
                moved(at, self.offset(entity)).map(Masked::TimestampTz).ok_or(out_of_range)
            }
            _ => Err(MaskError::Unreadable { mask: "date_shift" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shifts(days: u32) -> Shifts {
        Shifts::new(Prf::new(&[7; 32]), days)
    }

    fn date(shifts: &mut Shifts, day: i32, entity: i64) -> i32 {
        match shifts.mask(Value::Date(day), Some(Value::Integer(entity))).unwrap() {
            Masked::Date(day) => day,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn infinities_and_missing_entities() {
        let mut shifts = shifts(30);
        let entity = Some(Value::Integer(1));
        for value in [
            Value::Date(DATE_INFINITY),
            Value::Date(DATE_MINUS_INFINITY),
            Value::Timestamp(TIMESTAMP_INFINITY),
            Value::TimestampTz(TIMESTAMP_MINUS_INFINITY),
        ] {
            assert_eq!(shifts.mask(value, entity), Ok(Masked::Unchanged));
        }
        assert_eq!(shifts.mask(Value::Date(0), None), Ok(Masked::Null));
    }

    #[test]
    fn overflow_is_an_error() {
        let mut shifts = shifts(36_500);
        let error = Err(MaskError::OutOfRange { mask: "date_shift" });
        let forward = (0..100).find(|entity| date(&mut shifts, 0, *entity) > 1).unwrap();
        let entity = Some(Value::Integer(forward));
        assert_eq!(shifts.mask(Value::Date(civil::END_DATE - 1), entity), error);
        assert_eq!(shifts.mask(Value::Timestamp(civil::END_TIMESTAMP - 1), entity), error);
        assert_eq!(shifts.mask(Value::Timestamp(i64::MAX - 1), entity), error);
    }

    #[test]
    fn offsets_cover_their_range_without_zero() {
        let mut shifts = shifts(3);
        let mut seen: Vec<i32> = (0..1000).map(|entity| date(&mut shifts, 0, entity)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [-3, -2, -1, 1, 2, 3]);
    }

    #[test]
    fn an_entity_is_the_same_as_text_and_as_number() {
        let mut shifts = shifts(10_000);
        let text = shifts.mask(Value::Date(0), Some(Value::Text(" 42 ")));
        assert_eq!(text, shifts.mask(Value::Date(0), Some(Value::Integer(42))));
    }

    proptest! {
        #[test]
        fn differences_within_an_entity_are_exact(
            a in -1_000_000i32..1_000_000, b in -1_000_000i32..1_000_000,
            entity in any::<i64>(), days in 1u32..36_500
        ) {
            let mut shifts = shifts(days);
            let (x, y) = (date(&mut shifts, a, entity), date(&mut shifts, b, entity));
            prop_assert_eq!(x - y, a - b);
            prop_assert!(x != a && x.abs_diff(a) <= days);
            let at = i64::from(a) * DAY + 12_345;
            let moved = shifts.mask(Value::Timestamp(at), Some(Value::Integer(entity)));
            prop_assert_eq!(moved, Ok(Masked::Timestamp(at + i64::from(x - a) * DAY)));
        }
    }
}
