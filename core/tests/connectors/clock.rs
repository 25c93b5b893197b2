//! A host whose clock moves when somebody sleeps.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use warehouse_core::connectors::{
    ApiError, Host, Limit, LimitKey, Limiters, Local, Notice, Permit, SessionLimiters, mixed, wait,
};

/// 2024-06-01 00:00:00 UTC.
pub const START: u64 = 1_717_200_000_000_000;

#[derive(Default)]
pub struct Clock {
    passed: Cell<u64>,
    chance: Cell<u64>,
    limiters: SessionLimiters,
    pub slept: RefCell<Vec<Duration>>,
    pub notices: RefCell<Vec<Notice>>,
}

impl Clock {
    pub fn new() -> Rc<Clock> {
        Rc::default()
    }

    /// The sleeps of at least so long.
    pub fn waits(&self, least: Duration) -> Vec<Duration> {
        self.slept.borrow().iter().copied().filter(|slept| *slept >= least).collect()
    }
}

impl Host for Clock {
    fn now(&self) -> u64 {
        START + self.passed.get()
    }

    fn sleep(&self, time: Duration) -> Local<'_, ()> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.passed.set(self.passed.get() + time.as_micros() as u64);
            self.slept.borrow_mut().push(time);
        })
    }

    fn acquire(&self, limit: Limit) -> Local<'_, Result<Permit, ApiError>> {
        Box::pin(async move { Ok(wait(&self.limiters, self, limit).await) })
    }

    fn defer(&self, key: LimitKey, time: Duration) {
        let until = self.now() + time.as_micros() as u64;
        self.limiters.visit(key, &mut |limiter| limiter.block(until));
    }

    fn random(&self) -> u64 {
        self.chance.set(mixed(self.chance.get()));
        self.chance.get()
    }

    fn notice(&self, notice: &Notice) {
        self.notices.borrow_mut().push(notice.clone());
    }
}
