//! Plans of merged tables site by site, with nothing set by the user.
//!
//! Postgres can join and aggregate partition by partition, but only when `enable_partitionwise_join`
//! and `enable_partitionwise_aggregate` are on, which they are not by default. While a query over a
//! merged table is planned, they are. The setting `warehouse.partitionwise` turns that off.

use super::handler;
use crate::pg::hook::{self, Seen};
use crate::pg::{catalog, guc};
use crate::settings;
use pgrx::pg_sys::Oid;

/// Sees every query before it is planned. Called by `_PG_init`.
pub fn install() {
    hook::on_planning(prepare);
}

/// Settings for the planning of a query over these partitioned tables. A query that would change a
/// merged one is refused: Postgres would only say that of one of its partitions.
fn prepare(seen: &Seen) -> Option<guc::Level> {
    let merged = |table: &&Oid| catalog::has_foreign_partition(**table, "replica_fdw");
    if let Some(table) = seen.changed.iter().find(merged) {
        handler::read_only("merged table", "changed", *table).raise();
    }
    if !settings::partitionwise() || !seen.tables.iter().any(|table| merged(&table)) {
        return None;
    }
    let level = guc::Level::enter();
    level.set(c"enable_partitionwise_aggregate", c"on");
    level.set(c"enable_partitionwise_join", c"on");
    Some(level)
}
