//! Background workers: registering, starting and stopping them, and their transactions.
//!
//! A worker installs Postgres's own signal handlers before it unblocks signals, so that a statement of it
//! is cancelled and terminated as any session's. An ERROR ends the transaction, which is rolled back before
//! anything else is done; FATAL ends the process.

use super::error::{Error, Result};
use super::memory;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{PgSqlErrorCode as Code, PgTryBuilder};
use std::ffi::{CStr, c_char, c_int};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

// pgrx's bindings wrap them; as signal handlers they are needed themselves.
mod handlers {
    use std::ffi::c_int;
    unsafe extern "C-unwind" {
        pub fn die(signal: c_int);
        #[link_name = "StatementCancelHandler"]
        pub fn cancel(signal: c_int);
        #[link_name = "SignalHandlerForConfigReload"]
        pub fn reload(signal: c_int);
    }
}

/// What a worker is.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What `pg_stat_activity.backend_type` says.
    pub label: &'static str,
    /// The function that it runs: `extern "C-unwind"`, `no_mangle`.
    pub function: &'static str,
}

fn put(to: &mut [c_char], text: &str) {
    let most = to.len() - 1;
    for (cell, byte) in to[..most].iter_mut().zip(text.bytes()) {
        *cell = byte as c_char;
    }
}

fn describe(
    kind: Kind,
    name: &str,
    argument: i64,
    restart: Option<Duration>,
) -> pg_sys::BackgroundWorker {
    let mut worker = pg_sys::BackgroundWorker::default();
    put(&mut worker.bgw_name, name);
    put(&mut worker.bgw_type, kind.label);
    put(&mut worker.bgw_library_name, "warehouse");
    put(&mut worker.bgw_function_name, kind.function);
    worker.bgw_flags =
        (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as c_int;
    worker.bgw_start_time = pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time =
        restart.map_or(pg_sys::BGW_NEVER_RESTART, |time| time.as_secs().max(1) as c_int);
    worker.bgw_main_arg = Datum::from(argument);
    worker
}

/// Has the postmaster start a worker whenever the server runs and is no standby. Only while the library is
/// being preloaded.
pub fn register(kind: Kind, restart: Duration) {
    let mut worker = describe(kind, kind.label, 0, Some(restart));
    // SAFETY: called while the postmaster loads the library; the structure is copied.
    unsafe { pg_sys::RegisterBackgroundWorker(&mut worker) }
}

/// A worker that this process has started.
#[derive(Debug)]
pub struct Handle(*mut pg_sys::BackgroundWorkerHandle);

/// Whether a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// The postmaster has not started it yet.
    NotYet,
    /// It does.
    Yes,
    /// It has ended.
    Ended,
}

/// Starts a worker for this process, whose latch is set when it starts and ends; `None` if all of
/// `max_worker_processes` are taken.
pub fn start(kind: Kind, name: &str, database: Oid, argument: i64) -> Option<Handle> {
    let mut worker = describe(kind, name, argument, None);
    // SAFETY: the structure is copied; the handle lives in TopMemoryContext.
    unsafe {
        worker.bgw_notify_pid = pg_sys::MyProcPid;
        let bytes = database.to_u32().to_ne_bytes();
        for (cell, byte) in worker.bgw_extra.iter_mut().zip(bytes) {
            *cell = byte as c_char;
        }
        let mut handle = std::ptr::null_mut();
        let started = memory::within(pg_sys::TopMemoryContext, || {
            pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle)
        });
        started.then(|| Handle(handle))
    }
}

impl Handle {
    /// Whether it runs.
    pub fn running(&self) -> Running {
        let mut pid = 0;
        // SAFETY: the handle is valid until it is dropped.
        match unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) } {
            pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED => Running::NotYet,
            pg_sys::BgwHandleStatus::BGWH_STARTED => Running::Yes,
            _ => Running::Ended,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: allocated by RegisterDynamicBackgroundWorker, not used again.
        unsafe { pg_sys::pfree(self.0.cast()) }
    }
}

/// The database that a worker started by [`start`] is for.
pub fn database_of_start() -> Oid {
    // SAFETY: the worker's own entry, set before its function is called.
    unsafe {
        let extra = &(*pg_sys::MyBgworkerEntry).bgw_extra;
        let bytes = [extra[0] as u8, extra[1] as u8, extra[2] as u8, extra[3] as u8];
        Oid::from(u32::from_ne_bytes(bytes))
    }
}

/// Begins a worker: signals, and the connection to a database (none for the launcher) with the rights of
/// the bootstrap superuser.
pub fn begin(database: Option<Oid>) {
    // SAFETY: called once, first, by a worker's function.
    unsafe {
        pg_sys::pqsignal(pg_sys::SIGHUP as c_int, Some(handlers::reload));
        pg_sys::pqsignal(pg_sys::SIGINT as c_int, Some(handlers::cancel));
        pg_sys::pqsignal(pg_sys::SIGTERM as c_int, Some(handlers::die));
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(
            database.unwrap_or(Oid::INVALID),
            Oid::INVALID,
            0,
        );
        // Nothing that a database or a role has as its default may change what a worker does.
        for (name, value) in [
            (c"search_path", c"pg_catalog, pg_temp"),
            (c"default_transaction_read_only", c"off"),
            (c"default_transaction_isolation", c"read committed"),
            (c"statement_timeout", c"0"),
            (c"lock_timeout", c"0"),
            (c"idle_in_transaction_session_timeout", c"0"),
        ] {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }
}

/// Reads the configuration anew if the server was told to.
pub fn reload_if_asked() {
    // SAFETY: flags of this process.
    unsafe {
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Runs `f` in a transaction of its own; an error rolls it back.
pub fn transaction<T>(activity: &CStr, f: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: the recipe of Postgres's own workers. Nothing of the transaction is used after it.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr());
        let outcome = PgTryBuilder::new(AssertUnwindSafe(f))
            .catch_others(|caught| Err(told(&caught)))
            .execute();
        let outcome = match outcome {
            Ok(value) => PgTryBuilder::new(AssertUnwindSafe(|| {
                pg_sys::PopActiveSnapshot();
                pg_sys::CommitTransactionCommand();
                Ok(value)
            }))
            .catch_others(|caught| Err(told(&caught)))
            .execute(),
            error => error,
        };
        if outcome.is_err() {
            pg_sys::error_context_stack = std::ptr::null_mut();
            pg_sys::AbortCurrentTransaction();
            pg_sys::CurrentMemoryContext = pg_sys::TopMemoryContext;
        }
        pg_sys::pgstat_report_stat(true);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
        outcome
    }
}

fn told(caught: &CaughtError) -> Error {
    let report = match caught {
        CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. } => report,
    };
    let error = Error::new(report.sql_error_code(), report.message());
    match report.hint() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The databases that take connections. For the launcher, within a transaction.
pub fn databases() -> Vec<Oid> {
    let mut found = Vec::new();
    // SAFETY: a scan of the shared catalog; its rows are read before it ends.
    unsafe {
        let lock = pg_sys::AccessShareLock as c_int;
        let catalog = pg_sys::table_open(pg_sys::DatabaseRelationId, lock);
        let scan = pg_sys::table_beginscan_catalog(catalog, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if row.datallowconn {
                found.push(row.oid);
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(catalog, lock);
    }
    found
}

/// Whether an extension is in this database.
pub fn has_extension(name: &CStr) -> bool {
    // SAFETY: a static name; missing is allowed.
    unsafe { pg_sys::get_extension_oid(name.as_ptr(), true) != Oid::INVALID }
}

/// Ends this worker. With status 0 nothing is logged as an error.
pub fn end() -> ! {
    // SAFETY: runs the exit callbacks.
    unsafe { pg_sys::proc_exit(0) }
}

/// The SQLSTATE as its five characters.
pub fn sqlstate_text(code: Code) -> String {
    let packed = code as i32;
    (0..5).map(|i| (((packed >> (6 * i)) & 0x3f) as u8 + b'0') as char).collect()
}
