//! The arguments of a definition: defaults, and what does not go together.

use super::{Given, invalid, known, name_of};
use crate::materialize::capture::is_time;
use crate::materialize::definition::{Capture, Definition, OnSchemaChange, Options, Strategy};
use crate::materialize::{book, progress, sources, verify};
use crate::pg::error::{Error, Result};
use crate::pg::query::{self, Query};
use crate::pg::subtransaction::attempt;
use crate::pg::{catalog, identity, sql, types};
use crate::privacy::right;
use crate::wrappers::api::changes;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgLogLevel, PgSqlErrorCode as Code, ereport};
use serde_json::Value;
use warehouse_core::schedule::{Schedule, Zone};

fn word<T: serde::de::DeserializeOwned>(what: &str, text: &str, valid: &str) -> Result<T> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|_| {
        invalid(format!("unknown {what} \"{text}\"")).hint(format!("It is one of: {valid}."))
    })
}

/// The arguments with defaults, checked against the query and each other.
pub fn choose(given: &Given, query: &Query, own: Option<Oid>) -> Result<Options> {
    let strategy: Option<Strategy> = given
        .strategy
        .as_deref()
        .map(|text| word("strategy", text, "full, append, merge, delete+insert, microbatch"))
        .transpose()?;
    let capture: Option<Capture> = given
        .capture
        .as_deref()
        .map(|text| word("capture", text, "none, cursor, xmin, diff, change"))
        .transpose()?;
    let on_schema_change: OnSchemaChange = word(
        "on_schema_change",
        given.on_schema_change.as_deref().unwrap_or("fail"),
        "fail, ignore, append_new_columns, sync_all_columns",
    )?;
    let mut unique_key = given.unique_key.clone().unwrap_or_default();
    if capture == Some(Capture::Change) && unique_key.is_empty() {
        unique_key =
            query.columns.iter().filter(|c| c.is_grouped).map(|c| c.name.clone()).collect();
    }
    let has = |name: &str| query.columns.iter().find(|column| column.name == name);
    let columns = unique_key
        .iter()
        .map(|name| ("unique_key", name))
        .chain(given.cursor_column.iter().map(|name| ("cursor_column", name)))
        .chain(given.event_time.iter().map(|name| ("event_time", name)));
    for (what, name) in columns {
        if has(name).is_none() {
            let all: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
            return Err(Error::new(
                Code::ERRCODE_UNDEFINED_COLUMN,
                format!("{what} \"{name}\" is no column of the query"),
            )
            .hint(format!("The query gives: {}.", all.join(", "))));
        }
    }
    let xmin = reads_by_xmin(query);
    let keyed = !unique_key.is_empty();
    let strategy = strategy.unwrap_or(match capture {
        _ if given.event_time.is_some() => Strategy::Microbatch,
        Some(Capture::Xmin | Capture::Diff | Capture::Change) => Strategy::Merge,
        Some(Capture::Cursor) if keyed => Strategy::Merge,
        _ if given.cursor_column.is_some() && keyed => Strategy::Merge,
        _ if given.cursor_column.is_some() => Strategy::Append,
        _ => Strategy::Full,
    });
    let capture = capture.unwrap_or(match strategy {
        Strategy::Full | Strategy::Microbatch => Capture::None,
        _ if given.cursor_column.is_some() => Capture::Cursor,
        _ if keyed && xmin && has_key(query) => Capture::Xmin,
        _ if keyed => Capture::Diff,
        _ => Capture::None,
    });
    match (strategy, capture) {
        (Strategy::Merge | Strategy::DeleteInsert, capture)
            if !keyed && capture != Capture::Change =>
        {
            return Err(invalid("strategies merge and delete+insert need a unique_key")
                .hint("As in unique_key => '{site,id}': the columns that make a row unique."));
        }
        (Strategy::Microbatch, Capture::None) => {
            let column = given.event_time.as_deref().and_then(has).ok_or_else(|| {
                invalid("strategy microbatch needs event_time")
                    .hint("Name a date or timestamp column of the query.")
            })?;
            if !is_time(column.of) {
                return Err(invalid(format!(
                    "event_time \"{}\" is neither a date nor a timestamp",
                    column.name
                )));
            }
        }
        (Strategy::Microbatch, _) => {
            return Err(invalid(
                "strategy microbatch finds changes by event_time and takes no capture",
            ));
        }
        (Strategy::Full, Capture::Cursor | Capture::Xmin | Capture::Change) => {
            return Err(invalid("strategy full fetches everything and takes no capture")
                .hint("Leave capture out, or choose merge."));
        }
        (Strategy::Append, capture) if capture != Capture::Cursor && !keyed => {
            return Err(invalid(
                "strategy append needs a cursor_column or a unique_key to know what is new",
            ));
        }
        (Strategy::Append, Capture::Cursor) if given.cursor_column.is_none() => {
            return Err(invalid("strategy append with capture cursor needs a cursor_column"));
        }
        (_, Capture::Cursor) if given.cursor_column.is_none() && !tells_changes(query)? => {
            return Err(invalid("capture cursor needs a cursor_column")
                .hint("Name a column that grows with every change, as updated_at. Without one it takes a query that reads row by row one table of an API which tells what has changed: transactions and disputes of Braintree, tables of Airtable."));
        }
        (_, Capture::Xmin) if !xmin => {
            return Err(invalid("capture xmin needs a query that reads one table of replica_fdw row by row")
                .hint("Without joins, grouping, DISTINCT and LIMIT; of a merged table the site column belongs to the unique_key. Otherwise choose cursor or diff."));
        }
        (_, Capture::Diff) if !keyed => {
            return Err(invalid("capture diff needs a unique_key"));
        }
        (_, Capture::Change) => check_change(query, &unique_key, own)?,
        _ => {}
    }
    let time_zone = match &given.time_zone {
        Some(zone) => zone.clone(),
        None => sql::value::<String>("SELECT pg_catalog.current_setting('TimeZone')", &[])
            .ok()
            .flatten()
            .unwrap_or_else(|| "UTC".to_owned()),
    };
    Zone::parse(&time_zone).map_err(|e| invalid(format!("time_zone: {e}")))?;
    if let Some(size) = &given.batch_size {
        match size.as_str() {
            "hour" | "day" | "week" | "month" | "quarter" | "year" => {}
            other => check_interval("batch_size", other)?,
        }
    }
    verify::tests(given.tests.as_ref())?;
    for (what, value) in [
        ("warn_after", &given.warn_after),
        ("error_after", &given.error_after),
        ("time_limit", &given.time_limit),
        ("jitter", &given.jitter),
    ] {
        if let Some(value) = value {
            check_interval(what, value)?;
        }
    }
    if let Some(lookback) = &given.lookback {
        let column = given.cursor_column.as_deref().or(given.event_time.as_deref()).and_then(has);
        match column {
            Some(column) if is_time(column.of) => check_interval("lookback", lookback)?,
            Some(_) if lookback.parse::<i64>().is_ok_and(|back| back >= 0) => {}
            Some(column) => {
                return Err(invalid(format!(
                    "lookback \"{lookback}\" is no number to subtract from \"{}\"",
                    column.name
                )));
            }
            None => return Err(invalid("lookback needs a cursor_column or an event_time")),
        }
    }
    for (what, text) in [("schedule", &given.schedule), ("reconcile", &given.reconcile)] {
        if let Some(text) = text {
            Schedule::parse(text, &time_zone).map_err(|e| invalid(format!("{what}: {e}")))?;
            warn_without_jobs();
        }
    }
    if query.is_volatile && (capture == Capture::Diff || given.reconcile.is_some()) {
        return Err(invalid(
            "a query that calls volatile functions cannot be compared with its source",
        ));
    }
    if given.reconcile.is_some() && !keyed {
        return Err(invalid("reconcile needs a unique_key"));
    }
    let clear = given.clear.unwrap_or(false);
    if clear {
        right::granted(Some(identity::current()), || Ok(()))?;
    }
    let max_failures = given.max_failures.unwrap_or(5);
    if !(1..=1000).contains(&max_failures) {
        return Err(invalid("max_failures is from 1 to 1000"));
    }
    let names = |list: &str| -> Vec<String> {
        list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
    };
    let indexes: Vec<Vec<String>> =
        given.indexes.iter().flatten().map(|list| names(list)).collect();
    for name in indexes.iter().flatten() {
        if has(name).is_none() {
            return Err(Error::new(
                Code::ERRCODE_UNDEFINED_COLUMN,
                format!("index column \"{name}\" is no column of the query"),
            ));
        }
    }
    Ok(Options {
        strategy,
        capture,
        site_column: site_column(query, &unique_key)?,
        unique_key,
        cursor_column: given.cursor_column.clone(),
        lookback: given.lookback.clone(),
        event_time: given.event_time.clone(),
        batch_size: given.batch_size.clone(),
        indexes,
        on_schema_change,
        tests: given.tests.clone(),
        require: given.require.clone(),
        schedule: given.schedule.clone(),
        reconcile: given.reconcile.clone(),
        time_zone,
        jitter: given.jitter.clone(),
        after: resolved_after(given.after.as_deref().unwrap_or_default())?,
        warn_after: given.warn_after.clone(),
        error_after: given.error_after.clone(),
        time_limit: given.time_limit.clone(),
        max_failures,
        clear,
        description: given.description.clone(),
    })
}

/// Whether the query reads one table of an API, row by row, which tells what has changed in it.
fn tells_changes(query: &Query) -> Result<bool> {
    query.plain.map_or(Ok(false), |table| Ok(changes::settle(table)?.is_some()))
}

/// A schedule is kept, but nobody follows it.
fn warn_without_jobs() {
    if !progress::is_shared() {
        ereport!(
            PgLogLevel::WARNING,
            Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the schedule is kept, but nothing runs by itself: warehouse is not in shared_preload_libraries",
            "Set shared_preload_libraries = 'warehouse' and restart the server; until then call warehouse.refresh()."
        );
    }
}

fn check_interval(what: &str, value: &str) -> Result<()> {
    let found = attempt(|| {
        sql::value::<bool>(
            "SELECT $1::pg_catalog.interval >= '0'::pg_catalog.interval",
            &[value.into()],
        )
        .map_err(|e| Error::bug(e.to_string()))
    });
    match found {
        Ok(Some(true)) => Ok(()),
        _ => {
            Err(invalid(format!("{what} \"{value}\" is no span of time"))
                .hint("As in '10 minutes'."))
        }
    }
}

/// The output that says the site, if rows of different sites can be refreshed apart.
fn site_column(query: &Query, unique_key: &[String]) -> Result<Option<String>> {
    for column in &query.columns {
        let Some((relation, number)) = column.origin else { continue };
        // SAFETY: a plain lookup.
        let kind = unsafe { pg_sys::get_rel_relkind(relation) } as u8;
        if kind != pg_sys::RELKIND_PARTITIONED_TABLE || sources::sites_of(relation)?.is_empty() {
            continue;
        }
        let is_key = sql::value::<bool>(
            "SELECT p.partattrs[0] = $2 FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = $1",
            &[relation.into(), number.into()],
        );
        let apart = unique_key.contains(&column.name)
            || query.plain == Some(relation)
            || (query.grouped == Some(relation) && column.is_grouped);
        if is_key.ok().flatten() == Some(true) && apart {
            return Ok(Some(column.name.clone()));
        }
    }
    Ok(None)
}

/// Whether the rows of a query are rows of one replica table, or of a merged table's partitions by site.
fn reads_by_xmin(query: &Query) -> bool {
    let Some(table) = query.plain else { return false };
    // SAFETY: a plain lookup.
    match unsafe { pg_sys::get_rel_relkind(table) } as u8 {
        pg_sys::RELKIND_FOREIGN_TABLE => catalog::is_foreign_of(table, "replica_fdw"),
        pg_sys::RELKIND_PARTITIONED_TABLE => {
            query.columns.iter().any(|column| column.origin.is_some_and(|(oid, _)| oid == table))
                && site_column(query, &[]).ok().flatten().is_some()
        }
        _ => false,
    }
}

/// Whether the table at the source is known to have a key: then it is a table, which has an xmin.
fn has_key(query: &Query) -> bool {
    let Some(table) = query.plain else { return false };
    let found: Result<Option<bool>> = book::json(
        "SELECT pg_catalog.to_jsonb(EXISTS (SELECT FROM warehouse.relationships r \
           JOIN pg_catalog.pg_namespace n ON n.nspname = r.relation_schema \
           JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = r.relation_name \
         WHERE r.kind = 'primary key' AND c.oid = $1))",
        &[table.into()],
    );
    matches!(found, Ok(Some(true)))
}

fn check_change(query: &Query, unique_key: &[String], own: Option<Oid>) -> Result<()> {
    let base = query.grouped.ok_or_else(|| {
        invalid("capture change needs a query that groups one materialized table")
            .hint("SELECT keys, aggregates FROM mart.table WHERE … GROUP BY keys, without joins, DISTINCT and LIMIT.")
    })?;
    if known(base)?.is_none() {
        return Err(invalid(format!(
            "capture change follows a materialized table, and {} is none",
            types::relation_label(base)
        ))
        .hint("warehouse.materializations lists them."));
    }
    let mut below = known(base)?;
    while let Some(definition) = below {
        if definition.options.capture != Capture::Change {
            break;
        }
        let next = query::look(&definition.resolved)?.grouped;
        if next.is_none() || next == own {
            return Err(invalid(format!("{} would follow itself", definition.label())));
        }
        below = next.map(known).transpose()?.flatten();
    }
    let mut grouped: Vec<&str> =
        query.columns.iter().filter(|c| c.is_grouped).map(|c| c.name.as_str()).collect();
    let mut key: Vec<&str> = unique_key.iter().map(String::as_str).collect();
    grouped.sort_unstable();
    key.sort_unstable();
    if key != grouped || key.is_empty() {
        return Err(invalid(format!(
            "with capture change the unique_key is the grouping: {}",
            grouped.join(", ")
        )));
    }
    Ok(())
}

/// The definitions that names mean: by their numbers, which survive a rename and a restore.
fn resolved_after(names: &[String]) -> Result<Vec<i32>> {
    names
        .iter()
        .map(|name| {
            let (schema, table) = name_of(Some(name))?;
            let relation = catalog::relation_by_name(&schema, &table).ok_or_else(|| {
                Error::new(
                    Code::ERRCODE_UNDEFINED_TABLE,
                    format!("after: relation \"{name}\" does not exist"),
                )
            })?;
            Ok(Definition::of(relation)?.id)
        })
        .collect()
}

/// Refuses a cycle of `after`.
pub fn check_after(options: &Options, own: Option<i32>) -> Result<()> {
    let Some(own) = own else { return Ok(()) };
    let after: Vec<i64> = options.after.iter().map(|id| i64::from(*id)).collect();
    let found: Option<String> = book::json(
        "WITH RECURSIVE named AS ( \
           SELECT m.id, n.nspname || '.' || c.relname AS name, m.options FROM warehouse.materialization m \
             JOIN pg_catalog.pg_class c ON c.oid = m.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace), \
         way(id, path) AS ( \
           SELECT m.id, m.name FROM named m WHERE m.id = ANY ($1::pg_catalog.int4[]) \
           UNION SELECT m.id, way.path || ' -> ' || m.name FROM way JOIN named w ON w.id = way.id \
             CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(w.options -> 'after') a(id) \
             JOIN named m ON m.id = a.id::pg_catalog.int4 WHERE way.id <> $2::pg_catalog.int4) \
         SELECT pg_catalog.to_jsonb(way.path) FROM way WHERE way.id = $2::pg_catalog.int4 LIMIT 1",
        &[after.into(), i64::from(own).into()],
    )?;
    match found {
        None => Ok(()),
        Some(path) => Err(Error::new(
            Code::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("after makes a circle: {path}"),
        )
        .hint("A table cannot wait for one that waits for it.")),
    }
}
