//! The SQL functions about materialization. Functions in SQL with named arguments stand in front of these
//! (sql/materialize.sql).

use super::by_hand::Attempt;
use super::define::{self, Given};
use super::definition::Definition;
use super::progress::{self, PHASES};
use super::refresh::{self, How};
use crate::pg::catalog;
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::identity;
use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use pgrx::{JsonB, PgLogLevel};

/// Defines a materialized table by the arguments of `warehouse.materialize()`; says what came of it.
#[pg_extern(name = "define_materialization", volatile, parallel_unsafe)]
fn define(arguments: JsonB) -> JsonB {
    let given: Given = serde_json::from_value(arguments.0)
        .map_err(|e| {
            Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, format!("malformed definition: {e}"))
        })
        .or_raise();
    let defined = define::define(given).or_raise();
    JsonB(serde_json::json!({
        "id": defined.id,
        "relation": defined.relation.to_u32(),
        "is_stale": defined.is_stale,
        "chosen": defined.chosen,
    }))
}

/// Whether the caller may refresh a table: its owner may, and who may define the policy.
pub fn check_right(definition: &Definition) -> Result<()> {
    let asks = identity::current();
    if catalog::owns_relation(definition.relation())
        || identity::has_rights_of(asks, "warehouse_admin")
    {
        return Ok(());
    }
    Err(Error::new(
        Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("must be owner of table {}", definition.label()),
    )
    .hint("Readers call warehouse.request_refresh()."))
}

/// Refreshes a table in this session.
#[pg_extern(name = "run_refresh", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn run(
    relation: Oid,
    full_refresh: bool,
    reconcile: bool,
) -> TableIterator<
    'static,
    (
        name!(status, String),
        name!(strategy, String),
        name!(capture, String),
        name!(fetched, i64),
        name!(inserted, i64),
        name!(updated, i64),
        name!(deleted, i64),
        name!(unchanged, i64),
        name!(bytes, i64),
        name!(seconds, f64),
        name!(error, Option<String>),
    ),
> {
    let began = std::time::Instant::now();
    let definition = Definition::of(relation).or_raise();
    check_right(&definition).or_raise();
    let how = How { full: full_refresh, reconcile, range: None };
    let attempt = Attempt::of(&definition, reconcile);
    let outcome = refresh::run(definition.id, &how).and_then(|(definition, report)| {
        let cause = if reconcile { "reconcile" } else { "hand" };
        refresh::record(&definition, cause, None, &report)?;
        refresh::succeeded(&definition, &report)?;
        Ok(report)
    });
    let report = match outcome {
        Ok(report) => {
            attempt.succeeded();
            report
        }
        Err(error) => {
            attempt.failed(&error);
            error.raise()
        }
    };
    for warning in &report.warnings {
        ereport!(PgLogLevel::WARNING, Code::ERRCODE_CHECK_VIOLATION, warning.clone());
    }
    TableIterator::once((
        report.status().to_owned(),
        report.strategy.to_owned(),
        report.capture.to_owned(),
        report.fetched as i64,
        report.inserted as i64,
        report.updated as i64,
        report.deleted as i64,
        report.unchanged() as i64,
        report.bytes as i64,
        began.elapsed().as_secs_f64(),
        report.error(),
    ))
}

/// Removes a definition, and its table unless it is to be kept.
#[pg_extern(name = "drop_definition", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn drop_definition(relation: Oid, keep_table: bool) {
    define::drop(relation, keep_table).or_raise();
}

/// The refreshes that run in this database, of all sessions.
#[pg_extern(name = "running_refreshes", volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn running() -> TableIterator<
    'static,
    (
        name!(materialization, i32),
        name!(pid, i32),
        name!(phase, String),
        name!(rows, i64),
        name!(bytes, i64),
        name!(expected_rows, Option<i64>),
        name!(started_at, Option<TimestampWithTimeZone>),
        name!(phase_started_at, Option<TimestampWithTimeZone>),
    ),
> {
    let rows: Vec<_> = progress::all()
        .into_iter()
        .map(|slot| {
            let phase = PHASES.get(slot.phase as usize).copied().unwrap_or_default();
            (
                slot.materialization,
                slot.pid,
                phase.to_owned(),
                slot.rows as i64,
                slot.bytes as i64,
                (slot.expected > 0).then_some(slot.expected as i64),
                TimestampWithTimeZone::try_from(slot.started).ok(),
                TimestampWithTimeZone::try_from(slot.phase_started).ok(),
            )
        })
        .collect();
    TableIterator::new(rows)
}
