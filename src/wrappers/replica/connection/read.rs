//! Reads: sending them, and their answers up to the rows.

use super::Connection;
use crate::pg::datum;
use crate::pg::error::{Error, Result};
use crate::pg::libpq::{ErrorField, QueryResult, Status};
use crate::pg::{subtransaction, wait};
use crate::wrappers::replica::session::{Exchange, Failure, Session, is_conflict, remote_error};
use std::rc::Weak;
use std::time::{Duration, Instant};
use warehouse_core::quote;

/// How often a read that a standby cancelled for recovery is tried again.
pub const RECOVERY_RETRIES: u32 = 4;

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

impl Connection {
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
            let renewable = self.prepare()?;
            match self.try_read(body, &mut receive) {
                Ok(savepoint) => return Ok(savepoint),
                Err(failure) => self.renew(renewable && attempt == 0, attempt, failure)?,
            }
            attempt += 1;
        }
    }

    /// Frees the wire and opens the connection. Returns whether a new one will do if this one breaks: it
    /// was idle, so the source may have closed it.
    pub(super) fn prepare(&self) -> Result<bool> {
        self.free_wire()?;
        if self.lost.get() {
            return Err(self.lost_error("the connection broke earlier in this transaction"));
        }
        let reused = self.is_open();
        self.ensure_session()?;
        Ok(reused && !self.in_transaction.get())
    }

    pub(super) fn try_read(
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
        let renewable = self.prepare()?;
        match self.send(body) {
            Ok(start) => {
                let savepoint = start.savepoint;
                *self.starting.borrow_mut() = Some(Start { renewable, ..start });
                Ok(Some(savepoint))
            }
            Err(failure) => self.renew(renewable, 0, failure).map(|()| None),
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
                self.renew(start.renewable, 0, failure).map(|()| Resumed::Again)
            }
        }
    }

    /// Whether a read that failed like this is to be begun anew, after `attempt` earlier ones; what has to
    /// be told otherwise.
    pub(super) fn renew(&self, renewable: bool, attempt: u32, failure: Failure) -> Result<()> {
        match failure {
            Failure::Broken(_) if renewable => self.close(),
            Failure::Remote(error) if self.may_start_over(&error, attempt) => {
                self.start_over(attempt);
            }
            Failure::Conflict(error) => {
                self.lose();
                if !self.may_start_over(&error, attempt) {
                    return Err(error);
                }
                self.start_over(attempt);
            }
            failure => return Err(self.failed(failure)),
        }
        Ok(())
    }

    pub(super) fn send(&self, body: &dyn Fn(u64, &Session) -> String) -> Exchange<Start> {
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
    pub(super) fn preamble(
        &self,
        savepoint: u64,
        body: &str,
    ) -> (String, usize, String, Option<u64>) {
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
