//! Days and dates of the proleptic Gregorian calendar, as in Postgres.
//!
//! The arithmetic is Howard Hinnant's, "chrono-Compatible Low-Level Date Algorithms",
//! <https://howardhinnant.github.io/date_algorithms.html>.

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// The least date of Postgres, 4714-11-24 BC.
pub const MIN_DATE: i32 = -2_451_545;
/// The day after its last, 5874897-12-31.
pub const END_DATE: i32 = 2_145_031_949;
/// Its least timestamp, 4714-11-24 00:00:00 BC.
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// The microsecond after its last, 294276-12-31 23:59:59.999999.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;

/// From 0000-03-01 to 2000-01-01.
const EPOCH: i64 = 730_425;

/// A date: the astronomical year (0 is 1 BC), month from 1, day from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year; 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// The date of a number of days since 2000-01-01.
pub fn date(days: i64) -> Civil {
    let shifted = days + EPOCH;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let index = (5 * of_year + 2) / 153;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year, month, day: of_year - (153 * index + 2) / 5 + 1 }
}

/// Days from 2000-01-01 to a date.
pub fn days(date: Civil) -> i64 {
    let year = if date.month <= 2 { date.year - 1 } else { date.year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let index = (date.month + 9) % 12;
    let of_year = (153 * index + 2) / 5 + date.day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(year: i64, month: i64, day: i64) -> i64 {
        days(Civil { year, month, day })
    }

    #[test]
    fn known_days() {
        assert_eq!(at(2000, 1, 1), 0);
        assert_eq!(at(1970, 1, 1), -10_957);
        assert_eq!(at(2000, 3, 1), 60);
        assert_eq!(at(-4713, 11, 24), i64::from(MIN_DATE));
        assert_eq!(at(5_874_897, 12, 31) + 1, i64::from(END_DATE));
        assert_eq!(at(294_277, 1, 1) * DAY, END_TIMESTAMP);
    }

    proptest! {
        #[test]
        fn round_trips(day in i64::from(MIN_DATE)..i64::from(END_DATE)) {
            let civil = date(day);
            prop_assert!((1..=12).contains(&civil.month) && (1..=31).contains(&civil.day));
            prop_assert_eq!(days(civil), day);
        }
    }
}
