//! A standby that cancels for its recovery while other sites stream.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warehouse_tests::timing::eventually;
use warehouse_tests::{Cluster, Standby};

use super::ground::{SERVERS, site};
use super::{Scene, add_site};
use crate::ask::{disturb, expect, own_source, told};

/// Removes a row at the primary that a snapshot at the standby may still see.
fn vacuum(primary: &Cluster) -> Result<()> {
    primary.execute("postgres", "DELETE FROM z.t WHERE id = (SELECT max(id) FROM z.t)")?;
    primary.execute("postgres", "VACUUM z.t")
}

fn conflicts(standby: &Standby) -> Result<u32> {
    let sql = "SELECT sum(confl_snapshot + confl_lock)::text FROM pg_stat_database_conflicts";
    Ok(standby.value("postgres", sql)?.parse()?)
}

/// Waits until the standby runs a query over `relation`, and a moment more.
fn reads(standby: &Standby, relation: &str) -> Result<()> {
    let sql = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'warehouse' \
         AND state = 'active' AND query LIKE '%{relation}%' AND wait_event = 'PgSleep'"
    );
    eventually(Duration::from_secs(5), "the standby is read", || {
        Ok(standby.value("postgres", &sql)? != "0")
    })
}

#[test]
fn a_standby_that_cancels_for_its_recovery() -> Result<()> {
    let primary = own_source("async-primary")?;
    primary.execute("postgres", &site("z", 50_000))?;
    // Rows of z.t that take a second before the first, and twenty seconds in all.
    primary.execute(
        "postgres",
        "DROP VIEW z.late, z.trickle; \
         CREATE VIEW z.late AS SELECT t.* FROM pg_sleep(1), z.t; \
         CREATE VIEW z.trickle AS SELECT t.id, repeat('x', 20000) AS pad \
           FROM z.t, LATERAL pg_sleep(0.02 + t.id * 0)",
    )?;
    let standby = Standby::of(&primary, "async-standby")
        .setting("max_standby_streaming_delay", "0")
        .setting("hot_standby_feedback", "off")
        .start()?;
    standby.wait_for_replay()?;
    let mut scene = Scene::new("conflict")?;
    add_site(&mut scene.client, "s4", &standby, "{t,late,trickle}")?;

    // Before its first row: tried again, while the others go on.
    let (error, _) = disturb(
        &mut scene.client,
        Duration::ZERO,
        "CREATE TEMP TABLE got AS SELECT site, id FROM main.late WHERE random() < 2",
        |_| {
            reads(&standby, "z.late")?;
            vacuum(&primary)
        },
    )?;
    eventually(Duration::from_secs(10), "a conflict", || Ok(conflicts(&standby)? >= 1))?;
    ensure!(error.is_none(), "not tried again: {error:?}");
    expect(
        &mut scene.client,
        "SELECT site, count(*), count(DISTINCT id) FROM got GROUP BY site ORDER BY site",
        "a|1000|1000\nb|1000|1000\nc|1000|1000\nd|1000|1000\nz|999|999",
    )?;

    // In mid-stream: an error that says so, and nothing runs at the others.
    let before = conflicts(&standby)?;
    let sources = &scene.sources;
    let (error, _) = disturb(
        &mut scene.client,
        Duration::ZERO,
        "SELECT sum(length(pad)) FROM (SELECT pad FROM main.trickle WHERE random() < 2 OFFSET 0) x",
        |_| {
            reads(&standby, "z.trickle")?;
            let seen = sources.all_run(&SERVERS);
            std::thread::sleep(Duration::from_millis(300));
            vacuum(&primary)?;
            seen
        },
    )?;
    eventually(Duration::from_secs(10), "a conflict", || Ok(conflicts(&standby)? > before))?;
    told(&error.context("ended well")?)?
        .says("40001", &["\"s4\"", "trickle", "conflict with recovery"])?
        .hints(&["max_standby_streaming_delay"])?;
    scene.sources.nothing_runs()?;
    standby.wait_for_replay()?;
    expect(
        &mut scene.client,
        "SELECT site, count(*) FROM (SELECT site FROM main.t WHERE random() < 2) t \
         GROUP BY site ORDER BY site",
        "a|1000\nb|1000\nc|1000\nd|1000\nz|998",
    )
}
