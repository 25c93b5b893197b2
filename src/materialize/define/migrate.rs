//! Changing a table to fit another definition.

use super::column_type;
use crate::materialize::columns::qualified;
use crate::materialize::definition::{Capture, Definition, OnSchemaChange, Options};
use crate::materialize::dependents;
use crate::pg::catalog::{self, Attribute};
use crate::pg::delta::Delta;
use crate::pg::error::{Error, Result};
use crate::pg::query::{self, Query};
use crate::pg::subtransaction::attempt;
use crate::pg::{sql, types};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use warehouse_core::quote;

/// Changes the table to fit another definition; whether its contents have to be made anew.
pub fn migrate(
    relation: Oid,
    known: &Definition,
    query: &Query,
    options: &Options,
) -> Result<bool> {
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

pub fn create_index(relation: Oid, columns: &[String]) -> Result<()> {
    let columns: Vec<String> = columns.iter().map(|name| quote::identifier(name)).collect();
    sql::execute(&format!("CREATE INDEX ON {} ({})", qualified(relation), columns.join(", ")))
}
