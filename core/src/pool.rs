//! Who may have how many connections to a server at a time: the book that all sessions keep together.
//!
//! A plain value without pointers, so that it can lie in shared memory behind a lock. Those who wait
//! are served in the order in which they came. Sessions that wait for each other are found
//! ([`Pool::is_stuck`]), because a session may hold a connection to one server while it waits for one
//! to another.

/// A server: the database here and the server's number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Key {
    /// The database.
    pub database: u32,
    /// The server.
    pub server: u32,
}

/// A session, and how to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Member {
    /// Its process.
    pub pid: i32,
    /// Its number among the sessions, for signals.
    pub backend: i32,
    /// What wakes it.
    pub latch: usize,
}

/// A connection of somebody.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: Key,
    member: Member,
    taken: bool,
    idle: bool,
}

/// Somebody who waits for a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Waiter {
    key: Key,
    member: Member,
    bound: u32,
    /// 0 for nobody.
    ticket: u64,
}

/// The book, of `S` connections and `W` waiting sessions at most.
#[derive(Debug)]
pub struct Pool<const S: usize, const W: usize> {
    slots: [Slot; S],
    waiters: [Waiter; W],
    tickets: u64,
}

/// What came of asking for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It may be opened: its place in the book.
    Granted(usize),
    /// Wait with this ticket.
    Wait(u64),
    /// The book is full.
    Full,
}

/// The state of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Connections.
    pub connections: u32,
    /// Of these, those that a transaction uses.
    pub in_use: u32,
    /// Sessions that wait for one.
    pub waiting: u32,
}

impl<const S: usize, const W: usize> Default for Pool<S, W> {
    fn default() -> Self {
        Pool { slots: [Slot::default(); S], waiters: [Waiter::default(); W], tickets: 0 }
    }
}

impl<const S: usize, const W: usize> Pool<S, W> {
    fn of(&self, key: Key) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(move |slot| slot.taken && slot.key == key)
    }

    fn waiting(&self) -> impl Iterator<Item = &Waiter> {
        self.waiters.iter().filter(|waiter| waiter.ticket != 0)
    }

    /// Asks for a connection of which there may be `bound` (0 for any number); `ticket` is that of an
    /// earlier answer, or 0. What the last to come says of the bound holds for all who wait: they may
    /// not have heard of a change.
    pub fn ask(&mut self, key: Key, member: Member, bound: u32, ticket: u64) -> Answer {
        let mut bound = bound;
        for waiter in self.waiters.iter_mut().filter(|w| w.ticket != 0 && w.key == key) {
            if ticket == 0 {
                waiter.bound = bound;
            } else if waiter.ticket == ticket {
                bound = waiter.bound;
            }
        }
        let before = self
            .waiting()
            .any(|waiter| waiter.key == key && (ticket == 0 || waiter.ticket < ticket));
        let count = self.of(key).count() as u32;
        let free = self.slots.iter().position(|slot| !slot.taken);
        let room = (bound == 0 || count < bound) && !before;
        if let (true, Some(at)) = (room, free) {
            self.slots[at] = Slot { key, member, taken: true, idle: false };
            self.leave(ticket);
            return Answer::Granted(at);
        }
        if ticket != 0 {
            return Answer::Wait(ticket);
        }
        let Some(place) = self.waiters.iter_mut().find(|waiter| waiter.ticket == 0) else {
            return Answer::Full;
        };
        self.tickets += 1;
        *place = Waiter { key, member, bound, ticket: self.tickets };
        Answer::Wait(self.tickets)
    }

    /// Waits no longer.
    pub fn leave(&mut self, ticket: u64) {
        if ticket != 0 {
            for waiter in self.waiters.iter_mut().filter(|waiter| waiter.ticket == ticket) {
                *waiter = Waiter::default();
            }
        }
    }

    /// A connection was closed. Returns who comes next and has to be woken.
    pub fn release(&mut self, at: usize) -> Option<Member> {
        let key = self.slots[at].key;
        self.slots[at] = Slot::default();
        self.next(key)
    }

    /// Who comes next for a server.
    pub fn next(&self, key: Key) -> Option<Member> {
        let first = self.waiting().filter(|waiter| waiter.key == key).min_by_key(|w| w.ticket);
        first.map(|waiter| waiter.member)
    }

    /// Notes whether a transaction uses the connection. Returns whether somebody waits for one like it.
    pub fn set_idle(&mut self, at: usize, idle: bool) -> bool {
        self.slots[at].idle = idle;
        self.is_wanted(at)
    }

    /// Whether somebody waits for a connection like this.
    pub fn is_wanted(&self, at: usize) -> bool {
        let key = self.slots[at].key;
        self.waiting().any(|waiter| waiter.key == key)
    }

    /// The sessions that could give an unused connection to a server back.
    pub fn idle_holders(&self, key: Key) -> Vec<Member> {
        self.of(key).filter(|slot| slot.idle).map(|slot| slot.member).collect()
    }

    /// A session has ended: forgets all that is its. Returns whom to wake.
    pub fn forget(&mut self, pid: i32) -> Vec<Member> {
        let mut woken = Vec::new();
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.member.pid == pid) {
            *waiter = Waiter::default();
        }
        for at in 0..S {
            if self.slots[at].taken && self.slots[at].member.pid == pid {
                woken.extend(self.release(at));
            }
        }
        woken
    }

    /// Whether the waiting session with this ticket has to give way: it is the last to come of sessions
    /// that wait for nothing but each other, and has what another of them waits for. `blocked` are the
    /// sessions that wait for locks of Postgres's own, each with all who have to let go first.
    pub fn is_stuck(&self, ticket: u64, blocked: &[(i32, Vec<i32>)]) -> bool {
        let mut stuck: Vec<&Waiter> = self.waiting().collect();
        let mut blocked: Vec<&(i32, Vec<i32>)> = blocked.iter().collect();
        loop {
            let before = stuck.len() + blocked.len();
            let locked: Vec<i32> = blocked.iter().map(|(pid, _)| *pid).collect();
            let mut pids: Vec<i32> = stuck.iter().map(|waiter| waiter.member.pid).collect();
            pids.extend(&locked);
            // Who waits for a lock cannot give back what it does not use; who waits in line does.
            let rests = |slot: &Slot| match slot.idle {
                true => locked.contains(&slot.member.pid),
                false => pids.contains(&slot.member.pid),
            };
            stuck.retain(|waiter| {
                waiter.bound != 0
                    && self.of(waiter.key).count() >= waiter.bound as usize
                    && self.of(waiter.key).all(rests)
            });
            blocked.retain(|(_, by)| by.iter().any(|pid| pids.contains(pid)));
            if stuck.len() + blocked.len() == before {
                break;
            }
        }
        // Who merely stands behind them, and whoever waits for such a one, is not wanted by anybody.
        loop {
            let before = stuck.len() + blocked.len();
            let mut wanted: Vec<i32> = blocked.iter().flat_map(|(_, by)| by).copied().collect();
            for waiter in &stuck {
                wanted.extend(self.of(waiter.key).map(|slot| slot.member.pid));
            }
            stuck.retain(|waiter| wanted.contains(&waiter.member.pid));
            blocked.retain(|(pid, _)| wanted.contains(pid));
            if stuck.len() + blocked.len() == before {
                break;
            }
        }
        stuck.iter().map(|waiter| waiter.ticket).max() == Some(ticket)
    }

    /// How a server is used.
    pub fn usage(&self, key: Key) -> Usage {
        let mut usage = Usage::default();
        for slot in self.of(key) {
            usage.connections += 1;
            usage.in_use += u32::from(!slot.idle);
        }
        usage.waiting = self.waiting().filter(|waiter| waiter.key == key).count() as u32;
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Pool<8, 8>;

    fn key(server: u32) -> Key {
        Key { database: 1, server }
    }

    fn member(pid: i32) -> Member {
        Member { pid, backend: pid, latch: pid as usize }
    }

    fn granted(answer: Answer) -> usize {
        match answer {
            Answer::Granted(at) => at,
            other => panic!("not granted but {other:?}"),
        }
    }

    fn ticket(answer: Answer) -> u64 {
        match answer {
            Answer::Wait(ticket) => ticket,
            other => panic!("no wait but {other:?}"),
        }
    }

    #[test]
    fn bounds_each_server_apart() {
        let mut pool = Small::default();
        granted(pool.ask(key(1), member(1), 1, 0));
        ticket(pool.ask(key(1), member(2), 1, 0));
        granted(pool.ask(key(2), member(2), 1, 0));
        assert_eq!(pool.usage(key(1)), Usage { connections: 1, in_use: 1, waiting: 1 });
    }

    #[test]
    fn serves_in_the_order_of_coming() {
        let mut pool = Small::default();
        let first = granted(pool.ask(key(1), member(1), 1, 0));
        let two = ticket(pool.ask(key(1), member(2), 1, 0));
        let three = ticket(pool.ask(key(1), member(3), 1, 0));
        assert_eq!(pool.release(first), Some(member(2)));
        // Neither the third nor a newcomer overtakes the second.
        assert_eq!(pool.ask(key(1), member(3), 1, three), Answer::Wait(three));
        ticket(pool.ask(key(1), member(4), 1, 0));
        granted(pool.ask(key(1), member(2), 1, two));
        assert_eq!(pool.next(key(1)), Some(member(3)));
    }

    #[test]
    fn forgets_a_session_that_ended() {
        let mut pool = Small::default();
        granted(pool.ask(key(1), member(1), 1, 0));
        let two = ticket(pool.ask(key(1), member(2), 1, 0));
        let three = ticket(pool.ask(key(1), member(3), 1, 0));
        pool.leave(two);
        assert_eq!(pool.forget(1), vec![member(3)]);
        granted(pool.ask(key(1), member(3), 1, three));
        assert_eq!(pool.usage(key(1)).waiting, 0);
    }

    #[test]
    fn finds_sessions_that_wait_for_each_other() {
        let mut pool = Small::default();
        let one = granted(pool.ask(key(1), member(1), 1, 0));
        granted(pool.ask(key(2), member(2), 1, 0));
        let first = ticket(pool.ask(key(2), member(1), 1, 0));
        assert!(!pool.is_stuck(first, &[]));
        let second = ticket(pool.ask(key(1), member(2), 1, 0));
        // The last to come gives way, the other does not.
        assert!(pool.is_stuck(second, &[]) && !pool.is_stuck(first, &[]));
        // A connection that nothing uses would be given back.
        pool.set_idle(one, true);
        assert!(!pool.is_stuck(second, &[]));
        assert_eq!(pool.idle_holders(key(1)), vec![member(1)]);
    }

    #[test]
    fn who_stands_behind_a_deadlock_is_left_alone() {
        let mut pool = Small::default();
        granted(pool.ask(key(1), member(1), 1, 0));
        granted(pool.ask(key(2), member(2), 1, 0));
        let first = ticket(pool.ask(key(2), member(1), 1, 0));
        let second = ticket(pool.ask(key(1), member(2), 1, 0));
        let behind = ticket(pool.ask(key(1), member(3), 1, 0));
        assert!(
            !pool.is_stuck(behind, &[]) && !pool.is_stuck(first, &[]) && pool.is_stuck(second, &[])
        );
    }

    #[test]
    fn a_bound_that_was_raised_serves_who_waits() {
        let mut pool = Small::default();
        granted(pool.ask(key(1), member(1), 1, 0));
        let two = ticket(pool.ask(key(1), member(2), 1, 0));
        let three = ticket(pool.ask(key(1), member(3), 3, 0));
        assert_eq!(pool.next(key(1)), Some(member(2)));
        granted(pool.ask(key(1), member(2), 1, two));
        granted(pool.ask(key(1), member(3), 3, three));
    }

    #[test]
    fn sees_the_locks_of_others() {
        let mut pool = Small::default();
        let one = granted(pool.ask(key(1), member(1), 2, 0));
        let two = granted(pool.ask(key(1), member(2), 2, 0));
        let third = ticket(pool.ask(key(1), member(3), 2, 0));
        // One holder waits for a lock of the one in line, the other will end.
        assert!(!pool.is_stuck(third, &[(1, vec![3])]));
        assert!(pool.is_stuck(third, &[(1, vec![3]), (2, vec![3])]));
        assert!(pool.is_stuck(third, &[(1, vec![3]), (2, vec![1])]));
        // For a lock of somebody else, who does not wait.
        assert!(!pool.is_stuck(third, &[(1, vec![3]), (2, vec![9])]));
        // Unused, but who has them cannot give them back.
        pool.set_idle(one, true);
        pool.set_idle(two, true);
        assert!(pool.is_stuck(third, &[(1, vec![3]), (2, vec![3])]));
        assert!(!pool.is_stuck(third, &[(1, vec![3])]));
    }

    #[test]
    fn finds_rings_of_locks_and_connections() {
        let mut pool = Small::default();
        granted(pool.ask(key(1), member(1), 1, 0));
        granted(pool.ask(key(2), member(3), 1, 0));
        // The first waits for a lock of the second, who waits for the third, who waits for the first.
        let second = ticket(pool.ask(key(2), member(2), 1, 0));
        let third = ticket(pool.ask(key(1), member(3), 1, 0));
        let blocked = [(1, vec![2])];
        assert!(!pool.is_stuck(second, &blocked) && pool.is_stuck(third, &blocked));
        assert!(!pool.is_stuck(third, &[]));
        // Who stands behind, and whoever waits for a lock of them, is left alone.
        let behind = ticket(pool.ask(key(1), member(4), 1, 0));
        let blocked = [(1, vec![2]), (7, vec![4])];
        assert!(!pool.is_stuck(behind, &blocked) && pool.is_stuck(third, &blocked));
    }

    #[test]
    fn a_full_book_says_so() {
        let mut pool = Pool::<1, 1>::default();
        granted(pool.ask(key(1), member(1), 0, 0));
        ticket(pool.ask(key(2), member(2), 0, 0));
        assert_eq!(pool.ask(key(3), member(3), 0, 0), Answer::Full);
    }
}
