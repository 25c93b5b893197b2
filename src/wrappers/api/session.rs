//! The session's runtime, and what connectors need of whoever drives them.
//!
//! Futures run on a current-thread runtime that lives as long as the process; nothing here starts a
//! thread. While one is waited for, the runtime is left every [`TICK`], so that a cancel or the end of
//! the session is served outside of it: an ERROR unwinds through no running future.

use super::limits::{self, BackendLimiters};
use super::{activity, shelf};
use crate::pg::error::{Error, Result};
use crate::pg::{datum, process, wait};
use pgrx::PgSqlErrorCode as Code;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use warehouse_core::connectors::{
    ApiError, Host, Limit, LimitKey, Limiters, Local, Notice, Permit, mixed, wait as wait_for,
};

/// How long a future runs until interrupts are looked at.
const TICK: Duration = Duration::from_millis(50);

/// The runtime and the host of all connectors of this session.
pub struct Session {
    runtime: tokio::runtime::Runtime,
    /// The host.
    pub host: Rc<PgHost>,
}

thread_local! {
    // Never dropped: connections of connectors must not outlive their runtime.
    static SESSION: OnceCell<&'static Session> = const { OnceCell::new() };
}

/// The session's runtime, started by the first who needs it.
pub fn session() -> Result<&'static Session> {
    if let Some(session) = SESSION.with(|cell| cell.get().copied()) {
        return Ok(session);
    }
    if !datum::is_utf8() {
        return Err(Error::new(
            Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            "tables of HTTP APIs need a database whose encoding is UTF8",
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::new(
            Code::ERRCODE_INSUFFICIENT_RESOURCES,
            format!("the runtime of HTTP requests cannot start: {error}"),
        )
    })?;
    process::at_exit(|| {
        shelf::leave();
        activity::leave();
        limits::leave();
    });
    let session: &'static Session = Box::leak(Box::new(Session { runtime, host: Rc::default() }));
    Ok(SESSION.with(|cell| *cell.get_or_init(|| session)))
}

impl Session {
    /// The value of a future. Raises what interrupts it; the future is dropped then, with its caller.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        loop {
            let waiting = wait::Shown::begin();
            let result =
                self.runtime.block_on(async { tokio::time::timeout(TICK, future.as_mut()).await });
            drop(waiting);
            self.host.tell();
            activity::sign(self.host.waiting.get());
            if let Ok(value) = result {
                return value;
            }
            wait::check_interrupts();
        }
    }
}

/// Clock, timers, limits and chance of this backend.
#[derive(Default)]
pub struct PgHost {
    /// The limits.
    pub limiters: BackendLimiters,
    /// Requests that wait for the rate limit.
    waiting: Rc<Cell<u32>>,
    chance: Cell<u64>,
    notices: RefCell<Vec<Notice>>,
}

impl PgHost {
    /// Logs what was noticed, at DEBUG1: outside of the runtime.
    fn tell(&self) {
        for notice in self.notices.take() {
            match notice {
                Notice::Retry { endpoint, why, after } => pgrx::debug1!(
                    "warehouse: {endpoint} is asked again after {} ms: {why}",
                    after.as_millis()
                ),
                Notice::ConditionRefused { endpoint } => pgrx::debug1!(
                    "warehouse: {endpoint} did not take a condition, which is checked here"
                ),
                Notice::Restarted { endpoint } => {
                    pgrx::debug1!("warehouse: the listing of {endpoint} began again");
                }
            }
        }
    }
}

/// A request that waits for the rate limit.
struct Waiting(Rc<Cell<u32>>);

impl Waiting {
    fn one(count: &Rc<Cell<u32>>) -> Waiting {
        count.set(count.get() + 1);
        Waiting(Rc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Host for PgHost {
    fn now(&self) -> u64 {
        limits::now()
    }

    fn sleep(&self, time: Duration) -> Local<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn acquire(&self, limit: Limit) -> Local<'_, std::result::Result<Permit, ApiError>> {
        Box::pin(async move {
            let waiting = Waiting::one(&self.waiting);
            let permit = wait_for(&self.limiters, self, limit).await;
            drop(waiting);
            Ok(permit)
        })
    }

    fn defer(&self, key: LimitKey, time: Duration) {
        let until = self.now() + time.as_micros() as u64;
        self.limiters.visit(key, &mut |limiter| limiter.block(until));
    }

    fn random(&self) -> u64 {
        let seed = self.chance.get() ^ self.now() ^ u64::from(std::process::id()) << 32;
        self.chance.set(mixed(seed));
        self.chance.get()
    }

    fn notice(&self, notice: &Notice) {
        self.notices.borrow_mut().push(notice.clone());
    }
}
