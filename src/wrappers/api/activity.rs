//! What the backends ask of APIs at this moment: for `warehouse.api_activity`, and for those who wait
//! for another's answer.
//!
//! One place a backend in shared memory. Without `shared_preload_libraries = 'warehouse'` nothing is
//! shown.

use super::limits;
use crate::pg::{process, shared};
use pgrx::{PGRXSharedMemory, PgLwLock};
use std::cell::Cell;
use warehouse_core::connectors::Counts;

/// Backends that there is room for; one more is not shown, and nobody waits for its answers.
const ROOM: usize = 256;
/// One whose rows are being used and who asked for no more for this long, in microseconds, is not at it any
/// more: a client reads when it likes.
const PAUSE: u64 = 2_000_000;
/// One who is fetching gives a sign twenty times a second, but for an overloaded machine.
const SILENCE: u64 = 15_000_000;

/// What a backend does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing.
    #[default]
    Idle,
    /// It waits for the API's answer.
    Fetching,
    /// Its rows of the last page are being used; more are to come.
    Reading,
    /// Another session is fetching what it wants.
    OtherSession,
}

/// What a backend does, and has done for the table it is at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Activity {
    /// The process; 0 is a free place.
    pub pid: i32,
    /// Its database.
    pub database: u32,
    /// The foreign server.
    pub server: u32,
    /// The foreign table; 0 if it is none.
    pub relation: u32,
    /// What it does.
    pub state: State,
    /// Since when it is at this table, in microseconds since 1970.
    pub since: u64,
    /// Its last sign.
    sign: u64,
    /// Which of the session's scans it is.
    serial: u64,
    /// Requests that wait for the rate limit now.
    pub waiting: u32,
    /// What was asked so far.
    pub requests: u64,
    /// Pages that came.
    pub pages: u64,
    /// Rows that came.
    pub rows: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Microseconds spent waiting for the rate limit and before retries.
    pub waited: u64,
}

struct Board([Activity; ROOM]);

impl Default for Board {
    fn default() -> Board {
        Board([Activity::default(); ROOM])
    }
}

// SAFETY: plain numbers without pointers.
unsafe impl PGRXSharedMemory for Board {}

// SAFETY: the only lock of this name.
static BOARD: PgLwLock<Board> = unsafe { PgLwLock::new(c"warehouse api activity") };

thread_local! {
    static SHARED: Cell<bool> = const { Cell::new(false) };
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
    static SERIAL: Cell<u64> = const { Cell::new(0) };
}

/// Asks for the shared memory. Called once, by `_PG_init`.
pub fn install() {
    SHARED.set(shared::share(&BOARD));
}

fn is_shared() -> bool {
    SHARED.get() && !limits::has_left()
}

/// Visits this backend's place.
fn visit(change: impl FnOnce(&mut Activity)) {
    if !is_shared() {
        return;
    }
    let pid = process::id();
    let mut board = BOARD.exclusive();
    let is_mine = |at: &usize| board.0[*at].pid == pid;
    let known = PLACE.get().filter(is_mine);
    let at = known.or_else(|| board.0.iter().position(|one| one.pid == 0));
    PLACE.set(at);
    if let Some(at) = at {
        board.0[at].pid = pid;
        change(&mut board.0[at]);
    }
}

/// Shows what this backend does for a table, until it is dropped. Of several of a session the one that did
/// something last is shown.
pub struct Doing(Activity);

/// Begins to do something for a table.
pub fn begin(server: u32, relation: u32, state: State) -> Doing {
    SERIAL.set(SERIAL.get() + 1);
    let doing = Doing(Activity {
        pid: process::id(),
        database: process::database().to_u32(),
        server,
        relation,
        since: limits::now(),
        serial: SERIAL.get(),
        ..Activity::default()
    });
    doing.go_on(state, Counts::default());
    doing
}

impl Doing {
    /// Goes on with something else.
    pub fn go_on(&self, state: State, counts: Counts) {
        // One who waits for another is no one to wait for.
        let sign = if state == State::OtherSession { 0 } else { limits::now() };
        visit(|own| {
            *own = Activity {
                state,
                sign,
                requests: counts.requests,
                pages: counts.pages,
                rows: counts.rows,
                bytes: counts.bytes,
                retries: counts.retries,
                waited: counts.waited.as_micros() as u64,
                ..self.0
            };
        });
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        visit(|own| {
            if own.serial == self.0.serial {
                *own = Activity { pid: own.pid, ..Activity::default() };
            }
        });
    }
}

/// Gives a sign of one who is about to fetch. It outlasts the [`Doing`] of one who has waited until now.
pub fn arrive() {
    let now = limits::now();
    visit(|own| *own = Activity { pid: own.pid, sign: now, ..Activity::default() });
}

/// Gives a sign; says how many requests wait for the rate limit.
pub fn sign(waiting: u32) {
    let now = limits::now();
    visit(|own| {
        if own.state == State::Fetching {
            (own.sign, own.waiting) = (now, waiting);
        }
    });
}

/// Those who are at it.
pub fn busy(now: u64) -> Vec<u64> {
    if !is_shared() {
        return Vec::new();
    }
    let board = BOARD.share();
    let at_it = board.0.iter().filter(|one| {
        let most = if one.state == State::Reading { PAUSE } else { SILENCE };
        one.pid != 0 && one.sign + most > now
    });
    at_it.map(|one| one.pid as u64).collect()
}

/// Gives the place up. Called at the backend's end.
pub fn leave() {
    visit(|own| *own = Activity::default());
}

/// All that do something in this database.
pub fn all() -> Vec<Activity> {
    if !is_shared() {
        return Vec::new();
    }
    let database = process::database().to_u32();
    let board = BOARD.share();
    let seen = board.0.iter().filter(|one| one.state != State::Idle && one.database == database);
    seen.copied().collect()
}
