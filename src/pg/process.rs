//! This backend among the others: who it is, waking another, its end.

use pgrx::JsonB;
use pgrx::pg_sys::{self, Datum, Oid};
use std::cell::Cell;
use std::ffi::c_int;
use std::time::Duration;

/// Whether the postmaster is loading the library for all backends.
pub fn is_preloading() -> bool {
    // SAFETY: a plain variable.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// The process.
pub fn id() -> i32 {
    // SAFETY: a plain variable.
    unsafe { pg_sys::MyProcPid }
}

/// Its number among the backends.
pub fn backend() -> i32 {
    // SAFETY: a plain variable.
    unsafe { pg_sys::MyBackendId }
}

/// Its database.
pub fn database() -> Oid {
    // SAFETY: a plain variable.
    unsafe { pg_sys::MyDatabaseId }
}

/// What wakes it: its latch in shared memory, as a number.
pub fn latch() -> usize {
    // SAFETY: a plain variable.
    unsafe { pg_sys::MyLatch as usize }
}

/// Wakes the backend with this latch, or whichever has it by now: one woken for nothing looks around
/// and waits on.
pub fn wake(latch: usize) {
    if latch != 0 {
        // SAFETY: latches of backends lie in shared memory for as long as the server runs.
        unsafe { pg_sys::SetLatch(latch as *mut pg_sys::Latch) }
    }
}

/// Asks a process to end.
pub fn terminate(pid: i32) {
    if pid > 0 {
        // SAFETY: one process; one that has ended meanwhile is no error.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

/// Cancels what a process is doing.
pub fn cancel(pid: i32) {
    if pid > 0 {
        // SAFETY: as above.
        unsafe { libc::kill(pid, libc::SIGINT) };
    }
}

/// Makes a backend that is idle run an empty transaction, at whose end our callback looks around. It
/// is the signal by which Postgres makes idle backends read invalidation messages; one that is busy
/// reads them later.
pub fn nudge(pid: i32, backend: i32) {
    // SAFETY: signals no other process than the backend of that number with that id.
    unsafe {
        pg_sys::SendProcSignal(pid, pg_sys::ProcSignalReason::PROCSIG_CATCHUP_INTERRUPT, backend);
    }
}

/// `deadlock_timeout`.
pub fn deadlock_timeout() -> Duration {
    // SAFETY: a plain variable, in milliseconds.
    Duration::from_millis(unsafe { pg_sys::DeadlockTimeout }.max(1) as u64)
}

/// The backends that wait for locks, each with all that have to let go first.
pub fn blocked() -> Vec<(i32, Vec<i32>)> {
    let found = super::sql::value::<JsonB>(
        "SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(w.pid, pg_catalog.pg_blocking_pids(w.pid))) \
         FROM (SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l WHERE NOT l.granted) w",
        &[],
    );
    found.ok().flatten().and_then(|json| serde_json::from_value(json.0).ok()).unwrap_or_default()
}

/// Runs `f` when the process ends: after the abort of its transaction, before it loses its place among the
/// backends.
pub fn at_exit(f: fn()) {
    // SAFETY: a static function that gets its own pointer back.
    unsafe { pg_sys::on_shmem_exit(Some(run), Datum::from(f as usize)) }
}

thread_local! {
    static AT_COMMIT: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Runs `f` once the transaction has committed.
pub fn at_commit(f: fn()) {
    if AT_COMMIT.replace(Some(f)).is_none() {
        pgrx::register_xact_callback(pgrx::PgXactCallbackEvent::Commit, || {
            if let Some(f) = AT_COMMIT.take() {
                f();
            }
        });
        pgrx::register_xact_callback(pgrx::PgXactCallbackEvent::Abort, || {
            AT_COMMIT.take();
        });
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn run(_code: c_int, f: Datum) {
    // SAFETY: `at_exit` put a function there.
    let f = unsafe { std::mem::transmute::<usize, fn()>(f.value()) };
    f();
}

/// Microseconds of the machine's monotonic clock.
pub fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

/// What tells statements of clients apart; within a transaction that keeps its snapshot, what tells
/// transactions apart.
pub fn moment() -> i64 {
    // SAFETY: plain questions.
    unsafe {
        if pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 {
            -pg_sys::GetCurrentTransactionStartTimestamp()
        } else {
            pg_sys::GetCurrentStatementStartTimestamp()
        }
    }
}
