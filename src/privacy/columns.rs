//! The columns of foreign tables as the policy sees them, and writing their policy.
//!
//! The policy of a column is its options `class` and `mask`. That of a merged table is that of its
//! partitions, each of which has it: what reads is the partition.

use super::family::family;
use crate::pg::error::{Error, Result};
use crate::pg::keywords::{ident, qualified};
use crate::pg::{catalog, identity, sql, statistics, types};
use pgrx::pg_sys::Oid;
use pgrx::{JsonB, PgSqlErrorCode as Code};
use serde::Deserialize;
use warehouse_core::masks::{Mask, TypeFamily};
use warehouse_core::privacy::Class;
use warehouse_core::quote;

/// A column of one foreign table.
#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    relation: u32,
    /// The table that people read: the merged table, or the foreign table itself.
    pub relation_schema: String,
    /// Its name.
    pub relation_name: String,
    table: u32,
    table_schema: String,
    table_name: String,
    /// Its name.
    pub name: String,
    number: i16,
    of: u32,
    /// Its type in SQL.
    pub type_name: String,
    /// The option `class`.
    pub class: Option<String>,
    /// The option `mask`.
    pub mask: Option<String>,
    /// Whether it reads a constant, like the site.
    pub is_constant: bool,
    /// Its comment.
    pub comment: Option<String>,
}

impl Column {
    /// The table that people read.
    pub fn relation(&self) -> Oid {
        Oid::from(self.relation)
    }

    /// The foreign table.
    pub fn table(&self) -> Oid {
        Oid::from(self.table)
    }

    /// Its type.
    pub fn of(&self) -> Oid {
        Oid::from(self.of)
    }

    /// The family of its type.
    pub fn family(&self) -> TypeFamily {
        family(self.of())
    }

    /// Whether its type is an enum, or an array of one.
    pub fn is_enum(&self) -> bool {
        let base = types::base_type(self.of());
        let element = types::facts(base).map(|facts| facts.element);
        types::is_enum(match element {
            Some(element) if element != Oid::INVALID => types::base_type(element),
            _ => base,
        })
    }
}

/// The class and the mask of a column.
pub type Policy = (Class, Mask);

fn load(condition: &str, argument: pgrx::datum::DatumWithOid<'_>) -> Result<Vec<Column>> {
    let query = format!(
        "SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
             'relation', c.relation::pg_catalog.oid::pg_catalog.int8, 'relation_schema', c.relation_schema,
             'relation_name', c.relation_name, 'table', c.foreign_table::pg_catalog.oid::pg_catalog.int8,
             'table_schema', c.table_schema, 'table_name', c.table_name, 'name', c.column_name,
             'number', c.number, 'of', c.type_oid::pg_catalog.int8, 'type_name', c.type, 'class', c.class,
             'mask', c.mask, 'is_constant', c.is_constant, 'comment', c.comment)
           ORDER BY c.relation_name, c.position, c.column_name, c.foreign_table::pg_catalog.oid)
         FROM warehouse.site_columns c WHERE {condition}"
    );
    let unreadable = |e: &dyn std::fmt::Display| {
        Error::bug(format!("the columns of foreign tables cannot be read: {e}"))
    };
    let found = sql::value::<JsonB>(&query, &[argument]).map_err(|e| unreadable(&e))?;
    found
        .map_or(Ok(Vec::new()), |found| serde_json::from_value(found.0).map_err(|e| unreadable(&e)))
}

/// The columns of a foreign table, or of all foreign tables behind a merged one.
pub fn of_relation(relation: Oid) -> Result<Vec<Column>> {
    load("$1 IN (c.relation::pg_catalog.oid, c.foreign_table::pg_catalog.oid)", relation.into())
}

/// The columns of all foreign tables that people read in a schema.
pub fn of_schema(schema: &str) -> Result<Vec<Column>> {
    load("c.relation_schema = $1", schema.into())
}

/// Fails unless the current role may define the policy of these foreign tables: their owner may, and
/// `warehouse_admin`.
pub fn require_right(columns: &[Column]) -> Result<()> {
    if identity::has_rights_of(identity::current(), "warehouse_admin") {
        return Ok(());
    }
    match columns.iter().find(|column| !catalog::owns_relation(column.table())) {
        None => Ok(()),
        Some(column) => Err(Error::new(
            Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!(
                "must be owner of foreign table \"{}.{}\" or a member of warehouse_admin",
                column.table_schema, column.table_name
            ),
        )),
    }
}

/// Sets or, with `None`, removes the policy of columns of one foreign table. Statistics that hold
/// values of what is closed now go.
pub fn set(changes: &[(&Column, Option<Policy>)]) -> Result<()> {
    let Some((first, _)) = changes.first() else { return Ok(()) };
    let parts: Vec<String> = changes
        .iter()
        .filter_map(|(column, policy)| {
            let (class, mask) = match policy {
                Some((class, mask)) => (Some(class.to_string()), Some(mask.to_string())),
                None => (None, None),
            };
            let options: Vec<String> =
                [option("class", &column.class, class), option("mask", &column.mask, mask)]
                    .into_iter()
                    .flatten()
                    .collect();
            (!options.is_empty()).then(|| {
                format!("ALTER COLUMN {} OPTIONS ({})", ident(&column.name), options.join(", "))
            })
        })
        .collect();
    if !parts.is_empty() {
        let owner = catalog::relation_owner(first.table()).ok_or_else(|| {
            Error::new(Code::ERRCODE_UNDEFINED_TABLE, "the foreign table was dropped meanwhile")
        })?;
        let table = qualified(&first.table_schema, &first.table_name);
        let statement = format!("ALTER FOREIGN TABLE {table} {}", parts.join(", "));
        identity::acting_as(owner, || sql::execute(&statement))?;
    }
    let closed: Vec<&Column> = changes
        .iter()
        .filter(|(_, policy)| !matches!(policy, Some((_, Mask::Keep))))
        .map(|(column, _)| *column)
        .collect();
    forget_statistics(&closed)
}

fn option(name: &str, before: &Option<String>, after: Option<String>) -> Option<String> {
    match (before, after) {
        (None, Some(value)) => Some(format!("ADD {name} {}", quote::literal(&value))),
        (Some(before), Some(value)) if *before != value => {
            Some(format!("SET {name} {}", quote::literal(&value)))
        }
        (Some(_), None) => Some(format!("DROP {name}")),
        _ => None,
    }
}

/// Removes most common values and histograms of columns of one foreign table, there and at the merged
/// table.
fn forget_statistics(columns: &[&Column]) -> Result<()> {
    let Some(first) = columns.first() else { return Ok(()) };
    for column in columns {
        statistics::forget_column(column.table(), column.number);
        if column.relation() != column.table()
            && let Some(number) = catalog::column_number(column.relation(), &column.name)
        {
            statistics::forget_column(column.relation(), number);
        }
    }
    // Those over several columns, or over expressions of them, go whole.
    let objects = sql::value::<Vec<Oid>>(
        "SELECT pg_catalog.array_agg(e.oid) FROM pg_catalog.pg_statistic_ext e WHERE e.stxrelid IN ($1, $2)",
        &[first.table().into(), first.relation().into()],
    )
    .map_err(|e| Error::bug(format!("extended statistics cannot be read: {e}")))?;
    objects.into_iter().flatten().for_each(statistics::forget_extended);
    Ok(())
}
