//! Bringing a table up to date, in the transaction of the caller.

use super::apply::{self, Deletes};
use super::book;
use super::capture;
use super::columns::{self, qualified};
use super::definition::{Capture, Definition, Strategy};
use super::dependents;
use super::environment::Environment;
use super::full;
use super::microbatch;
pub use super::microbatch::Range;
use super::progress::{self, Phase, Telling};
use super::report::Report;
use super::sources::{self, Sources};
use super::verify;
use crate::pg::delta::Delta;
use crate::pg::error::{Error, Result};
use crate::pg::subtransaction::attempt;
use crate::pg::{identity, notify, process, sql};
use crate::privacy::right;
use crate::settings;
use crate::wrappers::api::cache;
use pgrx::PgSqlErrorCode as Code;
use serde_json::json;
use warehouse_core::quote;
use warehouse_core::refresh::{Target, filtered};

/// What a run is to do.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// Fetch everything anew.
    pub full: bool,
    /// Compare with the source, so that deletes are found.
    pub reconcile: bool,
    /// Compute a range of time anew.
    pub range: Option<Range>,
}

/// Share of the rows that have to change before statistics are read anew.
const ANALYZE_SHARE: f64 = 0.1;

/// Refreshes a table. The definition stays locked until the transaction ends.
///
/// # Errors
/// 55P03 if it is being refreshed; 42704 if it is gone; what went wrong with its only source, or with all
/// of them. If only some sites fail, the others are refreshed and the report says so.
pub fn run(id: i32, how: &How) -> Result<(Definition, Report)> {
    dependents::lock_followed(id)?;
    let definition = Definition::locked(id, false)?
        .ok_or_else(|| Error::new(Code::ERRCODE_UNDEFINED_OBJECT, "the definition is gone"))?;
    let _environment = Environment::enter(&definition)?;
    let _telling = Telling::begin(definition.id, definition.relation(), 0);
    let clear = definition.options.clear;
    let report = right::granted(clear.then(|| definition.owner()), || {
        cache::anew(|| work(&definition, how))
    })?;
    Ok((definition, report))
}

fn work(definition: &Definition, how: &How) -> Result<Report> {
    let mut report = Report::new();
    progress::phase(Phase::Starting, None);
    let sources = Sources::of(definition)?;
    let target = columns::target(definition, &sources)?;
    let options = &definition.options;
    let is_first = !has_succeeded(definition)?;
    let compared = how.reconcile && !options.unique_key.is_empty();
    let anew = how.full
        || is_first
        || (options.strategy == Strategy::Full
            && matches!(options.capture, Capture::None | Capture::Change)
            && !compared
            && how.range.is_none());
    report.phase("prepare");
    if anew {
        full::refresh(definition, &sources, &target, &mut report)?;
        return Ok(report);
    }
    report.strategy = match options.strategy {
        Strategy::Full => "full",
        Strategy::Append => "append",
        Strategy::Merge => "merge",
        Strategy::DeleteInsert => "delete+insert",
        Strategy::Microbatch => "microbatch",
    };
    report.capture = match options.capture {
        _ if compared => "diff",
        Capture::None => "none",
        Capture::Cursor => "cursor",
        Capture::Xmin => "xmin",
        Capture::Diff => "diff",
        Capture::Change => "change",
    };
    let mut failures = Vec::new();
    for site in &sources.sites {
        // What a failed site has counted does not count.
        let mut own = Report::new();
        let outcome = attempt(|| {
            if options.strategy == Strategy::Microbatch && !compared {
                microbatch::refresh(
                    definition,
                    &sources,
                    site,
                    &target,
                    how.range.as_ref(),
                    &mut own,
                )
            } else if options.capture == Capture::Change {
                regroup(definition, &sources, &target, &mut own)
            } else {
                capture::refresh(definition, &sources, site, &target, compared, &mut own)
            }
        });
        match outcome {
            Ok(()) => report.add(own),
            Err(error) => {
                let error = apply::explained(definition, error);
                sources::failed(definition, site, &error)?;
                report.failed(&site.name, &error);
                failures.push(error);
            }
        }
    }
    if failures.len() == sources.sites.len() {
        return Err(failures.swap_remove(0));
    }
    let gone = sources::forget_others(definition, &sources.sites)?;
    if let Some(column) = sources.column.as_ref().filter(|_| !gone.is_empty()) {
        leave_out(definition, &sources, &target, column, &gone, &mut report)?;
    }
    progress::phase(Phase::Verifying, None);
    let name = qualified(definition.relation());
    verify::before_readers(definition, definition.relation(), &name, &mut report)?;
    if report.changed() > 0 {
        dependents::verify(definition, &mut report)?;
    }
    report.phase("verify");
    if report.changed() as f64 > ANALYZE_SHARE * rows(definition) {
        identity::acting_as(definition.owner(), || sql::execute(&format!("ANALYZE {name}")))?;
        report.phase("analyze");
    }
    Ok(report)
}

/// Deletes the rows of sites that are no more.
fn leave_out(
    definition: &Definition,
    sources: &Sources,
    target: &Target,
    column: &str,
    gone: &[String],
    report: &mut Report,
) -> Result<()> {
    let query = filtered(&sources.query.text, &target.columns, &["false".to_owned()]);
    let names: Vec<String> = gone.iter().map(|name| quote::literal(name)).collect();
    let condition = format!("t.{column} = ANY (ARRAY[{}])", names.join(", "));
    let none = identity::acting_as(definition.owner(), || {
        Delta::of_query(apply::NEW, &query, &mut progress::rows)
    })?;
    apply::apply(definition, target, &none, &Deletes::Where(vec![condition]), report)
}

/// All groups of a table that follows another.
fn regroup(
    definition: &Definition,
    sources: &Sources,
    target: &Target,
    report: &mut Report,
) -> Result<()> {
    let query = filtered(&sources.query.text, &target.columns, &[]);
    let new = identity::acting_as(definition.owner(), || {
        Delta::of_query(apply::NEW, &query, &mut progress::rows)
    })?;
    report.phase("fetch");
    apply::apply(definition, target, &new, &Deletes::Where(Vec::new()), report)?;
    let as_of = sources::AsOf { mark: None, time: None };
    sources::remember(definition, &sources.sites[0], &as_of, &sources::Watermark::Keep, None)?;
    report.succeeded("", None);
    Ok(())
}

fn has_succeeded(definition: &Definition) -> Result<bool> {
    let found: Option<bool> = book::json(
        "SELECT pg_catalog.to_jsonb(EXISTS (SELECT FROM warehouse.materialization_source s \
         WHERE s.materialization = $1::pg_catalog.int4 AND s.succeeded_at IS NOT NULL))",
        &[i64::from(definition.id).into()],
    )?;
    Ok(found.unwrap_or(false))
}

/// Rows of the table as its statistics say; 0 if nobody has counted.
fn rows(definition: &Definition) -> f64 {
    let found = sql::value_now::<f32>(
        "SELECT GREATEST(c.reltuples, 0) FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[definition.relation().into()],
    );
    f64::from(found.ok().flatten().unwrap_or(0.0))
}

/// Writes a run that has ended well into the history: its entry, or a new one.
pub fn record(
    definition: &Definition,
    cause: &str,
    run: Option<i64>,
    report: &Report,
) -> Result<()> {
    let sources = serde_json::to_value(&report.sources).unwrap_or_default();
    let number = match run {
        Some(run) => run,
        None => book::json(
            "INSERT INTO warehouse.materialization_run (materialization, relation, cause, status, pid, started_at) \
             VALUES ($1::pg_catalog.int4, $2, $3, 'running', $4::pg_catalog.int4, pg_catalog.now()) \
             RETURNING pg_catalog.to_jsonb(id)",
            &[
                i64::from(definition.id).into(),
                definition.name().into(),
                cause.into(),
                i64::from(process::id()).into(),
            ],
        )?
        .ok_or_else(|| Error::bug("a run was not written down"))?,
    };
    book::run(
        "UPDATE warehouse.materialization_run SET status = $2, finished_at = pg_catalog.clock_timestamp(), \
           strategy = $3, capture = $4, fetched = $5, inserted = $6, updated = $7, deleted = $8, unchanged = $9, \
           bytes = $10, phases = $11, sources = $12, error = $13 WHERE id = $1",
        &[
            number.into(),
            report.status().into(),
            report.strategy.into(),
            report.capture.into(),
            (report.fetched as i64).into(),
            (report.inserted as i64).into(),
            (report.updated as i64).into(),
            (report.deleted as i64).into(),
            (report.unchanged() as i64).into(),
            (report.bytes as i64).into(),
            pgrx::JsonB(report.phases()).into(),
            pgrx::JsonB(sources).into(),
            report.error().into(),
        ],
    )?;
    trim(definition.id)
}

/// Deletes the oldest runs of a table beyond the number that is kept.
pub fn trim(id: i32) -> Result<()> {
    book::run(
        "DELETE FROM warehouse.materialization_run r WHERE r.materialization = $1::pg_catalog.int4 \
           AND r.finished_at IS NOT NULL AND r.started_at < ( \
             SELECT h.started_at FROM warehouse.materialization_run h WHERE h.materialization = $1::pg_catalog.int4 \
             ORDER BY h.started_at DESC OFFSET $2 LIMIT 1)",
        &[i64::from(id).into(), i64::from(settings::run_history_rows() - 1).into()],
    )
}

/// Notes that a table was refreshed, and tells who listens. A job that had failed starts afresh.
pub fn succeeded(definition: &Definition, report: &Report) -> Result<()> {
    book::run(
        "INSERT INTO warehouse.materialization_job AS j (materialization, last_succeeded) \
         VALUES ($1::pg_catalog.int4, pg_catalog.clock_timestamp()) \
         ON CONFLICT (materialization) DO UPDATE SET last_succeeded = excluded.last_succeeded, \
           last_error = NULL, stale_told = CASE WHEN $2 THEN j.stale_told END, \
           failures = CASE WHEN j.state = 'running' THEN j.failures ELSE 0 END, \
           state = CASE WHEN j.state IN ('retrying', 'suspended') THEN 'idle' ELSE j.state END, \
           retry_at = CASE WHEN j.state = 'retrying' THEN NULL ELSE j.retry_at END, \
           wake_at = CASE WHEN j.state IN ('retrying', 'suspended') THEN pg_catalog.now() ELSE j.wake_at END",
        &[i64::from(definition.id).into(), report.is_partial().into()],
    )?;
    tell(&definition.name(), report.status(), report.changed(), report.error().as_deref())
}

/// `NOTIFY warehouse_refresh`, when the transaction commits.
pub fn tell(name: &str, status: &str, changed: u64, error: Option<&str>) -> Result<()> {
    let mut message = json!({ "relation": name, "status": status, "changed": changed });
    if let Some(error) = error {
        let short: String = error.chars().take(500).collect();
        message["error"] = json!(short);
    }
    notify::notify(c"warehouse_refresh", &message.to_string())
}
