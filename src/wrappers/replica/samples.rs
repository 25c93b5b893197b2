//! A few raw values of a column, for the detection of what it holds.

use super::columns::Eyes;
use super::options::ColumnSource;
use super::{known, query, registry};
use crate::pg::error::Result;
use crate::pg::keywords;
use crate::privacy::samples;
use pgrx::pg_sys::{self, Oid};

/// Characters of a value that are looked at.
const LENGTH: usize = 200;

/// Lets `classify_schema()` look at values. Called once, by `_PG_init`.
pub fn install() {
    samples::read_by(|table, column, at_most| read(table, column, at_most).unwrap_or_default());
}

fn read(relation: Oid, column: &str, at_most: usize) -> Result<Vec<String>> {
    let table = known::table(relation, Eyes::Anybody).table;
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
