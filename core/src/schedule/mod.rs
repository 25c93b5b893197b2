//! When a job runs, and which: everything about scheduling that needs no Postgres.
//!
//! Pure functions over times given as microseconds since 1970-01-01 00:00 UTC. Nothing here reads a
//! clock, waits or keeps anything. The scheduler of the extension asks, acts and stores.
//!
//! | file | idea |
//! |---|---|
//! | this | [`Schedule`]: when a job is due |
//! | [`cron`], [`interval`], [`zone`] | its two kinds, and the clocks it reads |
//! | [`jitter`], [`backoff`] | spreading jobs; waiting after a failure |
//! | [`job`], [`transition`] | what a job is doing; what happens to it |
//! | [`choice`] | which jobs start now |

pub mod backoff;
pub mod choice;
pub mod cron;
mod error;
pub mod interval;
pub mod jitter;
pub mod job;
pub mod transition;
pub mod zone;

use std::fmt;

pub use backoff::Backoff;
pub use choice::{Candidate, pick};
pub use cron::Cron;
pub use error::ScheduleError;
pub use interval::Interval;
pub use job::{Job, State};
pub use transition::{Cause, Event, Outcome, Record, Refusal, Rules, Step};
pub use zone::Zone;

/// The most characters of a schedule.
const MAX_LENGTH: usize = 500;

/// When a job is due: at times of a clock, or every so often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// At times of a clock.
    Cron(Cron),
    /// Every so often, whatever clocks show.
    Every(Interval),
}

impl Schedule {
    /// Reads a cron expression ([`Cron`]) or an interval ([`Interval`]). The time zone has to exist even
    /// for an interval, which does not use it.
    pub fn parse(text: &str, time_zone: &str) -> Result<Schedule, ScheduleError> {
        let zone = Zone::parse(time_zone)?;
        if text.trim().is_empty() {
            return Err(ScheduleError::Empty);
        }
        if text.chars().count() > MAX_LENGTH {
            return Err(ScheduleError::TooLong { limit: MAX_LENGTH });
        }
        if Cron::is_meant(text) {
            return Cron::parse(text, zone).map(Schedule::Cron);
        }
        Interval::parse(text).map(Schedule::Every)
    }

    /// The due time that follows another one, however long ago it was. Nothing when there is none
    /// within what can be reckoned, about the year 4999.
    pub fn next_after(&self, last: i64) -> Option<i64> {
        match self {
            Schedule::Cron(cron) => cron.next_after(last),
            Schedule::Every(interval) => last.checked_add(interval.micros()),
        }
    }

    /// The next due time, always after `now`: due times that were missed are not made up for one by
    /// one.
    ///
    /// `previous_due` is any due time of the job, without jitter and not the time at which it really
    /// ran. Intervals stay aligned on it for ever; without it they begin at `now`.
    pub fn next_due(&self, previous_due: Option<i64>, now: i64) -> Option<i64> {
        match self {
            Schedule::Cron(cron) => cron.next_after(now),
            Schedule::Every(interval) => interval.first_after(previous_due.unwrap_or(now), now),
        }
    }
}

/// The canonical text, which [`Schedule::parse`] reads back in the same time zone.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Cron(cron) => cron.fmt(f),
            Schedule::Every(interval) => interval.fmt(f),
        }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
