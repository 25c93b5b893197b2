//! Rate and concurrency limits as a pure state machine.
//!
//! A [`Limiter`] is plain data of a fixed size, so that it can lie in shared memory behind a lock; the
//! extension calls it under that lock and does the waiting outside. All-zero bytes are a valid limiter
//! that nobody has used. It never reads a clock: every call is given now, in microseconds.
//!
//! A token that was spent comes back one window later, not gradually: of any window of time, at most
//! `rate` requests begin in it, also right after a pause. (A bucket that refills while it is emptied
//! lets nearly twice the rate through.)
//!
//! Waiting is fair: whoever asks gets a ticket, and tickets are served in order. A waiter that is not
//! heard of for [`PATIENCE`] is taken for dead, as is a request that outlives its lease, so that a
//! killed backend blocks nobody for long.

/// The most tokens, requests in flight and waiters of a limiter.
pub const SLOTS: usize = 64;
/// How long a waiter may stay silent, in microseconds.
pub const PATIENCE: u64 = 3_000_000;
/// The longest time until a waiter should ask again, in microseconds.
pub const LOOK_AGAIN: u64 = 500_000;
/// How soon a waiter that is not first, or waits for a request to end, should ask again.
const SOON: u64 = 5_000;

/// What a limiter allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests that may begin within a window; 0 for any number.
    pub rate: u16,
    /// The window in microseconds.
    pub window: u64,
    /// Requests in flight; 0 for any number.
    pub concurrency: u16,
}

/// A place in the queue. Tickets grow; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// A request in flight, to be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(u64);

/// What a limiter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The request may begin.
    Granted(Lease),
    /// Ask again with the ticket, at this time at the latest.
    Wait {
        /// The place in the queue; `None` when the queue is full.
        ticket: Option<Ticket>,
        /// When to ask again.
        until: u64,
    },
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Ticket or lease; 0 is free.
    number: u64,
    /// Last heard of, or the lease's end.
    time: u64,
}

/// The state of one limit.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    last: u64,
    blocked_until: u64,
    /// When tokens were spent, as a ring; 0 is never.
    spent: [u64; SLOTS],
    at: u64,
    flights: [Slot; SLOTS],
    queue: [Slot; SLOTS],
}

impl Default for Limiter {
    fn default() -> Self {
        Limiter {
            last: 0,
            blocked_until: 0,
            spent: [0; SLOTS],
            at: 0,
            flights: [Slot::default(); SLOTS],
            queue: [Slot::default(); SLOTS],
        }
    }
}

impl Limiter {
    /// Asks to begin a request that will be over, or given up for dead, at `lease_end`.
    pub fn ask(
        &mut self,
        quota: &Quota,
        ticket: Option<Ticket>,
        now: u64,
        lease_end: u64,
    ) -> Decision {
        self.forget_the_dead(ticket, now);
        let Some(ticket) = self.enqueue(ticket, now) else {
            return Decision::Wait { ticket: None, until: now + SOON };
        };
        let soon = |until: u64| Decision::Wait {
            ticket: Some(ticket),
            until: until.clamp(now + 1, now + LOOK_AGAIN),
        };
        if self.queue.iter().any(|slot| slot.number != 0 && slot.number < ticket.0) {
            return soon(self.earliest(quota).max(now + SOON));
        }
        let earliest = self.earliest(quota);
        if earliest > now {
            return soon(earliest);
        }
        let flying = self.flights.iter().filter(|slot| slot.number != 0).count();
        let most = if quota.concurrency == 0 { SLOTS } else { usize::from(quota.concurrency) };
        let free = self.flights.iter_mut().find(|slot| slot.number == 0);
        let Some(free) = free.filter(|_| flying < most) else {
            return soon(now + SOON);
        };
        self.last += 1;
        *free = Slot { number: self.last, time: lease_end };
        let lease = Lease(self.last);
        self.spent[(self.at % SLOTS as u64) as usize] = now.max(1);
        self.at += 1;
        self.leave(ticket);
        Decision::Granted(lease)
    }

    /// When a token is there and no penalty holds.
    fn earliest(&self, quota: &Quota) -> u64 {
        let rate = u64::from(quota.rate).min(SLOTS as u64);
        if rate == 0 || self.at < rate {
            return self.blocked_until;
        }
        let oldest = self.spent[((self.at - rate) % SLOTS as u64) as usize];
        self.blocked_until.max(oldest + quota.window)
    }

    fn enqueue(&mut self, ticket: Option<Ticket>, now: u64) -> Option<Ticket> {
        if let Some(ticket) = ticket
            && let Some(slot) = self.queue.iter_mut().find(|slot| slot.number == ticket.0)
        {
            slot.time = now;
            return Some(ticket);
        }
        let free = self.queue.iter_mut().find(|slot| slot.number == 0)?;
        // Who was taken for dead and is not keeps its old place.
        let number = ticket.map_or(self.last + 1, |ticket| ticket.0);
        self.last = self.last.max(number);
        *free = Slot { number, time: now };
        Some(Ticket(number))
    }

    fn forget_the_dead(&mut self, asking: Option<Ticket>, now: u64) {
        for slot in &mut self.queue {
            let asks = asking.is_some_and(|ticket| ticket.0 == slot.number);
            if slot.number != 0 && !asks && slot.time + PATIENCE < now {
                *slot = Slot::default();
            }
        }
        for slot in &mut self.flights {
            if slot.number != 0 && slot.time < now {
                *slot = Slot::default();
            }
        }
    }

    /// Gives up a place in the queue.
    pub fn leave(&mut self, ticket: Ticket) {
        if let Some(slot) = self.queue.iter_mut().find(|slot| slot.number == ticket.0) {
            *slot = Slot::default();
        }
    }

    /// The request is over.
    pub fn release(&mut self, lease: Lease) {
        if let Some(slot) = self.flights.iter_mut().find(|slot| slot.number == lease.0) {
            *slot = Slot::default();
        }
    }

    /// The service asked everybody to wait until then.
    pub fn block(&mut self, until: u64) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// Requests in flight and waiters.
    pub fn load(&self) -> (usize, usize) {
        let used = |slots: &[Slot]| slots.iter().filter(|slot| slot.number != 0).count();
        (used(&self.flights), used(&self.queue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;
    const FIVE: Quota = Quota { rate: 5, window: SECOND, concurrency: 0 };

    fn granted(decision: Decision) -> Option<Lease> {
        match decision {
            Decision::Granted(lease) => Some(lease),
            Decision::Wait { .. } => None,
        }
    }

    fn waiting(decision: Decision) -> (Option<Ticket>, u64) {
        match decision {
            Decision::Granted(_) => panic!("granted"),
            Decision::Wait { ticket, until } => (ticket, until),
        }
    }

    #[test]
    fn five_at_once_and_the_sixth_a_window_later() {
        let mut limiter = Limiter::default();
        let start = 1000 * SECOND;
        for i in 0..5 {
            let decision = limiter.ask(&FIVE, None, start + i, start + 60 * SECOND);
            limiter.release(granted(decision).expect("granted"));
        }
        let (ticket, until) = waiting(limiter.ask(&FIVE, None, start + 10, start));
        assert_eq!(until, start + 10 + LOOK_AGAIN);
        assert!(granted(limiter.ask(&FIVE, ticket, start + SECOND - 1, u64::MAX)).is_none());
        assert!(granted(limiter.ask(&FIVE, ticket, start + SECOND, u64::MAX)).is_some());
    }

    #[test]
    fn tickets_are_served_in_order() {
        let quota = Quota { rate: 0, window: 0, concurrency: 1 };
        let mut limiter = Limiter::default();
        let first = granted(limiter.ask(&quota, None, 1, 100)).expect("granted");
        let (second, _) = waiting(limiter.ask(&quota, None, 2, 100));
        let (third, _) = waiting(limiter.ask(&quota, None, 3, 100));
        limiter.release(first);
        assert!(granted(limiter.ask(&quota, third, 4, 100)).is_none(), "not its turn");
        assert!(granted(limiter.ask(&quota, None, 4, 100)).is_none(), "nobody jumps the queue");
        assert!(granted(limiter.ask(&quota, second, 5, 100)).is_some());
    }

    #[test]
    fn who_leaves_or_dies_blocks_nobody() {
        let quota = Quota { rate: 0, window: 0, concurrency: 1 };
        let mut limiter = Limiter::default();
        assert!(granted(limiter.ask(&quota, None, 1, 1000)).is_some());
        let (gone, _) = waiting(limiter.ask(&quota, None, 2, 1000));
        let (_silent, _) = waiting(limiter.ask(&quota, None, 3, 1000));
        let (alive, _) = waiting(limiter.ask(&quota, None, 4, 1000));
        limiter.leave(gone.expect("a ticket"));
        assert!(
            granted(limiter.ask(&quota, alive, 1001, 2000)).is_none(),
            "the silent one is first"
        );
        let later = 4 + PATIENCE;
        assert!(granted(limiter.ask(&quota, alive, later, later + 1)).is_some());
    }

    #[test]
    fn a_penalty_holds_for_all() {
        let mut limiter = Limiter::default();
        limiter.block(30 * SECOND);
        let (ticket, _) = waiting(limiter.ask(&FIVE, None, 1, u64::MAX));
        let (_, until) = waiting(limiter.ask(&FIVE, ticket, 30 * SECOND - 9, u64::MAX));
        assert_eq!(until, 30 * SECOND);
        assert!(granted(limiter.ask(&FIVE, ticket, 30 * SECOND, u64::MAX)).is_some());
    }

    #[test]
    fn a_full_queue_gives_no_ticket() {
        let quota = Quota { rate: 0, window: 0, concurrency: 1 };
        let mut limiter = Limiter::default();
        assert!(granted(limiter.ask(&quota, None, 1, 100)).is_some());
        for _ in 0..SLOTS {
            assert!(waiting(limiter.ask(&quota, None, 2, 100)).0.is_some());
        }
        assert_eq!(waiting(limiter.ask(&quota, None, 3, 100)).0, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever the arrivals: no window holds more than its rate, no more than `concurrency` are in
        /// flight, everybody is served, in order.
        #[test]
        fn limits_hold(
            arrivals in prop::collection::vec(0_u64..200_000, 1..40),
            held in 1_u64..400_000,
            rate in 1_u16..8,
            concurrency in 1_u16..5,
        ) {
            let quota = Quota { rate, window: SECOND, concurrency };
            let mut limiter = Limiter::default();
            let mut now = SECOND;
            let mut pending: Vec<(usize, u64, Option<Ticket>)> = Vec::new();
            let mut at = now;
            for (i, gap) in arrivals.iter().enumerate() {
                at += gap;
                pending.push((i, at, None));
            }
            let mut flying: Vec<(u64, Lease)> = Vec::new();
            let mut grants: Vec<(usize, u64)> = Vec::new();
            let mut steps = 0;
            while !pending.is_empty() {
                steps += 1;
                prop_assert!(steps < 1_000_000, "starved");
                flying.retain(|(end, lease)| {
                    if *end <= now { limiter.release(*lease); }
                    *end > now
                });
                pending.retain_mut(|(i, at, ticket)| {
                    if *at > now { return true; }
                    match limiter.ask(&quota, *ticket, now, now + 10 * SECOND) {
                        Decision::Granted(lease) => {
                            flying.push((now + held, lease));
                            grants.push((*i, now));
                            false
                        }
                        Decision::Wait { ticket: new, until } => {
                            assert!(until > now && until <= now + LOOK_AGAIN);
                            *ticket = new;
                            true
                        }
                    }
                });
                assert!(flying.len() <= usize::from(concurrency));
                now += 5_000;
            }
            let order: Vec<_> = grants.iter().map(|(i, _)| *i).collect();
            prop_assert!(order.is_sorted(), "{:?}", order);
            for window in grants.windows(usize::from(rate) + 1) {
                prop_assert!(window[window.len() - 1].1 - window[0].1 >= SECOND);
            }
        }
    }
}
