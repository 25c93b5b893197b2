//! The settings of the extension, one by one, with typed accessors.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static CLEAR: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_CONNECTIONS_PER_SERVER: GucSetting<i32> = GucSetting::<i32>::new(32);
static PARTITIONWISE: GucSetting<bool> = GucSetting::<bool>::new(true);
static LOOKUP_BATCH_SIZE: GucSetting<i32> = GucSetting::<i32>::new(500);
static REPLICA_IDLE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(600);

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
    // SAFETY: called from _PG_init with a static prefix.
    unsafe { pgrx::pg_sys::MarkGUCPrefixReserved(c"warehouse".as_ptr()) };
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

/// `warehouse.replica_idle_timeout` in milliseconds.
pub fn replica_idle_timeout_ms() -> i64 {
    i64::from(REPLICA_IDLE_TIMEOUT.get()) * 1000
}
