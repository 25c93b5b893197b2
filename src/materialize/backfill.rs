//! Ranges of time of a microbatch table that are to be computed anew, batch by batch.

use super::book;
use super::definition::{Definition, Strategy};
use super::microbatch::Range;
use super::refresh::{self, How};
use super::report::Report;
use crate::pg::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::TimestampWithTimeZone;
use serde::Deserialize;
use warehouse_core::schedule::{BatchSize, Zone};

/// A batch: number of the backfill, begin and end as local times, whether it is the last.
type Batch = (i64, String, String, bool);

#[derive(Deserialize)]
struct Open {
    id: i64,
    reached: i64,
    last: i64,
    size: Option<String>,
    zone: String,
}

fn micros(at: TimestampWithTimeZone) -> i64 {
    i64::from(at) + 946_684_800_000_000
}

fn size(definition_size: Option<&str>, zone: &str) -> Result<(BatchSize, Zone)> {
    let invalid = |e: warehouse_core::schedule::ScheduleError| {
        Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, e.to_string())
    };
    let size = match definition_size.unwrap_or("day") {
        "week" => "7 days",
        "quarter" => "month",
        other => other,
    };
    Ok((BatchSize::parse(size).map_err(invalid)?, Zone::parse(zone).map_err(invalid)?))
}

/// Writes down that a range is to be computed anew; the number of its batches.
pub fn enter(
    definition: &Definition,
    first: TimestampWithTimeZone,
    last: TimestampWithTimeZone,
) -> Result<i64> {
    let options = &definition.options;
    if options.strategy != Strategy::Microbatch {
        return Err(Error::new(
            Code::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{} has no batches: its strategy is not microbatch", definition.label()),
        )
        .hint("warehouse.refresh(…, full_refresh => true) computes all of it anew."));
    }
    let (first, last) = (micros(first), micros(last));
    if first >= last {
        return Err(Error::new(
            Code::ERRCODE_INVALID_PARAMETER_VALUE,
            "the range to backfill ends before it begins",
        ));
    }
    let (size, zone) = size(options.batch_size.as_deref(), &options.time_zone)?;
    let invalid = |e: warehouse_core::schedule::ScheduleError| {
        Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, e.to_string())
    };
    // Whole buckets: part of one would replace all of it.
    let begin = size.bucket_start(first, zone).map_err(invalid)?;
    let batches: Vec<_> = size.batches(begin, last, zone).map_err(invalid)?.collect();
    let end = match batches.last() {
        Some(batch) => size
            .batches(batch.start, i64::MAX.min(batch.start + 400 * 86_400_000_000), zone)
            .ok()
            .and_then(|mut following| following.next())
            .map_or(batch.end, |whole| whole.end),
        None => last,
    };
    book::run(
        "INSERT INTO warehouse.materialization_backfill (materialization, first, last, reached, requested_by) \
         VALUES ($1::pg_catalog.int4, 'epoch'::pg_catalog.timestamptz + $2 * '1 microsecond'::pg_catalog.interval, \
           'epoch'::pg_catalog.timestamptz + $3 * '1 microsecond'::pg_catalog.interval, \
           'epoch'::pg_catalog.timestamptz + $2 * '1 microsecond'::pg_catalog.interval, session_user)",
        &[i64::from(definition.id).into(), begin.into(), end.into()],
    )?;
    Ok(batches.len() as i64)
}

/// The next batch of a table; `None` if nothing is left.
fn next(id: i32) -> Result<Option<Batch>> {
    let open: Option<Open> = book::json(
        "SELECT pg_catalog.jsonb_build_object('id', b.id, \
           'reached', (extract(epoch FROM b.reached) * 1000000)::pg_catalog.int8, \
           'last', (extract(epoch FROM b.last) * 1000000)::pg_catalog.int8, \
           'size', m.options ->> 'batch_size', 'zone', m.options ->> 'time_zone') \
         FROM warehouse.materialization_backfill b JOIN warehouse.materialization m ON m.id = b.materialization \
         WHERE b.materialization = $1::pg_catalog.int4 ORDER BY b.id LIMIT 1",
        &[i64::from(id).into()],
    )?;
    let Some(open) = open else { return Ok(None) };
    let (size, zone) = size(open.size.as_deref(), &open.zone)?;
    let batch = size
        .batches(open.reached, open.last, zone)
        .map_err(|e| Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, e.to_string()))?
        .next();
    let (start, end) = batch.map_or((open.reached, open.last), |batch| (batch.start, batch.end));
    let text: Option<(String, String)> = book::json(
        "SELECT pg_catalog.jsonb_build_array( \
           (('epoch'::pg_catalog.timestamptz + $1 * '1 microsecond'::pg_catalog.interval) AT TIME ZONE $3)::pg_catalog.text, \
           (('epoch'::pg_catalog.timestamptz + $2 * '1 microsecond'::pg_catalog.interval) AT TIME ZONE $3)::pg_catalog.text)",
        &[start.into(), end.into(), open.zone.as_str().into()],
    )?;
    Ok(text.map(|(from, to)| (open.id, from, to, end >= open.last)))
}

/// Computes the next batch of a table, and notes how far it came; `None` if nothing is left.
pub fn one(id: i32) -> Result<Option<(Definition, Report)>> {
    let Some((number, from, to, is_last)) = next(id)? else { return Ok(None) };
    let how =
        How { full: false, reconcile: false, range: Some(Range { from, to: Some(to.clone()) }) };
    let (definition, report) = refresh::run(id, &how)?;
    if is_last {
        book::run(
            "DELETE FROM warehouse.materialization_backfill WHERE id = $1",
            &[number.into()],
        )?;
    } else {
        book::run(
            "UPDATE warehouse.materialization_backfill SET reached = $2::pg_catalog.timestamp AT TIME ZONE $3 WHERE id = $1",
            &[number.into(), to.into(), definition.options.time_zone.as_str().into()],
        )?;
    }
    Ok(Some((definition, report)))
}

/// Computes all batches of a table here, in this transaction.
pub fn here(definition: &Definition) -> Result<()> {
    while let Some((definition, report)) = one(definition.id)? {
        refresh::record(&definition, "backfill", None, &report)?;
        refresh::succeeded(&definition, &report)?;
    }
    Ok(())
}
