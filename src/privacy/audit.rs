//! Who did what with the policy, in the table `warehouse.audit` and in the server log.
//!
//! An entry names relations, columns and counts, never a literal or a value.

use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::log::server_log;
use crate::pg::{catalog, identity};
use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;

/// What is written down.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The role whose rights were used.
    pub role: Oid,
    /// What was done.
    pub action: &'a str,
    /// Schema and name of the relation, if it is about one.
    pub relation: Option<&'a str>,
    /// Its columns.
    pub columns: &'a [String],
    /// Rows that were read or changed.
    pub rows: Option<i64>,
    /// The id of the query; that of the running one if none.
    pub query_id: Option<i64>,
}

/// Writes an entry down. Needs a transaction that may write.
pub fn record(entry: &Entry<'_>) -> Result<()> {
    let name = |role| catalog::role_name(role).unwrap_or_default();
    let (role, session) = (name(entry.role), name(identity::session()));
    log(entry, &role, &session);
    // A superuser's extension: whoever owns the table may add to it, and nobody else needs to.
    let owner = catalog::relation_by_name("warehouse", "audit")
        .and_then(catalog::relation_owner)
        .ok_or_else(|| {
        Error::new(Code::ERRCODE_UNDEFINED_TABLE, "table \"warehouse.audit\" is gone").hint(
            "Create the extension anew: DROP EXTENSION warehouse; CREATE EXTENSION warehouse.",
        )
    })?;
    let query_id = entry.query_id.or_else(query_id);
    let args: [DatumWithOid<'_>; 7] = [
        role.as_str().into(),
        session.as_str().into(),
        entry.action.into(),
        entry.relation.into(),
        entry.columns.to_vec().into(),
        entry.rows.into(),
        query_id.into(),
    ];
    identity::acting_as(owner, || {
        Spi::run_with_args(
            "INSERT INTO warehouse.audit (at, role, session_role, action, relation, columns, rows, query_id)
             VALUES (pg_catalog.clock_timestamp(), $1::pg_catalog.name, $2::pg_catalog.name, $3, $4, $5, $6, $7)",
            &args,
        )
    })
    .map_err(|e| Error::bug(format!("the audit could not be written: {e}")))
}

fn log(entry: &Entry<'_>, role: &str, session: &str) {
    let mut text = format!("warehouse audit: {} by \"{role}\"", entry.action);
    if session != role {
        text.push_str(&format!(" (session of \"{session}\")"));
    }
    if let Some(relation) = entry.relation {
        text.push_str(&format!(" on {relation}"));
    }
    if !entry.columns.is_empty() {
        text.push_str(&format!(", columns {}", entry.columns.join(", ")));
    }
    if let Some(rows) = entry.rows {
        text.push_str(&format!(", {rows} rows"));
    }
    server_log(text);
}

/// The id of the running query, if query ids are computed.
fn query_id() -> Option<i64> {
    // SAFETY: reads the backend's own status.
    let id = unsafe { pg_sys::pgstat_get_my_query_id() };
    (id != 0).then_some(id as i64)
}

/// Writes an entry of the audit, for functions in SQL.
#[pg_extern(name = "record", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn record_sql(
    action: &str,
    relation: default!(Option<&str>, "NULL"),
    columns: default!(Option<Vec<String>>, "NULL"),
    rows: default!(Option<i64>, "NULL"),
    query_id: default!(Option<i64>, "NULL"),
) {
    // Functions that call this have the rights of the extension; who called them is outside.
    let columns = columns.unwrap_or_default();
    let entry =
        Entry { role: identity::outer(), action, relation, columns: &columns, rows, query_id };
    record(&entry).or_raise();
}
