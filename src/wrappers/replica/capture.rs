//! What incremental materialization asks of a source: which moment its rows are of, and only those rows
//! that a later moment has changed.
//!
//! `xmin` of a row is the transaction that wrote it. A snapshot has seen every transaction below its own
//! xmin; so what has been written since carries at least that number, however late it was committed. The
//! comparison by `age()` works on standbys too, and is right as long as fewer than 2^31 transactions lie
//! between.

use super::{query, registry};
use crate::pg::error::Result;
use pgrx::pg_sys::{self, Oid};
use serde::Deserialize;
use std::cell::RefCell;

/// A moment of a source, in the transaction that reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct Moment {
    /// Every transaction below it is either seen or was rolled back.
    pub xmin: String,
    /// The next transaction there.
    pub xmax: String,
    /// Which cluster it is, and which of its lives; `None` if the source does not tell.
    pub system: Option<String>,
    /// What the rows are as of: on a standby, when the last change that it has replayed was committed.
    pub as_of: Option<String>,
}

/// A promoted standby writes its new timeline down as the end of its recovery at once, and as that of its
/// last checkpoint minutes later (CreateEndOfRecoveryRecord() in xlog.c).
const MOMENT: &str = "SELECT pg_catalog.json_build_object( \
    'xmin', pg_catalog.pg_snapshot_xmin(s.now)::text, 'xmax', pg_catalog.pg_snapshot_xmax(s.now)::text, \
    'system', CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') \
      AND pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE') \
      AND pg_catalog.has_function_privilege('pg_catalog.pg_control_recovery()', 'EXECUTE') \
      THEN (SELECT c.system_identifier::text || '/' || GREATEST(p.timeline_id, r.min_recovery_end_timeline) \
        FROM pg_catalog.pg_control_system() c, pg_catalog.pg_control_checkpoint() p, \
          pg_catalog.pg_control_recovery() r) END, \
    'as_of', CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.now() \
      WHEN pg_catalog.pg_last_wal_receive_lsn() <= pg_catalog.pg_last_wal_replay_lsn() \
        AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver r WHERE r.pid IS NOT NULL) THEN pg_catalog.now() \
      ELSE pg_catalog.pg_last_xact_replay_timestamp() END) \
  FROM pg_catalog.pg_current_snapshot() s(now)";

/// The moment of which the transaction reads a server's rows. Asked before the rows: should the
/// connection be renewed in between, they are newer than it says, never older.
pub fn moment(server: Oid) -> Result<Moment> {
    // SAFETY: a plain question.
    let user = unsafe { pg_sys::GetUserId() };
    let connection = registry::connection(server, user)?;
    query::json(&connection, MOMENT)
}

thread_local! {
    // A backend is one thread.
    static CONDITIONS: RefCell<Vec<(Oid, String)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f`; queries that it plans see of a foreign table only the rows that have been written since a
/// snapshot with this xmin (its lower 32 bits count).
pub fn only_since<T>(table: Oid, xmin: u64, f: impl FnOnce() -> T) -> T {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            CONDITIONS.with_borrow_mut(Vec::pop);
        }
    }
    let condition =
        format!("pg_catalog.age(t.xmin) <= pg_catalog.age('{}'::pg_catalog.xid)", xmin as u32);
    CONDITIONS.with_borrow_mut(|all| all.push((table, condition)));
    let _back = Back;
    f()
}

/// The condition on the rows of a table that is being planned.
pub fn condition(table: Oid) -> Option<String> {
    CONDITIONS.with_borrow(|all| {
        all.iter().rev().find(|(oid, _)| *oid == table).map(|(_, condition)| condition.clone())
    })
}
