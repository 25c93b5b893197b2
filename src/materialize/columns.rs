//! The columns of a materialized table and how they fit its query.

use super::definition::Definition;
use super::sources::Sources;
use crate::pg::catalog::{self, Attribute};
use crate::pg::error::{Error, Result};
use crate::pg::keywords;
use crate::pg::query::Output;
use crate::pg::types;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use warehouse_core::refresh::{Column, DELTA, Family, Target};

/// The quoted, qualified name of a table.
pub fn qualified(relation: Oid) -> String {
    // SAFETY: a plain lookup.
    let schema = types::namespace_name(unsafe { pg_sys::get_rel_namespace(relation) });
    keywords::qualified(&schema, &types::relation_name(relation))
}

/// The table as statements see it.
///
/// # Errors
/// 42804 for columns whose types have changed, 42703 for a key that is gone.
pub fn target(definition: &Definition, sources: &Sources) -> Result<Target> {
    let own = catalog::relation_attributes(definition.relation());
    let mut columns = Vec::new();
    for output in &sources.query.columns {
        let Some(column) = own.iter().find(|column| column.name == output.name) else { continue };
        if column.of != output.of {
            return Err(retyped(definition, column, output));
        }
        columns.push(Column { name: column.name.clone(), family: family(column.of) });
    }
    for name in &definition.options.unique_key {
        if !columns.iter().any(|column| column.name == *name) {
            return Err(Error::new(
                Code::ERRCODE_UNDEFINED_COLUMN,
                format!("key column \"{name}\" of {} is gone", definition.label()),
            )
            .hint("Call warehouse.materialize() again with a query that has it."));
        }
    }
    let cursor = definition.options.cursor_column.as_ref();
    let telling = sources.query.columns.iter().find(|output| {
        cursor == Some(&output.name) && columns.iter().any(|column| column.name == output.name)
    });
    Ok(Target {
        name: qualified(definition.relation()),
        columns,
        key: definition.options.unique_key.clone(),
        new: DELTA.to_owned(),
        telling: telling.filter(|output| tells(output.of)).map(|output| output.name.clone()),
    })
}

/// Whether two values of a type that its `<>` tells apart have different bytes, and that takes no time.
fn tells(of: Oid) -> bool {
    matches!(
        types::base_type(of),
        pg_sys::INT2OID
            | pg_sys::INT4OID
            | pg_sys::INT8OID
            | pg_sys::DATEOID
            | pg_sys::TIMESTAMPOID
            | pg_sys::TIMESTAMPTZOID
    )
}

fn retyped(definition: &Definition, column: &Attribute, output: &Output) -> Error {
    Error::new(
        Code::ERRCODE_DATATYPE_MISMATCH,
        format!(
            "column \"{}\" of the query of {} is of type {} now, and {} in the table",
            column.name,
            definition.label(),
            types::type_name(output.of, output.typmod),
            types::type_name(column.of, column.typmod),
        ),
    )
    .hint("Call warehouse.materialize() again with on_schema_change => 'sync_all_columns', or cast the column in the query.")
}

fn family(of: Oid) -> Family {
    match types::base_type(of) {
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID => Family::Float,
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Family::Timestamp,
        pg_sys::BYTEAOID => Family::Bytes,
        _ => Family::Plain,
    }
}
