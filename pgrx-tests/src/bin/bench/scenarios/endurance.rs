//! Ten thousand refreshes: what grows.

use anyhow::{Result, ensure};
use postgres::Client;

use super::memory::resident;
use super::{Run, Scenario};
use crate::finding::{Finding, Target};
use crate::table::{OUR_TABLE, SOURCE_TABLE, Table};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "endurance",
    title: "growth of the backend's own memory over 10,000 refreshes of which each finds a change",
    run: Run::Table(run),
};

const REFRESHES: usize = 10_000;
/// Refreshes before anything is looked at.
const FIRST: usize = 200;

/// Sizes of the system catalogs in which a refresh might leave rows, and of our own tables, in kB.
const CATALOGS: &str = "SELECT sum(pg_total_relation_size(c.oid)) / 1024 FROM pg_class c \
    WHERE c.relname IN ('pg_class', 'pg_attribute', 'pg_depend', 'pg_type', 'pg_statistic', 'pg_constraint', 'pg_index')";
const OWN: &str = "SELECT sum(pg_total_relation_size(c.oid)) / 1024 FROM pg_class c \
    WHERE c.relnamespace = 'warehouse'::regnamespace AND c.relkind = 'r'";

fn run(ground: &Table, _rounds: usize) -> Result<Finding> {
    let mut client = ground.connect()?;
    let mut source = ground.source.primary.connect(crate::table::DATABASE)?;
    client.batch_execute(&format!(
        "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS mart; \
         SELECT warehouse.materialize('mart.long', 'SELECT * FROM {OUR_TABLE} WHERE id <= 1000', \
           unique_key => '{{id}}', capture => 'diff')"
    ))?;
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let size = |client: &mut Client, text: &str| -> Result<i64> {
        Ok(client.query_one(&format!("SELECT ({text})::int8"), &[])?.get(0))
    };
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let mut before = (0.0, 0, 0, 0);
    let mut updated = 0;
    for at in 0..REFRESHES {
        if at == FIRST {
            let there = size(&mut source, connections)?;
            before = (resident(pid)?, size(&mut client, CATALOGS)?, size(&mut client, OWN)?, there);
        }
        source.batch_execute(&format!(
            "UPDATE {SOURCE_TABLE} SET quantity = {at} WHERE id = {}",
            at % 1000 + 1
        ))?;
        ground.source.standby.wait_for_replay()?;
        let row = client.query_one("SELECT updated FROM warehouse.refresh('mart.long')", &[])?;
        updated += row.get::<_, i64>(0);
    }
    ensure!(updated as usize >= REFRESHES - 1000, "only {updated} changes were found");
    let (memory, catalogs, own, there) = before;
    let growth = resident(pid)? - memory;
    let (catalogs_now, own_now) = (size(&mut client, CATALOGS)?, size(&mut client, OWN)?);
    let there_now = size(&mut source, connections)?;
    client.batch_execute("SELECT warehouse.drop_materialization('mart.long')")?;
    Ok(Finding::new(growth, Target::MemoryBelow(2.0))
        .note(format!("system catalogs: {catalogs} kB before, {catalogs_now} kB after"))
        .note(format!("tables of the extension: {own} kB before, {own_now} kB after"))
        .note(format!("connections at the primary: {there} before, {there_now} after")))
}
