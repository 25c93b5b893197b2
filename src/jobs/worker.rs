//! The worker: one run, then it ends.

use super::board;
use crate::materialize::definition::Definition;
use crate::materialize::refresh::{self, How};
use crate::materialize::{Report, backfill};
use crate::materialize::{json, run};
use crate::pg::error::{Error, Result};
use crate::pg::process;
use crate::pg::worker::{self, Kind};
use pgrx::PgSqlErrorCode as Code;
use serde::Deserialize;

/// What it is.
pub const KIND: Kind = Kind { label: "warehouse refresh", function: "warehouse_worker_main" };

#[derive(Debug, Deserialize)]
struct Run {
    materialization: i32,
    cause: String,
    full: bool,
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn warehouse_worker_main(argument: pgrx::pg_sys::Datum) {
    let number = argument.value() as i64;
    worker::begin(Some(worker::database_of_start()));
    // Without a place the run is not known to be alive: it is tried again.
    if !board::enter_worker(number) {
        worker::end();
    }
    process::at_exit(|| {
        board::leave_worker();
        board::want_scheduler();
    });
    let Ok(Some(this)) = worker::transaction(c"taking a run", || take(number)) else {
        worker::end()
    };
    let outcome =
        if this.cause == "backfill" { backfill_all(number, &this) } else { once(number, &this) };
    if let Err(error) = outcome {
        let noted = worker::transaction(c"noting a failure", || fail(number, &this, &error));
        if let Err(error) = noted {
            super::failure::log(&format!("a failure could not be noted: {}", error.message()));
        }
    }
}

/// The run, from now on this process's.
fn take(number: i64) -> Result<Option<Run>> {
    json(
        "WITH taken AS (UPDATE warehouse.materialization_run r SET status = 'running', pid = $2::pg_catalog.int4, \
             started_at = pg_catalog.clock_timestamp() WHERE r.id = $1 AND r.status = 'starting' \
             RETURNING r.materialization, r.cause), \
           full_wish AS (UPDATE warehouse.materialization_job j SET full_requested = false \
             FROM (SELECT f.materialization, f.full_requested FROM warehouse.materialization_job f \
               JOIN taken ON taken.materialization = f.materialization) before \
             WHERE before.materialization = j.materialization RETURNING before.full_requested) \
         SELECT pg_catalog.jsonb_build_object('materialization', taken.materialization, 'cause', taken.cause, \
           'full', COALESCE((SELECT w.full_requested FROM full_wish w), false)) FROM taken",
        &[number.into(), i64::from(process::id()).into()],
    )
}

fn once(number: i64, this: &Run) -> Result<()> {
    let how = How { full: this.full, reconcile: this.cause == "reconcile", range: None };
    worker::transaction(c"refreshing", || {
        let (definition, report) = refresh::run(this.materialization, &how)?;
        refresh::record(&definition, &this.cause, Some(number), &report)?;
        for warning in &report.warnings {
            super::failure::log(warning);
        }
        refresh::succeeded(&definition, &report)
    })
}

/// All batches of the ranges that are to be computed anew. Each is a transaction, with how far it came.
fn backfill_all(number: i64, this: &Run) -> Result<()> {
    let mut all = Report::new();
    loop {
        let batch = worker::transaction(c"backfilling", || backfill::one(this.materialization))?;
        let Some((_, report)) = batch else { break };
        (all.strategy, all.capture) = (report.strategy, report.capture);
        all.add(report);
        crate::pg::wait::check_interrupts();
        worker::reload_if_asked();
    }
    worker::transaction(c"ending a backfill", || {
        let Some(definition) = Definition::locked(this.materialization, true)? else {
            return Ok(());
        };
        refresh::record(&definition, &this.cause, Some(number), &all)?;
        refresh::succeeded(&definition, &all)
    })
}

fn fail(number: i64, this: &Run, error: &Error) -> Result<()> {
    let status = match error.code() {
        // Somebody refreshes it by hand at the moment.
        Code::ERRCODE_LOCK_NOT_AVAILABLE => "skipped",
        Code::ERRCODE_QUERY_CANCELED if board::has_timed_out() => "timed out",
        Code::ERRCODE_QUERY_CANCELED => "cancelled",
        _ => "failed",
    };
    let told = if status == "timed out" {
        "it took longer than its time_limit".to_owned()
    } else {
        error.told()
    };
    if status == "skipped" {
        return run(
            "UPDATE warehouse.materialization_run SET status = $2, finished_at = pg_catalog.clock_timestamp(), \
               error = $3 WHERE id = $1",
            &[number.into(), status.into(), told.as_str().into()],
        );
    }
    run(
        "UPDATE warehouse.materialization_run SET status = $2, finished_at = pg_catalog.clock_timestamp(), \
           sqlstate = $3, error = $4 WHERE id = $1",
        &[
            number.into(),
            status.into(),
            worker::sqlstate_text(error.code()).into(),
            told.as_str().into(),
        ],
    )?;
    refresh::trim(this.materialization)?;
    let name: Option<String> = json(
        "SELECT pg_catalog.to_jsonb(r.relation) FROM warehouse.materialization_run r WHERE r.id = $1",
        &[number.into()],
    )?;
    refresh::tell(&name.unwrap_or_default(), status, 0, Some(&told))
}
