//! A read that runs as one binary COPY: its messages, the rows behind the current one, and what is left when
//! something else needs the wire.

use super::{State, Stream, Wait};
use crate::pg::error::Result;
use crate::pg::libpq::{Buffer, CopyStep, Status};
use crate::pg::spool::Spool;
use crate::wrappers::replica::session::{Failure, Session, remote_error};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A row of more bytes is not looked at beforehand together with others.
const SMALL_ROW: usize = 64 << 10;

/// A row of more bytes costs the connection, at the end of the transaction.
const LARGE_ROW: usize = 8 << 20;

impl Stream {
    /// Notes a row that has come in a COPY.
    pub(super) fn received(&mut self) {
        let bytes = self.buffer.as_ref().map_or(0, |buffer| buffer.bytes().len());
        self.stats.bytes += bytes as u64;
        if bytes > LARGE_ROW {
            // libpq keeps a buffer of that size for as long as it lives.
            self.connection.stale.set(true);
        }
    }

    /// Looks at up to so many rows behind the current one that have come with it, unless the current one
    /// was itself looked at before. Whether there are any.
    pub fn look_ahead(&mut self, most: usize) -> Result<bool> {
        if !matches!(self.state, State::Copy) || self.taken.is_some() || self.looked_at {
            return Ok(false);
        }
        let is_small = |buffer: &Buffer| buffer.bytes().len() <= SMALL_ROW;
        if !self.buffer.as_ref().is_some_and(is_small) {
            return Ok(false);
        }
        while self.ahead.len() < most {
            let step = self.connection.with_session(|session| Ok(session.conn.copy_step()))?;
            let buffer = match step {
                CopyStep::Wait => break,
                CopyStep::Message(buffer) => buffer,
                step => {
                    self.taken = Some(self.ended(step));
                    break;
                }
            };
            let is_last = !is_small(&buffer);
            if let Some(other) = self.ahead.add(buffer, self.fields.len(), &mut self.splitter) {
                // The trailer, or what is no row: it is its turn when it is asked for.
                self.taken = Some(Ok(Some(other)));
                break;
            }
            if is_last {
                break;
            }
        }
        Ok(!self.ahead.is_empty())
    }

    /// Whether the next row, the end or an error is there without waiting.
    pub fn is_ready(&mut self) -> Result<bool> {
        let settled = self.settle(Wait::Never);
        if !settled.map_err(|error| self.request.told(error))? {
            return Ok(false);
        }
        let is_there = self.taken.is_some() || !self.ahead.is_empty();
        if !matches!(self.state, State::Copy) || is_there {
            return Ok(true);
        }
        let waits = self.connection.with_session(|session| {
            let step = session.conn.copy_step();
            if !matches!(step, CopyStep::Wait) {
                return Ok(Some(step));
            }
            // A connection that broke is told by the next step.
            session.conn.consume_input();
            match session.conn.copy_step() {
                CopyStep::Wait if !session.conn.is_bad() => Ok(None),
                step => Ok(Some(step)),
            }
        })?;
        match waits {
            None => Ok(false),
            Some(CopyStep::Message(buffer)) => {
                self.taken = Some(Ok(Some(buffer)));
                Ok(true)
            }
            Some(step) => {
                self.taken = Some(self.ended(step));
                Ok(true)
            }
        }
    }

    /// What the end of a COPY, or of its connection, means.
    fn ended(&mut self, step: CopyStep) -> Result<Option<Buffer>> {
        let connection = Rc::clone(&self.connection);
        let outcome = connection.with_session(|session| {
            Ok(match step {
                CopyStep::End => end_of_copy(session, &connection.server.name),
                _ => Err(Failure::Broken(session.conn.message())),
            })
        })?;
        self.settled(outcome)
    }

    /// The next message of the COPY; `None` at its end.
    pub(super) fn copy_message(&mut self) -> Result<Option<Buffer>> {
        if let Some(taken) = self.taken.take() {
            return taken;
        }
        let connection = Rc::clone(&self.connection);
        let mut waited = Duration::ZERO;
        let outcome = connection.with_session(|session| {
            Ok((|| {
                loop {
                    match session.conn.copy_step() {
                        CopyStep::Message(buffer) => return Ok(Some(buffer)),
                        CopyStep::End => return end_of_copy(session, &connection.server.name),
                        CopyStep::Failed => return Err(Failure::Broken(session.conn.message())),
                        CopyStep::Wait => {
                            let since = Instant::now();
                            let alive = session.wait_for_input();
                            waited += since.elapsed();
                            if !alive {
                                return Err(Failure::Broken(session.conn.message()));
                            }
                        }
                    }
                }
            })())
        })?;
        self.stats.waiting += waited;
        self.settled(outcome)
    }

    /// What the connection has to know of a step.
    fn settled(
        &mut self,
        outcome: std::result::Result<Option<Buffer>, Failure>,
    ) -> Result<Option<Buffer>> {
        let connection = &self.connection;
        match outcome {
            Ok(Some(buffer)) => Ok(Some(buffer)),
            Ok(None) => {
                connection.finish_read(self.savepoint);
                Ok(None)
            }
            Err(Failure::Remote(error)) => {
                connection.finish_read(self.savepoint);
                connection.fail_read(self.savepoint);
                Err(error)
            }
            Err(failure) => Err(connection.failed(failure)),
        }
    }

    /// Reads what is left on the wire into a spool, so that something else may use the wire.
    pub(super) fn drain(&mut self) -> Result<()> {
        self.settle(Wait::Forever)?;
        if !matches!(self.state, State::Copy) {
            return Ok(());
        }
        let mut spool = Spool::new();
        let mut failure = None;
        for buffer in self.ahead.give() {
            spool.put(buffer.bytes());
        }
        loop {
            match self.copy_message() {
                Ok(Some(buffer)) => spool.put(buffer.bytes()),
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        spool.rewind()?;
        self.state = State::Spooled(spool, failure);
        Ok(())
    }
}

/// The results behind the data of a COPY say whether it ended well.
fn end_of_copy(session: &Session, server: &str) -> std::result::Result<Option<Buffer>, Failure> {
    let mut failure = None;
    while let Some(result) = session.next_result_after(failure.as_ref())? {
        if result.status() == Status::Error {
            failure = Some(Failure::Remote(remote_error(server, &result)));
        }
    }
    failure.map_or(Ok(None), Err)
}
