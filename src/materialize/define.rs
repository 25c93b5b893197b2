//! `warehouse.materialize()`: the table, its definition, and what changes when it is defined anew.

use super::book;
use super::capture::is_time;
use super::columns::qualified;
use super::definition::{Capture, Definition, OnSchemaChange, Options, Strategy};
use super::dependents;
use super::progress;
use super::sources;
use super::verify;
use crate::pg::catalog::{self, Attribute};
use crate::pg::delta::Delta;
use crate::pg::error::{Error, Result};
use crate::pg::query::{self, Query};
use crate::pg::subtransaction::attempt;
use crate::pg::{identity, keywords, sql, types};
use crate::privacy::right;
use pgrx::pg_sys::{self, Oid};
use pgrx::{JsonB, PgLogLevel, PgSqlErrorCode as Code, Spi, ereport};
use serde::Deserialize;
use serde_json::Value;
use warehouse_core::quote;
use warehouse_core::schedule::{Schedule, Zone};

/// The arguments as they were given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Given {
    pub name: Option<String>,
    pub query: Option<String>,
    pub strategy: Option<String>,
    pub capture: Option<String>,
    pub unique_key: Option<Vec<String>>,
    pub cursor_column: Option<String>,
    pub lookback: Option<String>,
    pub event_time: Option<String>,
    pub batch_size: Option<String>,
    pub indexes: Option<Vec<String>>,
    pub on_schema_change: Option<String>,
    pub tests: Option<Value>,
    pub require: Option<Value>,
    pub schedule: Option<String>,
    pub reconcile: Option<String>,
    pub time_zone: Option<String>,
    pub jitter: Option<String>,
    pub after: Option<Vec<String>>,
    pub warn_after: Option<String>,
    pub error_after: Option<String>,
    pub time_limit: Option<String>,
    pub max_failures: Option<i32>,
    pub clear: Option<bool>,
    pub description: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Defined {
    /// The definition.
    pub id: i32,
    /// The table.
    pub relation: Oid,
    /// Its contents do not follow from the definition yet.
    pub is_stale: bool,
    /// The strategy and capture that were chosen.
    pub chosen: String,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message)
}

/// Defines a table, or defines it anew.
pub fn define(given: Given) -> Result<Defined> {
    let text = given.query.clone().ok_or_else(|| {
        Error::new(Code::ERRCODE_NULL_VALUE_NOT_ALLOWED, "query must not be NULL")
    })?;
    let (schema, table) = name_of(given.name.as_deref())?;
    let query = query::look(&text)?;
    check_columns(&query)?;
    let existing = catalog::relation_by_name(&schema, &table);
    let options = choose(&given, &query, existing)?;
    let known = existing.map(known).transpose()?.flatten();
    check_after(&options, known.as_ref().map(|known| known.id))?;
    let label = format!("{schema}.{table}");
    let (relation, is_stale, is_new) = match (existing, &known) {
        (Some(relation), Some(known)) => {
            if !catalog::owns_relation(relation) {
                return Err(Error::new(
                    Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                    format!("must be owner of table {label}"),
                ));
            }
            let changed = migrate(relation, known, &query, &options)?;
            (relation, changed, false)
        }
        (Some(_), None) => {
            return Err(Error::new(
                Code::ERRCODE_DUPLICATE_TABLE,
                format!("relation \"{label}\" already exists and is not materialized"),
            )
            .hint("Choose another name, or drop it first."));
        }
        (None, _) => (create(&schema, &table, &query, &options)?, true, true),
    };
    let id = write(relation, &text, &query, &options, is_stale)?;
    lineage(id, &query)?;
    describe(relation, &query, options.description.as_deref())?;
    if is_new {
        for columns in &options.indexes {
            create_index(relation, columns)?;
        }
    }
    if options.capture == Capture::Change {
        follow_by_index(&query)?;
    }
    relate(relation)?;
    Ok(Defined { id, relation, is_stale, chosen: chosen(&options) })
}

fn chosen(options: &Options) -> String {
    let text = |value: serde_json::Result<Value>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    format!(
        "strategy {}, capture {}",
        text(serde_json::to_value(options.strategy)),
        text(serde_json::to_value(options.capture))
    )
}

/// The definition of a table, if it has one.
fn known(relation: Oid) -> Result<Option<Definition>> {
    match Definition::of(relation) {
        Ok(known) => Ok(Some(known)),
        Err(error) if error.code() == Code::ERRCODE_UNDEFINED_OBJECT => Ok(None),
        Err(error) => Err(error),
    }
}

/// Schema and table that a name means; without a schema, the one that tables are created in.
pub fn name_of(name: Option<&str>) -> Result<(String, String)> {
    let name = name
        .ok_or_else(|| Error::new(Code::ERRCODE_NULL_VALUE_NOT_ALLOWED, "name must not be NULL"))?;
    let parts = sql::value::<Vec<String>>("SELECT pg_catalog.parse_ident($1)", &[name.into()])
        .ok()
        .flatten()
        .unwrap_or_default();
    match <[String; 2]>::try_from(parts) {
        Ok([schema, table]) => Ok((schema, table)),
        Err(parts) if parts.len() == 1 => {
            let schema =
                sql::value::<String>("SELECT pg_catalog.current_schema()::pg_catalog.text", &[])
                    .ok()
                    .flatten()
                    .ok_or_else(|| {
                        Error::new(
                            Code::ERRCODE_INVALID_SCHEMA_NAME,
                            "no schema has been selected to create in",
                        )
                    })?;
            Ok((schema, parts.into_iter().next().unwrap_or_default()))
        }
        Err(_) => {
            Err(Error::new(Code::ERRCODE_INVALID_NAME, format!("\"{name}\" is no name of a table"))
                .hint("As in mart.users."))
        }
    }
}

fn check_columns(query: &Query) -> Result<()> {
    for (at, column) in query.columns.iter().enumerate() {
        if query.columns[..at].iter().any(|other| other.name == column.name) {
            return Err(Error::new(
                Code::ERRCODE_DUPLICATE_COLUMN,
                format!("column \"{}\" is given twice by the query", column.name),
            )
            .hint("Give one of them another name with AS."));
        }
    }
    if query.columns.is_empty() {
        return Err(invalid("the query has no columns"));
    }
    Ok(())
}

fn word<T: serde::de::DeserializeOwned>(what: &str, text: &str, valid: &str) -> Result<T> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|_| {
        invalid(format!("unknown {what} \"{text}\"")).hint(format!("It is one of: {valid}."))
    })
}

/// The arguments with defaults, checked against the query and each other.
fn choose(given: &Given, query: &Query, own: Option<Oid>) -> Result<Options> {
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
        (_, Capture::Cursor) if given.cursor_column.is_none() => {
            return Err(invalid("capture cursor needs a cursor_column")
                .hint("Name a column that grows with every change, as updated_at."));
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

fn resolved_after(names: &[String]) -> Result<Vec<String>> {
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
            Ok(Definition::of(relation)?.name())
        })
        .collect()
}

/// Refuses a cycle of `after`.
fn check_after(options: &Options, own: Option<i32>) -> Result<()> {
    let Some(own) = own else { return Ok(()) };
    let found: Option<String> = book::json(
        "WITH RECURSIVE way(id, path) AS ( \
           SELECT m.id, n.nspname || '.' || c.relname FROM warehouse.materialization m \
             JOIN pg_catalog.pg_class c ON c.oid = m.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE n.nspname || '.' || c.relname = ANY ($1) \
           UNION SELECT m.id, way.path || ' -> ' || a.name FROM way JOIN warehouse.materialization w ON w.id = way.id \
             CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(w.options -> 'after') a(name) \
             JOIN pg_catalog.pg_class c ON true JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN warehouse.materialization m ON m.relation = c.oid \
           WHERE a.name = n.nspname || '.' || c.relname AND way.id <> $2::pg_catalog.int4) \
         SELECT pg_catalog.to_jsonb(way.path) FROM way WHERE way.id = $2::pg_catalog.int4 LIMIT 1",
        &[options.after.clone().into(), i64::from(own).into()],
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

fn column_type(of: Oid, typmod: i32, collation: Oid) -> String {
    let mut text = types::type_name(of, typmod);
    if collation != Oid::INVALID && collation != pg_sys::DEFAULT_COLLATION_OID {
        text.push_str(" COLLATE ");
        text.push_str(&types::collation_name(collation));
    }
    text
}

fn create(schema: &str, table: &str, query: &Query, options: &Options) -> Result<Oid> {
    let columns: Vec<String> = query
        .columns
        .iter()
        .map(|column| {
            let not_null = if options.unique_key.contains(&column.name) { " NOT NULL" } else { "" };
            format!(
                "{} {}{not_null}",
                quote::identifier(&column.name),
                column_type(column.of, column.typmod, column.collation)
            )
        })
        .collect();
    let key: Vec<String> = options.unique_key.iter().map(|name| quote::identifier(name)).collect();
    let key =
        if key.is_empty() { String::new() } else { format!(", PRIMARY KEY ({})", key.join(", ")) };
    sql::execute(&format!(
        "CREATE TABLE {} ({}{key})",
        keywords::qualified(schema, table),
        columns.join(", ")
    ))?;
    catalog::relation_by_name(schema, table).ok_or_else(|| Error::bug("the table was not created"))
}

/// Changes the table to fit another definition; whether its contents have to be made anew.
fn migrate(relation: Oid, known: &Definition, query: &Query, options: &Options) -> Result<bool> {
    // Nobody refreshes it meanwhile.
    Definition::locked(known.id, true)?;
    let own = catalog::relation_attributes(relation);
    let find = |name: &str| own.iter().find(|column| column.name == name);
    let added: Vec<_> =
        query.columns.iter().filter(|column| find(&column.name).is_none()).collect();
    let gone: Vec<&Attribute> =
        own.iter().filter(|column| !query.columns.iter().any(|c| c.name == column.name)).collect();
    let retyped: Vec<_> = query
        .columns
        .iter()
        .filter(|column| {
            find(&column.name).is_some_and(|own| own.of != column.of || own.typmod != column.typmod)
        })
        .collect();
    let name = qualified(relation);
    if !(added.is_empty() && gone.is_empty() && retyped.is_empty()) {
        let list = |names: Vec<&str>| names.join(", ");
        let told = [
            ("new", list(added.iter().map(|c| c.name.as_str()).collect())),
            ("gone", list(gone.iter().map(|c| c.name.as_str()).collect())),
            ("of another type", list(retyped.iter().map(|c| c.name.as_str()).collect())),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {names}"))
        .collect::<Vec<_>>()
        .join("; ");
        let refused = || {
            Error::new(
                Code::ERRCODE_INVALID_TABLE_DEFINITION,
                format!("the columns of the query differ from those of {} ({told})", known.label()),
            )
            .hint(
                "Choose on_schema_change => 'append_new_columns', 'sync_all_columns' or 'ignore'.",
            )
        };
        match options.on_schema_change {
            OnSchemaChange::Fail => return Err(refused()),
            OnSchemaChange::Ignore | OnSchemaChange::AppendNewColumns if !retyped.is_empty() => {
                return Err(refused());
            }
            OnSchemaChange::Ignore => {}
            OnSchemaChange::AppendNewColumns | OnSchemaChange::SyncAllColumns => {
                for column in &added {
                    sql::execute(&format!(
                        "ALTER TABLE {name} ADD COLUMN {} {}",
                        quote::identifier(&column.name),
                        column_type(column.of, column.typmod, column.collation)
                    ))?;
                }
                if options.on_schema_change == OnSchemaChange::SyncAllColumns {
                    for column in &gone {
                        sql::execute(&format!(
                            "ALTER TABLE {name} DROP COLUMN {}",
                            quote::identifier(&column.name)
                        ))?;
                    }
                    for column in &retyped {
                        retype(&name, column, options)?;
                    }
                }
            }
        }
    }
    let before = &known.options;
    if before.unique_key != options.unique_key {
        change_key(known, relation, &name, &options.unique_key)?;
    }
    for columns in options.indexes.iter().filter(|columns| !before.indexes.contains(columns)) {
        create_index(relation, columns)?;
    }
    Ok(known.resolved != query.text
        || before.unique_key != options.unique_key
        || before.site_column != options.site_column
        || (before.capture != options.capture && options.capture == Capture::Xmin)
        || before.cursor_column != options.cursor_column
        || before.event_time != options.event_time
        || before.time_zone != options.time_zone
        || before.clear != options.clear
        || !added.is_empty()
        || !gone.is_empty()
        || !retyped.is_empty())
}

/// Gives a column another type. Values that have no counterpart in it read NULL until the contents have
/// been made anew.
fn retype(name: &str, column: &query::Output, options: &Options) -> Result<()> {
    let quoted = quote::identifier(&column.name);
    let of = column_type(column.of, column.typmod, column.collation);
    let change = |using: &str| {
        sql::execute(&format!("ALTER TABLE {name} ALTER COLUMN {quoted} TYPE {of} USING {using}"))
    };
    let plain = types::type_name(column.of, column.typmod);
    match attempt(|| change(&format!("{quoted}::{plain}"))) {
        Err(_) if !options.unique_key.contains(&column.name) => change("NULL"),
        outcome => outcome,
    }
}

/// Another key: the rows of the former one go, because they need not be unique by it.
fn change_key(definition: &Definition, relation: Oid, name: &str, key: &[String]) -> Result<()> {
    let former = sql::value_now::<String>(
        "SELECT pg_catalog.quote_ident(c.conname) FROM pg_catalog.pg_constraint c WHERE c.conrelid = $1 AND c.contype = 'p'",
        &[relation.into()],
    )
    .ok()
    .flatten();
    if let Some(former) = former {
        sql::execute(&format!("ALTER TABLE {name} DROP CONSTRAINT {former}"))?;
    }
    // What follows the table has to follow this too.
    let waiting = dependents::of(definition)?;
    let changed = if waiting.is_empty() {
        None
    } else {
        Some(Delta::of_query(
            c"warehouse_changed",
            &format!("SELECT * FROM {name}"),
            &mut |_, _| (),
        )?)
    };
    sql::execute(&format!("DELETE FROM {name}"))?;
    if let Some(changed) = changed {
        dependents::follow(&waiting, &[&changed])?;
    }
    if !key.is_empty() {
        let columns: Vec<String> = key.iter().map(|name| quote::identifier(name)).collect();
        sql::execute(&format!("ALTER TABLE {name} ADD PRIMARY KEY ({})", columns.join(", ")))?;
    }
    Ok(())
}

fn create_index(relation: Oid, columns: &[String]) -> Result<()> {
    let columns: Vec<String> = columns.iter().map(|name| quote::identifier(name)).collect();
    sql::execute(&format!("CREATE INDEX ON {} ({})", qualified(relation), columns.join(", ")))
}

/// Writes the definition down; its number.
fn write(
    relation: Oid,
    text: &str,
    query: &Query,
    options: &Options,
    is_stale: bool,
) -> Result<i32> {
    let json = serde_json::to_value(options).map_err(|e| Error::bug(e.to_string()))?;
    let id: Option<i32> = book::json(
        "INSERT INTO warehouse.materialization AS m (relation, owner, query, resolved, options) \
         VALUES ($1::pg_catalog.oid, $2::pg_catalog.oid, $3, $4, $5) \
         ON CONFLICT (relation) DO UPDATE SET query = excluded.query, resolved = excluded.resolved, \
           owner = excluded.owner, options = excluded.options, changed_at = pg_catalog.now() \
         RETURNING pg_catalog.to_jsonb(m.id)",
        &[
            i64::from(relation.to_u32()).into(),
            i64::from(catalog::relation_owner(relation).unwrap_or_else(identity::current).to_u32())
                .into(),
            text.into(),
            query.text.as_str().into(),
            JsonB(json).into(),
        ],
    )?;
    let id = id.ok_or_else(|| Error::bug("the definition was not written"))?;
    if is_stale {
        book::run(
            "UPDATE warehouse.materialization_source SET succeeded_at = NULL WHERE materialization = $1::pg_catalog.int4",
            &[i64::from(id).into()],
        )?;
    }
    book::run(
        "INSERT INTO warehouse.materialization_job AS j (materialization) VALUES ($1::pg_catalog.int4) \
         ON CONFLICT (materialization) DO UPDATE SET failures = 0, due = NULL, reconcile_due = NULL, retry_at = NULL, \
           wake_at = pg_catalog.now(), state = CASE WHEN j.state IN ('retrying', 'suspended') THEN 'idle' ELSE j.state END",
        &[i64::from(id).into()],
    )?;
    Ok(id)
}

/// What each column is made of.
fn lineage(id: i32, query: &Query) -> Result<()> {
    let number = i64::from(id);
    book::run(
        "DELETE FROM warehouse.materialization_lineage WHERE materialization = $1::pg_catalog.int4",
        &[number.into()],
    )?;
    for table in &query.tables {
        book::run(
            "INSERT INTO warehouse.materialization_lineage (materialization, source, is_plain) \
             VALUES ($1::pg_catalog.int4, $2::pg_catalog.oid, false)",
            &[number.into(), i64::from(table.to_u32()).into()],
        )?;
    }
    for column in &query.columns {
        for (source, attribute) in &column.uses {
            let is_plain = column.origin == Some((*source, *attribute));
            book::run(
                "INSERT INTO warehouse.materialization_lineage (materialization, column_name, source, source_column, is_plain) \
                 SELECT $1::pg_catalog.int4, $2::pg_catalog.name, a.attrelid, a.attname, $5 FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = $3::pg_catalog.oid AND a.attnum = $4",
                &[
                    number.into(),
                    column.name.as_str().into(),
                    i64::from(source.to_u32()).into(),
                    (*attribute).into(),
                    is_plain.into(),
                ],
            )?;
        }
    }
    Ok(())
}

/// Comments: the description, and those of the columns that a column is.
fn describe(relation: Oid, query: &Query, description: Option<&str>) -> Result<()> {
    let name = qualified(relation);
    if let Some(text) = description {
        sql::execute(&format!("COMMENT ON TABLE {name} IS {}", quote::literal(text)))?;
    }
    for column in &query.columns {
        let Some((source, attribute)) = column.origin else { continue };
        let comment = sql::value_now::<String>(
            "SELECT pg_catalog.col_description($1, $2::pg_catalog.int4)",
            &[source.into(), attribute.into()],
        );
        if let Ok(Some(text)) = comment
            && catalog::column_number(relation, &column.name).is_some()
        {
            sql::execute(&format!(
                "COMMENT ON COLUMN {name}.{} IS {}",
                quote::identifier(&column.name),
                quote::literal(&text)
            ))?;
        }
    }
    Ok(())
}

/// An index of the table that is followed, by what it is grouped by: groups are found by it. Without one,
/// if the expressions depend on settings or the role may not create it, groups are found by reading all.
fn follow_by_index(query: &Query) -> Result<()> {
    let Some(base) = query.grouped else { return Ok(()) };
    let parts: Vec<String> = query
        .columns
        .iter()
        .filter(|column| column.is_grouped && !column.expression.is_empty())
        .map(|column| format!("({})", column.expression))
        .collect();
    let name = format!("warehouse_group_{}", fold(&parts.join(",")));
    // SAFETY: a plain lookup.
    let schema = types::namespace_name(unsafe { pg_sys::get_rel_namespace(base) });
    if parts.is_empty()
        || catalog::relation_by_name(&schema, &name).is_some()
        || !catalog::owns_relation(base)
    {
        return Ok(());
    }
    let statement = format!("CREATE INDEX {name} ON {} ({})", qualified(base), parts.join(", "));
    // Expressions that are not immutable cannot be indexed.
    match attempt(|| sql::execute(&statement)) {
        Err(error) if error.code() != Code::ERRCODE_INVALID_OBJECT_DEFINITION => Err(error),
        _ => Ok(()),
    }
}

/// A short number of a text, the same in every run.
fn fold(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Foreign keys between materialized tables, where the sources have them. They are not checked: each
/// table is refreshed at its own time.
fn relate(relation: Oid) -> Result<()> {
    let found: Option<Vec<String>> = book::json(RELATE, &[relation.into()])?;
    for statement in found.unwrap_or_default() {
        sql::execute(&statement)?;
    }
    Ok(())
}

const RELATE: &str = "WITH plain AS ( \
    SELECT m.id, m.relation, m.owner, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(m.options -> 'unique_key')) AS key, \
      l.source, l.source_column::pg_catalog.text AS source_column, l.column_name::pg_catalog.text AS column_name \
    FROM warehouse.materialization m JOIN warehouse.materialization_lineage l ON l.materialization = m.id AND l.is_plain \
  ), fk AS ( \
    SELECT DISTINCT pg_catalog.format('%I.%I', r.relation_schema, r.relation_name)::pg_catalog.regclass AS child, \
      pg_catalog.format('%I.%I', r.referenced_schema, r.referenced_relation)::pg_catalog.regclass AS parent, \
      CASE WHEN r.site IS NULL THEN r.columns ELSE COALESCE(site.name || r.columns, r.columns) END AS columns, \
      CASE WHEN r.site IS NULL THEN r.referenced_columns ELSE COALESCE(site.name || r.referenced_columns, r.referenced_columns) END AS referenced \
    FROM warehouse.relationships r LEFT JOIN LATERAL ( \
      SELECT a.attname::pg_catalog.text AS name FROM pg_catalog.pg_partitioned_table p \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] \
      WHERE p.partrelid = pg_catalog.format('%I.%I', r.relation_schema, r.relation_name)::pg_catalog.regclass) site ON true \
    WHERE r.kind = 'foreign key' \
  ), pair AS ( \
    SELECT c.relation AS child, p.relation AS parent, \
      ARRAY(SELECT x.column_name FROM pg_catalog.unnest(fk.columns) WITH ORDINALITY u(name, at) JOIN plain x \
        ON x.id = c.id AND x.source = fk.child AND x.source_column = u.name ORDER BY u.at) AS columns, \
      ARRAY(SELECT x.column_name FROM pg_catalog.unnest(fk.referenced) WITH ORDINALITY u(name, at) JOIN plain x \
        ON x.id = p.id AND x.source = fk.parent AND x.source_column = u.name ORDER BY u.at) AS referenced, \
      pg_catalog.cardinality(fk.columns) AS width, p.key, c.owner = p.owner AS together \
    FROM fk JOIN (SELECT DISTINCT id, relation, owner, source FROM plain) c ON c.source = fk.child \
      JOIN (SELECT DISTINCT id, relation, owner, source, key FROM plain) p ON p.source = fk.parent \
    WHERE $1 IN (c.relation, p.relation) \
  ) \
  SELECT pg_catalog.jsonb_agg(pg_catalog.format('ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s (%s) NOT VALID', \
    pg_catalog.format('%I.%I', cn.nspname, cc.relname), \
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY at) FROM pg_catalog.unnest(q.columns) WITH ORDINALITY u(n, at)), \
    pg_catalog.format('%I.%I', pn.nspname, pc.relname), \
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY at) FROM pg_catalog.unnest(q.referenced) WITH ORDINALITY u(n, at)))) \
  FROM (SELECT DISTINCT * FROM pair) q \
    JOIN pg_catalog.pg_class cc ON cc.oid = q.child JOIN pg_catalog.pg_namespace cn ON cn.oid = cc.relnamespace \
    JOIN pg_catalog.pg_class pc ON pc.oid = q.parent JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace \
  WHERE q.together AND pg_catalog.cardinality(q.columns) = q.width AND pg_catalog.cardinality(q.referenced) = q.width \
    AND q.referenced @> q.key AND q.key @> q.referenced \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = q.child AND k.confrelid = q.parent AND k.contype = 'f' \
      AND ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(n, at) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at) = q.columns)";

/// Drops a definition, and its table unless it is to be kept.
pub fn drop(relation: Oid, keep_table: bool) -> Result<()> {
    let definition = Definition::of(relation)?;
    if !catalog::owns_relation(relation) {
        return Err(Error::new(
            Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("must be owner of table {}", definition.label()),
        ));
    }
    book::run(
        "DELETE FROM warehouse.materialization WHERE id = $1::pg_catalog.int4",
        &[i64::from(definition.id).into()],
    )?;
    if !keep_table {
        // Keys between materialized tables are ours.
        let keys: Option<Vec<String>> = book::json(
            "SELECT pg_catalog.jsonb_agg(pg_catalog.format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname)) \
             FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               JOIN warehouse.materialization m ON m.relation = k.conrelid \
             WHERE k.confrelid = $1 AND k.conrelid <> k.confrelid AND k.contype = 'f' AND NOT k.convalidated",
            &[relation.into()],
        )?;
        for statement in keys.unwrap_or_default() {
            sql::execute(&statement)?;
        }
        Spi::run(&format!("DROP TABLE {}", qualified(relation)))
            .map_err(|e| Error::bug(e.to_string()))?;
    }
    Ok(())
}
