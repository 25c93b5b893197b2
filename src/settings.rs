//! The settings of the extension, one by one, with typed accessors.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_sys};
use std::ffi::{CStr, CString, OsString, c_char, c_void};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;
use warehouse_core::webhook;

static CLEAR: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_CONNECTIONS_PER_SERVER: GucSetting<i32> = GucSetting::<i32>::new(32);
static PARTITIONWISE: GucSetting<bool> = GucSetting::<bool>::new(true);
static LOOKUP_BATCH_SIZE: GucSetting<i32> = GucSetting::<i32>::new(500);
static REPLICA_IDLE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(600);
static API_CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(256 * 1024);
static EXCHANGE_PATIENCE: GucSetting<i32> = GucSetting::<i32>::new(30_000);
static JOBS: GucSetting<bool> = GucSetting::<bool>::new(true);
static MAX_RUNNING_REFRESHES: GucSetting<i32> = GucSetting::<i32>::new(4);
static REQUEST_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);
static RUN_HISTORY_DAYS: GucSetting<i32> = GucSetting::<i32>::new(30);
static RUN_HISTORY_ROWS: GucSetting<i32> = GucSetting::<i32>::new(1000);
static ON_FAILURE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static KEY_COMMAND: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// Defines them; called by `_PG_init`.
pub fn define() {
    GucRegistry::define_int_guc(
        c"warehouse.replica_idle_timeout",
        c"Time after which a source closes a connection that this session leaves idle; 0 never.",
        c"Sent as idle_session_timeout to sources of version 14 and later when a connection is opened. \
          The next query connects again by itself.",
        &REPLICA_IDLE_TIMEOUT,
        0,
        7 * 24 * 3600,
        GucContext::Userset,
        GucFlags::UNIT_S,
    );
    // SAFETY: the hook neither raises nor panics.
    unsafe {
        GucRegistry::define_bool_guc_with_hooks(
            c"warehouse.clear",
            c"Shows protected columns as they are, to members of warehouse_clear.",
            c"Without the membership it changes nothing. What is read in clear is recorded.",
            &CLEAR,
            GucContext::Userset,
            GucFlags::default(),
            None,
            Some(assign_clear),
            None,
        );
    }
    GucRegistry::define_bool_guc(
        c"warehouse.partitionwise",
        c"Plans joins and aggregates of merged tables site by site.",
        c"While a query over a merged table is planned, enable_partitionwise_join and \
          enable_partitionwise_aggregate count as on.",
        &PARTITIONWISE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"warehouse.lookup_batch_size",
        c"Keys that a join asks a source for at a time; 0 keeps the planner from such joins.",
        c"A join of a source's table with other tables may collect keys and fetch the rows that belong \
          to them, in place of all rows or of one key after another. The planner chooses by cost.",
        &LOOKUP_BATCH_SIZE,
        0,
        10_000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"warehouse.max_connections_per_server",
        c"Connections to a server that all sessions together may have; 0 for any number.",
        c"A session that needs one more waits in line until another gives one back. The server option \
          max_connections says otherwise for one server. It takes shared_preload_libraries.",
        &MAX_CONNECTIONS_PER_SERVER,
        0,
        4096,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"warehouse.exchange_patience",
        c"Time that a full refresh looks for a gap between readers, to exchange the table's contents in.",
        c"It asks for the lock in attempts of 100 ms, so that readers wait no longer than that. When the time \
          is over it applies the difference by statements, which nobody waits for but which write more.",
        &EXCHANGE_PATIENCE,
        0,
        3_600_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"warehouse.api_cache_size",
        c"Size of the answers of HTTP APIs that are kept to be used again, over all sessions.",
        c"They lie in temporary files, sealed. A larger answer is read without being kept. Without \
          shared_preload_libraries = 'warehouse' it is the size of what each session keeps.",
        &API_CACHE_SIZE,
        0,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_KB,
    );
    define_jobs();
    // SAFETY: the hook is guarded.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"warehouse.key_file",
            c"File with the key that pseudonyms, tokens and other keyed masks are made with.",
            c"An absolute path. The file belongs to the server's user (or root) and nobody else may read \
              it (mode 0600). warehouse.create_key() makes it. Keep a copy in a safe place: without it no \
              token can be read and no pseudonym be made again.",
            &KEY_FILE,
            GucContext::Sighup,
            GucFlags::SUPERUSER_ONLY,
            Some(is_absolute),
            None,
            None,
        );
    }
    GucRegistry::define_string_guc(
        c"warehouse.key_command",
        c"Shell command whose output is the key, where no warehouse.key_file is set.",
        c"It runs as the server's user, once a session and again after the configuration was reloaded. \
          Its output is what a key file holds. It has 30 seconds.",
        &KEY_COMMAND,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    // SAFETY: called from _PG_init with a static prefix.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"warehouse".as_ptr()) };
}

fn define_jobs() {
    GucRegistry::define_bool_guc(
        c"warehouse.jobs",
        c"Runs scheduled refreshes.",
        c"Off, nothing is started; what runs goes on. It takes shared_preload_libraries.",
        &JOBS,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"warehouse.max_running_refreshes",
        c"Refreshes that run at a time in a database.",
        c"Each takes one of max_worker_processes, beside the launcher and one scheduler for each database.",
        &MAX_RUNNING_REFRESHES,
        1,
        100,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"warehouse.request_interval",
        c"Time in which a table is refreshed at most once because somebody asked for it.",
        c"For warehouse.request_refresh().",
        &REQUEST_INTERVAL,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"warehouse.run_history_days",
        c"Days for which warehouse.runs keeps runs.",
        c"",
        &RUN_HISTORY_DAYS,
        1,
        3650,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"warehouse.run_history_rows",
        c"Runs that warehouse.runs keeps of each table.",
        c"",
        &RUN_HISTORY_ROWS,
        1,
        1_000_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
    // SAFETY: the hook is guarded.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"warehouse.on_failure",
            c"Function that is called, or URL that is posted to, when a refresh fails or a table grows stale.",
            c"schema.function, which takes a jsonb and runs with the rights of the extension's owner, or https://… \
              (http:// for loopback addresses), or /a/file that holds such a URL, to which the same JSON is posted: event (failure, suspended, stale), \
              text, relation, status, and failures and error or age. Empty: none.",
            &ON_FAILURE,
            GucContext::Sighup,
            GucFlags::SUPERUSER_ONLY,
            Some(is_target),
            None,
            None,
        );
    }
}

/// `warehouse.jobs`.
pub fn jobs() -> bool {
    JOBS.get()
}

/// `warehouse.max_running_refreshes`.
pub fn max_running_refreshes() -> usize {
    MAX_RUNNING_REFRESHES.get().max(1) as usize
}

/// `warehouse.request_interval` in seconds.
pub fn request_interval() -> i32 {
    REQUEST_INTERVAL.get()
}

/// `warehouse.run_history_days`.
pub fn run_history_days() -> i32 {
    RUN_HISTORY_DAYS.get()
}

/// `warehouse.run_history_rows`.
pub fn run_history_rows() -> i32 {
    RUN_HISTORY_ROWS.get()
}

/// `warehouse.on_failure`, if it is set.
pub fn on_failure() -> Option<String> {
    let text = ON_FAILURE.get().filter(|text| !text.is_empty())?;
    text.into_string().ok()
}

/// Refuses a URL that no message may be posted to.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn is_target(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the new value, NULL or NUL-terminated.
    let text = unsafe { if (*value).is_null() { c"" } else { CStr::from_ptr(*value) } };
    let fits =
        text.to_str().is_ok_and(|text| !webhook::is_url(text) || webhook::check(text).is_ok());
    if !fits {
        // SAFETY: the detail is read at once, and freed with its memory context.
        unsafe {
            pg_sys::GUC_check_errdetail_string = pg_sys::pstrdup(
                c"A URL has to be https://host/…, or http:// with a loopback address.".as_ptr(),
            );
        }
    }
    fits
}

/// Refuses a path that depends on where the server was started.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn is_absolute(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the new value, NULL or NUL-terminated.
    let first = unsafe { if (*value).is_null() { 0 } else { **value } };
    let fits = first == 0 || first as u8 == b'/';
    if !fits {
        // SAFETY: the detail is read at once, and freed with its memory context.
        unsafe {
            pg_sys::GUC_check_errdetail_string =
                pg_sys::pstrdup(c"It has to be an absolute path.".as_ptr());
        }
    }
    fits
}

/// `warehouse.key_file`, if it is set.
pub fn key_file() -> Option<PathBuf> {
    let path = KEY_FILE.get().filter(|path| !path.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

/// `warehouse.key_command`, if it is set.
pub fn key_command() -> Option<OsString> {
    let command = KEY_COMMAND.get().filter(|command| !command.is_empty())?;
    Some(OsString::from_vec(command.into_bytes()))
}

unsafe extern "C-unwind" fn assign_clear(_: bool, _: *mut std::ffi::c_void) {
    crate::privacy::right::on_change();
}

/// `warehouse.clear`.
pub fn clear() -> bool {
    CLEAR.get()
}

/// `warehouse.lookup_batch_size`.
pub fn lookup_batch_size() -> usize {
    LOOKUP_BATCH_SIZE.get().max(0) as usize
}

/// `warehouse.max_connections_per_server`.
pub fn max_connections_per_server() -> u32 {
    MAX_CONNECTIONS_PER_SERVER.get().max(0) as u32
}

/// `warehouse.partitionwise`.
pub fn partitionwise() -> bool {
    PARTITIONWISE.get()
}

/// `warehouse.api_cache_size` in bytes.
pub fn api_cache_size() -> u64 {
    API_CACHE_SIZE.get().max(0) as u64 * 1024
}

/// `warehouse.exchange_patience`.
pub fn exchange_patience() -> Duration {
    Duration::from_millis(EXCHANGE_PATIENCE.get().max(0) as u64)
}

/// `warehouse.replica_idle_timeout` in milliseconds.
pub fn replica_idle_timeout_ms() -> i64 {
    i64::from(REPLICA_IDLE_TIMEOUT.get()) * 1000
}
