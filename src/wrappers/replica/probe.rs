//! What must be true of a table at the source before its bytes may be decoded.
//!
//! A binary COPY does not say of what type its columns are. So a read is preceded, in the same round
//! trip, by an empty SELECT of the columns it touches; the types it reports must be those the decoder
//! and the pushed clauses were made for. Once checked, the table is locked at the source until its
//! transaction ends, so the answer holds for the transaction.

use super::session::{RemoteType, Session};
use crate::pg::error::Error;
use crate::pg::libpq::QueryResult;
use crate::pg::types;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use serde::{Deserialize, Serialize};

/// Lists the types at the source that a local enum may stand for.
pub const TYPES_SQL: &str = "SELECT oid AS warehouse_type, typtype, pg_catalog.format_type(oid, NULL) \
                             FROM pg_catalog.pg_type WHERE typtype = 'e'";

/// Why an answer is not what it must be.
#[derive(Debug)]
pub enum Mismatch {
    /// There is a type that this session has not met: its types have to be asked for again.
    UnknownType,
    /// A column is of another type.
    Other(Error),
}

/// A column and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Its name here.
    pub name: String,
    /// The base type that the bytes must have; 0 for an enum.
    pub of: u32,
    /// The type modifier it must have; -1 for any.
    pub typmod: i32,
}

/// The check of one read's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// An empty SELECT of the columns.
    pub sql: String,
    /// What its columns must be; columns that are cast at the source are not among them.
    pub columns: Vec<Expected>,
}

impl Probe {
    /// Whether the enum types of the source must be known.
    pub fn needs_types(&self) -> bool {
        self.columns.iter().any(|column| column.of == 0)
    }

    /// Takes the answer of [`TYPES_SQL`] in; `false` if the result is something else.
    pub fn learn_types(&self, session: &mut Session, result: &QueryResult) -> bool {
        if result.column_name(0).as_deref() != Some("warehouse_type") {
            return false;
        }
        for row in 0..result.rows() {
            let oid = result.text(row, 0).and_then(|t| t.parse().ok());
            let kind = result.text(row, 1).and_then(|t| t.chars().next());
            if let (Some(oid), Some(kind), Some(name)) = (oid, kind, result.text(row, 2)) {
                session.types.insert(oid, RemoteType { kind, name: name.to_owned() });
            }
        }
        true
    }

    /// Compares the columns of the answer with what they must be; `fresh` if the source's types have
    /// been asked for in the same read.
    pub fn check(
        &self,
        server: &str,
        session: &Session,
        result: &QueryResult,
        fresh: bool,
    ) -> std::result::Result<(), Mismatch> {
        for (at, column) in self.columns.iter().enumerate() {
            let (found, typmod) = result.column_type(at);
            let known = session.types.get(&found);
            let well = if column.of == 0 {
                known.is_some_and(|t| t.kind == 'e') || is_text(found)
            } else {
                (found == column.of || (is_text(found) && is_text(column.of)))
                    && fits(column.of, column.typmod, typmod)
            };
            if !well && column.of == 0 && known.is_none() && found >= 10_000 && !fresh {
                return Err(Mismatch::UnknownType);
            }
            if !well {
                let there = match known {
                    Some(found) => found.name.clone(),
                    None if found < 10_000 => types::type_name(Oid::from(found), typmod),
                    None => "of a type of its own".to_owned(),
                };
                let here = match column.of {
                    0 => "an enum".to_owned(),
                    of => types::type_name(Oid::from(of), column.typmod),
                };
                return Err(Mismatch::Other(Error::new(
                    Code::ERRCODE_FDW_INVALID_DATA_TYPE,
                    format!(
                        "column \"{}\" is {there} on server \"{server}\", not {here}",
                        column.name
                    ),
                )
                .hint("Run warehouse.merge_schema() again, IMPORT FOREIGN SCHEMA anew, or set the column option remote_type so that the source casts.")));
            }
        }
        Ok(())
    }
}

/// Whether values with one type modifier are values with another one.
fn fits(of: u32, here: i32, there: i32) -> bool {
    let only_wider = of == pg_sys::VARCHAROID.to_u32()
        || of == pg_sys::VARBITOID.to_u32()
        || of == pg_sys::TIMESTAMPOID.to_u32()
        || of == pg_sys::TIMESTAMPTZOID.to_u32()
        || of == pg_sys::TIMEOID.to_u32()
        || of == pg_sys::TIMETZOID.to_u32();
    here < 0 || here == there || (only_wider && there >= 0 && there < here)
}

/// The two types that share their form and all their operators.
fn is_text(of: u32) -> bool {
    of == pg_sys::TEXTOID.to_u32() || of == pg_sys::VARCHAROID.to_u32()
}

/// The base type whose bytes a column of type `of` decodes; 0 for an enum.
pub fn wire_type(of: Oid) -> u32 {
    let base = types::base_type(of);
    match types::facts(base) {
        Some(facts) if facts.kind == b'e' => 0,
        _ => base.to_u32(),
    }
}
