//! Microbatches: buckets of time that are computed anew.

use anyhow::{Result, ensure};

use super::Ground;
use crate::ask::{expect, refused, rows, run};

const DAILY: &str = "SELECT at::date AS day, count(*) AS n, sum(v) AS v FROM app.events GROUP BY 1";

fn events(test: &str, arguments: &str) -> Result<Ground> {
    let mut ground = Ground::new(test)?;
    ground.at_source(
        "CREATE TABLE events (id int PRIMARY KEY, at timestamptz NOT NULL, v int); \
         INSERT INTO events SELECT i, '2026-01-01 UTC'::timestamptz + i * '1 hour'::interval, i FROM generate_series(0, 719) i",
    )?;
    run(
        &mut ground.client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (events) FROM SERVER src INTO app",
    )?;
    run(
        &mut ground.client,
        &format!(
            "SELECT warehouse.materialize('mart.daily', '{DAILY}', event_time => 'day', time_zone => 'UTC'{arguments})"
        ),
    )?;
    run(&mut ground.client, "SET TimeZone = 'UTC'")?;
    Ok(ground)
}

#[test]
fn only_the_last_buckets_are_computed() -> Result<()> {
    for arguments in ["", ", unique_key => '{day}'"] {
        let mut ground = events("lastbuckets", &format!("{arguments}, lookback => '2 days'"))?;
        ground.agrees("mart.daily", DAILY)?;
        ground.at_source("INSERT INTO events VALUES (1000, '2026-01-30 12:00 UTC', 5), (1001, '2026-01-28 01:00 UTC', 5), (1002, '2026-02-02 UTC', 1)")?;
        let found = ground.refresh("'mart.daily'")?;
        ensure!(found.starts_with("succeeded|microbatch|none|4|"), "{found}");
        ground.agrees("mart.daily", DAILY)?;
        // What is older than the look-back is not looked at, until it is backfilled.
        ground.at_source("INSERT INTO events VALUES (1003, '2026-01-05 12:00 UTC', 1000)")?;
        ground.refresh("'mart.daily'")?;
        expect(&mut ground.client, "SELECT n FROM mart.daily WHERE day = '2026-01-05'", "24")?;
    }
    Ok(())
}

#[test]
fn a_backfill_computes_whole_buckets() -> Result<()> {
    // Without preloading, so that it is done here.
    let mut ground = events("backfill", "")?;
    ground.at_source("UPDATE events SET v = 0 WHERE at < '2026-01-10 UTC'")?;
    refused(
        &mut ground.client,
        "SELECT warehouse.backfill('mart.daily', '2026-01-10', '2026-01-03')",
    )?
    .says("22023", &["ends before"])?;
    ground.people("strategy => 'full'")?;
    refused(
        &mut ground.client,
        "SELECT warehouse.backfill('mart.people', '2026-01-01', '2026-01-03')",
    )?
    .says("42809", &["no batches"])?;
    expect(
        &mut ground.client,
        "SELECT warehouse.backfill('mart.daily', '2026-01-03 15:00', '2026-01-08 03:00')",
        "6",
    )?;
    warehouse_tests::timing::eventually(
        std::time::Duration::from_secs(20),
        "the backfill ends",
        || {
            Ok(rows(&mut ground.client, "SELECT count(*) FROM warehouse.materialization_backfill")?
                == "0")
        },
    )?;
    expect(
        &mut ground.client,
        "SELECT string_agg(extract(day FROM day)::text, ',' ORDER BY day) FROM mart.daily WHERE v = 0",
        "3,4,5,6,7,8",
    )
}
