//! One connection a user mapping and session, and the transaction on it.
//!
//! Always true:
//! - The transaction at the source is REPEATABLE READ READ ONLY and lasts as long as the local one,
//!   so everything a local transaction reads from a server is one snapshot.
//! - Every read starts at a savepoint of its own. A read that fails or is given up goes back to it,
//!   and the snapshot survives; so local subtransactions need no counterpart at the source.
//! - The wire belongs to at most one [`Stream`] at a time; whoever needs it next makes the owner drain
//!   what is left into its spool first.
//! - Nothing waits without the latch; the callbacks that end a transaction wait for nothing but the
//!   sending of a cancel, and for that at most [`CANCEL_PATIENCE`].

use super::session::{
    CANCEL_PATIENCE, Exchange, Failure, STOP_PATIENCE, Session, is_conflict, remote_error, settled,
};
use super::stream::Stream;
use crate::pg::catalog::{Mapping, Server};
use crate::pg::datum;
use crate::pg::error::{Error, Result};
use crate::pg::executor::Asker;
use crate::pg::libpq::{CancelRequest, Canceller, ErrorField, QueryResult, Status};
use crate::pg::subtransaction;
use crate::pg::wait;
use pgrx::PgSqlErrorCode as Code;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Weak;
use std::time::{Duration, Instant};
use warehouse_core::quote;

/// How often a read that a standby cancelled for recovery is tried again.
pub const RECOVERY_RETRIES: u32 = 4;

/// How long to wait for a source to answer a cancel before it is asked again.
const ANSWER_PATIENCE: Duration = Duration::from_millis(25);
/// How long a read that is given up may take to end by itself before it is cancelled.
const GRACE: Duration = Duration::from_millis(10);

/// A connection, live or not.
pub struct Connection {
    /// The server it leads to.
    pub server: Server,
    /// The user mapping it belongs to.
    pub mapping: Mapping,
    /// The role need not prove a password of the mapping.
    trusted: bool,
    session: RefCell<Option<Session>>,
    /// Cancels what runs there, also while `session` is in use: a terminated backend does not unwind.
    canceller: RefCell<Option<Canceller>>,
    in_transaction: Cell<bool>,
    /// Rows of this transaction have reached the executor: it cannot silently start again.
    handed_out: Cell<bool>,
    lost: Cell<bool>,
    /// The server or mapping changed: close when the transaction ends.
    pub stale: Cell<bool>,
    /// TimeZone there; empty when a rollback may have changed it.
    timezone: RefCell<String>,
    savepoints: RefCell<Vec<(u64, bool)>>,
    next_savepoint: Cell<u64>,
    rollback_to: Cell<Option<u64>>,
    owner: RefCell<Weak<RefCell<Stream>>>,
    /// The savepoint of the read whose answer is not at its end.
    wire: Cell<Option<u64>>,
    /// A read that has been sent and whose rows have not begun to come.
    starting: RefCell<Option<Start>>,
    /// The subtransaction in which the read on the wire was begun.
    level: Cell<u32>,
    /// A cancel that may still be on its way.
    cancelling: RefCell<Option<CancelRequest>>,
    /// A batch was interrupted before its preamble was known to stand.
    unsure: Cell<bool>,
    /// Cursors that are done with and still open at the source.
    cursors_to_close: RefCell<Vec<u64>>,
    /// Probes that hold in this transaction: their tables are locked at the source.
    verified: RefCell<HashSet<String>>,
}

/// A read that has been sent and whose answer has not been read up to its rows.
pub struct Start {
    /// Its savepoint.
    pub savepoint: u64,
    /// How many results come before those of its body.
    count: usize,
    timezone: String,
    /// The first savepoint that is gone.
    dead: Option<u64>,
    seen: usize,
    failure: Option<Failure>,
    /// It was the first on a connection that had been idle: if that broke, a new one will do.
    renewable: bool,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("savepoint", &self.savepoint).finish_non_exhaustive()
    }
}

/// What became of a read that was sent.
#[derive(Debug)]
pub enum Resumed {
    /// Its rows come, or it has ended; its savepoint.
    Begun(u64),
    /// Nothing yet.
    Waiting,
    /// It has to be begun again.
    Again,
}

/// How long to wait for a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until it comes.
    Forever,
    /// Until then.
    Until(Instant),
    /// Not at all.
    Never,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server.name).finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection that is opened when it is first used.
    pub fn new(server: Server, mapping: Mapping, trusted: bool) -> Connection {
        Connection {
            server,
            mapping,
            trusted,
            session: RefCell::new(None),
            canceller: RefCell::new(None),
            in_transaction: Cell::new(false),
            handed_out: Cell::new(false),
            lost: Cell::new(false),
            stale: Cell::new(false),
            timezone: RefCell::new(String::new()),
            savepoints: RefCell::new(Vec::new()),
            next_savepoint: Cell::new(1),
            rollback_to: Cell::new(None),
            owner: RefCell::new(Weak::new()),
            wire: Cell::new(None),
            starting: RefCell::new(None),
            level: Cell::new(0),
            cancelling: RefCell::new(None),
            unsure: Cell::new(false),
            cursors_to_close: RefCell::new(Vec::new()),
            verified: RefCell::new(HashSet::new()),
        }
    }

    /// Whether there is an open socket.
    pub fn is_open(&self) -> bool {
        self.session.borrow().is_some()
    }

    /// Whether a transaction is open at the source.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction.get()
    }

    /// Facts for `warehouse.replica_connections()`: process there, server version, seconds open.
    pub fn facts(&self) -> Option<(i32, i32, f64)> {
        self.session.borrow().as_ref().map(|s| {
            (s.conn.backend_pid(), s.conn.server_version(), s.since.elapsed().as_secs_f64())
        })
    }

    /// Runs `f` on the live session.
    pub fn with_session<T>(&self, f: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let mut session = self.session.borrow_mut();
        match session.as_mut() {
            Some(session) => f(session),
            None => Err(self.lost_error("the connection is closed")),
        }
    }

    // -- reads -------------------------------------------------------------------------------------

    /// Sends `body(savepoint)` as a new read of this transaction and hands its results to `receive`
    /// until that says it has seen enough (`Ok(true)`), or the results end.
    ///
    /// Opens the connection and the transaction if need be. What the source cancels for recovery is
    /// tried again as long as no row of the transaction has been handed up. Returns the savepoint.
    pub fn begin_read(
        &self,
        body: &dyn Fn(u64, &Session) -> String,
        mut receive: impl FnMut(&mut Session, QueryResult) -> Result<bool>,
    ) -> Result<u64> {
        let mut attempt = 0;
        loop {
            self.free_wire()?;
            if self.lost.get() {
                return Err(self.lost_error("the connection broke earlier in this transaction"));
            }
            let reused = self.is_open();
            self.ensure_session()?;
            let first = !self.in_transaction.get();
            match self.try_read(body, &mut receive) {
                Ok(savepoint) => return Ok(savepoint),
                Err(Failure::Broken(_)) if first && reused && attempt == 0 => {
                    // The source restarted or closed the idle connection: a new one.
                    self.close();
                }
                Err(Failure::Remote(error)) if self.may_start_over(&error, attempt) => {
                    self.start_over(attempt);
                }
                Err(Failure::Conflict(error)) => {
                    self.lose();
                    if !self.may_start_over(&error, attempt) {
                        return Err(error);
                    }
                    self.start_over(attempt);
                }
                Err(failure) => return Err(self.failed(failure)),
            }
            attempt += 1;
        }
    }

    fn try_read(
        &self,
        body: &dyn Fn(u64, &Session) -> String,
        receive: &mut impl FnMut(&mut Session, QueryResult) -> Result<bool>,
    ) -> Exchange<u64> {
        let mut start = self.send(body)?;
        self.receive(&mut start, Wait::Forever, receive)?;
        Ok(start.savepoint)
    }

    /// Sends `body(savepoint)` as a new read, as [`Connection::begin_read`] does, and returns without
    /// waiting for an answer: [`Connection::resume`] reads it. `None` if `begin_read` has to be tried.
    pub fn send_read(&self, body: &dyn Fn(u64, &Session) -> String) -> Result<Option<u64>> {
        self.free_wire()?;
        if self.lost.get() {
            return Err(self.lost_error("the connection broke earlier in this transaction"));
        }
        let reused = self.is_open();
        self.ensure_session()?;
        let renewable = reused && !self.in_transaction.get();
        match self.send(body) {
            Ok(start) => {
                let savepoint = start.savepoint;
                *self.starting.borrow_mut() = Some(Start { renewable, ..start });
                Ok(Some(savepoint))
            }
            Err(Failure::Broken(_)) if renewable => {
                self.close();
                Ok(None)
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Reads the answer to [`Connection::send_read`] up to its rows. What failed in a way that a new
    /// `begin_read` may mend is [`Resumed::Again`].
    pub fn resume(
        &self,
        wait: Wait,
        receive: &mut impl FnMut(&mut Session, QueryResult) -> Result<bool>,
    ) -> Result<Resumed> {
        let Some(mut start) = self.starting.borrow_mut().take() else {
            return Err(self.lost_error("the read was given up when another one failed"));
        };
        match self.receive(&mut start, wait, receive) {
            Ok(true) => Ok(Resumed::Begun(start.savepoint)),
            Ok(false) => {
                *self.starting.borrow_mut() = Some(start);
                Ok(Resumed::Waiting)
            }
            Err(failure) => {
                *self.owner.borrow_mut() = Weak::new();
                self.renew(&start, failure).map(|()| Resumed::Again)
            }
        }
    }

    /// Whether a read that failed like this is to be begun anew; what has to be told otherwise.
    fn renew(&self, start: &Start, failure: Failure) -> Result<()> {
        match failure {
            Failure::Broken(_) if start.renewable => self.close(),
            Failure::Remote(error) if self.may_start_over(&error, 0) => self.start_over(0),
            Failure::Conflict(error) => {
                self.lose();
                if !self.may_start_over(&error, 0) {
                    return Err(error);
                }
                self.start_over(0);
            }
            failure => return Err(self.failed(failure)),
        }
        Ok(())
    }

    /// Gives up a read whose answer has not begun to come. The source may have had no occasion yet to
    /// say that the statements before it are done.
    fn abandon(&self, mut start: Start) {
        // A short read ends by itself sooner than a cancel arrives.
        let grace = Instant::now() + GRACE;
        loop {
            match self.receive(&mut start, Wait::Never, &mut |_, result| {
                Ok(result.status() == Status::CopyOut)
            }) {
                Ok(true) => return self.stop_read(),
                Ok(false) => {}
                Err(Failure::Broken(_) | Failure::Conflict(_)) => return self.lose(),
                Err(_) => return self.release_wire(),
            }
            let socket = self.session.borrow().as_ref().and_then(|session| session.conn.socket());
            let left = grace.saturating_duration_since(Instant::now());
            if left.is_zero() || !socket.is_some_and(|fd| wait::readable_within(fd, left)) {
                break;
            }
        }
        let patience = Instant::now() + STOP_PATIENCE;
        self.cancel_running();
        let given_up = |_: &mut Session, _| Err(Error::bug("a read was given up"));
        match self.receive(&mut start, Wait::Until(patience), &mut { given_up }) {
            Err(Failure::Broken(_) | Failure::Conflict(_)) => self.lose(),
            _ if !self.cancel_is_over(patience) => self.lose(),
            _ => self.release_wire(),
        }
    }

    /// Cancels what runs there. A source that had not begun to run it when the request came overlooks
    /// it, so one that does not answer is asked again, three times in all.
    fn cancel_running(&self) {
        let canceller = self.canceller.borrow();
        let Some(canceller) = canceller.as_ref() else { return };
        let socket = match self.session.try_borrow() {
            Ok(session) => session.as_ref().and_then(|session| session.conn.socket()),
            Err(_) => None,
        };
        for _ in 0..3 {
            let Some(request) = canceller.begin() else { return };
            let taken = request.is_over(CANCEL_PATIENCE);
            if !taken {
                *self.cancelling.borrow_mut() = Some(request);
                return;
            }
            if socket.is_none_or(|fd| wait::readable_within(fd, ANSWER_PATIENCE)) {
                return;
            }
        }
    }

    /// Waits until no cancel is on its way any more: it could hit what runs next.
    fn cancel_is_over(&self, patience: Instant) -> bool {
        let request = self.cancelling.borrow_mut().take();
        request.is_none_or(|request| settled(&request, patience))
    }

    /// A subtransaction has failed: what was begun in it need not run on. Never raises.
    pub fn on_subtransaction_abort(&self, subtransaction: u32) {
        let Some(savepoint) = self.wire.get().filter(|_| self.level.get() >= subtransaction) else {
            return;
        };
        if !self.unsure.get() && self.starting.borrow().is_none() {
            // A short answer has arrived by now.
            let ended = match self.session.try_borrow() {
                Ok(session) => session.as_ref().is_some_and(Session::skip_arrived),
                Err(_) => false,
            };
            if ended {
                self.release_wire();
                self.fail_read(savepoint);
                return;
            }
        }
        if self.cancelling.borrow().is_none() {
            self.cancel_running();
        }
    }

    fn send(&self, body: &dyn Fn(u64, &Session) -> String) -> Exchange<Start> {
        let savepoint = self.next_savepoint.get();
        self.next_savepoint.set(savepoint + 1);
        let mut guard = self.session.borrow_mut();
        let Some(session) = guard.as_mut() else {
            return Err(Failure::Broken("the connection is closed".to_owned()));
        };
        let body = body(savepoint, session);
        let (preamble, count, timezone, dead) = self.preamble(savepoint, &body);

        // Until the answer is read, whatever interrupts us leaves the wire in an unknown state.
        if !self.in_transaction.replace(true) {
            session.permit.set_idle(false);
        }
        self.wire.set(Some(savepoint));
        self.unsure.set(true);
        self.level.set(subtransaction::current());
        session.send(&preamble, None)?;
        Ok(Start { savepoint, count, timezone, dead, seen: 0, failure: None, renewable: false })
    }

    /// Hands the results of a read to `receive` until that has seen enough, or they end; `false` if
    /// there are no more yet.
    pub fn receive(
        &self,
        start: &mut Start,
        wait: Wait,
        receive: &mut impl FnMut(&mut Session, QueryResult) -> Result<bool>,
    ) -> Exchange<bool> {
        let mut guard = self.session.borrow_mut();
        let Some(session) = guard.as_mut() else {
            return Err(Failure::Broken("the connection is closed".to_owned()));
        };
        loop {
            if wait == Wait::Never && session.conn.is_busy() {
                if !session.conn.consume_input() {
                    return Err(Failure::Broken(session.conn.message()));
                }
                if session.conn.is_busy() {
                    return Ok(false);
                }
            }
            let deadline = match wait {
                Wait::Until(deadline) => Some(deadline),
                _ => None,
            };
            let next = session.next_result(deadline);
            let Some(result) = next.map_err(|failure| failure.after(start.failure.as_ref()))?
            else {
                break;
            };
            match result.status() {
                Status::Error => {
                    if is_shutdown(&result) {
                        return Err(Failure::Broken(message_of(&result, session)));
                    }
                    start.failure.get_or_insert_with(|| {
                        Failure::Remote(remote_error(&self.server.name, &result))
                    });
                }
                _ if start.failure.is_some() => {}
                Status::Command if start.seen < start.count => {
                    start.seen += 1;
                    if start.seen == start.count {
                        // The preamble is through: its effects stand.
                        self.unsure.set(false);
                        self.rollback_to.set(None);
                        self.timezone.replace(start.timezone.clone());
                        self.forget_savepoints_from(start.dead);
                        self.savepoints.borrow_mut().push((start.savepoint, true));
                    }
                }
                _ => match receive(session, result) {
                    Ok(false) => {}
                    Ok(true) => return Ok(true),
                    Err(error) => {
                        start.failure = Some(Failure::Ours(error));
                        // What still runs of the batch is of no use.
                        if !session.stop_running() {
                            return Err(Failure::Broken("the server does not answer".to_owned()));
                        }
                        break;
                    }
                },
            }
        }
        drop(guard);
        self.wire.set(None);
        self.unsure.set(false);
        match start.failure.take() {
            None => {
                self.mark_dead(start.savepoint);
                Ok(true)
            }
            Some(failure) if start.seen == start.count => {
                self.fail_read(start.savepoint);
                Err(failure)
            }
            // The preamble itself failed: nothing of this connection can be relied on.
            Some(Failure::Remote(error)) => {
                self.lose();
                Err(Failure::Remote(error))
            }
            Some(failure) => Err(failure),
        }
    }

    /// The statements of one batch, how many results come before those of the body, and what holds
    /// once these have come: the time zone and the first savepoint that is gone.
    fn preamble(&self, savepoint: u64, body: &str) -> (String, usize, String, Option<u64>) {
        let timezone = datum::setting(c"TimeZone").unwrap_or_default();
        let mut statements = Vec::new();
        if !self.in_transaction.get() {
            statements
                .push("START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned());
        }
        if let Some(failed) = self.rollback_to.get() {
            statements.push(format!("ROLLBACK TO SAVEPOINT s{failed}"));
        }
        let dead = self.topmost_dead_savepoint();
        if let Some(dead) = dead {
            statements.push(format!("RELEASE SAVEPOINT s{dead}"));
        }
        if *self.timezone.borrow() != timezone {
            statements.push(format!("SET TimeZone = {}", quote::literal(&timezone)));
        }
        for cursor in self.cursors_to_close.take() {
            statements.push(format!("CLOSE c{cursor}"));
        }
        statements.push(format!("SAVEPOINT s{savepoint}"));
        let count = statements.len();
        statements.push(body.to_owned());
        (statements.join("; "), count, timezone, dead)
    }

    /// Runs one more statement of the read that began at `savepoint` (a FETCH) and hands its results
    /// to `receive`.
    pub fn continue_read(
        &self,
        savepoint: u64,
        sql: &str,
        mut receive: impl FnMut(&mut Session, QueryResult) -> Result<()>,
    ) -> Result<()> {
        self.free_wire()?;
        let mut text = String::new();
        let mut before = 0;
        match self.rollback_to.get() {
            _ if !self.in_transaction.get() => {
                return Err(self.lost_error("its transaction has ended"));
            }
            Some(failed) if failed <= savepoint => {
                return Err(self.lost_error("the read was given up when another one failed"));
            }
            Some(failed) => {
                text.push_str(&format!("ROLLBACK TO SAVEPOINT s{failed}; "));
                before = 1;
            }
            None => {}
        }
        text.push_str(sql);
        self.wire.set(Some(savepoint));
        self.unsure.set(before > 0);
        let outcome = self.with_session(|session| {
            Ok((|| {
                session.send(&text, None)?;
                let mut failure = None;
                let mut seen = 0;
                while let Some(result) = session.next_result_after(failure.as_ref())? {
                    match result.status() {
                        Status::Error if is_shutdown(&result) => {
                            return Err(Failure::Broken(message_of(&result, session)));
                        }
                        Status::Error => {
                            failure =
                                Some(Failure::Remote(remote_error(&self.server.name, &result)));
                        }
                        _ if failure.is_some() => {}
                        _ if seen < before => {
                            seen += 1;
                            self.rollback_to.set(None);
                        }
                        _ => {
                            if let Err(error) = receive(session, result) {
                                failure = Some(Failure::Ours(error));
                            }
                        }
                    }
                }
                failure.map_or(Ok(()), Err)
            })())
        })?;
        match outcome {
            Ok(()) => {
                self.release_wire();
                Ok(())
            }
            Err(failure @ (Failure::Broken(_) | Failure::Conflict(_))) => Err(self.failed(failure)),
            Err(Failure::Remote(error) | Failure::Ours(error)) => {
                self.release_wire();
                self.fail_read(savepoint);
                Err(error)
            }
        }
    }

    /// A row has reached the executor: from now on this transaction cannot silently start again.
    pub fn hand_out(&self) {
        self.handed_out.set(true);
    }

    /// Whether a read that failed like this may be tried again in a new transaction.
    pub fn may_start_over(&self, error: &Error, attempt: u32) -> bool {
        is_conflict(error)
            && attempt < RECOVERY_RETRIES
            && !self.handed_out.get()
            && self.live_reads() == 0
    }

    /// Gives the transaction at the source up, and time for its standby to replay what it must.
    pub fn start_over(&self, attempt: u32) {
        self.end_transaction("ROLLBACK");
        wait::sleep(Duration::from_millis(50 << attempt));
    }

    /// A read has ended well and its answer has been read to the end.
    pub fn finish_read(&self, savepoint: u64) {
        self.release_wire();
        self.mark_dead(savepoint);
    }

    /// The answer to a read is complete, yet its cursor stays open.
    pub fn keep_read(&self, savepoint: u64) {
        for entry in self.savepoints.borrow_mut().iter_mut().filter(|e| e.0 == savepoint) {
            entry.1 = true;
        }
    }

    /// A cursor is done with: the next read closes it.
    pub fn close_cursor(&self, savepoint: u64) {
        if self.in_transaction.get() {
            self.cursors_to_close.borrow_mut().push(savepoint);
        }
        self.mark_dead(savepoint);
    }

    /// A read has failed at the source: the next one starts by going back to its savepoint.
    pub fn fail_read(&self, savepoint: u64) {
        self.rollback_to.set(Some(match self.rollback_to.get() {
            Some(before) => before.min(savepoint),
            None => savepoint,
        }));
        for entry in self.savepoints.borrow_mut().iter_mut().filter(|e| e.0 >= savepoint) {
            entry.1 = false;
        }
        // Going back closes the cursors declared since, and undoes locks and settings.
        self.cursors_to_close.borrow_mut().retain(|cursor| *cursor < savepoint);
        self.verified.borrow_mut().clear();
        self.timezone.borrow_mut().clear();
    }

    fn mark_dead(&self, savepoint: u64) {
        for entry in self.savepoints.borrow_mut().iter_mut().filter(|e| e.0 == savepoint) {
            entry.1 = false;
        }
    }

    fn topmost_dead_savepoint(&self) -> Option<u64> {
        let savepoints = self.savepoints.borrow();
        savepoints.iter().rev().take_while(|(_, live)| !live).last().map(|(id, _)| *id)
    }

    fn forget_savepoints_from(&self, first: Option<u64>) {
        if let Some(first) = first {
            self.savepoints.borrow_mut().retain(|(id, _)| *id < first);
        }
    }

    fn live_reads(&self) -> usize {
        self.savepoints.borrow().iter().filter(|(_, live)| *live).count()
    }

    /// Whether a probe has been found to hold in this transaction.
    pub fn is_verified(&self, probe: &str) -> bool {
        self.verified.borrow().contains(probe)
    }

    /// Remembers that a probe holds: its tables are locked at the source until the transaction ends.
    pub fn set_verified(&self, probe: &str) {
        self.verified.borrow_mut().insert(probe.to_owned());
    }

    // -- the wire ----------------------------------------------------------------------------------

    /// The Append's request for the stream that has the wire, if an Append reads it among others.
    pub fn asked_owner(&self) -> Option<Asker> {
        let owner = self.owner.borrow().upgrade()?;
        owner.try_borrow().ok()?.asker()
    }

    /// Makes `stream` the owner of the wire.
    pub fn take_wire(&self, stream: Weak<RefCell<Stream>>) {
        *self.owner.borrow_mut() = stream;
    }

    /// Nobody owns the wire any more, and nothing is left to read on it.
    fn release_wire(&self) {
        *self.owner.borrow_mut() = Weak::new();
        self.wire.set(None);
        self.unsure.set(false);
    }

    /// Makes the owner of the wire, if there is one, read what is left for it.
    fn free_wire(&self) -> Result<()> {
        let owner = self.owner.borrow().upgrade();
        if let Some(owner) = owner {
            match owner.try_borrow_mut() {
                Ok(mut stream) => stream.give_way()?,
                Err(_) => {
                    return Err(Error::new(
                        Code::ERRCODE_FEATURE_NOT_SUPPORTED,
                        format!(
                            "server \"{}\" was asked for rows while a value of it is being read",
                            self.server.name
                        ),
                    ));
                }
            }
        }
        self.stop_read();
        Ok(())
    }

    /// Stops what runs on the wire, if anything does. A source that does not obey loses the
    /// connection, and with it the transaction its snapshot.
    pub fn stop_read(&self) {
        let Some(savepoint) = self.wire.get() else { return };
        let starting = self.starting.borrow_mut().take();
        if let Some(start) = starting {
            return self.abandon(start);
        }
        let stopped = !self.unsure.get()
            && match self.session.borrow().as_ref() {
                Some(session) => session.stop_running() && !session.conn.is_bad(),
                None => false,
            };
        if stopped && self.cancel_is_over(Instant::now() + STOP_PATIENCE) {
            self.release_wire();
            self.fail_read(savepoint);
        } else {
            if let Some(session) = self.session.borrow().as_ref() {
                session.conn.cancel(CANCEL_PATIENCE);
            }
            self.lose();
        }
    }

    /// Closes the connection in the middle of a transaction.
    fn lose(&self) {
        self.close();
        self.lost.set(self.handed_out.get());
    }

    /// What to tell of a failure; closes a connection that broke.
    pub fn failed(&self, failure: Failure) -> Error {
        match failure {
            Failure::Broken(message) => {
                self.lose();
                self.lost_error(&message)
            }
            Failure::Conflict(error) => {
                self.lose();
                error
            }
            Failure::Remote(error) | Failure::Ours(error) => error,
        }
    }

    /// Whether the transaction has lost its snapshot with its connection.
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }

    fn lost_error(&self, message: &str) -> Error {
        Error::new(
            Code::ERRCODE_CONNECTION_FAILURE,
            format!("lost the connection to server \"{}\": {}", self.server.name, message.trim()),
        )
        .hint("Run the transaction again; SELECT * FROM warehouse.replica_status() shows how the server is.")
    }

    // -- life cycle --------------------------------------------------------------------------------

    fn ensure_session(&self) -> Result<()> {
        if self.session.borrow_mut().as_mut().is_some_and(Session::is_alive) {
            return Ok(());
        }
        if self.in_transaction.get() && (self.handed_out.get() || self.live_reads() > 0) {
            self.lose();
            self.lost.set(true);
            return Err(self.lost_error("it broke in the middle of a transaction"));
        }
        self.close();
        let timezone = datum::setting(c"TimeZone").unwrap_or_default();
        let session = Session::open(&self.server, &self.mapping, self.trusted, &timezone)?;
        *self.canceller.borrow_mut() = session.conn.canceller();
        *self.session.borrow_mut() = Some(session);
        *self.timezone.borrow_mut() = timezone;
        Ok(())
    }

    fn forget_transaction(&self) {
        self.release_wire();
        self.starting.take();
        self.cancelling.take();
        self.in_transaction.set(false);
        self.rollback_to.set(None);
        self.savepoints.borrow_mut().clear();
        self.cursors_to_close.borrow_mut().clear();
        self.verified.borrow_mut().clear();
    }

    /// Closes the socket, unless it is in use this very moment.
    pub fn close(&self) {
        self.forget_transaction();
        if let Ok(mut session) = self.session.try_borrow_mut() {
            if let Some(session) = session.take() {
                session.end();
            }
            self.canceller.replace(None);
        }
    }

    /// Ends the transaction there without waiting for the answer: the next use reads it.
    fn end_transaction(&self, command: &str) {
        let mut keep = false;
        let mut running = false;
        match self.session.try_borrow_mut() {
            Ok(mut guard) => {
                if let Some(session) = guard.as_mut() {
                    if !self.in_transaction.get() {
                        keep = true;
                    } else if self.wire.get().is_some() || session.conn.is_busy() {
                        running = true;
                    } else {
                        keep = session.conn.send_query(command) && session.conn.flush().is_some();
                        session.pending = keep;
                    }
                }
            }
            Err(_) => {
                if let Some(canceller) = &*self.canceller.borrow() {
                    canceller.send(CANCEL_PATIENCE);
                }
            }
        }
        if running {
            self.cancel_running();
        }
        if !keep {
            self.close();
            return;
        }
        if command != "COMMIT" && self.in_transaction.get() {
            self.timezone.borrow_mut().clear();
        }
        self.forget_transaction();
    }

    /// Whether another session waits for a connection like this, which nothing uses any more.
    pub fn is_wanted(&self) -> bool {
        let session = self.session.try_borrow();
        session.is_ok_and(|session| session.as_ref().is_some_and(|s| s.permit.set_idle(true)))
    }

    /// The local transaction has ended. Never waits for the source, never raises.
    pub fn on_transaction_end(&self, committed: bool) {
        // A transaction that failed there cannot be committed there.
        let well = committed && self.rollback_to.get().is_none();
        self.end_transaction(if well { "COMMIT" } else { "ROLLBACK" });
        if self.stale.get() || self.is_wanted() {
            self.close();
        }
        self.handed_out.set(false);
        self.lost.set(false);
    }
}

fn message_of(result: &QueryResult, session: &Session) -> String {
    result.error_field(ErrorField::Message).unwrap_or_else(|| session.conn.message())
}

/// The server ends the session: 57P01 to 57P03, 57P05, and broken connections.
fn is_shutdown(result: &QueryResult) -> bool {
    result.error_field(ErrorField::SqlState).is_some_and(|state| {
        matches!(state.as_str(), "57P01" | "57P02" | "57P03" | "57P05" | "08006" | "08003")
    })
}
