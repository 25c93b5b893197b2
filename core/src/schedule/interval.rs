//! Intervals of a fixed length: `5 minutes`, `every 30 seconds`, `1h`, `1 day 02:30:00`.
//!
//! A day is 24 hours, whatever clocks do. What has to happen at a time of day is a cron expression.

use std::fmt;

use super::ScheduleError;
use super::zone::SECOND;

/// The shortest, in seconds.
const MIN: i64 = 1;
/// The longest, in seconds: 366 days.
const MAX: i64 = 366 * 86_400;

const NUMBER: &str = "a whole number, as in '5 minutes'";
const UNIT: &str = "seconds, minutes, hours, days or weeks, as in '5 minutes'";
const FIXED: &str = "a unit of fixed length (seconds, minutes, hours, days or weeks); for each month write '0 0 1 * *'";
const CLOCK: &str = "minutes and seconds of two digits below 60, as in '00:05:00'";
const ORDER: &str = "a smaller unit than the one before, as in '1 hour 30 minutes'";
const END: &str = "nothing more, as in '00:05:00'";

/// Names of units, their seconds, the longest first.
const UNITS: [(&[&str], i64); 5] = [
    (&["w", "week", "weeks"], 7 * 86_400),
    (&["d", "day", "days"], 86_400),
    (&["h", "hr", "hrs", "hour", "hours"], 3600),
    (&["m", "min", "mins", "minute", "minutes"], 60),
    (&["s", "sec", "secs", "second", "seconds"], 1),
];

/// 1 second to 366 days, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    seconds: i64,
}

impl Interval {
    /// Reads numbers with units, the largest first, or hours, minutes and seconds with colons, or the
    /// first and then the second, as Postgres writes its intervals. `every` may stand before them.
    pub fn parse(text: &str) -> Result<Interval, ScheduleError> {
        Reader { text, at: 0 }.interval()
    }

    /// A number of seconds.
    pub fn from_seconds(seconds: i64) -> Result<Interval, ScheduleError> {
        let inside = (MIN..=MAX).contains(&seconds);
        inside.then_some(Interval { seconds }).ok_or(ScheduleError::IntervalRange)
    }

    /// Its length in microseconds.
    pub fn micros(self) -> i64 {
        self.seconds * SECOND
    }

    /// The first of the times `anchor`, `anchor` ± once the interval, ± twice … that is after `at`.
    /// Nothing if it is out of range.
    pub(super) fn first_after(self, anchor: i64, at: i64) -> Option<i64> {
        let past = (i128::from(at) - i128::from(anchor)).rem_euclid(i128::from(self.micros()));
        at.checked_add(self.micros() - i64::try_from(past).ok()?)
    }
}

/// In the largest unit of days, hours, minutes and seconds of which it is a whole number.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];
        let fits = units.iter().find(|(_, seconds)| self.seconds % seconds == 0);
        let (name, seconds) = fits.unwrap_or(&("second", 1));
        let count = self.seconds / seconds;
        write!(f, "{count} {name}{}", if count == 1 { "" } else { "s" })
    }
}

/// Reads an interval from left to right.
struct Reader<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
}

impl<'t> Reader<'t> {
    fn interval(mut self) -> Result<Interval, ScheduleError> {
        self.skip_space();
        let word = self.take(|c| c.is_ascii_alphabetic());
        let every = word.eq_ignore_ascii_case("every");
        if !every {
            self.at -= word.len();
        }
        let mut total: i64 = 0;
        let mut smallest = i64::MAX;
        let mut first = true;
        loop {
            self.skip_space();
            if self.rest().is_empty() && !first {
                return Interval::from_seconds(total);
            }
            let start = self.at;
            let digits = self.take(|c| c.is_ascii_digit());
            let number = match digits.parse::<i64>() {
                Ok(number) => number,
                Err(_) if !digits.is_empty() => return Err(ScheduleError::IntervalRange),
                // `every minute`
                Err(_) if every && first && !self.rest().is_empty() => 1,
                Err(_) => return Err(self.expected(start, NUMBER)),
            };
            let seconds = if self.rest().starts_with(':') {
                let seconds = self.clock(start, number)?;
                self.skip_space();
                if !self.rest().is_empty() {
                    return Err(self.expected(self.at, END));
                }
                (smallest > 3600).then_some(seconds).ok_or_else(|| self.expected(start, ORDER))?
            } else {
                self.skip_space();
                let unit = self.unit()?;
                if unit >= smallest {
                    return Err(self.expected(start, ORDER));
                }
                smallest = unit;
                number.checked_mul(unit)
            };
            let sum = seconds.and_then(|seconds| total.checked_add(seconds));
            total = sum.ok_or(ScheduleError::IntervalRange)?;
            first = false;
        }
    }

    /// The seconds of what stands behind the hours.
    fn clock(&mut self, start: usize, hours: i64) -> Result<Option<i64>, ScheduleError> {
        let mut parts = [0, 0];
        for (index, part) in parts.iter_mut().enumerate() {
            let Some(rest) = self.rest().strip_prefix(':') else {
                return if index == 1 { break } else { Err(self.expected(start, CLOCK)) };
            };
            self.at = self.text.len() - rest.len();
            let digits = self.take(|c| c.is_ascii_digit());
            let number = digits.parse::<i64>().ok();
            let number = number.filter(|number| digits.len() == 2 && *number < 60);
            *part = number.ok_or_else(|| self.expected(start, CLOCK))?;
        }
        let [minutes, seconds] = parts;
        Ok(hours.checked_mul(3600).and_then(|sum| sum.checked_add(minutes * 60 + seconds)))
    }

    fn unit(&mut self) -> Result<i64, ScheduleError> {
        let start = self.at;
        let word = self.take(|c| c.is_ascii_alphabetic()).to_ascii_lowercase();
        if let Some((_, seconds)) = UNITS.iter().find(|(names, _)| names.contains(&word.as_str())) {
            return Ok(*seconds);
        }
        let varies = ["mon", "mons", "month", "months", "y", "year", "years"];
        Err(self.expected(start, if varies.contains(&word.as_str()) { FIXED } else { UNIT }))
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.take(char::is_whitespace);
    }

    fn expected(&self, at: usize, expected: &'static str) -> ScheduleError {
        let before = self.text.get(..at).unwrap_or_default();
        ScheduleError::Interval { position: before.chars().count() + 1, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> i64 {
        Interval::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).seconds
    }

    #[test]
    fn forms() {
        for (text, expected) in [
            ("5 minutes", 300),
            ("every 30 seconds", 30),
            ("Every 30 Seconds", 30),
            ("every minute", 60),
            ("1h", 3600),
            ("90s", 90),
            ("00:05:00", 300),
            ("00:05", 300),
            ("36:00:00", 129_600),
            ("2 days", 172_800),
            ("1 day 02:30:00", 95_400),
            ("1h30m", 5400),
            ("  1   hour 30 min ", 5400),
            ("1 week", 604_800),
            ("366 days", MAX),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text| Interval::parse(text).unwrap_err();
        for text in ["0 s", "0:00", "367 days", "99999999999999999999 s", "9223372036854775807 w"] {
            assert_eq!(error(text), ScheduleError::IntervalRange, "{text}");
        }
        for (text, position, expected) in [
            ("", 1, NUMBER),
            ("every", 6, NUMBER),
            ("soon", 1, NUMBER),
            ("-5 minutes", 1, NUMBER),
            ("300", 4, UNIT),
            ("5 parsecs", 3, UNIT),
            ("1.5 hours", 2, UNIT),
            ("5 µs", 3, UNIT),
            ("1 month", 3, FIXED),
            ("00:5:00", 1, CLOCK),
            ("00:60:00", 1, CLOCK),
            ("00:05:00 hours", 10, END),
            ("30 minutes 1 hour", 12, ORDER),
            ("1 minute 1 minute", 10, ORDER),
            ("1 hour 00:05:00", 8, ORDER),
        ] {
            assert_eq!(error(text), ScheduleError::Interval { position, expected }, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_is_read_back(seconds in MIN..=MAX) {
            let interval = Interval::from_seconds(seconds).unwrap();
            prop_assert_eq!(Interval::parse(&interval.to_string()), Ok(interval));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,24}", near in "(every )?[0-9:]{0,4} ?[a-z]{0,6} ?[0-9:]{0,6}") {
            let _ = Interval::parse(&text);
            let _ = Interval::parse(&near);
        }

        #[test]
        fn times_are_around(seconds in MIN..=MAX, anchor in any::<i64>(), at in any::<i64>()) {
            let interval = Interval::from_seconds(seconds).unwrap();
            if let Some(next) = interval.first_after(anchor, at) {
                prop_assert!(at < next && next - at <= interval.micros());
                let steps = i128::from(next) - i128::from(anchor);
                prop_assert_eq!(steps % i128::from(interval.micros()), 0);
            }
        }
    }
}
