//! The pieces in which a range of time is recomputed: `microbatch` and its backfill.
//!
//! Batches are half open, `[start, end)`, without gaps and overlaps, and depend on size and time zone
//! alone: a backfill that was broken off finds the same ones again and goes on at the end of the last
//! that is done.
//!
//! - `day`, `month` and `year` begin when the zone's clock first shows midnight, or jumps over it. A day
//!   may have 23 or 25 hours.
//! - `hour` begins at each full hour of the zone's clock and whenever the clock is changed, which is how
//!   `date_trunc('hour', …)` groups: an hour that is shown twice is two batches.
//! - A fixed interval is reckoned in UTC from Monday, 2000-01-03 00:00, as `time_bucket` of TimescaleDB
//!   does: seven days begin on Monday.

use std::fmt;
use std::iter::FusedIterator;

use chrono::{Datelike, NaiveDate};

use super::{Interval, ScheduleError, Zone};

/// The most batches of a range.
pub const MAX_BATCHES: usize = 100_000;

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;
/// 2000-01-03 00:00 UTC.
const ORIGIN: i64 = 946_857_600_000_000;

/// How long a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchSize {
    /// An hour of the clock.
    Hour,
    /// A day of the calendar.
    Day,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
    /// Always the same length.
    Fixed(Interval),
}

/// A batch: `[start, end)` in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its first moment.
    pub start: i64,
    /// The first moment after it.
    pub end: i64,
}

impl BatchSize {
    /// Reads `hour`, `day`, `month` or `year`, also after a 1, or an interval such as `15 minutes`. Two
    /// days are 48 hours, one is a day of the calendar.
    pub fn parse(text: &str) -> Result<BatchSize, ScheduleError> {
        let lower = text.trim().to_ascii_lowercase();
        match lower.strip_prefix('1').map_or(lower.as_str(), str::trim_start) {
            "hour" => Ok(BatchSize::Hour),
            "day" => Ok(BatchSize::Day),
            "month" => Ok(BatchSize::Month),
            "year" => Ok(BatchSize::Year),
            _ => Interval::parse(text).map(BatchSize::Fixed),
        }
    }

    /// The start of the batch that a time is in.
    pub fn bucket_start(self, at: i64, zone: Zone) -> Result<i64, ScheduleError> {
        self.start(at, zone).ok_or(ScheduleError::OutOfRange)
    }

    /// The batches that a range `[from, to)` touches, whole, in order. None for an empty range.
    pub fn batches(self, from: i64, to: i64, zone: Zone) -> Result<Batches, ScheduleError> {
        let mut batches = Batches { size: self, zone, at: from, left: 0 };
        if from >= to {
            return Ok(batches);
        }
        batches.at = self.bucket_start(from, zone)?;
        // Long ranges are refused before anything is counted.
        let least = (i128::from(to) - i128::from(from)) / i128::from(self.longest());
        let mut end = batches.at;
        while end < to {
            batches.left += 1;
            if batches.left > MAX_BATCHES || least > MAX_BATCHES as i128 {
                return Err(ScheduleError::TooManyBatches);
            }
            end = self.next(end, zone).ok_or(ScheduleError::OutOfRange)?;
        }
        Ok(batches)
    }

    /// No batch is longer, in microseconds.
    fn longest(self) -> i64 {
        match self {
            BatchSize::Hour => HOUR,
            // Clocks were once set back by a day.
            BatchSize::Day => 48 * HOUR,
            BatchSize::Month => 32 * 24 * HOUR,
            BatchSize::Year => 367 * 24 * HOUR,
            BatchSize::Fixed(interval) => interval.micros(),
        }
    }

    fn start(self, at: i64, zone: Zone) -> Option<i64> {
        zone.moment(at)?;
        match self {
            BatchSize::Fixed(interval) => interval.last_until(ORIGIN, at),
            BatchSize::Hour => {
                let offset = zone.offset(at)?;
                let full = at - (at + offset).rem_euclid(HOUR);
                if zone.offset(full)? == offset { Some(full) } else { zone.transition(full, at) }
            }
            _ => {
                let mut start = zone.first(self.first_day(zone.wall(at)?.date())?.into())?;
                // A clock set back over midnight shows the old day again, in a batch of the new one.
                loop {
                    let next = self.next(start, zone)?;
                    if next > at {
                        return Some(start);
                    }
                    start = next;
                }
            }
        }
    }

    /// The start of the batch after the one that starts at `start`.
    fn next(self, start: i64, zone: Zone) -> Option<i64> {
        zone.moment(start)?;
        match self {
            BatchSize::Fixed(interval) => start.checked_add(interval.micros()),
            BatchSize::Hour => {
                let offset = zone.offset(start)?;
                let full = start + HOUR - (start + offset).rem_euclid(HOUR);
                if zone.offset(full)? == offset { Some(full) } else { zone.transition(start, full) }
            }
            _ => {
                let mut day = self.first_day(zone.wall(start)?.date())?;
                loop {
                    day = self.day_after(day)?;
                    // A day that the clock jumps over is no batch.
                    let next = zone.first(day.into())?;
                    if next > start {
                        return Some(next);
                    }
                }
            }
        }
    }

    /// The first day of the day, month or year.
    fn first_day(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            BatchSize::Month => day.with_day(1),
            BatchSize::Year => day.with_ordinal(1),
            _ => Some(day),
        }
    }

    /// The first day of the next day, month or year after its first day.
    fn day_after(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            BatchSize::Month => day.checked_add_months(chrono::Months::new(1)),
            BatchSize::Year => day.checked_add_months(chrono::Months::new(12)),
            _ => day.succ_opt(),
        }
    }
}

/// The text that [`BatchSize::parse`] reads back.
impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchSize::Hour => f.write_str("hour"),
            BatchSize::Day => f.write_str("day"),
            BatchSize::Month => f.write_str("month"),
            BatchSize::Year => f.write_str("year"),
            // One hour and one day are read as those of the clock.
            BatchSize::Fixed(interval) if interval.micros() == HOUR => f.write_str("60 minutes"),
            BatchSize::Fixed(interval) if interval.micros() == 24 * HOUR => f.write_str("24 hours"),
            BatchSize::Fixed(interval) => interval.fmt(f),
        }
    }
}

/// The batches of a range, at most [`MAX_BATCHES`], reckoned as they are asked for.
#[derive(Debug, Clone)]
pub struct Batches {
    size: BatchSize,
    zone: Zone,
    at: i64,
    left: usize,
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        self.left = self.left.checked_sub(1)?;
        let start = self.at;
        self.at = self.size.next(start, self.zone)?;
        Some(Batch { start, end: self.at })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Batches {}
impl FusedIterator for Batches {}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
