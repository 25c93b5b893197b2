//! Rows of a scan whose columns under the mask `shuffle` change places with those of other rows.
//!
//! It is done to the messages of the source, before a row is made of one: a row with the value that belongs
//! to it never exists. Some rows are held back, so that the first ones too have others to change with.

use super::private::Fetched;
use super::stream::Stream;
use crate::pg::error::{Error, Result};
use crate::privacy::shuffling;
use pgrx::PgSqlErrorCode as Code;
use std::collections::VecDeque;
use std::fmt;
use warehouse_core::copy::Field;
use warehouse_core::masks::shuffle::Pool;

/// Rows that are held back at most, and their bytes.
const HELD: usize = 4_096;
const BYTES: usize = 8 << 20;

/// A row as the source sent it.
struct Message {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// A field of the messages, and its values that came and did not go; `None` is NULL.
struct Column {
    field: usize,
    pool: Pool<Option<Vec<u8>>>,
}

/// The rows of a scan.
pub struct Shuffle {
    columns: Vec<Column>,
    held: VecDeque<Message>,
    bytes: usize,
    is_over: bool,
    current: Option<Message>,
}

impl fmt::Debug for Shuffle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shuffle").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

/// Whether a column is shuffled.
pub fn is_of(column: &Fetched) -> bool {
    column.mask.as_ref().is_some_and(|mask| mask.text == "shuffle")
}

impl Shuffle {
    /// For what is fetched; `None` where nothing of it is shuffled. `positions` are the first fields of the
    /// columns.
    ///
    /// # Errors
    /// 55000 outside of a full refresh.
    pub fn of(fetched: &[Fetched], positions: &[usize]) -> Result<Option<Shuffle>> {
        let mut columns = Vec::new();
        for (column, field) in fetched.iter().zip(positions).filter(|(column, _)| is_of(column)) {
            if !shuffling::is_allowed() {
                return Err(Error::new(
                    Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!(
                        "column \"{}\" is not shown: its mask is for full refreshes",
                        column.name
                    ),
                ));
            }
            let pool = Pool::new().map_err(|error| {
                Error::new(
                    Code::ERRCODE_SYSTEM_ERROR,
                    format!("there are no random numbers: {error}"),
                )
            })?;
            columns.push(Column { field: *field, pool });
        }
        Ok((!columns.is_empty()).then(|| Shuffle {
            columns,
            held: VecDeque::new(),
            bytes: 0,
            is_over: false,
            current: None,
        }))
    }

    /// Goes to the next row; false after the last.
    pub fn advance(&mut self, stream: &mut Stream) -> Result<bool> {
        while !self.is_over && (self.held.len() < 2 || self.held.len() < HELD && self.bytes < BYTES)
        {
            if !stream.advance()? {
                self.is_over = true;
                break;
            }
            let (bytes, fields) = stream.row();
            let message = Message { bytes: bytes.to_vec(), fields: fields.to_vec() };
            for column in &mut self.columns {
                column.pool.put(message.value(column.field).map(<[u8]>::to_vec));
            }
            self.bytes += message.bytes.len();
            self.held.push_back(message);
        }
        self.current = self.held.pop_front();
        let Some(message) = &mut self.current else { return Ok(false) };
        self.bytes -= message.bytes.len();
        for column in &mut self.columns {
            let value =
                column.pool.take().ok_or_else(|| Error::bug("a shuffled value is missing"))?;
            message.put(column.field, value.as_deref());
        }
        Ok(true)
    }

    /// The row, as of [`Stream::row`].
    pub fn row(&mut self) -> Result<(&mut [u8], &[Field])> {
        let message =
            self.current.as_mut().ok_or_else(|| Error::bug("there is no shuffled row"))?;
        Ok((&mut message.bytes, &message.fields))
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(|column| column.pool.clear());
        self.held.clear();
        (self.bytes, self.is_over, self.current) = (0, false, None);
    }
}

impl Message {
    fn value(&self, field: usize) -> Option<&[u8]> {
        let field = self.fields.get(field).filter(|field| field.len >= 0)?;
        self.bytes.get(field.offset..field.offset + field.len as usize)
    }

    /// Puts a value into a field's place: behind the others, with the four bytes in front that a decoder
    /// writes to and the NUL behind that receive functions may rely on.
    fn put(&mut self, field: usize, value: Option<&[u8]>) {
        let Some(field) = self.fields.get_mut(field) else { return };
        match value {
            None => field.len = -1,
            Some(value) => {
                self.bytes.extend_from_slice(&[0; 4]);
                *field = Field { offset: self.bytes.len(), len: value.len() as i32 };
                self.bytes.extend_from_slice(value);
                self.bytes.push(0);
            }
        }
    }
}
