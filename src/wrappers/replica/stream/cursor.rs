//! A read that takes turns with others: piece by piece, through a binary cursor.

use super::{State, Stream};
use crate::pg::error::{Error, Result};
use crate::pg::libpq::{QueryResult, Status};
use crate::wrappers::replica::opening::BATCH_BYTES;
use std::time::Instant;
use warehouse_core::copy::Field;

/// Rows of a batch at most.
const BATCH_ROWS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) batch: QueryResult,
    pub(super) at: usize,
    /// Rows asked for at a time.
    pub(super) count: usize,
    /// The source has no more rows than those in the batch.
    pub(super) last: bool,
}

impl Stream {
    /// Moves to the next row; `false` at the end.
    pub(super) fn cursor_row(&mut self) -> Result<bool> {
        let State::Cursor(cursor) = &mut self.state else { return Ok(false) };
        if cursor.at == cursor.batch.rows() {
            if cursor.last {
                self.connection.close_cursor(self.savepoint);
                return Ok(false);
            }
            let average = (self.stats.bytes / self.stats.rows.max(1)).max(1) as usize;
            cursor.count = (BATCH_BYTES / average).clamp(1, BATCH_ROWS);
            let sql = format!("FETCH {} FROM c{}", cursor.count, self.savepoint);
            let since = Instant::now();
            let mut batch = None;
            self.connection.continue_read(self.savepoint, &sql, |_, result| {
                if result.status() == Status::Rows {
                    batch = Some(result);
                }
                Ok(())
            })?;
            self.stats.waiting += since.elapsed();
            cursor.batch = batch.ok_or_else(|| Error::bug("FETCH gave no rows"))?;
            cursor.at = 0;
            cursor.last = cursor.batch.rows() < cursor.count;
            if cursor.batch.rows() == 0 {
                self.connection.close_cursor(self.savepoint);
                return Ok(false);
            }
        }
        // The decoder wants each value behind four bytes of its own, as in a COPY.
        self.bytes.clear();
        self.buffer = None;
        for (column, field) in self.fields.iter_mut().enumerate() {
            self.bytes.extend_from_slice(&[0; 4]);
            match cursor.batch.value(cursor.at, column) {
                None => *field = Field { offset: self.bytes.len(), len: -1 },
                Some(value) => {
                    *field = Field { offset: self.bytes.len(), len: value.len() as i32 };
                    self.bytes.extend_from_slice(value);
                }
            }
        }
        self.bytes.push(0);
        self.stats.bytes += self.bytes.len() as u64;
        cursor.at += 1;
        Ok(true)
    }
}
