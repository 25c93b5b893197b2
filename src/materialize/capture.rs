//! Finding what has changed at a source.

use super::apply::{self, Deletes, NEW};
use super::definition::{Capture, Definition, Strategy};
use super::progress::{self, Phase};
use super::report::Report;
use super::sources::{self, AsOf, Remembered, Site, Sources, Watermark};
use crate::pg::delta::{self, Delta};
use crate::pg::error::{Error, Result};
use crate::pg::identity;
use crate::pg::query::Output;
use crate::pg::sql;
use crate::pg::types;
use crate::wrappers::api::changes;
use crate::wrappers::replica::capture as source;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use serde::Deserialize;
use warehouse_core::connectors::Changes;
use warehouse_core::quote;
use warehouse_core::refresh::{Ranges, Target, Window, filtered, window};

/// Ranges that keys are first divided into.
const RANGES: usize = 1000;
/// Rows of the ranges of the second look.
const FINE: usize = 32;
/// Ranges of the second look at most.
const MOST_RANGES: usize = 20_000;

/// Refreshes one source by what has changed there. `compared` looks for deletes too.
pub fn refresh(
    definition: &Definition,
    sources: &Sources,
    site: &Site,
    target: &Target,
    compared: bool,
    report: &mut Report,
) -> Result<()> {
    let remembered = sources::remembered(definition, site)?.unwrap_or_default();
    let as_of = identity::acting_as(definition.owner(), || sources::as_of(site))?;
    let way = if compared { Capture::Diff } else { definition.options.capture };
    sources::check_moment(site, &remembered, &as_of)?;
    let mut known = None;
    match way {
        Capture::Cursor if definition.options.follows_api() => {
            let window = window_of_api(definition, sources, remembered.watermark.as_deref())?;
            let (only, deletes) = match (sources.query.plain, window.changes) {
                (Some(table), Some(changes)) => (Only::Changed(table, changes), Deletes::None),
                _ => (Only::All, Deletes::Where(sources.only("t", &[site]))),
            };
            fetch(definition, sources, site, target, Vec::new(), &deletes, only, report)?;
            known = Some(Watermark::Set(Some(window.until)));
        }
        Capture::Cursor => {
            let conditions = cursor(definition, sources, &remembered)?;
            let greatest = fetch(
                definition,
                sources,
                site,
                target,
                conditions,
                &Deletes::None,
                Only::All,
                report,
            )?;
            let column = cursor_column(definition, sources)?;
            known = Some(greater(column, remembered.watermark.as_deref(), greatest)?);
        }
        Capture::Xmin => {
            let table =
                site.partition().or(sources.query.plain).ok_or_else(|| not_plain(definition))?;
            let now = as_of
                .mark
                .clone()
                .ok_or_else(|| Error::bug("a source that is read by xmin has no snapshot"))?;
            let (only, deletes) = match window(remembered.mark().as_ref(), &now) {
                Window::Since(xmin) => (Only::Written(table, xmin), Deletes::None),
                Window::All(_) => (Only::All, Deletes::Where(sources.only("t", &[site]))),
            };
            fetch(definition, sources, site, target, Vec::new(), &deletes, only, report)?;
        }
        Capture::Diff => diff(definition, sources, site, target, report)?,
        Capture::None | Capture::Change => {
            let deletes = Deletes::Where(sources.only("t", &[site]));
            fetch(definition, sources, site, target, Vec::new(), &deletes, Only::All, report)?;
        }
    }
    let watermark = match (way, known) {
        (_, Some(known)) => known,
        (Capture::Xmin, _) => Watermark::Keep,
        _ if definition.options.follows_api() => Watermark::Keep,
        _ => Watermark::Set(watermark(definition, sources, site, target)?),
    };
    sources::remember(definition, site, &as_of, &watermark, as_of.mark.as_ref())?;
    report.succeeded(&site.name, as_of.time.clone());
    Ok(())
}

/// Which rows of a table are fetched.
#[derive(Debug, Clone, Copy)]
enum Only {
    /// All.
    All,
    /// Those of a replica's table that transactions from this one on have written.
    Written(Oid, u64),
    /// Those of an API's table that changed in a window.
    Changed(Oid, Changes),
}

/// The window that follows the last one of the API's table that the query reads.
pub fn window_of_api(
    definition: &Definition,
    sources: &Sources,
    last: Option<&str>,
) -> Result<changes::Window> {
    let table = sources.query.plain.ok_or_else(|| not_plain(definition))?;
    let window = identity::acting_as(definition.owner(), || changes::window(table, last));
    window.map_err(|error| error.within(&definition.label()))
}

fn not_plain(definition: &Definition) -> Error {
    Error::new(
        Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the query of {} does not read one table row by row any more", definition.label()),
    )
}

/// The greater of two values of a column. What was seen once stays, also where its row has gone.
fn greater(column: &Output, last: Option<&str>, new: Option<String>) -> Result<Watermark> {
    let (Some(last), Some(new)) = (last, &new) else {
        return Ok(new.map_or(Watermark::Keep, |new| Watermark::Set(Some(new))));
    };
    let of = types::type_name(column.of, column.typmod);
    let (last, new) = (quote::literal(last), quote::literal(new));
    sql::value_now::<String>(&format!("SELECT GREATEST({last}::{of}, {new}::{of})::text"), &[])
        .map(Watermark::Set)
        .map_err(|e| Error::bug(format!("a watermark could not be computed: {e}")))
}

/// Fetches rows and applies them; gives the greatest value of the cursor column among them.
#[allow(clippy::too_many_arguments)]
fn fetch(
    definition: &Definition,
    sources: &Sources,
    site: &Site,
    target: &Target,
    mut conditions: Vec<String>,
    deletes: &Deletes,
    only: Only,
    report: &mut Report,
) -> Result<Option<String>> {
    progress::phase(Phase::Fetching, None);
    conditions.extend(sources.only("q", &[site]));
    let query = filtered(&sources.query.text, &target.columns, &conditions);
    let read = || Delta::of_query(NEW, &query, &mut progress::rows);
    let new = identity::acting_as(definition.owner(), || match only {
        Only::Written(table, xmin) => source::only_since(table, xmin, read),
        Only::Changed(table, changes) => changes::only_within(table, changes, read),
        Only::All => read(),
    })?;
    report.phase("fetch");
    apply::apply(definition, target, &new, deletes, report)?;
    let Some(column) = &definition.options.cursor_column else { return Ok(None) };
    let text = format!("SELECT max(n.{})::text FROM {} n", quote::identifier(column), target.new);
    let row = identity::acting_as(definition.owner(), || delta::row(&text, &[&new]))?;
    Ok(row.into_iter().next().flatten())
}

/// The condition on what is new by the cursor column.
fn cursor(
    definition: &Definition,
    sources: &Sources,
    remembered: &Remembered,
) -> Result<Vec<String>> {
    let column = cursor_column(definition, sources)?;
    let Some(last) = &remembered.watermark else { return Ok(Vec::new()) };
    let name = quote::identifier(&column.name);
    let of = types::type_name(column.of, column.typmod);
    let (last, lookback) = (quote::literal(last), definition.options.lookback.as_deref());
    let from = match lookback {
        Some(lookback) if is_time(column.of) => {
            format!("({last}::{of} - {}::interval)::{of}", quote::literal(lookback))
        }
        Some(lookback) => format!("({last}::{of} - {}::{of})", quote::literal(lookback)),
        None => format!("{last}::{of}"),
    };
    // A literal by now: it is sent to the source as it stands.
    let value = identity::acting_as(definition.owner(), || {
        sql::value_now::<String>(&format!("SELECT ({from})::text"), &[])
    })
    .map_err(|e| Error::bug(format!("a watermark could not be computed: {e}")))?;
    let value = quote::literal(&value.unwrap_or_default());
    // Without a key nothing tells a row that was there before: what equals the last one was.
    let strict =
        definition.options.strategy == Strategy::Append && definition.options.unique_key.is_empty();
    let operator = if strict { ">" } else { ">=" };
    Ok(vec![format!("q.{name} {operator} {value}::{of}")])
}

/// Whether values of a type are moments or days.
pub fn is_time(of: Oid) -> bool {
    let base = types::base_type(of);
    matches!(base, pg_sys::TIMESTAMPTZOID | pg_sys::TIMESTAMPOID | pg_sys::DATEOID)
}

fn cursor_column<'q>(definition: &Definition, sources: &'q Sources) -> Result<&'q Output> {
    let name = definition.options.cursor_column.as_deref().unwrap_or_default();
    sources.query.columns.iter().find(|column| column.name == name).ok_or_else(|| {
        Error::new(
            Code::ERRCODE_UNDEFINED_COLUMN,
            format!("cursor_column \"{name}\" is no column of the query of {}", definition.label()),
        )
    })
}

/// The greatest value of the cursor column (or of event_time) that the table has of a site.
pub fn watermark(
    definition: &Definition,
    sources: &Sources,
    site: &Site,
    target: &Target,
) -> Result<Option<String>> {
    let options = &definition.options;
    let Some(column) = options.cursor_column.as_ref().or(options.event_time.as_ref()) else {
        return Ok(None);
    };
    let mut text =
        format!("SELECT max(t.{})::text FROM {} t", quote::identifier(column), target.name);
    for condition in sources.only("t", &[site]) {
        text.push_str(" WHERE ");
        text.push_str(&condition);
    }
    identity::acting_as(definition.owner(), || sql::value_now::<String>(&text, &[]))
        .map_err(|e| Error::bug(format!("a watermark could not be read: {e}")))
}

#[derive(Debug, Deserialize)]
struct Range {
    range: Option<i32>,
    rows: u64,
}

/// A range in which source and table differ.
#[derive(Debug)]
struct Different {
    number: i32,
    /// Rows of both.
    rows: u64,
}

/// Compares ranges of keys by number and fingerprint, and fetches those that differ.
fn diff(
    definition: &Definition,
    sources: &Sources,
    site: &Site,
    target: &Target,
    report: &mut Report,
) -> Result<()> {
    progress::phase(Phase::Comparing, None);
    let Some(column) = range_column(definition, sources) else {
        // Nothing to divide by: all is compared here.
        let deletes = Deletes::Where(sources.only("t", &[site]));
        fetch(definition, sources, site, target, Vec::new(), &deletes, Only::All, report)?;
        return Ok(());
    };
    let array_type = format!("{}[]", types::type_name(column.of, -1));
    let rows = count(definition, sources, site, target)?;
    let step = (rows / RANGES as u64).max(FINE as u64);
    let mut ranges = Ranges { column: column.name.clone(), array_type, bounds: String::new() };
    ranges.bounds = bounds(definition, sources, site, target, &ranges, step, None)?;
    let mut different = compare(definition, sources, site, target, &ranges, &[])?;
    let scanned: u64 = different.iter().map(|range| range.rows).sum();
    if scanned > 4 * FINE as u64 && step > FINE as u64 {
        let numbers: Vec<i32> = different.iter().map(|range| range.number).collect();
        let within = ranges.among("t", &numbers);
        let fine = (scanned / MOST_RANGES as u64).max(FINE as u64);
        let mut finer = ranges.clone();
        finer.bounds = bounds(definition, sources, site, target, &ranges, fine, Some(&within))?;
        // Rows of the ranges that were equal lie in finer ranges too; they are equal there as well, or
        // have changed since, in the same snapshot they have not.
        let among = |alias: &str| ranges.among(alias, &numbers);
        different = compare(definition, sources, site, target, &finer, &[among("q"), among("t")])?;
        let fine_numbers: Vec<i32> = different.iter().map(|range| range.number).collect();
        report.phase("compare");
        if fine_numbers.is_empty() {
            return Ok(());
        }
        let conditions = vec![among("q"), finer.among("q", &fine_numbers)];
        let mut gone = vec![among("t"), finer.among("t", &fine_numbers)];
        gone.extend(sources.only("t", &[site]));
        let deletes = Deletes::Where(gone);
        fetch(definition, sources, site, target, conditions, &deletes, Only::All, report)?;
        return Ok(());
    }
    report.phase("compare");
    let numbers: Vec<i32> = different.iter().map(|range| range.number).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let mut gone = vec![ranges.among("t", &numbers)];
    gone.extend(sources.only("t", &[site]));
    let conditions = vec![ranges.among("q", &numbers)];
    let deletes = Deletes::Where(gone);
    fetch(definition, sources, site, target, conditions, &deletes, Only::All, report)?;
    Ok(())
}

/// The key column whose ranges are compared: one that is no site and that is ordered everywhere alike.
fn range_column<'q>(definition: &Definition, sources: &'q Sources) -> Option<&'q Output> {
    let options = &definition.options;
    let names =
        options.unique_key.iter().filter(|name| options.site_column.as_ref() != Some(*name));
    names.filter_map(|name| sources.query.columns.iter().find(|column| column.name == *name)).find(
        |column| {
            matches!(
                types::base_type(column.of),
                pg_sys::INT2OID
                    | pg_sys::INT4OID
                    | pg_sys::INT8OID
                    | pg_sys::NUMERICOID
                    | pg_sys::UUIDOID
                    | pg_sys::DATEOID
                    | pg_sys::TIMESTAMPOID
                    | pg_sys::TIMESTAMPTZOID
            )
        },
    )
}

fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

fn count(definition: &Definition, sources: &Sources, site: &Site, target: &Target) -> Result<u64> {
    let text = format!(
        "SELECT count(*) FROM {} t{}",
        target.name,
        where_clause(&sources.only("t", &[site]))
    );
    let found = identity::acting_as(definition.owner(), || sql::value_now::<i64>(&text, &[]));
    Ok(found.ok().flatten().unwrap_or(0).max(0) as u64)
}

/// Every `step`th key that the table has, as a literal of an array.
fn bounds(
    definition: &Definition,
    sources: &Sources,
    site: &Site,
    target: &Target,
    ranges: &Ranges,
    step: u64,
    within: Option<&str>,
) -> Result<String> {
    let column = quote::identifier(&ranges.column);
    let mut conditions = sources.only("t", &[site]);
    conditions.extend(within.map(str::to_owned));
    let text = format!(
        "SELECT COALESCE(array_agg(DISTINCT k.key ORDER BY k.key), '{{}}')::text \
         FROM (SELECT t.{column} AS key, row_number() OVER (ORDER BY t.{column}) AS at FROM {} t{}) k \
         WHERE k.at % {step} = 0",
        target.name,
        where_clause(&conditions)
    );
    let found = identity::acting_as(definition.owner(), || sql::value_now::<String>(&text, &[]))
        .map_err(|e| Error::bug(format!("ranges could not be made: {e}")))?;
    Ok(found.unwrap_or_else(|| "{}".to_owned()))
}

/// The ranges in which source and table differ, with the rows of both.
fn compare(
    definition: &Definition,
    sources: &Sources,
    site: &Site,
    target: &Target,
    ranges: &Ranges,
    within: &[String],
) -> Result<Vec<Different>> {
    let side = |alias: &str, from: String, within: Option<&String>| {
        let mut conditions = sources.only(alias, &[site]);
        conditions.extend(within.cloned());
        let from = format!("{from}{}", where_clause(&conditions));
        ranges.compare(&target.columns, alias, &from)
    };
    let theirs = side("q", format!("({}) q", sources.query.text), within.first());
    let ours = side("t", format!("{} t", target.name), within.get(1));
    let text = format!(
        "WITH theirs AS MATERIALIZED ({theirs}), ours AS MATERIALIZED ({ours}) \
         SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('range', COALESCE(theirs.range, ours.range), \
           'rows', COALESCE(theirs.rows, 0) + COALESCE(ours.rows, 0))) \
         FROM theirs FULL JOIN ours ON theirs.range = ours.range \
         WHERE (theirs.rows, theirs.hash) IS DISTINCT FROM (ours.rows, ours.hash)"
    );
    let found =
        identity::acting_as(definition.owner(), || sql::value_now::<pgrx::JsonB>(&text, &[]))
            .map_err(|e| Error::bug(format!("ranges could not be compared: {e}")))?;
    let Some(found) = found else { return Ok(Vec::new()) };
    let found: Vec<Range> = serde_json::from_value(found.0)
        .map_err(|e| Error::bug(format!("ranges could not be compared: {e}")))?;
    found
        .into_iter()
        .map(|range| match range.range {
            Some(number) => Ok(Different { number, rows: range.rows }),
            None => Err(Error::new(
                Code::ERRCODE_NOT_NULL_VIOLATION,
                format!(
                    "column \"{}\" of {} must not be NULL, and the query gave a NULL",
                    ranges.column,
                    definition.label()
                ),
            )),
        })
        .collect()
}

/// The moment of a site, for sources that are fetched as a whole.
pub fn moment(definition: &Definition, site: &Site) -> Result<AsOf> {
    identity::acting_as(definition.owner(), || sources::as_of(site))
}
