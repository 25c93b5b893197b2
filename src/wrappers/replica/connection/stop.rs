//! Who has the wire, and ending what is on it.

use super::Connection;
use super::read::{Start, Wait};
use crate::pg::error::{Error, Result};
use crate::pg::executor::Asker;
use crate::pg::libpq::Status;
use crate::pg::wait;
use crate::wrappers::replica::session::{
    CANCEL_PATIENCE, Failure, STOP_PATIENCE, Session, settled,
};
use crate::wrappers::replica::stream::Stream;
use pgrx::PgSqlErrorCode as Code;
use std::cell::RefCell;
use std::rc::Weak;
use std::time::{Duration, Instant};

/// How long to wait for a source to answer a cancel before it is asked again.
const ANSWER_PATIENCE: Duration = Duration::from_millis(25);
/// How long a read that is given up may take to end by itself before it is cancelled.
const GRACE: Duration = Duration::from_millis(10);

impl Connection {
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
    pub(super) fn release_wire(&self) {
        *self.owner.borrow_mut() = Weak::new();
        self.wire.set(None);
        self.unsure.set(false);
    }

    /// Makes the owner of the wire, if there is one, read what is left for it.
    pub(super) fn free_wire(&self) -> Result<()> {
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

    /// Gives up a read whose answer has not begun to come. The source may have had no occasion yet to
    /// say that the statements before it are done.
    pub(super) fn abandon(&self, mut start: Start) {
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
    pub(super) fn cancel_running(&self) {
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
    pub(super) fn cancel_is_over(&self, patience: Instant) -> bool {
        let request = self.cancelling.borrow_mut().take();
        request.is_none_or(|request| settled(&request, patience))
    }

    /// A subtransaction has failed: what was begun in it need not run on. Never raises, and waits at most
    /// for [`CANCEL_PATIENCE`] a few times.
    pub fn on_subtransaction_abort(&self, subtransaction: u32) {
        if self.wire.get().is_none() || self.level.get() < subtransaction {
            return;
        }
        // A short answer has arrived by now.
        if !self.skip_within(Duration::ZERO) && self.cancelling.borrow().is_none() {
            self.cancel_running();
            // A source that waits for us to read does not see a cancel.
            self.skip_within(CANCEL_PATIENCE);
        }
    }

    /// Reads an answer that nobody wants for so long; whether that was all of it.
    fn skip_within(&self, time: Duration) -> bool {
        let Some(savepoint) = self.wire.get().filter(|_| !self.unsure.get()) else { return false };
        if self.starting.borrow().is_some() {
            return false;
        }
        let deadline = Instant::now() + time;
        let ended = match self.session.try_borrow() {
            Ok(session) => session.as_ref().is_some_and(|session| {
                loop {
                    if session.skip_arrived() {
                        break true;
                    }
                    let left = deadline.saturating_duration_since(Instant::now());
                    let socket = session.conn.socket().filter(|_| !left.is_zero());
                    if !socket.is_some_and(|fd| wait::readable_within(fd, left)) {
                        break false;
                    }
                }
            }),
            Err(_) => false,
        };
        // A cancel that is still on its way could hit what runs next: the next read waits for it.
        if ended && self.cancelling.borrow().is_none() {
            self.release_wire();
            self.fail_read(savepoint);
        }
        ended
    }
}
