//! What connectors need of whoever drives them: a clock, sleep, permits, chance.
//!
//! Everything asynchronous runs on a current-thread runtime that the caller owns; nothing here starts
//! a thread. Cancellation is dropping the future: permits are given back by [`Permit`]'s drop, a place
//! in a queue by that of the future that waits, connections by reqwest. The caller decides between
//! polls whether to go on, so that a Postgres backend can look at its interrupts, leave the runtime
//! and only then raise an error.

use super::error::ApiError;
use super::limit::{Decision, Limiter, Quota, Ticket};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A future that stays on its thread.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Which limit: a digest of the credential and what the service counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitKey(pub [u8; 16]);

/// A limit a request falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Which.
    pub key: LimitKey,
    /// What it allows.
    pub quota: Quota,
    /// How long a request may take before its permit counts as lost.
    pub lease: Duration,
}

/// A permit for a request; dropping it gives it back.
pub struct Permit(Option<Box<dyn FnOnce()>>);

impl Permit {
    /// A permit that calls `release` when it is dropped.
    pub fn new(release: impl FnOnce() + 'static) -> Permit {
        Permit(Some(Box::new(release)))
    }

    /// A permit that nobody counts.
    pub fn free() -> Permit {
        Permit(None)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}

/// Something worth telling that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A request will be sent again.
    Retry {
        /// Method and path, with `:id` for ids.
        endpoint: String,
        /// Why, without values.
        why: String,
        /// After how long.
        after: Duration,
    },
    /// The service did not take a condition, which is checked here instead.
    ConditionRefused {
        /// Method and path.
        endpoint: String,
    },
    /// A listing had to begin again.
    Restarted {
        /// Method and path.
        endpoint: String,
    },
}

/// Who drives.
pub trait Host {
    /// Microseconds since 1970-01-01 UTC, from a clock that does not go back and is the same for all
    /// who share limiters: the system's monotonic clock with an offset taken once.
    fn now(&self) -> u64;
    /// Waits. With Postgres: on a timer of the runtime.
    fn sleep(&self, time: Duration) -> Local<'_, ()>;
    /// Waits for a permit. Dropping the future leaves the queue.
    fn acquire(&self, limit: Limit) -> Local<'_, Result<Permit, ApiError>>;
    /// The service asked that nobody under this limit asks again before so long.
    fn defer(&self, key: LimitKey, time: Duration);
    /// Any number, for jitter; it need not be unpredictable.
    fn random(&self) -> u64;
    /// Hears of retries and the like.
    fn notice(&self, _notice: &Notice) {}
}

/// Where limiters live. With Postgres: in shared memory, behind a lock that is held for `visit` alone.
pub trait Limiters {
    /// Calls `visit` with the limiter of this key, a new one if there was none.
    fn visit(&self, key: LimitKey, visit: &mut dyn FnMut(&mut Limiter));
}

/// Waits for a permit of a limiter: the loop that every host needs. `sleep` waits until a time.
pub async fn wait<L: Limiters + Clone + 'static>(
    limiters: &L,
    host: &dyn Host,
    limit: Limit,
) -> Permit {
    struct Queued<'a, L: Limiters> {
        limiters: &'a L,
        key: LimitKey,
        ticket: Option<Ticket>,
    }
    impl<L: Limiters> Drop for Queued<'_, L> {
        fn drop(&mut self) {
            if let Some(ticket) = self.ticket {
                self.limiters.visit(self.key, &mut |limiter| limiter.leave(ticket));
            }
        }
    }
    let mut queued = Queued { limiters, key: limit.key, ticket: None };
    loop {
        let now = host.now();
        let lease_end = now + limit.lease.as_micros() as u64;
        let mut decision = Decision::Wait { ticket: queued.ticket, until: now };
        limiters.visit(limit.key, &mut |limiter| {
            decision = limiter.ask(&limit.quota, queued.ticket, now, lease_end);
        });
        match decision {
            Decision::Granted(lease) => {
                queued.ticket = None;
                let (limiters, key) = (limiters.clone(), limit.key);
                return Permit::new(move || {
                    limiters.visit(key, &mut |limiter| limiter.release(lease));
                });
            }
            Decision::Wait { ticket, until } => {
                queued.ticket = ticket;
                host.sleep(Duration::from_micros(until.saturating_sub(now))).await;
            }
        }
    }
}

/// Limiters of one session.
#[derive(Debug, Clone, Default)]
pub struct SessionLimiters(Rc<RefCell<HashMap<LimitKey, Limiter>>>);

impl Limiters for SessionLimiters {
    fn visit(&self, key: LimitKey, visit: &mut dyn FnMut(&mut Limiter)) {
        visit(self.0.borrow_mut().entry(key).or_default());
    }
}

/// A host for a single session: its own limiters, tokio's timer, the system's clock.
#[derive(Debug, Default)]
pub struct SessionHost {
    limiters: SessionLimiters,
    chance: Cell<u64>,
}

impl Host for SessionHost {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
    }

    fn sleep(&self, time: Duration) -> Local<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn acquire(&self, limit: Limit) -> Local<'_, Result<Permit, ApiError>> {
        Box::pin(async move { Ok(wait(&self.limiters, self, limit).await) })
    }

    fn defer(&self, key: LimitKey, time: Duration) {
        let until = self.now() + time.as_micros() as u64;
        self.limiters.visit(key, &mut |limiter| limiter.block(until));
    }

    fn random(&self) -> u64 {
        self.chance.set(mixed(self.chance.get().wrapping_add(self.now())));
        self.chance.get()
    }
}

/// SplitMix64's finalizer (Steele, Lea, Flood 2014).
pub fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
