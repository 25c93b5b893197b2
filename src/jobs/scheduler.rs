//! The scheduler: one for each database with the extension. It alone decides where jobs stand.
//!
//! It sleeps until the next job is due, somebody asks for a run, or a worker ends. Each look is one
//! transaction; workers are started after it has committed.

use super::audit;
use super::board::{self, Request};
use super::by_hand;
use super::failure;
use super::store::{self, Row};
use super::webhook;
use crate::materialize::{json, run};
use crate::pg::error::Result;
use crate::pg::worker::{self, Handle, Kind, Running};
use crate::pg::{process, wait};
use crate::privacy::reads;
use crate::settings;
use std::collections::HashMap;
use std::time::Duration;
use warehouse_core::schedule::{Candidate, Cause, Event, Record, Schedule, pick};

/// What it is.
pub const KIND: Kind = Kind { label: "warehouse scheduler", function: "warehouse_scheduler_main" };

/// It looks around at least so often, and at most.
const SELDOM: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_millis(100);
/// A worker that does not obey a cancel is terminated after this time.
const GRACE: i64 = 10_000_000;
/// How often history is trimmed and staleness looked at, in microseconds.
const CARE: i64 = 15_000_000;

#[derive(Default)]
struct Scheduler {
    /// What somebody has asked for and no transaction has taken up yet.
    asked: Vec<Request>,
    /// Workers of runs, until it has been seen that they have ended.
    workers: HashMap<i64, Handle>,
    cared: i64,
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn warehouse_scheduler_main(_argument: pgrx::pg_sys::Datum) {
    worker::begin(Some(worker::database_of_start()));
    if !is_wanted() {
        board::note_without();
        worker::end();
    }
    if !board::enter_scheduler() {
        worker::end();
    }
    process::at_exit(board::leave_scheduler);
    let mut scheduler = Scheduler::default();
    let mut drain = audit::Drain::default();
    if let Err(error) = worker::transaction(c"recovering", recover) {
        failure::log(&format!("recovery failed: {}", error.message()));
    }
    loop {
        worker::reload_if_asked();
        drain.run();
        by_hand::drain();
        let pause = match worker::transaction(c"scheduling", || scheduler.look()) {
            Ok(look) => {
                webhook::committed(settings::on_failure().as_deref());
                // What another session is changing at the moment is taken up later.
                scheduler.asked.retain(|request| !look.seen.contains(&request.materialization));
                scheduler.start(&look.started);
                // Who has called a moment ago does not call again at once.
                let is_busy = webhook::is_busy() || drain.pause().is_some();
                if look.is_idle && !is_busy && !is_wanted() {
                    board::note_without();
                    worker::end();
                }
                look.pause
            }
            Err(error) => {
                webhook::rolled_back();
                if !is_wanted() {
                    board::note_without();
                    worker::end();
                }
                failure::log(&format!("scheduling failed: {}", error.message()));
                Duration::from_secs(5)
            }
        };
        let pause = drain.pause().map_or(pause, |soon| pause.min(soon));
        wait::sleep_until_woken(webhook::go_on(pause));
    }
}

/// Whether there is anything to schedule: a database where nothing will run by itself costs no process.
/// Whoever defines something or asks for a run asks for a scheduler.
fn is_wanted() -> bool {
    let wanted = worker::transaction(c"looking for jobs", || {
        if !worker::has_extension(c"warehouse") {
            return Ok(false);
        }
        let found: Option<bool> = json(
            "SELECT pg_catalog.to_jsonb(EXISTS (SELECT FROM warehouse.materialization_job j \
                 WHERE j.wake_at IS NOT NULL OR j.state IN ('queued', 'running')) \
               OR EXISTS (SELECT FROM warehouse.materialization_backfill) \
               OR EXISTS (SELECT FROM warehouse.materialization m \
                 WHERE m.options ->> 'warn_after' IS NOT NULL OR m.options ->> 'error_after' IS NOT NULL))",
            &[],
        )?;
        Ok(found.unwrap_or(false))
    });
    board::has_requests() || reads::any() || by_hand::any() || matches!(wanted, Ok(true))
}

/// What a look has found.
struct Look {
    started: Vec<(i64, String)>,
    pause: Duration,
    /// The jobs whose requests have been taken up, or that are gone.
    seen: Vec<i32>,
    /// Nothing runs and nothing will.
    is_idle: bool,
}

/// Runs whose workers are gone have crashed.
fn recover() -> Result<()> {
    let alive: Vec<i64> = board::workers().iter().map(|worker| worker.run).collect();
    run(
        "UPDATE warehouse.materialization_run SET status = 'crashed', finished_at = pg_catalog.clock_timestamp(), \
           error = 'the server or the process ended while it ran' \
         WHERE finished_at IS NULL AND id <> ALL ($1)",
        &[alive.into()],
    )
}

impl Scheduler {
    fn look(&mut self) -> Result<Look> {
        if !settings::jobs() {
            let seen = Vec::new();
            return Ok(Look { started: Vec::new(), pause: SELDOM, seen, is_idle: false });
        }
        let now = store::now();
        for request in board::take_requests() {
            self.asked.push(request);
        }
        let asked: Vec<i32> = self.asked.iter().map(|request| request.materialization).collect();
        let mut rows = store::awake(&asked)?;
        let ended = self.ended();
        let mut downstream = Vec::new();
        for row in &mut rows {
            self.reap(row, &ended, &mut downstream, now)?;
            let request = self.asked.iter().find(|request| request.materialization == row.id);
            plan(row, request, now)?;
        }
        for id in downstream {
            for mut row in store::awake(&[id])?.into_iter().filter(|row| row.id == id) {
                match rows.iter_mut().find(|known| known.id == id) {
                    Some(known) => upstream(known, now)?,
                    None => {
                        upstream(&mut row, now)?;
                        rows.push(row);
                    }
                }
            }
        }
        let workers = self.workers.len().max(board::workers().len());
        let started = choose(&mut rows, workers, now)?;
        if now - self.cared >= CARE {
            self.cared = now;
            failure::care()?;
        }
        let next = store::next_wake()?;
        let is_idle = next.is_none() && rows.is_empty();
        let mut pause = next
            .map_or(SELDOM, |micros| Duration::from_micros(micros.max(0) as u64))
            .clamp(OFTEN, SELDOM);
        // Limits of time are looked at by the clock.
        if rows.iter().any(|row| row.job().is_running()) {
            pause = pause.min(Duration::from_secs(1));
        }
        let mut seen: Vec<i32> = rows.iter().map(|row| row.id).collect();
        for id in asked {
            if !seen.contains(&id) && !exists(id)? {
                seen.push(id);
            }
        }
        Ok(Look { started, pause, seen, is_idle })
    }

    /// Runs whose workers have ended.
    fn ended(&mut self) -> Vec<i64> {
        let mut ended = Vec::new();
        self.workers.retain(|run, handle| {
            let over = handle.running() == Running::Ended;
            if over {
                ended.push(*run);
            }
            !over
        });
        ended
    }

    /// Notes what became of a job's run, and keeps it within its time.
    fn reap(
        &mut self,
        row: &mut Row,
        ended: &[i64],
        downstream: &mut Vec<i32>,
        now: i64,
    ) -> Result<()> {
        let Some(number) = row.run.filter(|_| row.job().is_running()) else { return Ok(()) };
        let is_known = self.workers.contains_key(&number);
        let lives = board::workers().iter().any(|worker| worker.run == number);
        if is_known || (lives && !ended.contains(&number)) {
            limit(row, number, now)?;
            return Ok(());
        }
        let outcome: Option<Outcome> = json(
            "SELECT pg_catalog.jsonb_build_object('status', r.status, 'sqlstate', r.sqlstate, 'error', r.error) \
             FROM warehouse.materialization_run r WHERE r.id = $1",
            &[number.into()],
        )?;
        let status = outcome.as_ref().map_or("crashed", |outcome| outcome.status.as_str());
        let sqlstate = outcome.as_ref().and_then(|outcome| outcome.sqlstate.as_deref());
        let event = match status {
            "succeeded" | "partial" | "skipped" => Event::Succeeded,
            "failed" | "cancelled" => Event::Failed { retryable: is_retryable(sqlstate) },
            "timed out" => Event::TimedOut,
            _ => Event::Crashed,
        };
        let unfinished = matches!(status, "starting" | "running");
        if unfinished || outcome.is_none() {
            run(
                "UPDATE warehouse.materialization_run SET status = 'crashed', finished_at = pg_catalog.clock_timestamp(), \
                   error = 'the process ended while it ran' WHERE id = $1 AND finished_at IS NULL",
                &[number.into()],
            )?;
        }
        let record = row.step(event, now).record;
        row.run = None;
        let error = match event {
            Event::Succeeded => None,
            Event::Crashed => Some("the process ended while it ran".to_owned()),
            _ => outcome.as_ref().and_then(|outcome| outcome.error.clone()),
        };
        row.save(error.as_deref())?;
        if status == "skipped" {
            return Ok(());
        }
        if event == Event::Succeeded {
            downstream.extend(store::downstreams(row.id)?);
        } else if let Record::Ended { failures, suspended, .. } = record {
            let status = if event == Event::Crashed { "crashed" } else { status };
            failure::tell(&row.name, status, failures, suspended, error.as_deref())?;
        }
        Ok(())
    }

    /// Starts the workers of these runs.
    fn start(&mut self, runs: &[(i64, String)]) {
        for (number, name) in runs {
            let database = process::database();
            match worker::start(
                super::worker::KIND,
                &format!("warehouse refresh of {name}"),
                database,
                *number,
            ) {
                Some(handle) => {
                    self.workers.insert(*number, handle);
                }
                None => {
                    let given_back =
                        worker::transaction(c"giving a run back", || give_back(*number));
                    if let Err(error) = given_back {
                        failure::log(&format!(
                            "a run could not be given back: {}",
                            error.message()
                        ));
                    }
                }
            }
        }
    }
}

/// Queues what is due or asked for.
fn plan(row: &mut Row, request: Option<&Request>, now: i64) -> Result<()> {
    let mut changed = false;
    if row.due.is_none()
        && let Some(schedule) = row.schedule()
    {
        row.reschedule(schedule.next_due(None, now));
        changed = true;
    }
    if row.reconcile_due.is_none()
        && let Some(next) = next_reconcile(row, now)
    {
        row.reconcile_due = Some(next);
        changed = true;
    }
    let idle = row.job().wakes_at().is_some() || !row.job().is_running();
    let mut cause = None;
    if let Some(request) = request {
        row.full_requested |= request.full;
        cause = queued(row.step(Event::Requested, now).record).map(|_| "request");
        changed = true;
    }
    if cause.is_none() && idle && row.is_new && row.due.is_some() && row.last_started.is_none() {
        cause = queued(row.step(Event::Requested, now).record).map(|_| "schedule");
        changed = true;
    }
    if cause.is_none() {
        match queued(row.step(Event::Due, now).record) {
            // What it was to do is still to be done.
            Some(Cause::Retry) => {
                cause = Some(match row.cause.as_deref() {
                    Some("reconcile") => "reconcile",
                    Some("backfill") => "backfill",
                    _ => "retry",
                });
            }
            Some(_) => cause = Some("schedule"),
            None => {}
        }
    }
    let quiet = row.job().wakes_at().is_some() || row.due.is_none();
    if cause.is_none() && quiet && row.reconcile_due.is_some_and(|at| at <= now) {
        cause = queued(row.step(Event::Upstream, now).record).map(|_| "reconcile");
        if cause.is_some() {
            row.reconcile_due = next_reconcile(row, now);
        }
    }
    if cause.is_none() && quiet && row.backfills {
        cause = queued(row.step(Event::Upstream, now).record).map(|_| "backfill");
    }
    if let Some(cause) = cause {
        row.cause = Some(cause.to_owned());
        changed = true;
    }
    // One that was looked at for nothing is looked at later.
    if changed || row.job().wakes_at().is_none_or(|at| at <= now) {
        row.save(None)?;
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Outcome {
    status: String,
    sqlstate: Option<String>,
    error: Option<String>,
}

fn exists(id: i32) -> Result<bool> {
    let found: Option<bool> = json(
        "SELECT pg_catalog.to_jsonb(EXISTS (SELECT FROM warehouse.materialization m WHERE m.id = $1::pg_catalog.int4))",
        &[i64::from(id).into()],
    )?;
    Ok(found.unwrap_or(false))
}

fn queued(record: Record) -> Option<Cause> {
    match record {
        Record::Queued(cause) => Some(cause),
        _ => None,
    }
}

fn upstream(row: &mut Row, now: i64) -> Result<()> {
    if queued(row.step(Event::Upstream, now).record).is_some() {
        row.cause = Some("after".to_owned());
    }
    row.save(None)
}

fn next_reconcile(row: &Row, now: i64) -> Option<i64> {
    let text = row.options.reconcile.as_deref()?;
    Schedule::parse(text, &row.options.time_zone).ok()?.next_due(row.reconcile_due, now)
}

/// Whether trying again may help: what has to do with connections, resources, locks and the system.
fn is_retryable(sqlstate: Option<&str>) -> bool {
    let Some(state) = sqlstate else { return true };
    let class = &state[..state.len().min(2)];
    !matches!(class, "42" | "22" | "23" | "0A" | "28" | "2B" | "3F" | "XX")
}

/// Takes queued jobs, as many as may run, into runs.
fn choose(rows: &mut [Row], workers: usize, now: i64) -> Result<Vec<(i64, String)>> {
    use warehouse_core::schedule::State;
    let running: Vec<i32> =
        rows.iter().filter(|row| row.job().is_running()).map(|row| row.id).collect();
    // Jobs that somebody is changing are not among the rows, and run all the same.
    let others = workers.saturating_sub(running.len());
    let most = settings::max_running_refreshes().saturating_sub(others);
    let ready: Vec<Candidate<i32>> = rows
        .iter()
        .filter(|row| row.job().state == State::Queued)
        .map(|row| Candidate {
            id: row.id,
            due: row.due.or(row.last_started).unwrap_or(0),
            last_started: row.last_started,
        })
        .collect();
    let mut started = Vec::new();
    for id in pick(&ready, &running, most) {
        let Some(row) = rows.iter_mut().find(|row| row.id == id) else { continue };
        let cause = row.cause.clone().unwrap_or_else(|| "schedule".to_owned());
        let number: Option<i64> = json(
            "INSERT INTO warehouse.materialization_run (materialization, relation, cause, status, started_at) \
             VALUES ($1::pg_catalog.int4, $2, $3, 'starting', pg_catalog.clock_timestamp()) RETURNING pg_catalog.to_jsonb(id)",
            &[i64::from(id).into(), row.name.as_str().into(), cause.as_str().into()],
        )?;
        let Some(number) = number else { continue };
        row.step(Event::Started, now);
        row.run = Some(number);
        row.last_started = Some(now);
        row.save(None)?;
        started.push((number, row.name.clone()));
    }
    Ok(started)
}

/// A run for which there was no worker: its job is queued again.
fn give_back(number: i64) -> Result<()> {
    run("DELETE FROM warehouse.materialization_run WHERE id = $1", &[number.into()])?;
    run(
        "UPDATE warehouse.materialization_job SET state = 'queued', since = NULL, run = NULL, \
           last_error = 'all worker processes are taken: raise max_worker_processes, or lower warehouse.max_running_refreshes' \
         WHERE run = $1 AND state = 'running'",
        &[number.into()],
    )
}

/// Ends a run that has taken longer than it may.
fn limit(row: &Row, number: i64, now: i64) -> Result<()> {
    use warehouse_core::schedule::State;
    let State::Running { since, .. } = row.job().state else { return Ok(()) };
    let Some(limit) = row.options.time_limit.as_deref().and_then(store::span) else {
        return Ok(());
    };
    if now - since > limit
        && let Some(pid) = board::time_out(number)
    {
        if now - since > limit + GRACE { process::terminate(pid) } else { process::cancel(pid) }
    }
    Ok(())
}
