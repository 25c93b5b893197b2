//! Rows of a COPY that have come with the current one and that somebody has looked at before they are
//! asked for.
//!
//! libpq reads as much as comes, so the rows behind the current one mostly lie in its buffer already; to
//! look at them costs no wait. They are asked for in their order, as if nobody had.

use crate::pg::libpq::Buffer;
use std::collections::VecDeque;
use warehouse_core::copy::{Field, Message, Splitter};

/// Rows that have been looked at, in their order.
#[derive(Debug, Default)]
pub struct Ahead {
    rows: VecDeque<(Buffer, Vec<Field>)>,
    /// Room for the fields of the next ones.
    spare: Vec<Vec<Field>>,
}

impl Ahead {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a message behind them; gives it back if it is no row of so many columns.
    pub fn add(&mut self, buffer: Buffer, width: usize, splitter: &mut Splitter) -> Option<Buffer> {
        let mut fields = self.spare.pop().unwrap_or_default();
        fields.resize(width, Field::default());
        if splitter.split(buffer.bytes(), &mut fields) == Ok(Message::Row) {
            self.rows.push_back((buffer, fields));
            return None;
        }
        Some(buffer)
    }

    /// Makes the first of them the current row; `false` if there is none.
    pub fn next(&mut self, buffer: &mut Option<Buffer>, fields: &mut Vec<Field>) -> bool {
        let Some((first, mut its_fields)) = self.rows.pop_front() else { return false };
        *buffer = Some(first);
        std::mem::swap(fields, &mut its_fields);
        self.spare.push(its_fields);
        true
    }

    /// All of them, as of [`Stream::row`](super::stream::Stream::row).
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[Field])> + Clone {
        self.rows.iter().map(|(buffer, fields)| (buffer.bytes(), fields.as_slice()))
    }

    /// Gives their messages up.
    pub fn give(&mut self) -> impl Iterator<Item = Buffer> {
        self.rows.drain(..).map(|(buffer, _)| buffer)
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.rows.clear();
    }
}
