//! The rows of one read, as they arrive.
//!
//! A read runs as one binary COPY, which the source may execute in parallel and which holds the wire
//! until its end, or as a binary cursor where several reads take turns. If something else needs the
//! wire while a COPY is under way, the rest of it goes to a [`Spool`].

use super::ahead::Ahead;
use super::connection::{Connection, Resumed, Wait};
use super::masked;
use super::opening::{BATCH_BYTES, Opening, first_batch, opening_sql};
use super::probe::Probe;
use super::session::{Failure, Session, remote_error};
use crate::pg::error::{Error, Result};
use crate::pg::executor::{Asker, Left};
use crate::pg::libpq::{Buffer, CopyStep, QueryResult, Status};
use crate::pg::spool::Spool;
use pgrx::PgSqlErrorCode as Code;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use warehouse_core::copy::{CopyError, Field, Message, Splitter};

/// What to read.
#[derive(Debug, Clone)]
pub struct Request {
    /// The SELECT, complete.
    pub sql: String,
    /// What must be true of the tables' columns.
    pub probe: Probe,
    /// The source's collation signature that the plan relies on, if it relies on one.
    pub collation: Option<String>,
    /// What errors call the relation.
    pub label: String,
    /// The number of columns.
    pub width: usize,
    /// The expected size of a row in bytes.
    pub row_size: usize,
    /// Read piecewise, through a cursor.
    pub piecewise: bool,
    /// DateStyle and IntervalStyle while it is read, if they have to be those of this session.
    pub styles: Option<(String, String)>,
    /// It fetches values that nobody may see as they are: the source's errors may quote them.
    pub withheld: bool,
}

/// What EXPLAIN ANALYZE tells of a read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Rows received.
    pub rows: u64,
    /// Bytes of these rows.
    pub bytes: u64,
    /// Reads begun.
    pub reads: u64,
    /// Time from asking to the first row or to the end of an empty result, summed over the reads.
    pub first_row: Duration,
    /// Time spent waiting for the source.
    pub waiting: Duration,
}

#[derive(Debug)]
enum State {
    /// It has been sent.
    Starting(Box<Opening>),
    Copy,
    /// Everything left is in the spool; the error that ended it, if one did.
    Spooled(Spool, Option<Error>),
    Cursor(Cursor),
    End,
}

#[derive(Debug)]
struct Cursor {
    batch: QueryResult,
    at: usize,
    /// Rows asked for at a time.
    count: usize,
    /// The source has no more rows than those in the batch.
    last: bool,
}

/// Rows of a batch at most.
const BATCH_ROWS: usize = 10_000;

/// A row of more bytes is not looked at beforehand together with others.
const SMALL_ROW: usize = 64 << 10;

/// A row of more bytes costs the connection, at the end of the transaction.
const LARGE_ROW: usize = 8 << 20;

/// The rows of one read.
#[derive(Debug)]
pub struct Stream {
    me: Weak<RefCell<Stream>>,
    connection: Rc<Connection>,
    request: Request,
    savepoint: u64,
    state: State,
    splitter: Splitter,
    fields: Vec<Field>,
    /// Rows that somebody has looked at before they were asked for. Nothing has come behind them but what
    /// is in `taken`.
    ahead: Ahead,
    /// Whether the current row was looked at so.
    looked_at: bool,
    /// What has been taken from the wire before it was asked for.
    taken: Option<Result<Option<Buffer>>>,
    /// The row's message as it came, or `None` if it stands in `bytes`.
    buffer: Option<Buffer>,
    bytes: Vec<u8>,
    began: Instant,
    attempt: u32,
    seen: u64,
    asker: Option<Asker>,
    left: Option<Left>,
    /// What it has cost so far.
    pub stats: Stats,
}

impl Request {
    /// An error of the read, as it is told: with the relation, and without what the source says where
    /// that may quote a value that is masked.
    fn told(&self, error: Error) -> Error {
        let error = if self.withheld { masked::withheld(error) } else { error };
        error.within(&self.label)
    }
}

impl Stream {
    /// Begins the read; `soon` without waiting for its rows.
    pub fn open(
        connection: &Rc<Connection>,
        request: Request,
        soon: bool,
    ) -> Result<Rc<RefCell<Stream>>> {
        let stream = Rc::new_cyclic(|me: &Weak<RefCell<Stream>>| {
            RefCell::new(Stream {
                me: Weak::clone(me),
                connection: Rc::clone(connection),
                fields: vec![Field::default(); request.width],
                request,
                savepoint: 0,
                state: State::End,
                splitter: Splitter::default(),
                ahead: Ahead::default(),
                looked_at: false,
                taken: None,
                buffer: None,
                bytes: Vec::new(),
                began: Instant::now(),
                attempt: 0,
                seen: 0,
                asker: None,
                left: None,
                stats: Stats::default(),
            })
        });
        {
            let mut inner = stream.borrow_mut();
            let begun = if soon { inner.begin_soon() } else { inner.begin() };
            begun.map_err(|error| inner.request.told(error))?;
        }
        Ok(stream)
    }

    /// Begins the read and waits until its rows come.
    fn begin(&mut self) -> Result<()> {
        self.starts();
        let mut opening = Opening::new(&self.request, &self.connection);
        let verify = opening.verify;
        let (request, connection) = (&self.request, &self.connection);
        let body =
            |savepoint: u64, session: &Session| opening_sql(request, session, savepoint, verify);
        let savepoint = connection.begin_read(&body, |session, result| {
            opening.receive(request, connection, session, result)
        });
        match savepoint {
            // Types that were made since the session began are asked for, once.
            Err(_) if opening.unknown => self.begin(),
            savepoint => self.begun(opening, savepoint?),
        }
    }

    /// Begins the read without waiting for anything but its sending.
    fn begin_soon(&mut self) -> Result<()> {
        self.starts();
        let opening = Opening::new(&self.request, &self.connection);
        let request = &self.request;
        let body = |savepoint: u64, session: &Session| {
            opening_sql(request, session, savepoint, opening.verify)
        };
        match self.connection.send_read(&body)? {
            None => self.begin(),
            Some(savepoint) => {
                self.savepoint = savepoint;
                self.connection.take_wire(Weak::clone(&self.me));
                self.state = State::Starting(Box::new(opening));
                Ok(())
            }
        }
    }

    fn starts(&mut self) {
        self.began = Instant::now();
        self.stats.reads += 1;
        self.splitter = Splitter::default();
    }

    /// Goes on with a read that has been sent; `false` if its rows do not come yet and it must not
    /// `wait` for them.
    fn settle(&mut self, wait: Wait) -> Result<bool> {
        let mut opening = match std::mem::replace(&mut self.state, State::End) {
            State::Starting(opening) => opening,
            other => {
                self.state = other;
                return Ok(true);
            }
        };
        let (request, connection) = (&self.request, &self.connection);
        let outcome = connection.resume(wait, &mut |session: &mut Session, result| {
            opening.receive(request, connection, session, result)
        });
        match outcome {
            Ok(Resumed::Waiting) => {
                self.state = State::Starting(opening);
                Ok(false)
            }
            Ok(Resumed::Begun(savepoint)) => self.begun(*opening, savepoint).map(|()| true),
            Ok(Resumed::Again) => self.begin().map(|()| true),
            Err(_) if opening.unknown => self.begin().map(|()| true),
            Err(error) => Err(error),
        }
    }

    /// The rows come.
    fn begun(&mut self, opening: Opening, savepoint: u64) -> Result<()> {
        let connection = &self.connection;
        self.stats.waiting += self.began.elapsed();
        self.savepoint = savepoint;
        if opening.copying {
            connection.take_wire(Weak::clone(&self.me));
            self.state = State::Copy;
            return Ok(());
        }
        let batch =
            opening.batch.ok_or_else(|| Error::bug("the source did not begin to answer"))?;
        connection.take_wire(Weak::new());
        connection.keep_read(savepoint);
        let count = first_batch(&self.request);
        let last = batch.rows() < count;
        self.state = State::Cursor(Cursor { batch, at: 0, count, last });
        Ok(())
    }

    /// Moves to the next row; `false` at the end.
    pub fn advance(&mut self) -> Result<bool> {
        let outcome = self.advance_inner();
        if self.seen == 0 {
            self.stats.first_row += self.began.elapsed();
        }
        match outcome {
            Ok(true) => {
                self.seen += 1;
                self.stats.rows += 1;
                self.connection.hand_out();
                Ok(true)
            }
            Ok(false) => {
                self.state = State::End;
                Ok(false)
            }
            Err(error) => {
                self.state = State::End;
                Err(self.request.told(error))
            }
        }
    }

    fn advance_inner(&mut self) -> Result<bool> {
        loop {
            match &mut self.state {
                State::End => return Ok(false),
                State::Starting(_) => {
                    self.settle(Wait::Forever)?;
                }
                State::Copy if self.ahead.next(&mut self.buffer, &mut self.fields) => {
                    self.looked_at = true;
                    self.received();
                    return Ok(true);
                }
                State::Copy => match self.copy_message() {
                    Ok(None) => return Ok(false),
                    Ok(Some(buffer)) => {
                        match self.splitter.split(buffer.bytes(), &mut self.fields) {
                            Ok(Message::Trailer) => {}
                            Ok(Message::Row) => {
                                self.buffer = Some(buffer);
                                self.looked_at = false;
                                self.received();
                                return Ok(true);
                            }
                            Err(error) => {
                                self.connection.stop_read();
                                return Err(malformed(error));
                            }
                        }
                    }
                    Err(error)
                        if self.seen == 0
                            && self.connection.may_start_over(&error, self.attempt) =>
                    {
                        self.connection.start_over(self.attempt);
                        self.attempt += 1;
                        self.begin()?;
                    }
                    Err(error) => return Err(error),
                },
                State::Spooled(spool, error) => {
                    let Some(len) = spool.take(&mut self.bytes)? else {
                        return error.take().map_or(Ok(false), Err);
                    };
                    self.buffer = None;
                    match self.splitter.split(&self.bytes[..len], &mut self.fields) {
                        Ok(Message::Trailer) => {}
                        Ok(Message::Row) => {
                            self.stats.bytes += len as u64;
                            return Ok(true);
                        }
                        Err(error) => return Err(malformed(error)),
                    }
                }
                State::Cursor(_) => return self.cursor_row(),
            }
        }
    }

    /// Notes a row that has come in a COPY.
    fn received(&mut self) {
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

    /// The current row and those behind it that have been looked at, as of [`Stream::row`].
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[Field])> + Clone {
        let current = self.buffer.as_ref().map(|buffer| (buffer.bytes(), self.fields.as_slice()));
        current.into_iter().chain(self.ahead.rows())
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
    fn copy_message(&mut self) -> Result<Option<Buffer>> {
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

    fn cursor_row(&mut self) -> Result<bool> {
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

    /// The current row: its bytes and where the fields are in them.
    pub fn row(&mut self) -> (&mut [u8], &[Field]) {
        let bytes = match &mut self.buffer {
            Some(buffer) => buffer.bytes_mut(),
            None => self.bytes.as_mut_slice(),
        };
        (bytes, &self.fields)
    }

    /// Reads what is left on the wire into a spool, so that something else may use the wire.
    fn drain(&mut self) -> Result<()> {
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

    /// Which Append reads it among others at the same time.
    pub fn asker(&self) -> Option<Asker> {
        self.asker.filter(|_| matches!(self.state, State::Copy | State::Starting(_)))
    }

    /// Says whose rows they are.
    pub fn set_left(&mut self, left: Left) {
        self.left = Some(left);
    }

    /// Makes room on the wire: reads the rest into a spool, unless nobody will want it.
    pub fn give_way(&mut self) -> Result<()> {
        if self.left.is_some_and(Left::is_left) {
            self.close();
            return Ok(());
        }
        self.drain()
    }

    /// Says which Append reads it.
    pub fn set_asker(&mut self, asker: Asker) {
        self.asker = Some(asker);
    }

    /// The socket that its rows come from.
    pub fn socket(&self) -> Option<i32> {
        self.connection.with_session(|session| Ok(session.conn.socket())).ok().flatten()
    }

    /// Ends the read wherever it is. Raises what interrupts it while it waits for the source to obey.
    pub fn close(&mut self) {
        self.ahead.clear();
        let settled = matches!(self.taken.take(), Some(Ok(None) | Err(_)));
        match std::mem::replace(&mut self.state, State::End) {
            State::Copy if settled => {}
            State::Starting(_) | State::Copy => self.connection.stop_read(),
            State::Cursor(_) => self.connection.close_cursor(self.savepoint),
            State::Spooled(..) | State::End => {}
        }
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

fn malformed(error: CopyError) -> Error {
    Error::new(
        Code::ERRCODE_PROTOCOL_VIOLATION,
        format!("the source sent something that is no binary COPY: {error}"),
    )
}

impl Stats {
    /// Adds those of another read.
    pub fn add(&mut self, other: &Stats) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.reads += other.reads;
        self.first_row += other.first_row;
        self.waiting += other.waiting;
    }
}
