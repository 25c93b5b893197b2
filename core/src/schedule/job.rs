//! What a job is doing: the row that is stored of it.
//!
//! A job is one materialization's refresh. [`Job::step`](super::transition) says what each event makes
//! of it. What always holds:
//!
//! - A job runs at most once at a time: it starts only from [`State::Queued`].
//! - `due` is the next due time of the schedule that no run has served. A run serves all due times up
//!   to its start. So what was missed while the job ran, waited or stood still is made up for by one
//!   run.
//! - `owed` says that a run was wanted while it could not be queued; it comes as soon as it can.
//! - `failures` counts those in a row; a success or [`Event::Resumed`](super::Event) sets it to 0.

/// Where a job stands. Times are microseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits to be due.
    Idle,
    /// It waits for a worker.
    Queued,
    /// A worker runs it.
    Running {
        /// Since when.
        since: i64,
        /// It was paused meanwhile: it ends its run and then stands still.
        pausing: bool,
    },
    /// It has failed and waits to be tried again.
    Retrying {
        /// When.
        at: i64,
    },
    /// It has failed too often. Only resuming it, or asking for a run by hand, starts it again.
    Suspended,
    /// It was paused. Only resuming it starts it again.
    Paused,
}

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Where it stands.
    pub state: State,
    /// The next due time that no run has served, without jitter; nothing for a job without a schedule.
    pub due: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// Another run is wanted.
    pub owed: bool,
}

impl Job {
    /// A new job, first due at a time; now, if it is past.
    pub fn new(due: Option<i64>) -> Job {
        Job { state: State::Idle, due, failures: 0, owed: false }
    }

    /// The same job with another schedule, first due at a time. What it is doing goes on.
    pub fn reschedule(self, due: Option<i64>) -> Job {
        Job { due, ..self }
    }

    /// When the clock next has to bring [`Event::Due`](super::Event). Jitter is still to be added to it.
    /// Nothing while the job does not wait for the clock.
    pub fn wakes_at(&self) -> Option<i64> {
        match self.state {
            State::Idle => self.due,
            State::Retrying { at } => Some(at),
            State::Queued | State::Running { .. } | State::Suspended | State::Paused => None,
        }
    }

    /// Whether a worker runs it.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }
}
