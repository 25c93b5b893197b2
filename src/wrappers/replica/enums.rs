//! Enum types of the sources, as types of the same name here, so that BI tools see their labels.

use super::introspect::Enum;
use crate::pg::error::Result;
use crate::pg::{keywords, sql};
use std::collections::HashMap;
use warehouse_core::quote;

/// What was done to a local enum type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It did not exist.
    Created,
    /// It lacked this label.
    Added(String),
    /// There is another kind of type of this name: columns of the enum read as text.
    NameTaken,
}

/// The local types that stand for enums of one source: its schema and name there, and the qualified
/// name here.
pub type LocalEnums = HashMap<(String, String), String>;

/// Makes a local enum type with at least the labels of `wanted`, in their order. Returns its qualified
/// name, or `None` if the name is taken by something else, and what was done.
pub fn ensure(local_schema: &str, wanted: &Enum) -> Result<(Option<String>, Vec<Change>)> {
    let name = keywords::qualified(local_schema, &wanted.name);
    let Some(kind) = kind_of(local_schema, &wanted.name) else {
        let labels: Vec<String> = wanted.labels.iter().map(|label| quote::literal(label)).collect();
        sql::execute(&format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", ")))?;
        return Ok((Some(name), vec![Change::Created]));
    };
    if kind != "e" {
        return Ok((None, vec![Change::NameTaken]));
    }
    let present = labels(local_schema, &wanted.name);
    let mut changes = Vec::new();
    let mut before: Option<&String> = None;
    for label in &wanted.labels {
        if !present.contains(label) {
            let place = match before {
                Some(before) => format!(" AFTER {}", quote::literal(before)),
                None => match present.first() {
                    Some(first) => format!(" BEFORE {}", quote::literal(first)),
                    None => String::new(),
                },
            };
            sql::execute(&format!("ALTER TYPE {name} ADD VALUE {}{place}", quote::literal(label)))?;
            changes.push(Change::Added(label.clone()));
        }
        before = Some(label);
    }
    Ok((Some(name), changes))
}

fn kind_of(schema: &str, name: &str) -> Option<String> {
    sql::value::<String>(
        "SELECT (SELECT t.typtype::pg_catalog.text FROM pg_catalog.pg_type t \
           JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         WHERE n.nspname = $1 AND t.typname = $2)",
        &[schema.into(), name.into()],
    )
    .ok()
    .flatten()
}

/// The labels of a local enum, in their order.
fn labels(schema: &str, name: &str) -> Vec<String> {
    sql::value::<Vec<String>>(
        "SELECT COALESCE(pg_catalog.array_agg(e.enumlabel::pg_catalog.text ORDER BY e.enumsortorder), '{}') \
         FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid \
           JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         WHERE n.nspname = $1 AND t.typname = $2",
        &[schema.into(), name.into()],
    )
    .ok()
    .flatten()
    .unwrap_or_default()
}
