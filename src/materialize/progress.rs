//! How far a refresh is, for others to see.
//!
//! A slot in shared memory for each running refresh; without `shared_preload_libraries` nobody but
//! `pg_stat_progress_copy` tells.

use crate::pg::{process, shared};
use pgrx::pg_sys::{self, Oid};
use pgrx::{PGRXSharedMemory, PgLwLock};
use std::cell::Cell;

/// Refreshes that are told of at a time.
const SLOTS: usize = 128;

/// How far a refresh is.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Slot {
    pub pid: i32,
    pub database: u32,
    pub materialization: i32,
    pub phase: u8,
    pub rows: u64,
    pub bytes: u64,
    /// Rows that are expected; 0 if unknown.
    pub expected: u64,
    /// Microseconds since 2000-01-01.
    pub started: i64,
    pub phase_started: i64,
}

/// What a refresh is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Phase {
    Starting = 0,
    Comparing,
    Fetching,
    Indexing,
    Verifying,
    Applying,
    Exchanging,
    Dependents,
}

/// The names of the phases, by number.
pub const PHASES: [&str; 8] = [
    "starting",
    "comparing",
    "fetching",
    "building indexes",
    "verifying",
    "applying",
    "waiting for readers",
    "dependent aggregates",
];

#[derive(Debug)]
struct Board([Slot; SLOTS]);

impl Default for Board {
    fn default() -> Board {
        Board([Slot::default(); SLOTS])
    }
}

// SAFETY: plain numbers without pointers.
unsafe impl PGRXSharedMemory for Board {}

// SAFETY: the only lock of this name.
static BOARD: PgLwLock<Board> = unsafe { PgLwLock::new(c"warehouse progress") };

thread_local! {
    static SHARED: Cell<bool> = const { Cell::new(false) };
    static MINE: Cell<Option<usize>> = const { Cell::new(None) };
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

/// Asks for the shared memory, if the library is being preloaded. Called once, by `_PG_init`.
pub fn install() {
    SHARED.set(shared::share(&BOARD));
}

/// Whether the library is preloaded: others see the progress, and jobs run.
pub fn is_shared() -> bool {
    SHARED.get()
}

fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// A refresh that is told of until it is dropped.
#[derive(Debug)]
pub struct Telling(());

impl Telling {
    /// Begins to tell of a refresh. One within another (a dependent) keeps the other's slot.
    pub fn begin(materialization: i32, relation: Oid, expected: u64) -> Option<Telling> {
        if MINE.get().is_some() {
            return None;
        }
        // SAFETY: sets this backend's own status; ended on drop, or by the end of the transaction.
        unsafe {
            let kind = pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY;
            pg_sys::pgstat_progress_start_command(kind, relation);
            // A COPY FROM whose rows come from a function.
            for (at, value) in [
                (pg_sys::PROGRESS_COPY_COMMAND, pg_sys::PROGRESS_COPY_COMMAND_FROM),
                (pg_sys::PROGRESS_COPY_TYPE, pg_sys::PROGRESS_COPY_TYPE_CALLBACK),
            ] {
                pg_sys::pgstat_progress_update_param(at as i32, i64::from(value));
            }
        }
        if !SHARED.get() {
            return Some(Telling(()));
        }
        if !HOOKED.replace(true) {
            process::at_exit(leave);
        }
        let mut board = BOARD.exclusive();
        let mine = process::id();
        let free = board.0.iter().position(|slot| slot.pid == 0 || slot.pid == mine);
        if let Some(at) = free {
            let started = now();
            board.0[at] = Slot {
                pid: mine,
                database: process::database().to_u32(),
                materialization,
                expected,
                started,
                phase_started: started,
                ..Slot::default()
            };
            MINE.set(Some(at));
        }
        Some(Telling(()))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        leave();
        // SAFETY: sets this backend's own status.
        unsafe { pg_sys::pgstat_progress_end_command() }
    }
}

fn leave() {
    if let Some(at) = MINE.take() {
        BOARD.exclusive().0[at] = Slot::default();
    }
}

/// Tells what is being done now.
pub fn phase(phase: Phase, expected: Option<u64>) {
    if let Some(at) = MINE.get() {
        let mut board = BOARD.exclusive();
        let slot = &mut board.0[at];
        slot.phase = phase as u8;
        slot.phase_started = now();
        (slot.rows, slot.bytes) = (0, 0);
        slot.expected = expected.unwrap_or(0);
    }
}

/// Tells rows and bytes of the phase.
pub fn rows(rows: u64, bytes: u64) {
    // SAFETY: sets this backend's own status.
    unsafe {
        pg_sys::pgstat_progress_update_param(
            pg_sys::PROGRESS_COPY_TUPLES_PROCESSED as i32,
            rows as i64,
        );
        pg_sys::pgstat_progress_update_param(
            pg_sys::PROGRESS_COPY_BYTES_PROCESSED as i32,
            bytes as i64,
        );
    }
    if let Some(at) = MINE.get() {
        let mut board = BOARD.exclusive();
        (board.0[at].rows, board.0[at].bytes) = (rows, bytes);
    }
}

/// The running refreshes of this database.
pub fn all() -> Vec<Slot> {
    if !SHARED.get() {
        return Vec::new();
    }
    let database = process::database().to_u32();
    let board = BOARD.share();
    board.0.iter().filter(|slot| slot.pid != 0 && slot.database == database).copied().collect()
}
