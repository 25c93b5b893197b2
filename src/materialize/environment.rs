//! The settings of a refresh: the same result whoever runs it and from where.

use super::definition::Definition;
use crate::pg::guc::Level;
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
    pub fn enter(definition: &Definition) -> Environment {
        let level = Level::enter();
        level.set(c"search_path", c"pg_catalog, pg_temp");
        level.set(c"DateStyle", c"ISO, MDY");
        level.set(c"IntervalStyle", c"postgres");
        level.set(c"extra_float_digits", c"1");
        level.set(c"bytea_output", c"hex");
        level.set(c"row_security", c"off");
        if let Ok(zone) = CString::new(definition.options.time_zone.as_str()) {
            level.set(c"TimeZone", &zone);
        }
        level.set_as_superuser(c"session_replication_role", c"replica");
        Environment(level)
    }
}
