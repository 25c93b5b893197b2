//! Refreshes by hand that failed, on their way into `warehouse.runs`: a ring of records in shared memory.
//!
//! The transaction of such a refresh is rolled back, and all that it wrote with it. So a record of fixed size
//! is left here, and the scheduler writes it down. Without `shared_preload_libraries` there is no history
//! of them.

use super::definition::Definition;
use crate::pg::error::Error;
use crate::pg::{process, shared, worker};
use pgrx::{PGRXSharedMemory, PgLwLock, pg_sys};
use std::cell::Cell;

/// Records that can wait, of all databases together.
const PLACES: usize = 64;
/// Bytes of an error that are kept.
const LONGEST: usize = 500;

/// A refresh that failed.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Its number, from 1; 0 for a free place.
    pub number: u64,
    database: u32,
    /// The definition.
    pub materialization: i32,
    /// It was to compare with the source.
    pub reconcile: bool,
    /// The process.
    pub pid: i32,
    /// When it began, in microseconds since 2000-01-01 UTC.
    pub started: i64,
    /// When it ended.
    pub ended: i64,
    sqlstate: [u8; 5],
    length: u16,
    error: [u8; LONGEST],
}

const FREE: Failure = Failure {
    number: 0,
    database: 0,
    materialization: 0,
    reconcile: false,
    pid: 0,
    started: 0,
    ended: 0,
    sqlstate: [0; 5],
    length: 0,
    error: [0; LONGEST],
};

impl Failure {
    /// SQLSTATE of the error; none if it was cancelled.
    pub fn sqlstate(&self) -> Option<&str> {
        std::str::from_utf8(&self.sqlstate).ok().filter(|state| !state.starts_with('\0'))
    }

    /// The beginning of the error; none if it was cancelled.
    pub fn error(&self) -> Option<&str> {
        self.sqlstate()?;
        std::str::from_utf8(&self.error[..usize::from(self.length)]).ok()
    }
}

struct Ring {
    last: u64,
    places: [Failure; PLACES],
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { last: 0, places: [FREE; PLACES] }
    }
}

// SAFETY: plain numbers and bytes without pointers.
unsafe impl PGRXSharedMemory for Ring {}

// SAFETY: the only lock of this name.
static RING: PgLwLock<Ring> = unsafe { PgLwLock::new(c"warehouse failed refreshes") };

thread_local! {
    static SHARED: Cell<bool> = const { Cell::new(false) };
    // Called once each, by `_PG_init`; a backend is one thread.
    static CALL: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Asks for the shared memory, if the library is being preloaded. `call` has a worker come that writes
/// records down. Called once, by `_PG_init`.
pub fn install(call: fn()) {
    SHARED.set(shared::share(&RING));
    CALL.set(Some(call));
}

/// A refresh by hand, which leaves a record if it does not end well.
pub struct Attempt {
    record: Failure,
    is_over: bool,
}

fn now() -> i64 {
    // SAFETY: a plain question.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

impl Attempt {
    /// Begins.
    pub fn of(definition: &Definition, reconcile: bool) -> Attempt {
        let record = Failure {
            database: process::database().to_u32(),
            materialization: definition.id,
            reconcile,
            pid: process::id(),
            started: now(),
            ..FREE
        };
        Attempt { record, is_over: false }
    }

    /// It ended well.
    pub fn succeeded(mut self) {
        self.is_over = true;
    }

    /// It failed.
    pub fn failed(mut self, error: &Error) {
        let text = error.message();
        let end = (0..=text.len().min(LONGEST)).rev().find(|at| text.is_char_boundary(*at));
        let bytes = &text.as_bytes()[..end.unwrap_or(0)];
        self.record.error[..bytes.len()].copy_from_slice(bytes);
        self.record.length = bytes.len() as u16;
        let state = worker::sqlstate_text(error.code());
        self.record.sqlstate = state.as_bytes().try_into().unwrap_or(*b"XX000");
    }

    fn leave(&self) {
        // SAFETY: a plain question.
        if !SHARED.get() || unsafe { pg_sys::RecoveryInProgress() } {
            return;
        }
        {
            let mut ring = RING.exclusive();
            ring.last += 1;
            let number = ring.last;
            ring.places[number as usize % PLACES] = Failure { number, ended: now(), ..self.record };
        }
        if let Some(call) = CALL.get() {
            call();
        }
    }
}

impl Drop for Attempt {
    // Also when an ERROR, as a cancel is one, goes through.
    fn drop(&mut self) {
        if !self.is_over {
            self.leave();
        }
    }
}

/// The records of this database, the oldest first. They stay until they are [`done`].
pub fn waiting() -> Vec<Failure> {
    if !SHARED.get() {
        return Vec::new();
    }
    let database = process::database().to_u32();
    let ring = RING.share();
    let own = ring.places.iter().filter(|one| one.number != 0 && one.database == database);
    let mut found: Vec<Failure> = own.copied().collect();
    found.sort_unstable_by_key(|one| one.number);
    found
}

/// These have been written down.
pub fn done(numbers: &[u64]) {
    let mut ring = RING.exclusive();
    for place in ring.places.iter_mut().filter(|place| numbers.contains(&place.number)) {
        *place = FREE;
    }
}
