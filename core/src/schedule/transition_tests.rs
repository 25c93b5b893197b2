use super::*;
use crate::schedule::zone::SECOND;
use proptest::prelude::*;

const MINUTE: i64 = 60 * SECOND;
const BACKOFF: Backoff = Backoff { base: MINUTE, cap: 60 * MINUTE, factor: 2, suspend_after: 3 };

fn every(text: &str) -> Schedule {
    Schedule::parse(text, "UTC").unwrap()
}

fn rules(schedule: Option<&Schedule>) -> Rules<'_> {
    Rules { schedule, backoff: &BACKOFF, seed: 7 }
}

/// A job with its rules and a clock.
struct Played<'r> {
    job: Job,
    now: i64,
    rules: Rules<'r>,
}

impl<'r> Played<'r> {
    fn new(schedule: Option<&'r Schedule>, due: Option<i64>) -> Played<'r> {
        Played { job: Job::new(due), now: 0, rules: rules(schedule) }
    }

    fn at(&mut self, minutes: i64, event: Event) -> Record {
        self.now = minutes * MINUTE;
        let step = self.job.step(event, self.now, &self.rules);
        self.job = step.job;
        step.record
    }
}

const RETRYABLE: Event = Event::Failed { retryable: true };
const FINAL: Event = Event::Failed { retryable: false };

fn ended(outcome: Outcome, failures: u32) -> Record {
    Record::Ended { outcome, failures, suspended: false }
}

#[test]
fn a_quiet_life() {
    let schedule = every("5 minutes");
    let mut job = Played::new(Some(&schedule), Some(0));
    assert_eq!(job.at(0, Event::Due), Record::Queued(Cause::Schedule));
    assert_eq!(job.at(0, Event::Due), Record::Nothing);
    assert_eq!(job.at(1, Event::Started), Record::Started);
    assert_eq!(job.at(1, Event::Started), Record::Refused(Refusal::Running));
    assert_eq!(job.at(2, Event::Succeeded), ended(Outcome::Succeeded, 0));
    assert_eq!(job.job, Job::new(Some(5 * MINUTE)));
    assert_eq!(job.at(4, Event::Due), Record::Nothing);
    assert_eq!(job.at(4, Event::Started), Record::Refused(Refusal::NotQueued));
    assert_eq!(job.at(4, Event::Succeeded), Record::Refused(Refusal::NotRunning));
}

#[test]
fn what_was_missed_runs_once() {
    let schedule = every("5 minutes");
    // The server was off for hours.
    let mut job = Played::new(Some(&schedule), Some(0));
    job.at(1000, Event::Due);
    job.at(1001, Event::Started);
    // The run takes longer than the interval.
    job.at(1013, Event::Succeeded);
    assert_eq!(job.job, Job::new(Some(1015 * MINUTE)));
}

#[test]
fn a_due_time_within_a_run_by_hand_is_not_served_by_it() {
    let schedule = every("1 day");
    let mut job = Played::new(Some(&schedule), Some(120 * MINUTE));
    job.at(119, Event::Requested);
    job.at(119, Event::Started);
    job.at(123, Event::Succeeded);
    assert_eq!(job.job.wakes_at(), Some(120 * MINUTE));
    assert_eq!(job.at(123, Event::Due), Record::Queued(Cause::Schedule));
    job.at(123, Event::Started);
    job.at(124, Event::Succeeded);
    assert_eq!(job.job.due, Some((120 + 1440) * MINUTE));
}

#[test]
fn failures_wait_longer_and_suspend() {
    let schedule = every("1 day");
    let mut job = Played::new(Some(&schedule), Some(0));
    job.at(0, Event::Due);
    for (failures, minutes) in [(1, 100), (2, 200)] {
        job.at(minutes, Event::Started);
        assert_eq!(job.at(minutes, RETRYABLE), ended(Outcome::Failed, failures));
        let wait = job.job.wakes_at().unwrap() - job.now;
        assert!(wait <= MINUTE << (failures - 1) && wait >= MINUTE << (failures - 1) >> 1);
        assert_eq!(job.at(minutes, Event::Upstream), Record::Joined);
        assert_eq!(job.at(minutes, Event::Due), Record::Nothing);
        assert_eq!(job.at(minutes + 9, Event::Due), Record::Queued(Cause::Retry));
    }
    job.at(300, Event::Started);
    let record = Record::Ended { outcome: Outcome::TimedOut, failures: 3, suspended: true };
    assert_eq!(job.at(301, Event::TimedOut), record);
    assert_eq!((job.job.state, job.job.wakes_at()), (State::Suspended, None));
    // By hand it is tried once, and stays suspended if that fails.
    assert_eq!(job.at(302, Event::Requested), Record::Queued(Cause::Request));
    job.at(303, Event::Started);
    job.at(304, Event::Crashed);
    assert_eq!((job.job.state, job.job.failures), (State::Suspended, 4));
    assert_eq!(job.at(305, Event::Resumed), Record::Queued(Cause::Resumed));
    assert_eq!(job.job.failures, 0);
    job.at(306, Event::Started);
    job.at(307, Event::Succeeded);
    assert_eq!(job.job, Job::new(Some(1440 * MINUTE)));
}

#[test]
fn what_trying_again_cannot_help_waits_for_its_next_time() {
    let schedule = every("1 hour");
    let mut job = Played::new(Some(&schedule), Some(0));
    job.at(0, Event::Due);
    job.at(0, Event::Started);
    assert_eq!(job.at(1, FINAL), ended(Outcome::Failed, 1));
    assert_eq!((job.job.state, job.job.due), (State::Idle, Some(60 * MINUTE)));
    // Unless somebody wanted another meanwhile.
    job.at(60, Event::Due);
    job.at(60, Event::Started);
    assert_eq!(job.at(61, Event::Requested), Record::Owed);
    job.at(62, FINAL);
    assert_eq!((job.job.state, job.job.owed), (State::Queued, false));
}

#[test]
fn pausing_lets_a_run_end() {
    let schedule = every("1 hour");
    let mut job = Played::new(Some(&schedule), Some(0));
    job.at(0, Event::Due);
    job.at(0, Event::Started);
    assert_eq!(job.at(1, Event::Paused), Record::Paused);
    assert!(job.job.is_running());
    job.at(2, Event::Succeeded);
    assert_eq!(job.job.state, State::Paused);
    assert_eq!(job.at(70, Event::Due), Record::Nothing);
    assert_eq!(job.at(70, Event::Requested), Record::Refused(Refusal::Paused));
    assert_eq!(job.at(600, Event::Resumed), Record::Resumed);
    // Ten hours were missed, one run makes up for them.
    assert_eq!(job.at(600, Event::Due), Record::Queued(Cause::Schedule));
    assert_eq!(job.at(601, Event::Paused), Record::Paused);
    assert_eq!(job.at(602, Event::Resumed), Record::Queued(Cause::Resumed));
    // Resumed before the run has ended: as if nothing had been.
    job.at(603, Event::Started);
    job.at(604, Event::Paused);
    assert_eq!(job.at(605, Event::Resumed), Record::Resumed);
    job.at(606, Event::Succeeded);
    assert_eq!(job.job, Job::new(Some(660 * MINUTE)));
}

#[test]
fn without_a_schedule_it_follows_others() {
    let mut job = Played::new(None, None);
    assert_eq!(job.job.wakes_at(), None);
    assert_eq!(job.at(1, Event::Upstream), Record::Queued(Cause::Upstream));
    assert_eq!(job.at(1, Event::Upstream), Record::Joined);
    job.at(2, Event::Started);
    assert_eq!(job.at(3, Event::Upstream), Record::Owed);
    job.at(4, Event::Succeeded);
    assert_eq!((job.job.state, job.job.owed), (State::Queued, false));
    assert_eq!(job.at(5, Event::Paused), Record::Paused);
    assert_eq!(job.at(6, Event::Resumed), Record::Queued(Cause::Resumed));
}

#[test]
fn a_shutdown_is_no_failure() {
    let mut job = Played::new(None, None);
    job.at(0, Event::Requested);
    job.at(0, Event::Started);
    assert_eq!(job.at(1, Event::Interrupted), ended(Outcome::Interrupted, 0));
    assert_eq!((job.job.state, job.job.failures), (State::Queued, 0));
    // A worker that never came is one.
    assert_eq!(job.at(2, Event::Crashed), ended(Outcome::Crashed, 1));
    assert!(matches!(job.job.state, State::Retrying { .. }));
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Due),
        1 => Just(Event::Upstream),
        1 => Just(Event::Requested),
        4 => Just(Event::Started),
        2 => Just(Event::Succeeded),
        2 => Just(RETRYABLE),
        1 => Just(FINAL),
        1 => Just(Event::Crashed),
        1 => Just(Event::TimedOut),
        1 => Just(Event::Interrupted),
        1 => Just(Event::Paused),
        1 => Just(Event::Resumed),
    ]
}

fn has_schedule() -> impl Strategy<Value = Option<Schedule>> {
    prop_oneof![
        Just(None),
        Just(Some(every("5 minutes"))),
        Just(Some(every("30 2,14 * * *"))),
        Just(Some(every("*/7 * * * *"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens(
        schedule in has_schedule(),
        events in proptest::collection::vec((event(), 0..20 * MINUTE), 0..60)
    ) {
        let rules = rules(schedule.as_ref());
        let mut now = 0;
        let mut job = Job::new(schedule.as_ref().and_then(|schedule| schedule.next_due(None, now)));
        let (mut open, mut stopped, mut wanted) = (0, false, false);
        for (event, wait) in events {
            now += wait;
            let before = job;
            let Step { job: after, record } = job.step(event, now, &rules);
            job = after;

            // Never two runs at once; each start has its end.
            match record {
                Record::Started => open += 1,
                Record::Ended { .. } if before.is_running() => open -= 1,
                _ => {}
            }
            prop_assert_eq!(open, i32::from(job.is_running()));
            if job.is_running() && !before.is_running() {
                prop_assert_eq!((before.state, event), (State::Queued, Event::Started));
            }

            // What does not fit changes nothing.
            if matches!(record, Record::Nothing | Record::Refused(_) | Record::Joined) {
                prop_assert_eq!(job, before);
            } else {
                prop_assert_ne!((job, record), (before, Record::Nothing));
            }

            // Once suspended, nothing starts until somebody says so.
            if stopped {
                prop_assert!(!matches!(record, Record::Started | Record::Queued(_)) ||
                    matches!(event, Event::Resumed | Event::Requested));
            }
            match event {
                Event::Resumed | Event::Requested if job.state == State::Queued => stopped = false,
                _ => stopped |= job.state == State::Suspended,
            }
            stopped &= !matches!(job.state, State::Idle);
            if before.state == State::Suspended && job.state != before.state {
                prop_assert!(matches!(event, Event::Resumed | Event::Requested | Event::Paused));
            }
            if before.state == State::Paused && job.state != before.state {
                prop_assert_eq!(event, Event::Resumed);
            }

            // Failures count up one by one and are forgotten on success or when resumed.
            if let Record::Ended { outcome, failures, suspended } = record {
                let expected = match outcome {
                    Outcome::Succeeded => 0,
                    Outcome::Interrupted => before.failures,
                    _ => before.failures + 1,
                };
                prop_assert_eq!((failures, job.failures), (expected, expected));
                prop_assert!(!suspended || failures >= BACKOFF.suspend_after);
            } else if job.failures != before.failures {
                prop_assert_eq!((event, job.failures), (Event::Resumed, 0));
            }

            // Missed runs run once: after a run that served its due time, the next lies ahead.
            if let (Record::Ended { outcome: Outcome::Succeeded, .. }, Some(due), State::Running { since, .. })
                = (record, job.due, before.state)
            {
                prop_assert!(due > since);
                prop_assert!(due > now || Some(due) == before.due);
            }
            prop_assert_eq!(job.due.is_some(), schedule.is_some());

            // A wanted run is not lost: until one starts, the job is queued, retried, or owes it.
            wanted |= matches!(record, Record::Queued(_) | Record::Owed | Record::Joined);
            if record == Record::Started {
                wanted = false;
            }
            if wanted && !job.is_running() {
                let coming = matches!(job.state, State::Queued | State::Retrying { .. }) || job.owed;
                prop_assert!(coming, "{:?}", job);
            }

            // Every state has a way on, to a run that ends well.
            let mut next = job;
            for event in [Event::Resumed, Event::Crashed, Event::Requested, Event::Resumed,
                Event::Requested, Event::Started, Event::Succeeded] {
                next = next.step(event, now, &rules).job;
            }
            prop_assert_eq!(next.failures, 0);
            prop_assert!(matches!(next.state, State::Idle | State::Queued), "{:?} from {:?}", next, job);
        }
    }
}
