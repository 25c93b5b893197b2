//! A few raw values of a column, for the detection of what it holds.

use super::columns::{Eyes, ReplicaTable};
use super::options::ColumnSource;
use super::{known, query, registry};
use crate::pg::catalog;
use crate::pg::error::Result;
use crate::pg::keywords;
use crate::privacy::samples::{self, Sampler};
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;

/// Characters of a value that are looked at.
const LENGTH: usize = 200;

thread_local! {
    /// Servers that could not be asked, and the statement that found it: they are asked once in each.
    static SILENT: RefCell<(i64, Vec<Oid>)> = RefCell::default();
}

/// Lets `classify_schema()` look at values. Called once, by `_PG_init`.
pub fn install() {
    // Nothing is kept but which servers are silent.
    samples::read_by(Sampler { read: of_column, forget: || {} });
}

/// Up to so many values of a column.
fn of_column(table: Oid, column: &str, at_most: usize) -> Vec<String> {
    if !catalog::is_foreign_of(table, "replica_fdw") {
        return Vec::new();
    }
    let table = known::table(table, Eyes::Anybody).table;
    // SAFETY: a plain question.
    let statement = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    let silent =
        SILENT.with_borrow(|(when, servers)| *when == statement && servers.contains(&table.server));
    if silent {
        return Vec::new();
    }
    read(&table, column, at_most).unwrap_or_else(|_| {
        SILENT.with_borrow_mut(|(when, servers)| {
            if *when != statement {
                servers.clear();
            }
            *when = statement;
            servers.push(table.server);
        });
        Vec::new()
    })
}

fn read(table: &ReplicaTable, column: &str, at_most: usize) -> Result<Vec<String>> {
    let found = table.columns.iter().find(|known| known.name == column);
    let Some(ColumnSource::Remote { name, .. }) = found.map(|column| &column.raw) else {
        return Ok(Vec::new());
    };
    // SAFETY: a plain question.
    let user = unsafe { pg_sys::GetUserId() };
    let connection = registry::connection(table.server, user)?;
    let (name, from) = (keywords::ident(name), table.remote_name());
    query::json(
        &connection,
        &format!(
            "SELECT COALESCE(json_agg(s.v), '[]') FROM (SELECT left(t.{name}::text, {LENGTH}) AS v \
             FROM {from} t WHERE t.{name} IS NOT NULL LIMIT {at_most}) s"
        ),
    )
}
