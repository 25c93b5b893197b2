//! One connection a user mapping and session, and the transaction on it.
//!
//! Always true:
//! - The transaction at the source is REPEATABLE READ READ ONLY and lasts as long as the local one,
//!   so everything a local transaction reads from a server is one snapshot.
//! - Every read starts at a savepoint of its own. A read that fails or is given up goes back to it,
//!   and the snapshot survives; so local subtransactions need no counterpart at the source.
//! - The wire belongs to at most one [`Stream`](super::stream::Stream) at a time; whoever needs it
//!   next makes the owner drain what is left into its spill first.
//! - Nothing waits without the latch; nothing waits in the callbacks that end a transaction.

use super::collation;
use super::options::{MappingOptions, ServerOptions};
use super::stream::Stream;
use crate::pg::catalog::{Mapping, Server};
use crate::pg::error::{Error, Result, sqlstate};
use crate::pg::libpq::{Conn, ConnectPoll, CopyStep, ErrorField, QueryResult, Status};
use crate::pg::wait::{self, For, ReadWaiter};
use crate::settings;
use pgrx::{PgSqlErrorCode as Code, pg_sys};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use warehouse_core::quote;

/// How often a read that a standby cancelled for recovery is tried again.
const RECOVERY_RETRIES: u32 = 4;
/// How long a cancel request may hold the backend.
const CANCEL_PATIENCE: Duration = Duration::from_millis(80);

/// A live link to the source and what was learned about it.
pub struct Session {
    // Dropped before the connection whose socket it watches.
    waiter: ReadWaiter,
    /// The libpq connection.
    pub conn: Conn,
    timezone: String,
    /// The results of an end of transaction have not been read yet.
    pending: bool,
    /// See [`collation::signature_sql`].
    pub collation: String,
    /// Kind (`typtype`) and base type of types that are not built in, by their OID there.
    pub types: HashMap<u32, RemoteType>,
    since: Instant,
}

/// A type at the source that is not built in.
#[derive(Debug, Clone)]
pub struct RemoteType {
    /// `e`num, `c`omposite, …
    pub kind: u8,
    /// Its name, for messages.
    pub name: String,
}

/// A connection, live or not.
pub struct Connection {
    /// The server it leads to.
    pub server: Server,
    /// The user mapping it belongs to.
    pub mapping: Mapping,
    user: pg_sys::Oid,
    session: RefCell<Option<Session>>,
    in_transaction: Cell<bool>,
    /// Rows of this transaction have reached the executor: it cannot silently start again.
    pub handed_out: Cell<bool>,
    lost: Cell<bool>,
    /// The server or mapping changed: close when the transaction ends.
    pub stale: Cell<bool>,
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
    pub verified: RefCell<HashSet<String>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server.name).finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection that is opened when it is first used.
    pub fn new(server: Server, mapping: Mapping, user: pg_sys::Oid) -> Connection {
        Connection {
            server,
            mapping,
            user,
            session: RefCell::new(None),
            in_transaction: Cell::new(false),
            handed_out: Cell::new(false),
            lost: Cell::new(false),
            stale: Cell::new(false),
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
    fn with_session<T>(&self, f: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let mut session = self.session.borrow_mut();
        match session.as_mut() {
            Some(session) => f(session),
            None => Err(self.lost_error("the connection is closed")),
        }
    }

    /// Sends `body` as a new read of this transaction and hands its results to `receive` until that
    /// says it has seen enough (`Ok(true)`), or the results end.
    ///
    /// Opens the connection and the transaction if need be. What the source cancels for recovery is
    /// tried again as long as no row of the transaction has been handed up. Returns the savepoint.
    pub fn begin_read(
        self: &Rc<Self>,
        body: &str,
        mut receive: impl FnMut(&mut Session, QueryResult) -> Result<bool>,
    ) -> Result<u64> {
        let mut attempt = 0;
        loop {
            self.free_wire()?;
            if self.lost.get() {
                return Err(self.lost_error("the connection broke earlier in this transaction"));
            }
            let fresh = !self.is_open();
            self.ensure_session()?;
            let first = !self.in_transaction.get();
            match self.try_read(body, &mut receive) {
                Ok(savepoint) => return Ok(savepoint),
                Err(failure) => {
                    let again = !self.handed_out.get() && self.live_reads() == 0;
                    match failure {
                        Failure::Broken(_) if again && first && !fresh && attempt == 0 => {
                            // The source restarted or closed the idle connection: a new one.
                            self.close();
                        }
                        Failure::Broken(message) => {
                            let in_use = !first;
                            self.close();
                            self.lost.set(in_use && self.handed_out.get());
                            return Err(self.lost_error(&message));
                        }
                        Failure::Remote(error)
                            if is_recovery_conflict(&error) && again && attempt < RECOVERY_RETRIES =>
                        {
                            self.end_transaction_now();
                            wait::sleep(Duration::from_millis(50 << attempt));
                        }
                        Failure::Remote(error) | Failure::Ours(error) => return Err(error),
                    }
                    attempt += 1;
                }
            }
        }
    }

    fn try_read(
        &self,
        body: &str,
        receive: &mut impl FnMut(&mut Session, QueryResult) -> Result<bool>,
    ) -> std::result::Result<u64, Failure> {
        let savepoint = self.next_savepoint.get();
        self.next_savepoint.set(savepoint + 1);
        let mut guard = self.session.borrow_mut();
        let Some(session) = guard.as_mut() else {
            return Err(Failure::Broken("the connection is closed".to_owned()));
        };
        let timezone = crate::pg::datum::setting(c"TimeZone").unwrap_or_default();
        let mut sql = String::with_capacity(body.len() + 160);
        // How many results belong to the statements in front of the body.
        let mut preamble = 1;
        if !self.in_transaction.get() {
            sql.push_str("START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; ");
            preamble += 1;
        }
        if let Some(failed) = self.rollback_to.get() {
            sql.push_str(&format!("ROLLBACK TO SAVEPOINT s{failed}; "));
            preamble += 1;
        }
        if session.timezone != timezone {
            sql.push_str(&format!("SET TimeZone = {}; ", quote::literal(&timezone)));
            preamble += 1;
        }
        let dead = self.topmost_dead_savepoint();
        if let Some(dead) = dead {
            sql.push_str(&format!("RELEASE SAVEPOINT s{dead}; "));
            preamble += 1;
        }
        let closing = std::mem::take(&mut *self.cursors_to_close.borrow_mut());
        for cursor in &closing {
            sql.push_str(&format!("CLOSE c{cursor}; "));
            preamble += 1;
        }
        sql.push_str(&format!("SAVEPOINT s{savepoint}; "));
        sql.push_str(body);

        // Until the answer is read, whatever interrupts us leaves the wire in an unknown state.
        self.in_transaction.set(true);
        self.wire.set(Some(savepoint));
        self.unsure.set(true);
        send(session, &sql)?;
        let mut seen = 0;
        let mut failure = None;
        while let Some(result) = next_result(session)? {
            match result.status() {
                Status::Error => {
                    if session.conn.is_bad() || is_shutdown(&result) {
                        return Err(Failure::Broken(message_of(&result, session)));
                    }
                    failure.get_or_insert_with(|| self.remote_error(&result));
                }
                _ if failure.is_some() => {}
                Status::Command if seen < preamble => {
                    seen += 1;
                    if seen == preamble {
                        // The preamble is through: its effects stand.
                        self.unsure.set(false);
                        self.rollback_to.set(None);
                        session.timezone.clone_from(&timezone);
                        self.forget_savepoints_from(dead);
                        self.savepoints.borrow_mut().push((savepoint, true));
                    }
                }
                _ => match receive(session, result) {
                    Ok(false) => {}
                    Ok(true) => return Ok(savepoint),
                    Err(error) => {
                        failure = Some(error);
                        // What still runs of the batch is of no use.
                        if !stop_running(session) {
                            return Err(Failure::Broken("the server does not answer".to_owned()));
                        }
                        break;
                    }
                },
            }
        }
        self.wire.set(None);
        match failure {
            None => {
                self.mark_dead(savepoint);
                Ok(savepoint)
            }
            Some(error) => {
                if seen == preamble {
                    self.rollback_to.set(Some(savepoint));
                    self.mark_dead(savepoint);
                    Err(Failure::Remote(error))
                } else {
                    // The preamble itself failed: nothing of this connection can be relied on.
                    Err(Failure::Broken(error.message().to_owned()))
                }
            }
        }
    }

    /// Waits for the next result of the running command.
    pub fn next_result(&self) -> Result<Option<QueryResult>> {
        let result = self.with_session(|session| Ok(next_result(session)))?;
        result.map_err(|failure| self.broken(failure))
    }

    /// Waits for input on the wire.
    pub fn wait_for_input(&self) -> Result<()> {
        let alive = self.with_session(|session| {
            session.waiter.wait();
            Ok(session.conn.consume_input())
        })?;
        if alive { Ok(()) } else { Err(self.broken_now()) }
    }

    /// Runs statements inside the transaction without a savepoint of their own (FETCH, CLOSE).
    pub fn send_in_read(&self, sql: &str) -> Result<()> {
        if self.rollback_to.get().is_some() || !self.in_transaction.get() {
            return Err(self.lost_error("the read was given up when another one failed"));
        }
        let sent = self.with_session(|session| Ok(send(session, sql)))?;
        sent.map_err(|failure| self.broken(failure))
    }

    /// A read has ended well and its answer has been read to the end.
    pub fn finish_read(&self, savepoint: u64) {
        self.release_wire();
        self.mark_dead(savepoint);
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
        // Going back to the savepoint closes the cursors declared since.
        self.cursors_to_close.borrow_mut().retain(|cursor| *cursor < savepoint);
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

    /// Makes `stream` the owner of the wire.
    pub fn take_wire(&self, stream: Weak<RefCell<Stream>>) {
        *self.owner.borrow_mut() = stream;
    }

    /// Nobody owns the wire any more, and nothing is left to read on it.
    pub fn release_wire(&self) {
        *self.owner.borrow_mut() = Weak::new();
        self.wire.set(None);
        self.unsure.set(false);
    }

    /// Makes the owner of the wire, if there is one, read what is left for it.
    pub fn free_wire(&self) -> Result<()> {
        let owner = self.owner.borrow().upgrade();
        if let Some(owner) = owner {
            match owner.try_borrow_mut() {
                Ok(mut stream) => stream.drain_to_spill()?,
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

    /// Stops what runs on the wire, if anything does. A source that does not comply within 2 s
    /// loses the connection, and with it the transaction its snapshot.
    pub fn stop_read(&self) {
        let Some(savepoint) = self.wire.get() else { return };
        let stopped = !self.unsure.get()
            && match self.session.borrow().as_ref() {
                Some(session) => stop_running(session) && !session.conn.is_bad(),
                None => false,
            };
        if stopped {
            self.release_wire();
            self.fail_read(savepoint);
        } else {
            self.cancel();
            self.close();
            self.lost.set(self.handed_out.get());
        }
    }

    fn cancel(&self) {
        if let Ok(guard) = self.session.try_borrow()
            && let Some(session) = guard.as_ref()
        {
            session.conn.cancel(CANCEL_PATIENCE);
        }
    }

    fn broken(&self, failure: Failure) -> Error {
        match failure {
            Failure::Broken(message) => {
                self.close();
                self.lost.set(self.handed_out.get());
                self.lost_error(&message)
            }
            Failure::Remote(error) | Failure::Ours(error) => error,
        }
    }

    /// The connection has just broken: close it and say so.
    pub fn broken_now(&self) -> Error {
        let message = self
            .session
            .borrow()
            .as_ref()
            .map_or_else(|| "the connection is closed".to_owned(), |s| s.conn.message());
        self.broken(Failure::Broken(message))
    }

    fn lost_error(&self, message: &str) -> Error {
        let message = first_sentence(message);
        Error::new(
            Code::ERRCODE_CONNECTION_FAILURE,
            format!("lost the connection to server \"{}\": {message}", self.server.name),
        )
        .hint("Run the transaction again; SELECT * FROM warehouse.replica_status() shows how the server is.")
    }

    /// An error result of the source as an error of ours. DETAIL and CONTEXT are left out: they may
    /// quote rows.
    pub fn remote_error(&self, result: &QueryResult) -> Error {
        let state = result.error_field(ErrorField::SqlState).unwrap_or_else(|| "XX000".to_owned());
        let message = result.error_field(ErrorField::Message).unwrap_or_default();
        let error =
            Error::new(sqlstate(&state), format!("server \"{}\": {message}", self.server.name));
        match state.as_str() {
            "40001" => error.hint(
                "A standby cancels queries that hold up recovery: run it again, or raise max_standby_streaming_delay or set hot_standby_feedback = on there.",
            ),
            "42P01" | "42703" | "3F000" => error.hint(
                "The source has changed: run warehouse.merge_schema() again, or IMPORT FOREIGN SCHEMA anew.",
            ),
            "42501" => error.hint("GRANT SELECT on it at the source to the user of the user mapping."),
            _ => match result.error_field(ErrorField::Hint) {
                Some(hint) => error.hint(hint),
                None => error,
            },
        }
    }

    // -- life cycle --------------------------------------------------------------------------------

    fn ensure_session(&self) -> Result<()> {
        if let Some(session) = self.session.borrow_mut().as_mut() {
            let mut alive = session.conn.consume_input() && !session.conn.is_bad();
            if alive && session.pending {
                session.pending = false;
                loop {
                    match next_result(session) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => {
                            alive = false;
                            break;
                        }
                    }
                }
            }
            if alive {
                return Ok(());
            }
        }
        self.close();
        let options = ServerOptions::parse(&self.server.options);
        let mapping = MappingOptions::parse(&self.mapping.options);
        // SAFETY: plain questions about roles.
        let trusted = unsafe { pg_sys::superuser_arg(self.user) } || !mapping.password_required;
        if !trusted && !mapping.has_password {
            return Err(Error::new(
                Code::ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
                format!("a password is required to connect to server \"{}\"", self.server.name),
            )
            .hint("Put one into the user mapping; a superuser may set password_required 'false' there."));
        }
        let deadline = Instant::now() + options.connect_timeout;
        let conn = connect(&self.server.name, &options, &mapping, deadline)?;
        if !trusted && !conn.used_password() {
            return Err(Error::new(
                Code::ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
                format!("server \"{}\" did not ask for the password", self.server.name),
            )
            .hint("A role that is no superuser may connect only where the server asks for a password; a superuser may set password_required 'false'."));
        }
        let session = self.configure(conn, deadline)?;
        *self.session.borrow_mut() = Some(session);
        Ok(())
    }

    /// Pins what a session at the source must be like, in one round trip.
    fn configure(&self, conn: Conn, deadline: Instant) -> Result<Session> {
        let failed = |message: String| connect_error(&self.server.name, &message);
        if !conn.set_nonblocking() {
            return Err(failed(conn.message()));
        }
        let Some(fd) = conn.socket() else { return Err(failed(conn.message())) };
        let timezone = crate::pg::datum::setting(c"TimeZone").unwrap_or_default();
        let idle = settings::replica_idle_timeout_ms();
        let mut sql = format!(
            "SET search_path = pg_catalog; SET DateStyle = ISO; SET IntervalStyle = postgres; \
             SET extra_float_digits = 3; SET bytea_output = hex; SET xmlbinary = base64; \
             SET standard_conforming_strings = on; SET TimeZone = {}; ",
            quote::literal(&timezone)
        );
        if conn.server_version() >= 140_000 {
            sql.push_str(&format!("SET idle_session_timeout = {idle}; "));
        }
        sql.push_str(&collation::signature_sql(conn.server_version()));
        let mut session = Session {
            waiter: ReadWaiter::new(fd),
            conn,
            timezone,
            pending: false,
            collation: String::new(),
            types: HashMap::new(),
            since: Instant::now(),
        };
        let answer = send_until(&session, &sql, Some(deadline)).and_then(|()| {
            while let Some(result) = next_result_until(&session, Some(deadline))? {
                match result.status() {
                    Status::Error => return Err(Failure::Remote(self.remote_error(&result))),
                    Status::Rows => {
                        session.collation = result.text(0, 0).unwrap_or_default().to_owned();
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        match answer {
            Ok(()) => Ok(session),
            Err(Failure::Broken(message)) => Err(failed(message)),
            Err(Failure::Remote(error) | Failure::Ours(error)) => Err(error),
        }
    }

    /// Closes the socket; what runs at the source is cancelled first.
    pub fn close(&self) {
        self.release_wire();
        self.in_transaction.set(false);
        self.rollback_to.set(None);
        self.savepoints.borrow_mut().clear();
        self.cursors_to_close.borrow_mut().clear();
        self.verified.borrow_mut().clear();
        drop(self.session.borrow_mut().take());
    }

    fn end_transaction_now(&self) {
        // The next use reads the answer.
        self.end_transaction("ROLLBACK");
    }

    fn end_transaction(&self, command: &str) {
        let mut keep = false;
        if let Ok(mut guard) = self.session.try_borrow_mut()
            && let Some(session) = guard.as_mut()
        {
            if !self.in_transaction.get() {
                keep = true;
            } else if self.wire.get().is_some() || session.conn.is_busy() {
                session.conn.cancel(CANCEL_PATIENCE);
            } else {
                keep = session.conn.send_query(command) && session.conn.flush().is_some();
                session.pending = keep;
            }
        }
        if keep {
            self.release_wire();
            self.in_transaction.set(false);
            self.rollback_to.set(None);
            self.savepoints.borrow_mut().clear();
            self.cursors_to_close.borrow_mut().clear();
            self.verified.borrow_mut().clear();
        } else {
            self.close();
        }
    }

    /// The local transaction has ended. Never waits, never raises.
    pub fn on_transaction_end(&self, committed: bool) {
        self.end_transaction(if committed { "COMMIT" } else { "ROLLBACK" });
        if self.stale.get() {
            self.close();
        }
        self.handed_out.set(false);
        self.lost.set(false);
    }
}

/// Why a read did not begin.
enum Failure {
    /// The connection is gone.
    Broken(String),
    /// The source refused.
    Remote(Error),
    /// We refused what came.
    Ours(Error),
}

fn first_sentence(message: &str) -> String {
    message.split('\t').next().unwrap_or_default().trim().to_owned()
}

fn message_of(result: &QueryResult, session: &Session) -> String {
    result.error_field(ErrorField::Message).unwrap_or_else(|| session.conn.message())
}

/// 57P01 to 57P03 and 57P05: the server ends the session.
fn is_shutdown(result: &QueryResult) -> bool {
    result.error_field(ErrorField::SqlState).is_some_and(|state| {
        matches!(state.as_str(), "57P01" | "57P02" | "57P03" | "57P05" | "08006" | "08003")
    })
}

fn is_recovery_conflict(error: &Error) -> bool {
    error.code() == Code::ERRCODE_T_R_SERIALIZATION_FAILURE
}

fn send(session: &Session, sql: &str) -> std::result::Result<(), Failure> {
    send_until(session, sql, None)
}

fn send_until(
    session: &Session,
    sql: &str,
    deadline: Option<Instant>,
) -> std::result::Result<(), Failure> {
    let broken = || Failure::Broken(session.conn.message());
    if !session.conn.send_query(sql) {
        return Err(broken());
    }
    loop {
        match session.conn.flush() {
            Some(true) => return Ok(()),
            None => return Err(broken()),
            Some(false) => {
                let fd = session.conn.socket().ok_or_else(broken)?;
                if !wait::socket(fd, For::ReadOrWrite, deadline) {
                    return Err(Failure::Broken("the server does not answer".to_owned()));
                }
                if !session.conn.consume_input() {
                    return Err(broken());
                }
            }
        }
    }
}

fn next_result(session: &Session) -> std::result::Result<Option<QueryResult>, Failure> {
    next_result_until(session, None)
}

fn next_result_until(
    session: &Session,
    deadline: Option<Instant>,
) -> std::result::Result<Option<QueryResult>, Failure> {
    while session.conn.is_busy() {
        match deadline {
            None => session.waiter.wait(),
            Some(_) => {
                let fd = session.conn.socket();
                let ready = fd.is_some_and(|fd| wait::socket(fd, For::Read, deadline));
                if !ready {
                    return Err(Failure::Broken("the server does not answer".to_owned()));
                }
            }
        }
        if !session.conn.consume_input() {
            return Err(Failure::Broken(session.conn.message()));
        }
    }
    Ok(session.conn.result())
}

/// Brings what runs to its end: reads on if the end has already arrived, else cancels it. `false`
/// when the source did not comply in time.
fn stop_running(session: &Session) -> bool {
    let mut cancelled = false;
    let patience = Instant::now() + Duration::from_secs(2);
    loop {
        'available: while !session.conn.is_busy() {
            match session.conn.result() {
                None => return true,
                Some(result) if result.status() == Status::CopyOut => loop {
                    match session.conn.copy_step() {
                        CopyStep::Message(_) => {}
                        CopyStep::End => break,
                        CopyStep::Wait => break 'available,
                        CopyStep::Failed => return false,
                    }
                },
                Some(_) if session.conn.is_bad() => return false,
                Some(_) => {}
            }
        }
        if !cancelled {
            cancelled = true;
            if !session.conn.cancel(CANCEL_PATIENCE) {
                return false;
            }
        }
        let Some(fd) = session.conn.socket() else { return false };
        if !wait::socket(fd, For::Read, Some(patience)) || !session.conn.consume_input() {
            return false;
        }
    }
}

/// An error of connecting (08001).
pub fn connect_error(server: &str, message: &str) -> Error {
    let text = first_sentence(message);
    let error = Error::new(
        Code::ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        format!("could not connect to server \"{server}\": {text}"),
    );
    if text.contains("authentication failed") || text.contains("no password supplied") {
        error.hint("Check the user and password of the user mapping: \\deu+ lists the mappings.")
    } else {
        error.hint("Check that the server is up and that host, port and dbname are right: \\des+ lists the servers.")
    }
}

/// The keywords of a connection attempt.
pub fn keywords(options: &ServerOptions, mapping: &MappingOptions) -> Vec<(String, String)> {
    let mut keywords = options.keywords.clone();
    keywords.extend(mapping.keywords.iter().cloned());
    keywords.push(("fallback_application_name".to_owned(), "warehouse".to_owned()));
    keywords.push(("client_encoding".to_owned(), "UTF8".to_owned()));
    keywords
}

fn connect(
    server: &str,
    options: &ServerOptions,
    mapping: &MappingOptions,
    deadline: Instant,
) -> Result<Conn> {
    let timed_out = || {
        connect_error(
            server,
            &format!("no answer within {} s (connect_timeout)", options.connect_timeout.as_secs()),
        )
    };
    let conn = Conn::start(&keywords(options, mapping))
        .ok_or_else(|| Error::new(Code::ERRCODE_OUT_OF_MEMORY, "libpq is out of memory"))?;
    // libpq asks to be polled for writing first.
    let mut waiting = For::Write;
    if conn.is_bad() {
        return Err(connect_error(server, &conn.message()));
    }
    loop {
        let fd = conn.socket().ok_or_else(|| connect_error(server, &conn.message()))?;
        if !wait::socket(fd, waiting, Some(deadline)) {
            return Err(timed_out());
        }
        waiting = match conn.poll() {
            ConnectPoll::Read => For::Read,
            ConnectPoll::Write => For::Write,
            ConnectPoll::Done => return Ok(conn),
            ConnectPoll::Failed => return Err(connect_error(server, &conn.message())),
        };
    }
}
