//! Time zones of the IANA database, and what their clocks show.
//!
//! A time is a number of microseconds since 1970-01-01 00:00 UTC; what a clock shows is a
//! [`NaiveDateTime`]. When clocks go forward, some times are never shown; when they go back, some are
//! shown twice. The rules come with the crate `chrono-tz`, not from the operating system.

use std::fmt;

use chrono::{DateTime, Duration, NaiveDateTime, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::ScheduleError;

/// Microseconds of a second.
pub(super) const SECOND: i64 = 1_000_000;
/// 0001-01-01 00:00 UTC, in seconds.
const FIRST: i64 = -62_135_596_800;
/// The last second of 9999, UTC.
const LAST: i64 = 253_402_300_799;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone(Tz::UTC);

    /// By its IANA name, in upper or lower case as in Postgres.
    pub fn parse(name: &str) -> Result<Zone, ScheduleError> {
        let name = name.trim();
        let found = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        let unknown = || ScheduleError::TimeZone { name: name.chars().take(64).collect() };
        found.map(|zone| Zone(*zone)).ok_or_else(unknown)
    }

    /// Its name as the IANA database writes it.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// A time with its zone, to the second. Nothing outside the years 1 to 9999.
    pub(super) fn moment(self, at: i64) -> Option<DateTime<Tz>> {
        let second = at.div_euclid(SECOND);
        // A day is left at either end, so that no offset leads out of what chrono can hold.
        let inside = (FIRST + 86_400..=LAST - 86_400).contains(&second);
        let utc = DateTime::from_timestamp(second, 0).filter(|_| inside)?;
        Some(utc.with_timezone(&self.0))
    }

    /// What the clock shows, to the second. Nothing outside the years 1 to 9999.
    pub(super) fn wall(self, at: i64) -> Option<NaiveDateTime> {
        self.moment(at).map(|moment| moment.naive_local())
    }

    /// The first time at which the clock shows `wall`, or the moment at which it jumps over it.
    pub(super) fn first(self, wall: NaiveDateTime) -> Option<i64> {
        if let Some(moment) = self.0.from_local_datetime(&wall).earliest() {
            return Some(moment.timestamp_micros());
        }
        // No clock is further from UTC than this, and none is changed twice within so short a time.
        let day = Duration::hours(26);
        let low = wall.checked_sub_signed(day)?.and_utc().timestamp_micros();
        let high = wall.checked_add_signed(day)?.and_utc().timestamp_micros();
        self.change(low, high, |at| self.wall(at).is_some_and(|shown| shown >= wall))
    }

    /// The first full second in `(low, high]` at which `is_after`, which holds from some moment on.
    fn change(self, low: i64, high: i64, is_after: impl Fn(i64) -> bool) -> Option<i64> {
        let (mut low, mut high) = (low.div_euclid(SECOND), high.div_euclid(SECOND));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if is_after(middle.checked_mul(SECOND)?) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high.checked_mul(SECOND)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A time given in UTC as RFC 3339, such as `2025-03-09T07:00:00Z`.
    pub(crate) fn utc(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    /// The zones in which the tests play.
    pub(crate) const ZONES: [&str; 8] = [
        "UTC",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "America/Havana",
        "America/Sao_Paulo",
    ];

    pub(crate) fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap()
    }

    fn wall(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn names() {
        assert_eq!(zone("europe/berlin").name(), "Europe/Berlin");
        assert_eq!(zone(" UTC ").to_string(), "UTC");
        for name in ["", "Berlin", "Europe", "+02:00", "Europe/Berlin2", "ä"] {
            assert!(matches!(Zone::parse(name), Err(ScheduleError::TimeZone { .. })), "{name}");
        }
    }

    #[test]
    fn times_shown_never_or_twice() {
        let york = zone("America/New_York");
        assert_eq!(york.first(wall("2025-03-09T02:30:00")), Some(utc("2025-03-09T07:00:00Z")));
        assert_eq!(york.first(wall("2025-11-02T01:30:00")), Some(utc("2025-11-02T05:30:00Z")));
        let howe = zone("Australia/Lord_Howe");
        assert_eq!(howe.first(wall("2025-10-05T02:10:00")), Some(utc("2025-10-04T15:30:00Z")));
        // A day that never was.
        let apia = zone("Pacific/Apia");
        assert_eq!(apia.first(wall("2011-12-30T12:00:00")), Some(utc("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn times_far_off_are_nothing() {
        for at in [i64::MIN, i64::MIN + 1, FIRST * SECOND, LAST * SECOND, i64::MAX] {
            assert_eq!(zone("Europe/Berlin").wall(at), None);
        }
        assert!(zone("Europe/Berlin").wall(utc("9999-12-30T00:00:00Z")).is_some());
    }
}
