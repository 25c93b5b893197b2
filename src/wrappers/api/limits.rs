//! Rate limits over all backends.
//!
//! The limiters lie in shared memory, so it takes `shared_preload_libraries = 'warehouse'`; without,
//! every session keeps limits of its own. Beside them lies when each server's cached answers were last
//! cleared, which every session obeys.

use crate::pg::{process, shared};
use pgrx::{PGRXSharedMemory, PgLwLock};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use warehouse_core::connectors::limit::Limiter;
use warehouse_core::connectors::{LimitKey, Limiters, SessionLimiters};

/// Limits that there is room for: one for each credential, and one for each base of Airtable.
const ROOM: usize = 128;

#[derive(Debug, Clone, Copy)]
struct Place {
    key: [u8; 16],
    /// When it was last visited; 0 is free.
    used: u64,
    limiter: Limiter,
}

#[derive(Debug, Clone, Copy, Default)]
struct Clearing {
    database: u32,
    server: u32,
    at: u64,
}

/// What the backends share.
#[derive(Debug)]
struct Book {
    /// Microseconds from the monotonic clock to the time since 1970.
    offset: u64,
    places: [Place; ROOM],
    clearings: [Clearing; ROOM],
    /// When everything was cleared, since there was no room to note one server.
    all_cleared: u64,
}

impl Default for Book {
    fn default() -> Book {
        let place = Place { key: [0; 16], used: 0, limiter: Limiter::default() };
        Book {
            offset: offset(),
            places: [place; ROOM],
            clearings: [Clearing::default(); ROOM],
            all_cleared: 0,
        }
    }
}

// SAFETY: plain numbers without pointers.
unsafe impl PGRXSharedMemory for Book {}

// SAFETY: the only lock of this name.
static BOOK: PgLwLock<Book> = unsafe { PgLwLock::new(c"warehouse apis") };

thread_local! {
    // A backend is one thread. The postmaster sets it before it forks the others.
    static SHARED: Cell<bool> = const { Cell::new(false) };
    static OFFSET: Cell<u64> = const { Cell::new(0) };
    static CLEARED: Cell<u64> = const { Cell::new(0) };
}

/// At the session's end a lock cannot be taken any more.
static HAS_LEFT: AtomicBool = AtomicBool::new(false);

/// Asks for the shared memory. Called once, by `_PG_init`.
pub fn install() {
    SHARED.set(shared::share(&BOOK));
}

fn is_shared() -> bool {
    SHARED.get() && !has_left()
}

/// Notes the end of this backend, after which it has no locks.
pub fn leave() {
    HAS_LEFT.store(true, Ordering::Relaxed);
}

/// Whether this backend is at its end.
pub fn has_left() -> bool {
    HAS_LEFT.load(Ordering::Relaxed)
}

/// Microseconds since 1970, by the machine's clock.
pub fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_micros() as u64
}

fn offset() -> u64 {
    since_1970().saturating_sub(process::monotonic())
}

/// Microseconds since 1970, by a clock that does not go back and is the same for all who share limits.
pub fn now() -> u64 {
    let mut found = OFFSET.get();
    if found == 0 {
        found = if is_shared() { BOOK.share().offset } else { offset() };
        OFFSET.set(found);
    }
    process::monotonic() + found
}

/// The limiters: those of all backends, or the session's own where there are none.
#[derive(Debug, Clone, Default)]
pub struct BackendLimiters(SessionLimiters);

impl Limiters for BackendLimiters {
    fn visit(&self, key: LimitKey, visit: &mut dyn FnMut(&mut Limiter)) {
        if is_shared() {
            let now = now();
            let mut book = BOOK.exclusive();
            if let Some(limiter) = book.limiter(key.0, now) {
                visit(limiter);
                return;
            }
        }
        self.0.visit(key, visit);
    }
}

impl Book {
    /// The limiter of a key; that which was not used for the longest time makes room.
    fn limiter(&mut self, key: [u8; 16], now: u64) -> Option<&mut Limiter> {
        let known = self.places.iter().position(|place| place.used != 0 && place.key == key);
        let at = known.or_else(|| {
            let idle = self
                .places
                .iter()
                .enumerate()
                .filter(|(_, place)| place.used == 0 || place.used + 60_000_000 < now);
            let at = idle.min_by_key(|(_, place)| place.used).map(|(at, _)| at)?;
            self.places[at] = Place { key, used: now, limiter: Limiter::default() };
            Some(at)
        })?;
        self.places[at].used = now;
        Some(&mut self.places[at].limiter)
    }
}

/// Lets no session use answers of a server that were asked for before now.
pub fn clear(server: u32) {
    let (now, database) = (now(), process::database().to_u32());
    if !is_shared() {
        CLEARED.set(now);
        return;
    }
    let mut book = BOOK.exclusive();
    let same =
        |one: &&mut Clearing| one.at == 0 || one.database == database && one.server == server;
    match book.clearings.iter_mut().find(same) {
        Some(place) => *place = Clearing { database, server, at: now },
        None => book.all_cleared = now,
    }
}

/// When a server's answers were last cleared.
pub fn cleared(server: u32) -> u64 {
    if !is_shared() {
        return CLEARED.get();
    }
    let database = process::database().to_u32();
    let book = BOOK.share();
    let found = book
        .clearings
        .iter()
        .find(|one| one.at != 0 && one.database == database && one.server == server);
    found.map_or(0, |one| one.at).max(book.all_cleared)
}
