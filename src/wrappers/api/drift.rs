//! What changed at Airtable since a schema was imported, and following it.
//!
//! Renames break nothing, since columns are bound to field ids; new fields, new tables and changed types
//! are taken over. What is gone is only reported: queries that read it fail, and dropping it is for
//! somebody who knows what depends on it.

use super::error;
use super::import;
use super::options::{self, Api};
use super::session;
use super::source::{self, Source};
use super::table::ApiTable;
use crate::pg::error::{Error, Result};
use crate::pg::keywords::{ident, qualified};
use crate::pg::{catalog, identity, sql};
use crate::wrappers::replica::local::{self, Declared, options_sql};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use std::collections::{BTreeMap, HashMap};
use warehouse_core::connectors::airtable::{self, Drift, TableSchema};
use warehouse_core::connectors::{Column, Table};

/// A difference.
pub struct Found {
    /// The table.
    pub relation: String,
    /// What is different.
    pub change: String,
    /// What was done.
    pub done: Option<&'static str>,
}

/// The differences of the tables of a server in a schema, followed if `apply`.
pub fn follow(server: Oid, schema: &str, apply: bool) -> Result<Vec<Found>> {
    let source = source::asked(server, identity::current())?;
    let Api::Airtable(api) = &*source.api else {
        return Err(Error::new(
            Code::ERRCODE_WRONG_OBJECT_TYPE,
            format!("server \"{}\" is none of airtable_fdw", source.server.name),
        ));
    };
    let server_options = options::airtable_server(&source.server.options)?;
    let known = import::known_names(server, schema);
    let session = session::session()?;
    let mut out = Vec::new();
    for (base, tables) in imported(&source, schema)? {
        let host = session.host.clone();
        let found = session.wait(async { api.schema(host.as_ref(), &base).await });
        let now = found.map_err(|error| {
            error::of(error).within(&format!("server \"{}\"", source.server.name))
        })?;
        let place = Place { schema, base: &base, server: &source.server.name, known: &known };
        for drift in airtable::drift(&tables, &now, &server_options) {
            let done =
                if apply { place.apply(&drift, &tables, &now, &server_options)? } else { None };
            out.push(Found { relation: drift.table().to_owned(), change: drift.to_string(), done });
        }
    }
    Ok(out)
}

/// The tables of a server in a schema as they are bound, by base.
fn imported(source: &Source, schema: &str) -> Result<BTreeMap<String, Vec<Table>>> {
    let relations = sql::value::<Vec<Oid>>(
        "SELECT pg_catalog.array_agg(f.ftrelid ORDER BY c.relname) FROM pg_catalog.pg_foreign_table f \
           JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid \
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE f.ftserver = $1 AND n.nspname = $2",
        &[source.server.oid.into(), schema.into()],
    );
    let relations = relations.ok().flatten().unwrap_or_default();
    let mut out: BTreeMap<String, Vec<Table>> = BTreeMap::new();
    for relation in relations {
        if !catalog::owns_relation(relation) {
            continue;
        }
        let table = ApiTable::load(relation, source, false)?.table;
        let option = |name: &str| {
            table.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        if let (Some(base), Some(_)) = (option("base_id"), option("table_id")) {
            out.entry(base).or_default().push(Table::clone(&table));
        }
    }
    Ok(out)
}

fn option<'a>(options: &'a [(String, String)], name: &str) -> Option<&'a str> {
    options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

struct Place<'a> {
    schema: &'a str,
    base: &'a str,
    server: &'a str,
    known: &'a HashMap<String, String>,
}

impl Place<'_> {
    fn apply(
        &self,
        drift: &Drift,
        tables: &[Table],
        now: &[TableSchema],
        options: &airtable::Options,
    ) -> Result<Option<&'static str>> {
        let bound = |name: &str| tables.iter().find(|table| table.name == name);
        let fresh = |id: &str, name: &str| {
            let schema = now.iter().find(|schema| schema.id == id)?;
            Some(airtable::table(self.base, schema, name, options, self.known))
        };
        // The table as it would be imported now.
        let anew = |name: &str| fresh(option(&bound(name)?.options, "table_id")?, name);
        let alter = |table: &str, what: &str| {
            let table = qualified(self.schema, table);
            sql::execute(&format!("ALTER FOREIGN TABLE {table} {what}"))
        };
        match drift {
            Drift::NewTable { table, .. } => {
                let names: Vec<(&str, &str)> =
                    now.iter().map(|one| (one.id.as_str(), one.name.as_str())).collect();
                let unique = airtable::unique(&names, self.known, &[]);
                let at = now.iter().position(|schema| schema.id == *table);
                let Some(made) = at.and_then(|at| fresh(table, &unique[at])) else {
                    return Ok(None);
                };
                let columns: Vec<Declared> = made.columns.iter().map(import::declared).collect();
                sql::execute(&local::create_table(
                    self.schema,
                    &made.name,
                    &columns,
                    self.server,
                    &made.options,
                ))?;
                import::comment(self.schema, &made)?;
                Ok(Some("created"))
            }
            Drift::NewField { table, field, .. } => {
                let Some(made) = anew(table) else { return Ok(None) };
                let is_it = |column: &&Column| option(&column.options, "field_id") == Some(field);
                let Some(column) = made.columns.iter().find(is_it) else { return Ok(None) };
                alter(table, &format!("ADD COLUMN {}", import::declared(column).sql()))?;
                if let Some(text) = &column.comment {
                    let (kind, name) = ("FOREIGN TABLE", Some(column.name.as_str()));
                    sql::execute(&local::comment(kind, self.schema, table, name, Some(text)))?;
                }
                Ok(Some("added"))
            }
            Drift::Renamed { table, column, name } => {
                let set = options_sql(&[("field_name".to_owned(), name.clone())]);
                alter(table, &format!("ALTER COLUMN {} OPTIONS (SET {set})", ident(column)))?;
                Ok(Some("noted"))
            }
            Drift::Retyped { table, column, now: of, .. } => {
                let id = bound(table)
                    .and_then(|bound| bound.column(column))
                    .and_then(|(_, column)| option(&column.options, "field_id"));
                let made = anew(table);
                let field_type = made.as_ref().and_then(|made| {
                    let is_it = |one: &&Column| option(&one.options, "field_id") == id;
                    option(&made.columns.iter().find(is_it)?.options, "field_type")
                });
                let Some(field_type) = field_type else { return Ok(None) };
                let set = options_sql(&[("field_type".to_owned(), field_type.to_owned())]);
                let column = ident(column);
                alter(
                    table,
                    &format!(
                        "ALTER COLUMN {column} TYPE {of}, ALTER COLUMN {column} OPTIONS (SET {set})"
                    ),
                )?;
                Ok(Some("changed"))
            }
            Drift::TableGone { .. } | Drift::FieldGone { .. } => Ok(None),
        }
    }
}
