//! Where jobs stand, in the table `warehouse.materialization_job`.

use crate::materialize::definition::Options;
use crate::materialize::{json, run};
use crate::pg::error::{Error, Result};
use pgrx::JsonB;
use serde::{Deserialize, Serialize};
use warehouse_core::schedule::{Backoff, Event, Job, Rules, Schedule, State, Step, jitter};

/// A job as it is stored. Times are microseconds since 1970.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    /// The materialization.
    pub id: i32,
    /// Its table's name.
    pub name: String,
    state: String,
    /// The next due time of its schedule.
    pub due: Option<i64>,
    retry_at: Option<i64>,
    /// When it is compared with its source next.
    pub reconcile_due: Option<i64>,
    since: Option<i64>,
    pausing: bool,
    failures: u32,
    owed: bool,
    /// Why it was queued.
    pub cause: Option<String>,
    /// The run that goes on.
    pub run: Option<i64>,
    /// The next run fetches everything.
    pub full_requested: bool,
    /// When it was started last.
    pub last_started: Option<i64>,
    /// It has never succeeded.
    pub is_new: bool,
    /// The definition's options.
    pub options: Options,
    /// A range of time is to be computed anew.
    pub backfills: bool,
}

/// The first pause before a run is tried again, and the longest.
const FIRST_PAUSE: i64 = 10_000_000;
const LONGEST_PAUSE: i64 = 3_600_000_000;

const MICROS: &str = "(extract(epoch FROM {}) * 1000000)::pg_catalog.int8";

fn micros(column: &str) -> String {
    MICROS.replace("{}", column)
}

/// The jobs that somebody has to look at now: due, queued, running, or among these. Those that another
/// session is changing are left for the next look.
pub fn awake(also: &[i32]) -> Result<Vec<Row>> {
    let query = format!(
        "WITH j AS MATERIALIZED (SELECT l.* FROM warehouse.materialization_job l \
           WHERE l.wake_at <= pg_catalog.clock_timestamp() OR l.state IN ('queued', 'running') OR l.materialization = ANY ($1) \
             OR (l.state = 'idle' AND l.materialization IN (SELECT b.materialization FROM warehouse.materialization_backfill b)) \
           FOR UPDATE SKIP LOCKED) \
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', j.materialization, \
           'name', n.nspname || '.' || c.relname, 'state', j.state, 'due', {}, 'retry_at', {}, 'reconcile_due', {}, \
           'since', {}, 'pausing', j.pausing, 'failures', j.failures, 'owed', j.owed, 'cause', j.cause, 'run', j.run, \
           'full_requested', j.full_requested, 'last_started', {}, 'options', m.options, \
           'is_new', NOT EXISTS (SELECT FROM warehouse.materialization_source s \
             WHERE s.materialization = m.id AND s.succeeded_at IS NOT NULL), \
           'backfills', EXISTS (SELECT FROM warehouse.materialization_backfill b WHERE b.materialization = m.id))) \
         FROM j JOIN warehouse.materialization m ON m.id = j.materialization \
           JOIN pg_catalog.pg_class c ON c.oid = m.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
        micros("j.due"),
        micros("j.retry_at"),
        micros("j.reconcile_due"),
        micros("j.since"),
        micros("j.last_started"),
    );
    Ok(json(&query, &[also.to_vec().into()])?.unwrap_or_default())
}

/// Microseconds until the next job wakes; `None` if none will.
pub fn next_wake() -> Result<Option<i64>> {
    json(
        &format!(
            "SELECT pg_catalog.to_jsonb({}) FROM (SELECT min(j.wake_at) AS at FROM warehouse.materialization_job j) w \
             WHERE w.at IS NOT NULL",
            micros("w.at - pg_catalog.clock_timestamp()")
        ),
        &[],
    )
}

/// The jobs that run after another.
pub fn downstreams(id: i32) -> Result<Vec<i32>> {
    // All of those after which it runs, and that are still there, have succeeded since it was started last.
    let found = json(
        "SELECT pg_catalog.jsonb_agg(m.id) FROM warehouse.materialization m \
           JOIN warehouse.materialization_job j ON j.materialization = m.id \
         WHERE m.options -> 'after' @> pg_catalog.to_jsonb($1::pg_catalog.int4) AND NOT EXISTS ( \
           SELECT FROM pg_catalog.jsonb_array_elements_text(m.options -> 'after') a(id) \
             JOIN warehouse.materialization_job uj ON uj.materialization = a.id::pg_catalog.int4 \
           WHERE (uj.last_succeeded > COALESCE(j.last_started, '-infinity')) IS NOT TRUE)",
        &[i64::from(id).into()],
    )?;
    Ok(found.unwrap_or_default())
}

impl Row {
    /// The job.
    pub fn job(&self) -> Job {
        let state = match self.state.as_str() {
            "queued" => State::Queued,
            "running" => State::Running { since: self.since.unwrap_or(0), pausing: self.pausing },
            "retrying" => State::Retrying { at: self.retry_at.unwrap_or(0) },
            "suspended" => State::Suspended,
            "paused" => State::Paused,
            _ => State::Idle,
        };
        Job { state, due: self.due, failures: self.failures, owed: self.owed }
    }

    /// Its schedule. One that cannot be read (it was checked when it was defined) is none.
    pub fn schedule(&self) -> Option<Schedule> {
        let text = self.options.schedule.as_deref()?;
        Schedule::parse(text, &self.options.time_zone).ok()
    }

    /// Puts an event to the job.
    pub fn step(&mut self, event: Event, now: i64) -> Step {
        let schedule = self.schedule();
        let backoff = Backoff {
            base: FIRST_PAUSE,
            cap: LONGEST_PAUSE,
            factor: 2,
            suspend_after: self.options.max_failures.max(1) as u32,
        };
        let rules = Rules { schedule: schedule.as_ref(), backoff: &backoff, seed: self.id as u64 };
        let step = self.job().step(event, now, &rules);
        self.put(step.job);
        step
    }

    /// Sets its next due time.
    pub fn reschedule(&mut self, due: Option<i64>) {
        self.put(self.job().reschedule(due));
    }

    fn put(&mut self, job: Job) {
        (self.due, self.failures, self.owed) = (job.due, job.failures, job.owed);
        (self.since, self.retry_at, self.pausing) = (None, None, false);
        self.state = match job.state {
            State::Idle => "idle",
            State::Queued => "queued",
            State::Running { since, pausing } => {
                (self.since, self.pausing) = (Some(since), pausing);
                "running"
            }
            State::Retrying { at } => {
                self.retry_at = Some(at);
                "retrying"
            }
            State::Suspended => "suspended",
            State::Paused => "paused",
        }
        .to_owned();
    }

    /// When the scheduler looks at it next.
    fn wake_at(&self) -> Option<i64> {
        let bound = self.options.jitter.as_deref().and_then(span).unwrap_or(0);
        let own = self.job().wakes_at().map(|at| at + jitter::delay(self.id as u64, bound));
        let reconcile = self.reconcile_due.filter(|_| self.state == "idle");
        [own, reconcile].into_iter().flatten().min()
    }

    /// Writes it down.
    pub fn save(&self, last_error: Option<&str>) -> Result<()> {
        let stored = Stored {
            state: &self.state,
            due: self.due,
            retry_at: self.retry_at,
            reconcile_due: self.reconcile_due,
            wake_at: self.wake_at(),
            since: self.since,
            pausing: self.pausing,
            failures: self.failures,
            owed: self.owed,
            cause: self.cause.as_deref(),
            run: self.run,
            full_requested: self.full_requested,
            last_started: self.last_started,
        };
        let stored = serde_json::to_value(&stored).map_err(|e| Error::bug(e.to_string()))?;
        run(SAVE, &[i64::from(self.id).into(), JsonB(stored).into(), last_error.into()])
    }
}

#[derive(Serialize)]
struct Stored<'r> {
    state: &'r str,
    due: Option<i64>,
    retry_at: Option<i64>,
    reconcile_due: Option<i64>,
    wake_at: Option<i64>,
    since: Option<i64>,
    pausing: bool,
    failures: u32,
    owed: bool,
    cause: Option<&'r str>,
    run: Option<i64>,
    full_requested: bool,
    last_started: Option<i64>,
}

const SAVE: &str = "UPDATE warehouse.materialization_job j SET state = v.state, \
    due = 'epoch'::pg_catalog.timestamptz + v.due * '1 microsecond'::pg_catalog.interval, \
    retry_at = 'epoch'::pg_catalog.timestamptz + v.retry_at * '1 microsecond'::pg_catalog.interval, \
    reconcile_due = 'epoch'::pg_catalog.timestamptz + v.reconcile_due * '1 microsecond'::pg_catalog.interval, \
    wake_at = 'epoch'::pg_catalog.timestamptz + v.wake_at * '1 microsecond'::pg_catalog.interval, \
    since = 'epoch'::pg_catalog.timestamptz + v.since * '1 microsecond'::pg_catalog.interval, \
    last_started = 'epoch'::pg_catalog.timestamptz + v.last_started * '1 microsecond'::pg_catalog.interval, \
    pausing = v.pausing, failures = v.failures, owed = v.owed, cause = v.cause, run = v.run, \
    full_requested = v.full_requested, last_error = COALESCE($3, j.last_error) \
  FROM pg_catalog.jsonb_to_record($2) AS v(state pg_catalog.text, due pg_catalog.int8, retry_at pg_catalog.int8, \
    reconcile_due pg_catalog.int8, wake_at pg_catalog.int8, since pg_catalog.int8, last_started pg_catalog.int8, \
    pausing pg_catalog.bool, failures pg_catalog.int4, owed pg_catalog.bool, cause pg_catalog.text, run pg_catalog.int8, \
    full_requested pg_catalog.bool) \
  WHERE j.materialization = $1::pg_catalog.int4";

/// A span of time in microseconds, as Postgres reads it.
pub fn span(text: &str) -> Option<i64> {
    crate::pg::sql::value_now::<i64>(
        &format!("SELECT {}", micros("$1::pg_catalog.interval")),
        &[text.into()],
    )
    .ok()
    .flatten()
}

/// Now.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    let since_2000 = unsafe { pgrx::pg_sys::GetCurrentTimestamp() };
    since_2000 + 946_684_800_000_000
}
