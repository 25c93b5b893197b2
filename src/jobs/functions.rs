//! The SQL functions about jobs.

use super::board;
use crate::materialize::backfill;
use crate::materialize::definition::Definition;
use crate::materialize::functions::check_right;
use crate::materialize::{json, run};
use crate::pg::catalog;
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::{process, types};
use crate::settings;
use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

/// Has the scheduler look around when the transaction has committed.
#[pg_extern(volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
fn wake_jobs() -> bool {
    if board::exists() {
        process::at_commit(board::want_scheduler);
    }
    board::exists()
}

/// Pauses a job or lets it go on.
#[pg_extern(name = "set_paused", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn set_paused(relation: Oid, paused: bool) {
    let definition = Definition::of(relation).or_raise();
    check_right(&definition).or_raise();
    let statement = if paused {
        "UPDATE warehouse.materialization_job SET pausing = state = 'running', \
           owed = owed OR state IN ('queued', 'retrying'), retry_at = NULL, \
           state = CASE WHEN state = 'running' THEN state ELSE 'paused' END, \
           wake_at = NULL WHERE materialization = $1::pg_catalog.int4"
    } else {
        "UPDATE warehouse.materialization_job SET failures = 0, pausing = false, \
           state = CASE WHEN state = 'running' THEN state WHEN owed THEN 'queued' ELSE 'idle' END, \
           cause = CASE WHEN owed THEN 'request' ELSE cause END, owed = false, \
           wake_at = pg_catalog.now() WHERE materialization = $1::pg_catalog.int4 AND (pausing OR state IN ('paused', 'suspended'))"
    };
    run(statement, &[i64::from(definition.id).into()]).or_raise();
    if board::exists() {
        process::at_commit(board::want_scheduler);
    }
}

/// Asks a worker for a run.
#[pg_extern(name = "request_run", volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
fn request_run(relation: Oid, full: bool) -> String {
    ask(relation, full).or_raise().to_owned()
}

fn ask(relation: Oid, full: bool) -> Result<&'static str> {
    let definition = Definition::of(relation)?;
    if !catalog::may_select(relation) {
        return Err(Error::new(
            Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {}", types::relation_plain_label(relation)),
        ));
    }
    if full {
        check_right(&definition)?;
    }
    if !board::exists() {
        return Err(Error::new(
            Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "no worker can be asked: warehouse is not in shared_preload_libraries",
        )
        .hint("Set shared_preload_libraries = 'warehouse' and restart the server, or have the owner call warehouse.refresh()."));
    }
    let standing: Option<(String, bool)> = json(
        "SELECT pg_catalog.jsonb_build_array(j.state, \
           COALESCE(j.last_started > pg_catalog.clock_timestamp() - $2 * '1 second'::pg_catalog.interval, false)) \
         FROM warehouse.materialization_job j WHERE j.materialization = $1::pg_catalog.int4",
        &[i64::from(definition.id).into(), settings::request_interval().into()],
    )?;
    match standing.as_ref().map(|(state, soon)| (state.as_str(), *soon)) {
        Some(("paused", _)) => return Ok("the table is paused"),
        Some(("queued", _)) => return Ok("a run is queued already"),
        Some((_, true)) if !full => return Ok("it was refreshed a moment ago"),
        _ => {}
    }
    match board::request(definition.id, full) {
        Some(true) => {
            board::want_scheduler();
            Ok("queued")
        }
        Some(false) => Ok("a run is asked for already"),
        None => Err(Error::new(
            Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            "too many refreshes are asked for at the moment",
        )
        .hint("Try again later.")),
    }
}

/// Has a range of time computed anew.
#[pg_extern(name = "run_backfill", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn run_backfill(relation: Oid, first: TimestampWithTimeZone, last: TimestampWithTimeZone) -> i64 {
    let definition = Definition::of(relation).or_raise();
    check_right(&definition).or_raise();
    let batches = backfill::enter(&definition, first, last).or_raise();
    if board::exists() {
        process::at_commit(board::want_scheduler);
    } else {
        backfill::here(&definition).or_raise();
    }
    batches
}
