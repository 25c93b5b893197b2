//! `warehouse.materialize()`: the table, its definition, and what changes when it is defined anew.

mod choose;
mod migrate;
mod relate;

use super::book;
use super::columns::qualified;
use super::definition::{Capture, Definition, Options};
use crate::pg::error::{Error, Result};
use crate::pg::query::{self, Query};
use crate::pg::{catalog, identity, keywords, sql, types};
use choose::{check_after, choose};
use migrate::{create_index, migrate};
use pgrx::pg_sys::{self, Oid};
use pgrx::{JsonB, PgSqlErrorCode as Code, Spi};
use relate::{describe, follow_by_index, lineage, relate};
use serde::Deserialize;
use serde_json::Value;
use warehouse_core::quote;

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
