//! What the processes know of each other, in shared memory.

use crate::pg::{process, shared};
use pgrx::pg_sys::{self, Oid};
use pgrx::{PGRXSharedMemory, PgLwLock};
use std::cell::Cell;

/// Databases that can have a scheduler, workers that can run, requests that can wait.
const DATABASES: usize = 1024;
const WORKERS: usize = 128;
const REQUESTS: usize = 1024;

/// A database.
#[derive(Debug, Clone, Copy, Default)]
pub struct Database {
    /// Its OID; 0 for a free place.
    pub oid: u32,
    /// Its scheduler's process and latch; 0 for none.
    pub pid: i32,
    latch: usize,
    /// The extension is not there: no scheduler until somebody asks for one.
    pub is_without: bool,
    /// No scheduler before this time (microseconds since 2000): somebody wants the database for himself.
    pub held_until: i64,
}

/// A worker that runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Worker {
    /// Its process; 0 for a free place.
    pub pid: i32,
    /// Its database.
    pub database: u32,
    /// Its run.
    pub run: i64,
    /// The scheduler has ended it because it took too long.
    pub timed_out: bool,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// The database; 0 for a free place.
    pub database: u32,
    /// The materialization.
    pub materialization: i32,
    /// All is to be fetched.
    pub full: bool,
}

#[derive(Debug)]
struct Board {
    launcher: usize,
    databases: [Database; DATABASES],
    workers: [Worker; WORKERS],
    requests: [Request; REQUESTS],
}

impl Default for Board {
    fn default() -> Board {
        Board {
            launcher: 0,
            databases: [Database::default(); DATABASES],
            workers: [Worker::default(); WORKERS],
            requests: [Request::default(); REQUESTS],
        }
    }
}

// SAFETY: plain numbers without pointers; latches are those of shared memory.
unsafe impl PGRXSharedMemory for Board {}

// SAFETY: the only lock of this name.
static BOARD: PgLwLock<Board> = unsafe { PgLwLock::new(c"warehouse jobs") };

thread_local! {
    static SHARED: Cell<bool> = const { Cell::new(false) };
}

/// Asks for the shared memory; whether the library is being preloaded.
pub fn install() -> bool {
    SHARED.set(shared::share(&BOARD));
    SHARED.get()
}

/// Whether there is a board, and so whether jobs run.
pub fn exists() -> bool {
    SHARED.get()
}

fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

impl Board {
    fn of(&mut self, oid: u32) -> Option<&mut Database> {
        let at = self
            .databases
            .iter()
            .position(|database| database.oid == oid)
            .or_else(|| self.databases.iter().position(|database| database.oid == 0))?;
        let database = &mut self.databases[at];
        if database.oid == 0 {
            *database = Database { oid, ..Database::default() };
        }
        Some(database)
    }
}

/// The launcher is this process.
pub fn enter_launcher() {
    BOARD.exclusive().launcher = process::latch();
}

/// Wakes the launcher.
pub fn wake_launcher() {
    if exists() {
        process::wake(BOARD.share().launcher);
    }
}

/// The databases of these for which a scheduler is to be started; forgets those that are gone.
pub fn without_scheduler(databases: &[Oid]) -> Vec<Oid> {
    let mut board = BOARD.exclusive();
    for database in &mut board.databases {
        if database.oid != 0 && !databases.iter().any(|oid| oid.to_u32() == database.oid) {
            *database = Database::default();
        }
    }
    let now = now();
    databases
        .iter()
        .copied()
        .filter(|oid| {
            board
                .of(oid.to_u32())
                .is_some_and(|d| d.pid == 0 && !d.is_without && d.held_until <= now)
        })
        .collect()
}

/// This process is the scheduler of its database; `false` if there is one.
pub fn enter_scheduler() -> bool {
    let mut board = BOARD.exclusive();
    let mine = process::id();
    let now = now();
    match board.of(process::database().to_u32()) {
        Some(database) if database.pid == 0 && database.held_until <= now => {
            database.pid = mine;
            database.latch = process::latch();
            true
        }
        _ => false,
    }
}

/// The scheduler of this database ends; the extension may be gone.
pub fn leave_scheduler() {
    let mine = process::id();
    let mut board = BOARD.exclusive();
    if let Some(database) = board.of(process::database().to_u32())
        && database.pid == mine
    {
        (database.pid, database.latch) = (0, 0);
    }
    process::wake(board.launcher);
}

/// The extension is not in this database.
pub fn note_without() {
    if let Some(database) = BOARD.exclusive().of(process::database().to_u32()) {
        database.is_without = true;
    }
}

/// Whether a database has no use for a scheduler.
pub fn is_without(oid: u32) -> bool {
    BOARD.share().databases.iter().any(|database| database.oid == oid && database.is_without)
}

/// The extension may be in this database by now: a scheduler is wanted.
pub fn want_scheduler() {
    if !exists() {
        return;
    }
    let mut board = BOARD.exclusive();
    let launcher = board.launcher;
    if let Some(database) = board.of(process::database().to_u32()) {
        database.is_without = false;
        if database.pid == 0 {
            process::wake(launcher);
        } else {
            process::wake(database.latch);
        }
    }
}

/// No scheduler in a database for a while, or again; the processes that have to end.
pub fn hold(oid: Oid, micros: i64) -> Vec<i32> {
    let mut board = BOARD.exclusive();
    let until = if micros > 0 { now() + micros } else { 0 };
    let mut found = Vec::new();
    if let Some(database) = board.of(oid.to_u32()) {
        database.held_until = until;
        if database.pid != 0 {
            found.push(database.pid);
        }
    }
    let of_it =
        board.workers.iter().filter(|worker| worker.pid != 0 && worker.database == oid.to_u32());
    found.extend(of_it.map(|worker| worker.pid));
    found
}

/// This process is the worker of a run; `false` if there is no place.
pub fn enter_worker(run: i64) -> bool {
    let mut board = BOARD.exclusive();
    let free = board.workers.iter().position(|worker| worker.pid == 0);
    let Some(at) = free else { return false };
    board.workers[at] = Worker {
        pid: process::id(),
        database: process::database().to_u32(),
        run,
        timed_out: false,
    };
    true
}

/// This process is no worker any more.
pub fn leave_worker() {
    let mine = process::id();
    let mut board = BOARD.exclusive();
    for worker in board.workers.iter_mut().filter(|worker| worker.pid == mine) {
        *worker = Worker::default();
    }
}

/// The workers of this database.
pub fn workers() -> Vec<Worker> {
    let database = process::database().to_u32();
    let board = BOARD.share();
    board.workers.iter().filter(|w| w.pid != 0 && w.database == database).copied().collect()
}

/// Notes that a run takes too long; its process.
pub fn time_out(run: i64) -> Option<i32> {
    let database = process::database().to_u32();
    let mut board = BOARD.exclusive();
    let worker =
        board.workers.iter_mut().find(|w| w.pid != 0 && w.database == database && w.run == run)?;
    worker.timed_out = true;
    Some(worker.pid)
}

/// Whether this worker was ended because it took too long.
pub fn has_timed_out() -> bool {
    let mine = process::id();
    BOARD.share().workers.iter().any(|worker| worker.pid == mine && worker.timed_out)
}

/// Asks for a run; `Some(false)` if it was asked for already, `None` if too much is asked for.
pub fn request(materialization: i32, full: bool) -> Option<bool> {
    let database = process::database().to_u32();
    let asked = Request { database, materialization, full };
    let mut board = BOARD.exclusive();
    let known = board
        .requests
        .iter_mut()
        .find(|r| r.database == database && r.materialization == materialization);
    if let Some(known) = known {
        known.full |= full;
        return Some(false);
    }
    let free = board.requests.iter_mut().find(|request| request.database == 0)?;
    *free = asked;
    let latch = board.of(database).map_or(0, |database| database.latch);
    process::wake(latch);
    Some(true)
}

/// Whether something is asked for in this database.
pub fn has_requests() -> bool {
    let database = process::database().to_u32();
    BOARD.share().requests.iter().any(|request| request.database == database)
}

/// What has been asked for in this database, taken from the board.
pub fn take_requests() -> Vec<Request> {
    let database = process::database().to_u32();
    let mut board = BOARD.exclusive();
    let mut taken = Vec::new();
    for request in board.requests.iter_mut().filter(|request| request.database == database) {
        taken.push(std::mem::take(request));
    }
    taken
}
