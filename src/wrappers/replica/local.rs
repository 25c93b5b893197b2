//! How a relation of the source looks here: the types of its columns, its options, its DDL.

use super::decode::{Travel, travel};
use super::enums::LocalEnums;
use super::introspect::{Column, Table};
use crate::pg::keywords::{ident, qualified};
use crate::pg::types;
use warehouse_core::quote;

/// The type of a column here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalType {
    /// In SQL.
    pub sql: String,
    /// The type at the source, if the source has to cast.
    pub remote_type: Option<String>,
}

/// The type here that shows a source's column best: the same one if it exists here, the local twin of
/// an enum, and text for what exists only there.
pub fn local_type(column: &Column, enums: &LocalEnums) -> LocalType {
    let same = |sql: String| LocalType { sql, remote_type: None };
    if column.builtin {
        // What names objects of the source means nothing here but as text.
        return match types::by_name(&column.of) {
            Some(oid) if !decodes_as_name(oid) => same(column.of.clone()),
            _ => as_text(column),
        };
    }
    if let (Some(schema), Some(name)) = (&column.element_enum_schema, &column.element_enum) {
        return match enums.get(&(schema.clone(), name.clone())) {
            Some(local) => same(format!("{local}[]")),
            None => as_text(column),
        };
    }
    match column.kind {
        'e' => match enums.get(&(column.type_schema.clone(), column.type_name.clone())) {
            Some(local) => same(local.clone()),
            None => as_text(column),
        },
        'b' => match types::by_name(&ident(&column.type_name)) {
            // An extension's type that exists on both sides, such as citext or hstore.
            Some(oid) if types::is_extension_type(oid) => {
                LocalType { sql: types::type_name(oid, -1), remote_type: None }
            }
            _ => as_text(column),
        },
        _ => as_text(column),
    }
}

fn as_text(column: &Column) -> LocalType {
    LocalType { sql: "text".to_owned(), remote_type: Some(column.of.clone()) }
}

/// The option that says a column collates there in its own way.
pub fn collation_option(column: &Column) -> Option<(String, String)> {
    column.collation.clone().map(|name| ("source_collation".to_owned(), name))
}

/// The option that says of which enum type a column is there that is an enum here too.
pub fn enum_option(column: &Column) -> Option<(String, String)> {
    let name = || qualified(&column.type_schema, &column.type_name);
    (column.kind == 'e').then(|| ("enum_type".to_owned(), name()))
}

/// Whether a built-in type travels as text because it names objects.
fn decodes_as_name(of: pgrx::pg_sys::Oid) -> bool {
    travel(of) == Travel::Text && of != pgrx::pg_sys::XMLOID
}

/// A column as it is declared here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its type in SQL.
    pub of: String,
    /// NOT NULL.
    pub not_null: bool,
    /// Its options.
    pub options: Vec<(String, String)>,
}

impl Declared {
    /// `"name" type OPTIONS (…) NOT NULL`, as CREATE FOREIGN TABLE wants it.
    pub fn sql(&self) -> String {
        let mut out = format!("{} {}", ident(&self.name), self.of);
        if !self.options.is_empty() {
            out.push_str(&format!(" OPTIONS ({})", options_sql(&self.options)));
        }
        if self.not_null {
            out.push_str(" NOT NULL");
        }
        out
    }
}

/// `name 'value', …`
pub fn options_sql(options: &[(String, String)]) -> String {
    let list: Vec<String> = options
        .iter()
        .map(|(name, value)| format!("{} {}", ident(name), quote::literal(value)))
        .collect();
    list.join(", ")
}

/// The options of a foreign table over `table` of `schema`.
pub fn table_options(schema: &str, table: &Table, collation: &str) -> Vec<(String, String)> {
    let mut options = vec![
        ("schema_name".to_owned(), schema.to_owned()),
        ("table_name".to_owned(), table.name.clone()),
    ];
    if !collation.is_empty() {
        options.push(("remote_collation".to_owned(), collation.to_owned()));
    }
    let json = |value: serde_json::Result<String>| {
        value.expect("invariant: names and booleans are always JSON")
    };
    if !table.indexes.is_empty() {
        options.push(("indexes".to_owned(), json(serde_json::to_string(&table.indexes))));
    }
    if !table.foreign_keys.is_empty() {
        options.push(("foreign_keys".to_owned(), json(serde_json::to_string(&table.foreign_keys))));
    }
    options
}

/// CREATE FOREIGN TABLE.
pub fn create_table(
    schema: &str,
    name: &str,
    columns: &[Declared],
    server: &str,
    options: &[(String, String)],
) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("  {}", column.sql())).collect();
    format!(
        "CREATE FOREIGN TABLE {} (\n{}\n) SERVER {} OPTIONS ({})",
        qualified(schema, name),
        columns.join(",\n"),
        ident(server),
        options_sql(options)
    )
}

/// COMMENT ON a table (`column` `None`) or a column.
pub fn comment(
    kind: &str,
    schema: &str,
    name: &str,
    column: Option<&str>,
    text: Option<&str>,
) -> String {
    let table = qualified(schema, name);
    let text = text.map_or_else(|| "NULL".to_owned(), quote::literal);
    match column {
        None => format!("COMMENT ON {kind} {table} IS {text}"),
        Some(column) => format!("COMMENT ON COLUMN {table}.{} IS {text}", ident(column)),
    }
}
