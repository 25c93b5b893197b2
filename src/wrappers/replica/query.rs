//! Small queries of our own over the session's connection: catalogs, statistics.

use super::connection::Connection;
use crate::pg::error::{Error, Result};
use crate::pg::libpq::{QueryResult, Status};

/// Runs one statement in the transaction at the source and returns its rows.
pub fn rows(connection: &Connection, sql: &str) -> Result<QueryResult> {
    let mut found = None;
    connection.begin_read(&|_, _| sql.to_owned(), |_, result| {
        if result.status() == Status::Rows {
            found = Some(result);
        }
        Ok(false)
    })?;
    found.ok_or_else(|| Error::bug(format!("server \"{}\" gave no rows", connection.server.name)))
}

/// Runs one statement that yields one JSON document.
pub fn json<T: serde::de::DeserializeOwned>(connection: &Connection, sql: &str) -> Result<T> {
    let result = rows(connection, sql)?;
    let text = result.text(0, 0).unwrap_or("null");
    serde_json::from_str(text).map_err(|error| {
        Error::bug(format!(
            "server \"{}\" described its catalog in an unexpected way: {error}",
            connection.server.name
        ))
    })
}

/// The collation signature of the source (see [`super::collation`]).
pub fn collation(connection: &Connection) -> Result<String> {
    connection.with_session(|session| Ok(session.collation.clone()))
}
