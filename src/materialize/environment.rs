//! The settings of a refresh: the same result whoever runs it and from where.

use super::book;
use super::definition::Definition;
use crate::pg::error::{Error, Result};
use crate::pg::guc::Level;
use crate::pg::{identity, sql};
use std::ffi::CString;

/// Settings until it is dropped.
///
/// The query is evaluated in the time zone of its definition. Triggers and foreign keys of the table do
/// not fire: keys between materialized tables are for readers, and each table is refreshed at its own
/// time.
#[derive(Debug)]
pub struct Environment(#[allow(dead_code)] Level);

impl Environment {
    /// Sets them.
    pub fn enter(definition: &Definition) -> Result<Environment> {
        // Off, a policy that would hide rows is an error.
        let row_security = if passes_policies(definition)? { c"on" } else { c"off" };
        let level = Level::enter();
        level.set(c"search_path", c"pg_catalog, pg_temp");
        level.set(c"DateStyle", c"ISO, MDY");
        level.set(c"IntervalStyle", c"postgres");
        level.set(c"extra_float_digits", c"1");
        level.set(c"bytea_output", c"hex");
        level.set(c"row_security", row_security);
        if let Ok(zone) = CString::new(definition.options.time_zone.as_str()) {
            level.set(c"TimeZone", &zone);
        }
        level.set_as_superuser(c"session_replication_role", c"replica");
        Ok(Environment(level))
    }
}

/// Whether the tables that are read and written have row level security, but by
/// `warehouse.restrict_table()` alone, which hides nothing from the owner and from who is here.
fn passes_policies(definition: &Definition) -> Result<bool> {
    let only_ours: Option<bool> = book::json(
        "WITH RECURSIVE touched(relation) AS ( \
           SELECT m.relation::pg_catalog.oid FROM warehouse.materialization m WHERE m.id = $1::pg_catalog.int4 \
           UNION SELECT m.relation::pg_catalog.oid FROM touched t JOIN warehouse.materialization_lineage l ON l.source = t.relation \
             JOIN warehouse.materialization m ON m.id = l.materialization), \
         read(relation) AS ( \
           SELECT relation FROM touched \
           UNION SELECT l.source::pg_catalog.oid FROM touched t JOIN warehouse.materialization m ON m.relation = t.relation \
             JOIN warehouse.materialization_lineage l ON l.materialization = m.id) \
         SELECT pg_catalog.to_jsonb(COALESCE(bool_and(NOT EXISTS ( \
           SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname <> 'warehouse_sites')), false)) \
         FROM read JOIN pg_catalog.pg_class c ON c.oid = read.relation AND c.relrowsecurity",
        &[i64::from(definition.id).into()],
    )?;
    if only_ours != Some(true) {
        return Ok(false);
    }
    let sees_all = identity::acting_as(definition.owner(), || {
        sql::value_now::<bool>("SELECT warehouse.visible_sites() IS NULL", &[])
    });
    Ok(sees_all.map_err(|e| Error::bug(format!("restrictions could not be read: {e}")))?
        == Some(true))
}
