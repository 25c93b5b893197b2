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

//!
//! `read` begins reads and reads their answers up to the rows, `savepoints` keeps the book of them,
//! `stop` gives the wire to whoever needs it and ends what nobody wants any more.

mod read;
mod savepoints;
mod stop;

pub use read::{Resumed, Wait};

use super::session::{CANCEL_PATIENCE, Failure, Session};
use super::stream::Stream;
use crate::pg::catalog::{Mapping, Server};
use crate::pg::datum;
use crate::pg::error::{Error, Result};
use crate::pg::libpq::{CancelRequest, Canceller};
use pgrx::PgSqlErrorCode as Code;
use read::Start;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Weak;

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
