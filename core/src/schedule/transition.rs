//! What happens to a job, and what that makes of it.
//!
//! [`Job::step`] is a function: it decides, and the caller stores the new job and what is to be
//! recorded in one transaction. An event that does not fit, such as a second start, leaves the job as
//! it is and says so.
//!
//! A report of a run ([`Event::Succeeded`] and its like) has to be of the run that is going on: the
//! caller compares run numbers, so that a worker that was given up for dead cannot end its successor.

use super::{Backoff, Job, Schedule, State};

/// Something that happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The clock has come to [`Job::wakes_at`].
    Due,
    /// The jobs after which it runs have succeeded.
    Upstream,
    /// Somebody asked for a run.
    Requested,
    /// A worker begins.
    Started,
    /// The run ended well.
    Succeeded,
    /// The run ended with an error.
    Failed {
        /// Whether trying again may help. If not, the next run is the next that is due.
        retryable: bool,
    },
    /// The worker died, or never came.
    Crashed,
    /// The run took too long and was ended.
    TimedOut,
    /// The run was ended by us, for a shutdown or an update. That is no failure of the job.
    Interrupted,
    /// Somebody paused it.
    Paused,
    /// Somebody resumed it.
    Resumed,
}

/// Why a run was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The schedule.
    Schedule,
    /// Other jobs succeeded.
    Upstream,
    /// Somebody asked for it.
    Request,
    /// The run before it failed.
    Retry,
    /// The job was resumed and a run was owed.
    Resumed,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Succeeded,
    /// With an error.
    Failed,
    /// Its worker died.
    Crashed,
    /// It took too long.
    TimedOut,
    /// We ended it.
    Interrupted,
}

/// Why an event did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A run cannot be asked for while the job is paused: resume it first.
    Paused,
    /// It runs already.
    Running,
    /// It was not queued, so it cannot start.
    NotQueued,
    /// It does not run, so no run can end.
    NotRunning,
}

/// What to write down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Nothing: the event changed nothing.
    Nothing,
    /// The job waits for a worker.
    Queued(Cause),
    /// A run that is already on its way serves this as well.
    Joined,
    /// Another run follows as soon as it can.
    Owed,
    /// A run began.
    Started,
    /// A run ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// Failures in a row, with this one.
        failures: u32,
        /// Whether the job was suspended for it.
        suspended: bool,
    },
    /// The job was paused.
    Paused,
    /// The job was resumed.
    Resumed,
    /// The event did not fit.
    Refused(Refusal),
}

/// By what a job goes.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'r> {
    /// Its schedule, if it has one.
    pub schedule: Option<&'r Schedule>,
    /// How it waits after failures.
    pub backoff: &'r Backoff,
    /// Its number, for jitter.
    pub seed: u64,
}

/// The job after an event, and what to write down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The job.
    pub job: Job,
    /// What to write down.
    pub record: Record,
}

impl Job {
    /// What an event at the time `now` makes of the job.
    pub fn step(self, event: Event, now: i64, rules: &Rules<'_>) -> Step {
        match event {
            Event::Due => self.due_at(now),
            Event::Upstream => self.wanted(Cause::Upstream),
            Event::Requested => self.wanted(Cause::Request),
            Event::Started => self.started(now),
            Event::Succeeded => self.succeeded(now, rules),
            Event::Failed { retryable } => self.failed(Outcome::Failed, retryable, now, rules),
            Event::Crashed => self.failed(Outcome::Crashed, true, now, rules),
            Event::TimedOut => self.failed(Outcome::TimedOut, true, now, rules),
            Event::Interrupted => self.interrupted(),
            Event::Paused => self.paused(),
            Event::Resumed => self.resumed(),
        }
    }

    fn becomes(self, state: State, record: Record) -> Step {
        Step { job: Job { state, ..self }, record }
    }

    fn stays(self, record: Record) -> Step {
        Step { job: self, record }
    }

    /// The run that comes now serves what was owed.
    fn queued(self, cause: Cause) -> Step {
        Job { owed: false, ..self }.becomes(State::Queued, Record::Queued(cause))
    }

    fn owes(self) -> Step {
        Job { owed: true, ..self }.stays(Record::Owed)
    }

    fn due_at(self, now: i64) -> Step {
        match self.wakes_at() {
            Some(at) if at <= now && self.state == State::Idle => self.queued(Cause::Schedule),
            Some(at) if at <= now => self.queued(Cause::Retry),
            _ => self.stays(Record::Nothing),
        }
    }

    fn wanted(self, cause: Cause) -> Step {
        let by_hand = cause == Cause::Request;
        match self.state {
            State::Idle => self.queued(cause),
            State::Queued => self.stays(Record::Joined),
            // It may have read already what the run is wanted for.
            State::Running { .. } => self.owes(),
            State::Retrying { .. } | State::Suspended if by_hand => self.queued(cause),
            State::Retrying { .. } => self.stays(Record::Joined),
            State::Paused if by_hand => self.stays(Record::Refused(Refusal::Paused)),
            State::Suspended | State::Paused => self.owes(),
        }
    }

    fn started(self, now: i64) -> Step {
        match self.state {
            State::Queued => {
                self.becomes(State::Running { since: now, pausing: false }, Record::Started)
            }
            State::Running { .. } => self.stays(Record::Refused(Refusal::Running)),
            _ => self.stays(Record::Refused(Refusal::NotQueued)),
        }
    }

    fn succeeded(self, now: i64, rules: &Rules<'_>) -> Step {
        let State::Running { since, pausing } = self.state else {
            return self.stays(Record::Refused(Refusal::NotRunning));
        };
        let record = Record::Ended { outcome: Outcome::Succeeded, failures: 0, suspended: false };
        let job = Job { failures: 0, due: self.due_after(since, now, rules), ..self };
        job.rests(pausing, record)
    }

    fn failed(self, outcome: Outcome, retryable: bool, now: i64, rules: &Rules<'_>) -> Step {
        let (since, pausing) = match self.state {
            State::Running { since, pausing } => (since, pausing),
            // The worker died before it could say that it began.
            State::Queued if outcome == Outcome::Crashed => (now, false),
            _ => return self.stays(Record::Refused(Refusal::NotRunning)),
        };
        let failures = self.failures.saturating_add(1);
        let suspended = rules.backoff.suspends(failures) && !pausing;
        let record = Record::Ended { outcome, failures, suspended };
        let job = Job { failures, ..self };
        if suspended {
            return Job { owed: true, ..job }.becomes(State::Suspended, record);
        }
        if !retryable {
            let due = job.due_after(since, now, rules);
            return Job { due, ..job }.rests(pausing, record);
        }
        if pausing {
            return Job { owed: true, ..job }.becomes(State::Paused, record);
        }
        // The next try serves what was owed.
        let at = now.saturating_add(rules.backoff.delay(failures, rules.seed));
        Job { owed: false, ..job }.becomes(State::Retrying { at }, record)
    }

    fn interrupted(self) -> Step {
        let State::Running { pausing, .. } = self.state else {
            return self.stays(Record::Refused(Refusal::NotRunning));
        };
        let (outcome, failures) = (Outcome::Interrupted, self.failures);
        let record = Record::Ended { outcome, failures, suspended: false };
        Job { owed: true, ..self }.rests(pausing, record)
    }

    fn paused(self) -> Step {
        match self.state {
            State::Idle | State::Suspended => self.becomes(State::Paused, Record::Paused),
            State::Queued | State::Retrying { .. } => {
                Job { owed: true, ..self }.becomes(State::Paused, Record::Paused)
            }
            State::Running { since, pausing: false } => {
                self.becomes(State::Running { since, pausing: true }, Record::Paused)
            }
            State::Running { pausing: true, .. } | State::Paused => self.stays(Record::Nothing),
        }
    }

    fn resumed(self) -> Step {
        match self.state {
            State::Suspended | State::Paused => {
                let job = Job { failures: 0, ..self };
                if job.owed {
                    return job.queued(Cause::Resumed);
                }
                job.becomes(State::Idle, Record::Resumed)
            }
            State::Running { since, pausing: true } => {
                self.becomes(State::Running { since, pausing: false }, Record::Resumed)
            }
            _ => self.stays(Record::Nothing),
        }
    }

    /// Where a job goes whose run has ended and that is not to be tried again.
    fn rests(self, pausing: bool, record: Record) -> Step {
        if pausing {
            self.becomes(State::Paused, record)
        } else if self.owed {
            Job { owed: false, ..self }.becomes(State::Queued, record)
        } else {
            self.becomes(State::Idle, record)
        }
    }

    /// The next due time after a run that started at `since` and ended at `now`.
    fn due_after(&self, since: i64, now: i64, rules: &Rules<'_>) -> Option<i64> {
        let schedule = rules.schedule?;
        match self.due {
            // It came while a run went on that was asked for by hand: that run has not served it.
            Some(due) if since < due && due <= now => Some(due),
            due => schedule.next_due(due, now),
        }
    }
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
