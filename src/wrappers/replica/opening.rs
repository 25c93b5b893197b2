//! The beginning of a read: its statements, and what comes before its rows.

use super::connection::Connection;
use super::probe::{Mismatch, TYPES_SQL};
use super::session::Session;
use super::stream::Request;
use crate::pg::error::{Error, Result};
use crate::pg::libpq::{QueryResult, Status};
use pgrx::PgSqlErrorCode as Code;
use warehouse_core::quote;

/// Bytes that a batch of a cursor aims at.
pub const BATCH_BYTES: usize = 1 << 20;
/// Rows of the first batch of a cursor at most.
const FIRST_BATCH_ROWS: usize = 500;

/// What has been seen of an answer before its rows.
#[derive(Debug)]
pub struct Opening {
    /// Its columns have to be checked.
    pub verify: bool,
    probed: bool,
    types_asked: bool,
    /// A type was not known: types have to be asked for anew.
    pub unknown: bool,
    /// Rows come as a COPY.
    pub copying: bool,
    /// The first batch of a cursor.
    pub batch: Option<QueryResult>,
}

impl Opening {
    /// Nothing yet.
    pub fn new(request: &Request, connection: &Connection) -> Opening {
        let verify = !connection.is_verified(&request.probe.sql);
        Opening {
            verify,
            probed: !verify,
            types_asked: false,
            unknown: false,
            copying: false,
            batch: None,
        }
    }

    /// Takes a result; `true` when the rows begin.
    pub fn receive(
        &mut self,
        request: &Request,
        connection: &Connection,
        session: &mut Session,
        result: QueryResult,
    ) -> Result<bool> {
        let probe = &request.probe;
        match result.status() {
            Status::CopyOut => {
                self.copying = true;
                check_collation(session, request, connection)?;
                return Ok(true);
            }
            Status::Rows if !self.probed && probe.learn_types(session, &result) => {
                self.types_asked = true;
            }
            Status::Rows if !self.probed => {
                check_collation(session, request, connection)?;
                let server = &connection.server.name;
                probe.check(server, session, &result, self.types_asked).map_err(|mismatch| {
                    match mismatch {
                        Mismatch::Other(error) => error,
                        Mismatch::UnknownType => {
                            self.unknown = true;
                            session.types.clear();
                            Error::bug("a type was not known")
                        }
                    }
                })?;
                connection.set_verified(&probe.sql);
                self.probed = true;
            }
            Status::Rows => self.batch = Some(result),
            _ => {}
        }
        Ok(false)
    }
}

/// Rows of the first batch of a cursor.
pub fn first_batch(request: &Request) -> usize {
    (BATCH_BYTES / request.row_size.max(1)).clamp(1, FIRST_BATCH_ROWS)
}

/// The statements of a read, with the check of its columns if they have to be verified.
pub fn opening_sql(request: &Request, session: &Session, savepoint: u64, verify: bool) -> String {
    let mut sql = String::with_capacity(request.sql.len() + 200);
    if verify {
        if request.probe.needs_types() && session.types.is_empty() {
            sql.push_str(TYPES_SQL);
            sql.push_str("; ");
        }
        sql.push_str(&request.probe.sql);
        sql.push_str("; ");
    }
    if let Some((dates, intervals)) = &request.styles {
        sql.push_str(&format!(
            "SET DateStyle = {}; SET IntervalStyle = {}; ",
            quote::literal(dates),
            quote::literal(intervals)
        ));
    }
    if request.piecewise {
        let count = first_batch(request);
        sql.push_str(&format!(
            "DECLARE c{savepoint} BINARY CURSOR FOR {}; FETCH {count} FROM c{savepoint}",
            request.sql
        ));
    } else {
        sql.push_str(&format!("COPY ({}) TO STDOUT (FORMAT binary)", request.sql));
    }
    if request.styles.is_some() {
        sql.push_str("; SET DateStyle = ISO; SET IntervalStyle = postgres");
    }
    sql
}

fn check_collation(session: &Session, request: &Request, connection: &Connection) -> Result<()> {
    match &request.collation {
        Some(expected) if *expected != session.collation => Err(Error::new(
            Code::ERRCODE_FDW_ERROR,
            format!(
                "server \"{}\" collates text in another way than at import",
                connection.server.name
            ),
        )
        .hint("Run warehouse.merge_schema() again, or IMPORT FOREIGN SCHEMA anew.")),
        _ => Ok(()),
    }
}
