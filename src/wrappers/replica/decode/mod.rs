//! From the bytes of a row to values.
//!
//! Types of fixed layout are decoded in place: a by-value type is read, a short text becomes a datum
//! by turning the last byte of its length word into a one-byte varlena header. What needs another
//! layout goes to a scratch buffer that is reused for every row; everything else goes through the
//! type's own receive or input function in a context that is reset for every row.

mod function;
mod in_place;
mod travel;

pub use self::function::is_data_exception;
pub use self::travel::{Travel, travel};

use self::function::{DatabaseEncoding, Function, input, receive, told};
use self::in_place::{Scratch, copied, in_place};
use super::masked::ColumnMasker;
use super::private::State;
use super::state;
use crate::pg::error::{Error, Result};
use crate::pg::guc::Level;
use crate::pg::memory::Context;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Datum, Oid};
use warehouse_core::copy::Field;
use warehouse_core::masks::wire::Outcome;

#[derive(Debug)]
enum Kind {
    Bool,
    Int2,
    Int4,
    Oid,
    Int8,
    Float4,
    Date,
    Timestamp,
    Text,
    Bytes,
    Uuid,
    Interval,
    Numeric,
    State(State),
    Receive(Box<Function>),
    Input(Box<Function>),
}

/// One fetched column.
#[derive(Debug)]
pub struct Column {
    kind: Kind,
    /// Where its value goes in the row.
    target: usize,
    name: String,
    of: Oid,
    /// What is made of its values before they are decoded.
    pub mask: Option<ColumnMasker>,
    /// It is there for the masks of others alone.
    pub hidden: bool,
}

impl Column {
    /// A column of type `of` whose values go to position `target`.
    pub fn new(name: &str, of: Oid, typmod: i32, travel: Travel, target: usize) -> Column {
        let kind = match (travel, of) {
            (Travel::Text, _) => Kind::Input(Box::new(Function::input(of, typmod))),
            (_, pg_sys::BOOLOID) => Kind::Bool,
            (_, pg_sys::INT2OID) => Kind::Int2,
            (_, pg_sys::INT4OID) => Kind::Int4,
            (_, pg_sys::OIDOID) => Kind::Oid,
            (_, pg_sys::INT8OID | pg_sys::FLOAT8OID) => Kind::Int8,
            (_, pg_sys::FLOAT4OID) => Kind::Float4,
            (_, pg_sys::DATEOID) => Kind::Date,
            (_, pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID) => Kind::Timestamp,
            (_, pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID) => Kind::Text,
            (_, pg_sys::BYTEAOID) => Kind::Bytes,
            (_, pg_sys::UUIDOID) => Kind::Uuid,
            (_, pg_sys::INTERVALOID) => Kind::Interval,
            (_, pg_sys::NUMERICOID) => Kind::Numeric,
            _ => Kind::Receive(Box::new(Function::receive(of, typmod))),
        };
        Column { kind, target, name: name.to_owned(), of, mask: None, hidden: false }
    }

    /// A column that is put together from several fields.
    pub fn state(name: &str, state: State, target: usize) -> Column {
        let of = pg_sys::BYTEAOID;
        let name = name.to_owned();
        Column { kind: Kind::State(state), target, name, of, mask: None, hidden: false }
    }

    /// How many fields of the message it takes.
    pub fn parts(&self) -> usize {
        match self.kind {
            Kind::State(state) => state.parts(),
            _ => 1,
        }
    }

    fn calls_functions(&self) -> bool {
        matches!(self.kind, Kind::Receive(_) | Kind::Input(_))
    }
}

/// Decodes the rows of one scan.
#[derive(Debug)]
pub struct Decoder {
    columns: Vec<Column>,
    scratch: Vec<u64>,
    context: Context,
    calls_functions: bool,
    reads_xml: bool,
}

/// Above this the scratch buffer is given back after the row that needed it, in bytes.
const KEEP_SCRATCH: usize = 1 << 20;

impl Decoder {
    /// A decoder for rows of these columns, in the order in which they are asked for.
    pub fn new(columns: Vec<Column>) -> Decoder {
        Decoder {
            calls_functions: columns.iter().any(Column::calls_functions),
            reads_xml: columns.iter().any(|column| column.of == pg_sys::XMLOID),
            columns,
            scratch: Vec::new(),
            context: Context::new(c"warehouse row"),
        }
    }

    /// How many fields a message has.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Column::parts).sum()
    }

    /// Whether a mask is faster if it sees the rows that come next.
    pub fn looks_ahead(&mut self) -> bool {
        self.columns.iter_mut().filter_map(|column| column.mask.as_mut()).any(|m| m.looks_ahead())
    }

    /// Sees the rows that come next. None of them is decoded, and what is wrong with one is told when it
    /// is its turn.
    pub fn ahead<'r>(&mut self, rows: impl Iterator<Item = (&'r [u8], &'r [Field])> + Clone) {
        for mask in self.columns.iter_mut().filter_map(|column| column.mask.as_mut()) {
            if mask.looks_ahead() {
                mask.ahead(rows.clone());
            }
        }
    }

    /// Decodes one row. By-reference values point into `message`, the scratch buffer or the row
    /// context, and hold until the next call.
    pub fn row(
        &mut self,
        message: &mut [u8],
        fields: &[Field],
        values: &mut [Datum],
        nulls: &mut [bool],
    ) -> Result<()> {
        // The receive functions of text-like types convert from the client's encoding.
        let _encoding = self.calls_functions.then(DatabaseEncoding::enter);
        let _content = self.reads_xml.then(|| {
            // A fragment is a value too.
            let level = Level::enter();
            level.set(c"xmloption", c"content");
            level
        });
        if self.calls_functions {
            self.context.reset();
        }
        let mut masked = 0;
        for mask in self.columns.iter_mut().filter_map(|column| column.mask.as_mut()) {
            masked += mask.mask(message, fields)?;
        }
        let need = (message.len() + masked + 100 * self.columns.len()) / 8 + 1;
        if self.scratch.len() < need || self.scratch.len() * 8 > KEEP_SCRATCH.max(need * 8) {
            self.scratch = vec![0; need];
        }
        let mut scratch = Scratch::new(&mut self.scratch);
        let mut at = 0;
        for column in &mut self.columns {
            let target = column.target;
            let Some(field) = fields.get(at) else { return Err(malformed(&column.name)) };
            if let Kind::State(kind) = column.kind {
                let parts = fields.get(at..at + kind.parts());
                at += kind.parts();
                nulls[target] = false;
                values[target] = parts
                    .and_then(|parts| state::serialized(kind, message, parts))
                    .and_then(|bytes| copied(&bytes, &mut scratch))
                    .ok_or_else(|| malformed(&column.name))?;
                continue;
            }
            at += 1;
            if column.hidden {
                continue;
            }
            let outcome = column.mask.as_ref().map_or(Outcome::Unchanged, ColumnMasker::outcome);
            if field.len < 0 || outcome == Outcome::Null {
                nulls[target] = true;
                values[target] = Datum::from(0);
                continue;
            }
            nulls[target] = false;
            // Of a masked value only what may be seen is decoded.
            let (message, start, len) = match &mut column.mask {
                Some(mask) if outcome == Outcome::Written => mask.bytes(),
                _ => (&mut *message, field.offset, field.len as usize),
            };
            values[target] = match &mut column.kind {
                Kind::Receive(function) => {
                    let bytes = &mut message[start..];
                    self.context.run(|| {
                        told(&column.name, column.of, || {
                            receive(function, bytes, len, &column.name)
                        })
                    })?
                }
                Kind::Input(function) => {
                    let bytes = &message[start..start + len];
                    self.context.run(|| {
                        told(&column.name, column.of, || input(function, bytes, &column.name))
                    })?
                }
                kind => in_place(kind, message, start, len, &mut scratch)
                    .ok_or_else(|| malformed(&column.name))?,
            };
        }
        Ok(())
    }
}

fn malformed(column: &str) -> Error {
    Error::new(
        Code::ERRCODE_INVALID_BINARY_REPRESENTATION,
        format!("column \"{column}\" arrived in a form that its type does not have"),
    )
}
