//! Ranges of time of a microbatch table that are to be computed anew, batch by batch.
//!
//! Batches are whole buckets in the definition's time zone: part of one would replace all of it.

use super::book;
use super::definition::{Definition, Strategy};
use super::microbatch::{Range, bucket};
use super::refresh::{self, How};
use super::report::Report;
use crate::pg::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::TimestampWithTimeZone;
use serde::Deserialize;
use warehouse_core::quote;

/// Batches of a range at most.
const MOST: i64 = 100_000;

#[derive(Deserialize)]
struct Batch {
    id: i64,
    from: String,
    to: String,
    is_last: bool,
}

/// The length of a bucket, in SQL.
fn step(definition: &Definition) -> String {
    let size = definition.options.batch_size.as_deref().unwrap_or("day");
    let length = match size {
        "quarter" => "3 months".to_owned(),
        "hour" | "day" | "week" | "month" | "year" => format!("1 {size}"),
        other => other.to_owned(),
    };
    format!("{}::pg_catalog.interval", quote::literal(&length))
}

fn zone(definition: &Definition) -> String {
    quote::literal(&definition.options.time_zone)
}

/// Writes down that a range is to be computed anew; the number of its batches.
///
/// # Errors
/// 42809 for a table without batches, 22023 for a range that is none, or too long.
pub fn enter(
    definition: &Definition,
    first: TimestampWithTimeZone,
    last: TimestampWithTimeZone,
) -> Result<i64> {
    if definition.options.strategy != Strategy::Microbatch {
        return Err(Error::new(
            Code::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{} has no batches: its strategy is not microbatch", definition.label()),
        )
        .hint("warehouse.refresh(…, full_refresh => true) computes all of it anew."));
    }
    let size = definition.options.batch_size.as_deref().unwrap_or("day");
    let (zone, step) = (zone(definition), step(definition));
    let begin = bucket(&format!("($2::pg_catalog.timestamptz AT TIME ZONE {zone})"), size);
    let batches: Option<i64> = book::json(
        &format!(
            "WITH range AS (SELECT {begin} AS first, $3::pg_catalog.timestamptz AT TIME ZONE {zone} AS last \
               WHERE isfinite($2) AND isfinite($3) AND $2 < $3), \
             batch AS (SELECT g.at FROM range CROSS JOIN LATERAL \
               (SELECT s.at FROM generate_series(range.first, range.last, {step}) s(at) LIMIT {MOST} + 1) g \
               WHERE g.at < range.last), \
             entered AS (INSERT INTO warehouse.materialization_backfill (materialization, first, last, reached, requested_by) \
               SELECT $1::pg_catalog.int4, min(b.at) AT TIME ZONE {zone}, (max(b.at) + {step}) AT TIME ZONE {zone}, \
                 min(b.at) AT TIME ZONE {zone}, session_user FROM batch b HAVING count(*) BETWEEN 1 AND {MOST} RETURNING 1) \
             SELECT pg_catalog.to_jsonb((SELECT count(*) FROM batch)) FROM entered"
        ),
        &[i64::from(definition.id).into(), first.into(), last.into()],
    )?;
    batches.ok_or_else(|| {
        Error::new(
            Code::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("the range to backfill ends before it begins, or has more than {MOST} batches"),
        )
    })
}

/// The next batch of a table; `None` if nothing is left.
fn next(definition: &Definition) -> Result<Option<Batch>> {
    let (zone, step) = (zone(definition), step(definition));
    book::json(
        &format!(
            "SELECT pg_catalog.jsonb_build_object('id', b.id, 'from', b.at::pg_catalog.text, \
               'to', (b.at + {step})::pg_catalog.text, 'is_last', (b.at + {step}) AT TIME ZONE {zone} >= b.last) \
             FROM (SELECT f.id, f.last, f.reached AT TIME ZONE {zone} AS at FROM warehouse.materialization_backfill f \
               WHERE f.materialization = $1::pg_catalog.int4 ORDER BY f.id LIMIT 1) b"
        ),
        &[i64::from(definition.id).into()],
    )
}

/// Computes the next batch of a table, and notes how far it came; `None` if nothing is left.
///
/// # Errors
/// Those of a refresh; a site that fails is one too, because the batch is not done then.
pub fn one(id: i32) -> Result<Option<(Definition, Report)>> {
    let Some(definition) = Definition::locked(id, false)? else { return Ok(None) };
    let Some(batch) = next(&definition)? else { return Ok(None) };
    let range = Range { from: batch.from, to: Some(batch.to.clone()) };
    let how = How { full: false, reconcile: false, range: Some(range) };
    let (definition, report) = refresh::run(id, &how)?;
    if let Some(error) = report.error() {
        return Err(Error::new(Code::ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION, error));
    }
    if batch.is_last {
        book::run(
            "DELETE FROM warehouse.materialization_backfill WHERE id = $1",
            &[batch.id.into()],
        )?;
    } else {
        book::run(
            "UPDATE warehouse.materialization_backfill SET reached = $2::pg_catalog.timestamp AT TIME ZONE $3 WHERE id = $1",
            &[batch.id.into(), batch.to.into(), definition.options.time_zone.as_str().into()],
        )?;
    }
    Ok(Some((definition, report)))
}

/// Computes all batches of a table here, in this transaction.
pub fn here(definition: &Definition) -> Result<()> {
    let mut all = Report::new();
    while let Some((_, report)) = one(definition.id)? {
        all.add(report);
    }
    refresh::record(definition, "backfill", None, &all)?;
    refresh::succeeded(definition, &all)
}
