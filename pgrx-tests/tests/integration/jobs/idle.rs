//! What many jobs, and many refreshes, cost.

use anyhow::{Result, ensure};

use super::Ground;
use crate::ask::run;

/// Many refreshes leave nothing behind: in the catalog, in memory, in connections.
#[test]
fn refreshes_leave_nothing_behind() -> Result<()> {
    let mut ground = Ground::new("nothingleft")?;
    for (name, arguments) in [
        ("byxmin", "unique_key => '{id}', capture => 'xmin'"),
        ("bydiff", "unique_key => '{id}', capture => 'diff'"),
        ("anew", "unique_key => '{id}'"),
    ] {
        ground.materialize(name, "SELECT * FROM app.people", arguments)?;
    }
    let rounds = |ground: &mut Ground, n: u32| {
        run(
            &mut ground.client,
            &format!(
                "DO $$ BEGIN FOR i IN 1..{n} LOOP \
                   PERFORM warehouse.refresh('mart.byxmin'); PERFORM warehouse.refresh('mart.bydiff'); \
                   PERFORM warehouse.refresh('mart.anew'); COMMIT; END LOOP; END $$"
            ),
        )
    };
    rounds(&mut ground, 20)?;
    let facts = "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute), (SELECT count(*) FROM pg_depend), \
        (SELECT count(*) FROM pg_statistic), (SELECT count(*) FROM warehouse.replica_connections())";
    let memory = "SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts";
    let (before, bytes) = (ground.rows(facts)?, ground.rows(memory)?.parse::<i64>()?);
    rounds(&mut ground, 100)?;
    ensure!(ground.rows(facts)? == before);
    let grown = ground.rows(memory)?.parse::<i64>()? - bytes;
    ensure!(grown < 2_000_000, "{grown} bytes more after 300 refreshes");
    Ok(())
}

/// A thousand jobs that have nothing to do take no time.
#[test]
fn a_thousand_idle_jobs_are_idle() -> Result<()> {
    let mut ground = Ground::new("thousand")?;
    ground.materialize("t", "SELECT 1 AS a", "schedule => '0 0 1 1 *'")?;
    run(
        &mut ground.client,
        "DO $$ BEGIN FOR i IN 1..999 LOOP EXECUTE 'CREATE TABLE mart.t' || i || ' (a int)'; END LOOP; END $$; \
         INSERT INTO warehouse.materialization (relation, owner, query, resolved, options) \
           SELECT ('mart.t' || i)::regclass, m.owner, m.query, m.resolved, m.options \
           FROM warehouse.materialization m, generate_series(1, 999) i; \
         INSERT INTO warehouse.materialization_job (materialization, last_started) \
           SELECT m.id, now() FROM warehouse.materialization m ON CONFLICT DO NOTHING; \
         SELECT warehouse.wake_jobs()",
    )?;
    ground.becomes(
        "SELECT count(*) FROM warehouse.materializations WHERE next_run > now()",
        "1000",
    )?;
    let pid = ground
        .rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'warehouse scheduler'")?;
    let ticks = || -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = after.split_whitespace().collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    };
    std::thread::sleep(std::time::Duration::from_secs(2));
    let before = ticks()?;
    std::thread::sleep(std::time::Duration::from_secs(10));
    let spent = ticks()? - before;
    // Hundredths of a second in ten seconds: 50 is 5 % of a core, five times what is promised.
    ensure!(spent <= 50, "{spent} ticks in 10 seconds");
    Ok(())
}
