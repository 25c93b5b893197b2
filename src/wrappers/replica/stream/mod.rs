//! The rows of one read, as they arrive.
//!
//! A read runs as one binary COPY, which the source may execute in parallel and which holds the wire
//! until its end, or as a binary cursor where several reads take turns. If something else needs the
//! wire while a COPY is under way, the rest of it goes to a [`Spool`].

mod copying;
mod cursor;

use self::cursor::Cursor;
use super::ahead::Ahead;
use super::connection::{Connection, Resumed, Wait};
use super::masked;
use super::opening::{Opening, first_batch, opening_sql};
use super::probe::Probe;
use super::session::Session;
use crate::pg::error::{Error, Result};
use crate::pg::executor::{Asker, Left};
use crate::pg::libpq::Buffer;
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

    /// The current row and those behind it that have been looked at, as of [`Stream::row`].
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[Field])> + Clone {
        let current = self.buffer.as_ref().map(|buffer| (buffer.bytes(), self.fields.as_slice()));
        current.into_iter().chain(self.ahead.rows())
    }

    /// The current row: its bytes and where the fields are in them.
    pub fn row(&mut self) -> (&mut [u8], &[Field]) {
        let bytes = match &mut self.buffer {
            Some(buffer) => buffer.bytes_mut(),
            None => self.bytes.as_mut_slice(),
        };
        (bytes, &self.fields)
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
