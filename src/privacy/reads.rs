//! Reads in clear on their way into `warehouse.audit`: a ring of records in shared memory.
//!
//! A read must not write: its transaction may be READ ONLY or rolled back, and it has to be on record all the
//! same. So it leaves a record of fixed size here, and a worker (`jobs::audit`) writes it down. There is no
//! literal and no value in one. What is not written down before its place is taken again is counted and told
//! in the server log, which has had a line of every read from the beginning.
//!
//! Without `shared_preload_libraries`, and on a standby, only the server log has them.

use super::right::Clear;
use crate::pg::{identity, process, shared};
use pgrx::pg_sys;
use pgrx::{PGRXSharedMemory, PgLwLock};
use std::cell::Cell;

/// Records that can wait, of all databases together.
pub const PLACES: usize = 1024;
/// Words of a set of columns: a table has 1600 at most.
const WORDS: usize = 26;
/// How soon a backend calls for the worker again, in microseconds.
const PAUSE: u64 = 500_000;

/// A read of one relation in clear.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// Its number, from 1; 0 for a free place.
    pub number: u64,
    /// Its database.
    pub database: u32,
    /// The role whose rights were used, and the one that had logged in.
    pub role: u32,
    /// See above.
    pub session: u32,
    /// The foreign table.
    pub relation: u32,
    columns: [u64; WORDS],
    /// Rows that were read; -1 before the first.
    pub rows: i64,
    /// The id of the query; 0 if none is computed.
    pub query: i64,
    /// When, in microseconds since 2000-01-01 UTC.
    pub at: i64,
}

const FREE: Read = Read {
    number: 0,
    database: 0,
    role: 0,
    session: 0,
    relation: 0,
    columns: [0; WORDS],
    rows: -1,
    query: 0,
    at: 0,
};

impl Read {
    fn add(&mut self, column: i16) {
        let at = usize::try_from(column).unwrap_or(0);
        if let Some(word) = self.columns.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// The numbers of the columns.
    pub fn columns(&self) -> Vec<i16> {
        let is_in = |at: &i16| {
            let at = *at as usize;
            self.columns.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
        };
        (1..(WORDS * 64) as i16).filter(is_in).collect()
    }
}

#[derive(Debug)]
struct Ring {
    /// Number of the last record.
    last: u64,
    places: [Read; PLACES],
    /// Records whose place was taken before they were written down, and that nobody was told of.
    lost: u64,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { last: 0, places: [FREE; PLACES], lost: 0 }
    }
}

// SAFETY: plain numbers without pointers.
unsafe impl PGRXSharedMemory for Ring {}

// SAFETY: the only lock of this name.
static RING: PgLwLock<Ring> = unsafe { PgLwLock::new(c"warehouse clear reads") };

thread_local! {
    static SHARED: Cell<bool> = const { Cell::new(false) };
    // Called once each, by `_PG_init`; a backend is one thread.
    static CALL: Cell<Option<fn()>> = const { Cell::new(None) };
    /// When this backend has called the worker last, by the monotonic clock.
    static CALLED: Cell<u64> = const { Cell::new(0) };
}

/// Asks for the shared memory, if the library is being preloaded. `call` has a worker come that writes
/// records down. Called once, by `_PG_init`.
pub fn install(call: fn()) {
    SHARED.set(shared::share(&RING));
    CALL.set(Some(call));
}

/// Leaves records of columns that are read in clear, one for each relation.
pub fn leave(columns: &[Clear], rows: Option<u64>) {
    // SAFETY: plain questions.
    let (is_standby, at, query) = unsafe {
        (
            pg_sys::RecoveryInProgress(),
            pg_sys::GetCurrentTimestamp(),
            pg_sys::pgstat_get_my_query_id() as i64,
        )
    };
    if !SHARED.get() || is_standby {
        return;
    }
    let mut reads: Vec<Read> = Vec::new();
    for column in columns {
        let known = reads.iter_mut().find(|read| read.relation == column.relation);
        match known {
            Some(read) => read.add(column.number),
            None => {
                let mut read = Read {
                    database: process::database().to_u32(),
                    role: identity::current().to_u32(),
                    session: identity::session().to_u32(),
                    relation: column.relation,
                    rows: rows.map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX)),
                    query,
                    at,
                    ..FREE
                };
                read.add(column.number);
                reads.push(read);
            }
        }
    }
    {
        let mut ring = RING.exclusive();
        for read in reads {
            ring.last += 1;
            let number = ring.last;
            let Some(place) = ring.places.get_mut(number as usize % PLACES) else { continue };
            let is_taken = place.number != 0;
            *place = Read { number, ..read };
            ring.lost += u64::from(is_taken);
        }
    }
    let now = process::monotonic();
    if CALLED.get() == 0 || now.saturating_sub(CALLED.get()) > PAUSE {
        CALLED.set(now.max(1));
        if let Some(call) = CALL.get() {
            call();
        }
    }
}

/// Whether records of this database wait.
pub fn any() -> bool {
    let database = process::database().to_u32();
    SHARED.get()
        && RING.share().places.iter().any(|read| read.number != 0 && read.database == database)
}

/// Up to so many records of this database, the oldest first. They stay until they are [`done`].
pub fn waiting(at_most: usize) -> Vec<Read> {
    if !SHARED.get() {
        return Vec::new();
    }
    let database = process::database().to_u32();
    let mut found: Vec<Read> = RING
        .share()
        .places
        .iter()
        .filter(|read| read.number != 0 && read.database == database)
        .copied()
        .collect();
    found.sort_unstable_by_key(|read| read.number);
    found.truncate(at_most);
    found
}

/// These have been written down. A place that was taken again meanwhile is left alone, and its former record
/// has not been lost.
pub fn done(numbers: &[u64]) {
    let mut ring = RING.exclusive();
    for number in numbers {
        let Some(place) = ring.places.get_mut(*number as usize % PLACES) else { continue };
        if place.number == *number {
            *place = FREE;
        } else {
            ring.lost = ring.lost.saturating_sub(1);
        }
    }
}

/// How many records of all databases have been lost that nobody was told of; now somebody is.
pub fn take_lost() -> u64 {
    if !SHARED.get() || RING.share().lost == 0 {
        return 0;
    }
    std::mem::take(&mut RING.exclusive().lost)
}
