//! A live link to a source: opening it, pinning its settings, sending and receiving without ever
//! blocking the backend.

use super::collation;
use super::options::{MappingOptions, ServerOptions};
use super::pool::{self, Permit};
use crate::pg::catalog::{Mapping, Server};
use crate::pg::error::{Error, Result, sqlstate};
use crate::pg::libpq::{
    CancelRequest, Conn, ConnectPoll, CopyStep, ErrorField, QueryResult, Status,
};
use crate::pg::wait::{self, For, ReadWaiter};
use crate::settings;
use pgrx::{PgSqlErrorCode as Code, pg_sys};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use warehouse_core::quote;

/// How long a cancel request may hold the backend.
pub const CANCEL_PATIENCE: Duration = Duration::from_millis(80);
/// How long a source may take to obey a cancel before the connection is given up.
pub const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A live link to the source and what was learned about it.
pub struct Session {
    // Dropped before the connection whose socket it watches.
    waiter: ReadWaiter,
    /// The libpq connection.
    pub conn: Conn,
    /// The right to have it; given back after it has been closed.
    pub permit: Permit,
    /// The results of an end of transaction have not been read yet.
    pub pending: bool,
    /// See [`collation::signature_sql`].
    pub collation: String,
    /// Types that are not built in, by their OID there.
    pub types: HashMap<u32, RemoteType>,
    /// When it was opened.
    pub since: Instant,
}

/// A type at the source that is not built in.
#[derive(Debug, Clone)]
pub struct RemoteType {
    /// Its `typtype`: `e`num, `c`omposite, …
    pub kind: char,
    /// Its name, for messages.
    pub name: String,
}

/// Why something at the source failed.
pub enum Failure {
    /// The connection is gone.
    Broken(String),
    /// The source refused.
    Remote(Error),
    /// We refused what came.
    Ours(Error),
    /// A standby ended the session because the query held up its recovery: within a savepoint that is
    /// not an ERROR but a FATAL (`ProcessInterrupts` in tcop/postgres.c).
    Conflict(Error),
}

impl Failure {
    /// What a broken connection means after an error that came before it.
    pub fn after(self, error: Option<&Failure>) -> Failure {
        match (&self, error) {
            (Failure::Broken(_), Some(Failure::Remote(error))) if is_conflict(error) => {
                Failure::Conflict(error.clone())
            }
            _ => self,
        }
    }
}

/// A standby cancelled the query for its recovery (40001).
pub fn is_conflict(error: &Error) -> bool {
    error.code() == Code::ERRCODE_T_R_SERIALIZATION_FAILURE
}

/// The result of one exchange with the source.
pub type Exchange<T> = std::result::Result<T, Failure>;

impl Session {
    /// Connects as the mapping says and pins what the session there must be like. Unless `trusted`, the
    /// source has to ask for the mapping's password.
    pub fn open(
        server: &Server,
        mapping: &Mapping,
        trusted: bool,
        timezone: &str,
    ) -> Result<Session> {
        // SAFETY: a plain question.
        if unsafe { pg_sys::GetDatabaseEncoding() } != pg_sys::pg_enc::PG_UTF8 as i32 {
            return Err(Error::new(
                Code::ERRCODE_FEATURE_NOT_SUPPORTED,
                "replica_fdw needs a database with the encoding UTF8",
            )
            .hint("CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."));
        }
        let options = ServerOptions::parse(&server.options);
        let mapping = MappingOptions::parse(&mapping.options);
        if !trusted && !mapping.has_password {
            return Err(password_required(&server.name));
        }
        let permit = pool::acquire(server, options.max_connections)?;
        let deadline = Instant::now() + options.connect_timeout;
        let conn = connect(&server.name, &options, &mapping, deadline)?;
        if !trusted && !conn.used_password() {
            return Err(password_unused(&server.name));
        }
        Session::configure(&server.name, conn, permit, timezone, deadline)
    }

    /// One round trip that sets what must hold and asks what has to be known.
    fn configure(
        server: &str,
        conn: Conn,
        permit: Permit,
        timezone: &str,
        deadline: Instant,
    ) -> Result<Session> {
        let failed = |message: String| connect_error(server, &message);
        if !conn.set_nonblocking() {
            return Err(failed(conn.message()));
        }
        let Some(fd) = conn.socket() else { return Err(failed(conn.message())) };
        let mut sql = format!(
            "SET search_path = pg_catalog; SET DateStyle = ISO; SET IntervalStyle = postgres; \
             SET extra_float_digits = 3; SET bytea_output = hex; SET xmlbinary = base64; \
             SET standard_conforming_strings = on; SET TimeZone = {}; ",
            quote::literal(timezone)
        );
        if conn.server_version() >= 140_000 {
            let idle = settings::replica_idle_timeout_ms();
            sql.push_str(&format!("SET idle_session_timeout = {idle}; "));
        }
        sql.push_str(&collation::signature_sql(conn.server_version()));
        let mut session = Session {
            waiter: ReadWaiter::new(fd),
            conn,
            permit,
            pending: false,
            collation: String::new(),
            types: HashMap::new(),
            since: Instant::now(),
        };
        let answer = session.send(&sql, Some(deadline)).and_then(|()| {
            while let Some(result) = session.next_result(Some(deadline))? {
                match result.status() {
                    Status::Error => return Err(Failure::Remote(remote_error(server, &result))),
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
            Err(Failure::Remote(error) | Failure::Ours(error) | Failure::Conflict(error)) => {
                Err(error)
            }
        }
    }

    /// Closes the link. If somebody waits for the right to have it, the source is given a moment to see
    /// that it is closed, so that it never sees more than there may be.
    pub fn end(self) {
        let Session { waiter, conn, permit, .. } = self;
        drop(waiter);
        let socket = conn.socket().filter(|_| permit.is_wanted());
        let ended = socket.and_then(wait::End::of);
        drop(conn);
        if let Some(ended) = ended {
            ended.wait(CANCEL_PATIENCE);
        }
        drop(permit);
    }

    /// Whether the link still stands, after reading what the source said last.
    pub fn is_alive(&mut self) -> bool {
        if !self.conn.consume_input() || self.conn.is_bad() {
            return false;
        }
        if self.pending {
            self.pending = false;
            loop {
                match self.next_result(None) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
        }
        true
    }

    /// Sends statements by the simple protocol. Raises what interrupts it.
    pub fn send(&self, sql: &str, deadline: Option<Instant>) -> Exchange<()> {
        let broken = || Failure::Broken(self.conn.message());
        if !self.conn.send_query(sql) {
            return Err(broken());
        }
        loop {
            match self.conn.flush() {
                Some(true) => return Ok(()),
                None => return Err(broken()),
                Some(false) => {
                    let fd = self.conn.socket().ok_or_else(broken)?;
                    if !wait::socket(fd, For::ReadOrWrite, deadline) {
                        return Err(silent());
                    }
                    if !self.conn.consume_input() {
                        return Err(broken());
                    }
                }
            }
        }
    }

    /// Waits for the next result; `None` at the end of the command. Raises what interrupts it.
    pub fn next_result(&self, deadline: Option<Instant>) -> Exchange<Option<QueryResult>> {
        while self.conn.is_busy() {
            match deadline {
                None => self.waiter.wait(),
                Some(_) => {
                    let fd = self.conn.socket();
                    if !fd.is_some_and(|fd| wait::socket(fd, For::Read, deadline)) {
                        return Err(silent());
                    }
                }
            }
            if !self.conn.consume_input() {
                return Err(Failure::Broken(self.conn.message()));
            }
        }
        Ok(self.conn.result())
    }

    /// As [`Session::next_result`] after an error: a connection that breaks then was ended by it.
    pub fn next_result_after(&self, error: Option<&Failure>) -> Exchange<Option<QueryResult>> {
        self.next_result(None).map_err(|failure| failure.after(error))
    }

    /// Waits for input and reads it; `false` when the link broke. Raises what interrupts it.
    pub fn wait_for_input(&self) -> bool {
        self.waiter.wait();
        self.conn.consume_input()
    }

    /// Reads what has arrived of an answer that nobody wants; whether that was all of it.
    pub fn skip_arrived(&self) -> bool {
        if !self.conn.consume_input() {
            return false;
        }
        while !self.conn.is_busy() {
            match self.conn.result() {
                None => return !self.conn.is_bad(),
                Some(result) if result.status() == Status::CopyOut => loop {
                    match self.conn.copy_step() {
                        CopyStep::Message(_) => {}
                        CopyStep::End => break,
                        CopyStep::Wait | CopyStep::Failed => return false,
                    }
                },
                Some(_) if self.conn.is_bad() => return false,
                Some(_) => {}
            }
        }
        false
    }

    /// Brings what runs to its end: reads on if the end has already arrived, else cancels it. `false`
    /// when the source did not obey in time. Raises what interrupts it.
    pub fn stop_running(&self) -> bool {
        let patience = Instant::now() + STOP_PATIENCE;
        let mut request = None;
        loop {
            'available: while !self.conn.is_busy() {
                match self.conn.result() {
                    None => return request.is_none_or(|request| settled(&request, patience)),
                    Some(result) if result.status() == Status::CopyOut => loop {
                        match self.conn.copy_step() {
                            CopyStep::Message(_) => {}
                            CopyStep::End => break,
                            CopyStep::Wait => break 'available,
                            CopyStep::Failed => return false,
                        }
                    },
                    Some(_) if self.conn.is_bad() => return false,
                    Some(_) => {}
                }
            }
            if request.is_none() {
                request = self.conn.canceller().and_then(|canceller| canceller.begin());
                if request.is_none() {
                    return false;
                }
            }
            let Some(fd) = self.conn.socket() else { return false };
            if !wait::socket(fd, For::Read, Some(patience)) || !self.conn.consume_input() {
                return false;
            }
        }
    }
}

/// Waits until a cancel is no longer on its way: it could hit what runs next.
pub fn settled(request: &CancelRequest, patience: Instant) -> bool {
    while !request.is_over(Duration::from_millis(20)) {
        wait::check_interrupts();
        if Instant::now() >= patience {
            return false;
        }
    }
    true
}

fn silent() -> Failure {
    Failure::Broken("the server does not answer".to_owned())
}

/// An error of connecting (08001).
pub fn connect_error(server: &str, message: &str) -> Error {
    let text = message.trim();
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

fn password_required(server: &str) -> Error {
    Error::new(
        Code::ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
        format!("a password is required to connect to server \"{server}\""),
    )
    .hint("Put one into the user mapping; a superuser may set password_required 'false' there.")
}

fn password_unused(server: &str) -> Error {
    Error::new(
        Code::ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
        format!("server \"{server}\" did not ask for the password"),
    )
    .hint("A role that is no superuser may connect only where the server asks for a password; a superuser may set password_required 'false'.")
}

/// An error result of the source as an error of ours. DETAIL and CONTEXT are left out: they may quote
/// rows.
pub fn remote_error(server: &str, result: &QueryResult) -> Error {
    let state = result.error_field(ErrorField::SqlState).unwrap_or_else(|| "XX000".to_owned());
    let message = result.error_field(ErrorField::Message).unwrap_or_default();
    let error = Error::new(sqlstate(&state), format!("server \"{server}\": {message}"));
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
