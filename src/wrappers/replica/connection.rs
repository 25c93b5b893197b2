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

use super::session::{CANCEL_PATIENCE, Exchange, Failure, Session, is_conflict, remote_error};
use super::stream::Stream;
use crate::pg::catalog::{Mapping, Server};
use crate::pg::datum;
use crate::pg::error::{Error, Result};
use crate::pg::libpq::{Canceller, ErrorField, QueryResult, Status};
use crate::pg::wait;
use pgrx::PgSqlErrorCode as Code;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Weak;
use std::time::Duration;
use warehouse_core::quote;

/// How often a read that a standby cancelled for recovery is tried again.
pub const RECOVERY_RETRIES: u32 = 4;

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
    /// A batch was interrupted before its preamble was known to stand.
    unsure: Cell<bool>,
    /// Cursors that are done with and still open at the source.
    cursors_to_close: RefCell<Vec<u64>>,
    /// Probes that hold in this transaction: their tables are locked at the source.
    verified: RefCell<HashSet<String>>,
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
        session.send(&preamble, None)?;
        let mut seen = 0;
        let mut failure = None;
        while let Some(result) = session.next_result_after(failure.as_ref())? {
            match result.status() {
                Status::Error => {
                    if is_shutdown(&result) {
                        return Err(Failure::Broken(message_of(&result, session)));
                    }
                    failure.get_or_insert_with(|| {
                        Failure::Remote(remote_error(&self.server.name, &result))
                    });
                }
                _ if failure.is_some() => {}
                Status::Command if seen < count => {
                    seen += 1;
                    if seen == count {
                        // The preamble is through: its effects stand.
                        self.unsure.set(false);
                        self.rollback_to.set(None);
                        self.timezone.replace(timezone.clone());
                        self.forget_savepoints_from(dead);
                        self.savepoints.borrow_mut().push((savepoint, true));
                    }
                }
                _ => match receive(session, result) {
                    Ok(false) => {}
                    Ok(true) => return Ok(savepoint),
                    Err(error) => {
                        failure = Some(Failure::Ours(error));
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
        match failure {
            None => {
                self.mark_dead(savepoint);
                Ok(savepoint)
            }
            Some(failure) if seen == count => {
                self.fail_read(savepoint);
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

    /// Which Append reads the stream that has the wire, if one reads it among others.
    pub fn asker(&self) -> Option<usize> {
        let owner = self.owner.borrow().upgrade()?;
        owner.try_borrow().ok().and_then(|stream| stream.asker())
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
                Ok(mut stream) => stream.drain()?,
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
        let stopped = !self.unsure.get()
            && match self.session.borrow().as_ref() {
                Some(session) => session.stop_running() && !session.conn.is_bad(),
                None => false,
            };
        if stopped {
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
            drop(session.take());
            self.canceller.replace(None);
        }
    }

    /// Ends the transaction there without waiting for the answer: the next use reads it.
    fn end_transaction(&self, command: &str) {
        let mut keep = false;
        match self.session.try_borrow_mut() {
            Ok(mut guard) => {
                if let Some(session) = guard.as_mut() {
                    if !self.in_transaction.get() {
                        keep = true;
                    } else if self.wire.get().is_some() || session.conn.is_busy() {
                        session.conn.cancel(CANCEL_PATIENCE);
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
    fn is_wanted(&self) -> bool {
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
