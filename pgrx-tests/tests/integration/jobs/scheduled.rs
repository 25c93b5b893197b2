//! Schedules, requests, orders.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Ground;
use crate::ask::{refused, run};

#[test]
fn changes_arrive_by_schedule() -> Result<()> {
    let mut ground = Ground::new("schedule")?;
    ground.materialize(
        "people",
        "SELECT * FROM app.people",
        "unique_key => '{id}', capture => 'xmin', schedule => 'every 1 second'",
    )?;
    // Six fields: with seconds.
    ground.materialize(
        "names",
        "SELECT name FROM app.people",
        "schedule => '* * * * * *', time_zone => 'Europe/Berlin', with_data => false",
    )?;
    run(
        &mut ground.source,
        "INSERT INTO people VALUES (101, 'new'); UPDATE people SET name = 'changed' WHERE id = 7",
    )?;
    ground.becomes(
        "SELECT count(*), count(*) FILTER (WHERE name = 'changed') FROM mart.people",
        "101|1",
    )?;
    ground.becomes("SELECT count(*) FROM mart.names", "101")?;
    ground.becomes(
        "SELECT count(*) > 2 FROM warehouse.runs WHERE cause = 'schedule' AND status = 'succeeded'",
        "t",
    )?;
    ensure!(ground.rows("SELECT count(*) FROM warehouse.runs WHERE status NOT IN ('succeeded', 'running', 'starting')")? == "0");
    // Paused, nothing runs; resumed, it does.
    run(
        &mut ground.client,
        "SELECT warehouse.pause('mart.people'), warehouse.pause('mart.names')",
    )?;
    ground
        .becomes("SELECT count(*) FROM warehouse.materializations WHERE state = 'paused'", "2")?;
    let before = ground.rows("SELECT count(*) FROM warehouse.runs")?;
    thread::sleep(Duration::from_millis(2500));
    ensure!(ground.rows("SELECT count(*) FROM warehouse.runs")? == before);
    run(&mut ground.client, "SELECT warehouse.resume('mart.people')")?;
    run(
        &mut ground.source,
        "DELETE FROM people WHERE id = 101; UPDATE people SET name = 'again' WHERE id = 8",
    )?;
    ground.becomes("SELECT count(*) FROM mart.people WHERE name = 'again'", "1")
}

#[test]
fn one_runs_after_the_other() -> Result<()> {
    let mut ground = Ground::new("after")?;
    ground.materialize(
        "people",
        "SELECT * FROM app.people",
        "unique_key => '{id}', capture => 'xmin', schedule => 'every 1 second'",
    )?;
    ground.materialize("n", "SELECT count(*) AS n FROM mart.people", "after => '{mart.people}'")?;
    ground.materialize("m", "SELECT max(n) AS n FROM mart.n", "after => '{mart.n,mart.people}'")?;
    run(&mut ground.source, "INSERT INTO people VALUES (101, 'new')")?;
    ground.becomes("SELECT n FROM mart.m", "101")?;
    ground.becomes(
        "SELECT count(*) > 0 FROM warehouse.runs WHERE cause = 'after' AND relation = 'mart.m'",
        "t",
    )?;
    let told = refused(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.people', 'SELECT * FROM app.people', unique_key => '{id}', capture => 'xmin', after => '{mart.m}')",
    )?;
    told.says("22023", &["circle", "mart.m", "mart.people"])?;
    // A table stays the same under another name.
    ground.materialize("k", "SELECT max(id) AS n FROM app.people", "after => '{mart.m}'")?;
    run(&mut ground.client, "ALTER TABLE mart.m RENAME TO maximum")?;
    run(&mut ground.source, "INSERT INTO people VALUES (102, 'newer')")?;
    ground.becomes("SELECT n FROM mart.k", "102")?;
    ground.becomes(
        "SELECT after::text FROM warehouse.materializations WHERE relation_name = 'k'",
        "{mart.maximum}",
    )
}

/// Anybody who may read a table may ask for it, also in a transaction that only reads.
#[test]
fn readers_ask_for_a_refresh() -> Result<()> {
    let mut ground = Ground::new("asked")?;
    ground.materialize(
        "people",
        "SELECT * FROM app.people",
        "unique_key => '{id}', capture => 'xmin'",
    )?;
    run(
        &mut ground.client,
        "CREATE ROLE reader LOGIN PASSWORD 'reader password'; GRANT USAGE ON SCHEMA mart TO reader; GRANT SELECT ON mart.people TO reader",
    )?;
    let mut reader = ground.warehouse.connect_as("reader", "reader password", "mart")?;
    run(&mut ground.source, "INSERT INTO people VALUES (101, 'new')")?;
    run(&mut reader, "SET default_transaction_read_only = on")?;
    let answer = crate::ask::rows(&mut reader, "SELECT warehouse.request_refresh('mart.people')")?;
    ensure!(answer == "queued", "{answer}");
    ground.becomes("SELECT count(*) FROM mart.people", "101")?;
    ground.becomes("SELECT cause FROM warehouse.runs ORDER BY id DESC LIMIT 1", "request")?;
    let answer = crate::ask::rows(&mut reader, "SELECT warehouse.request_refresh('mart.people')")?;
    ensure!(answer == "it was refreshed a moment ago", "{answer}");
    refused(&mut reader, "SELECT warehouse.request_refresh('mart.people', full_refresh => true)")?
        .says("42501", &["must be owner"])?;
    refused(&mut reader, "SELECT warehouse.refresh('mart.people')")?.says("42501", &[])?;
    run(
        &mut ground.client,
        "SELECT warehouse.request_refresh('mart.people', full_refresh => true)",
    )?;
    ground.becomes(
        "SELECT strategy FROM warehouse.runs WHERE status = 'succeeded' ORDER BY id DESC LIMIT 1",
        "full",
    )
}

/// A comparison runs beside the captures that cannot see deletes.
#[test]
fn deletes_are_reconciled_by_schedule() -> Result<()> {
    let mut ground = Ground::new("reconciled")?;
    ground.materialize(
        "people",
        "SELECT * FROM app.people",
        "unique_key => '{id}', capture => 'xmin', schedule => 'every 1 second', reconcile => 'every 2 seconds'",
    )?;
    run(&mut ground.source, "DELETE FROM people WHERE id > 90")?;
    ground.becomes("SELECT count(*) FROM mart.people", "90")?;
    ground.becomes(
        "SELECT count(*) > 0 FROM warehouse.runs WHERE cause = 'reconcile' AND deleted = 10",
        "t",
    )
}

/// No more run at a time than may, one of a table, and all get their turn.
#[test]
fn so_many_run_at_a_time() -> Result<()> {
    let mut ground = Ground::with("atatime", &[("warehouse.max_running_refreshes", "2")])?;
    for i in 1..=5 {
        ground.materialize(
            &format!("t{i}"),
            "SELECT id, name, s FROM app.slow WHERE id <= 4",
            "schedule => 'every 1 second', with_data => false",
        )?;
    }
    let mut most = 0;
    let mut doubled = 0;
    for _ in 0..60 {
        let found = ground.rows("SELECT count(*), count(*) - count(DISTINCT relation) FROM warehouse.runs WHERE status = 'running'")?;
        let (running, twice) = found.split_once('|').unwrap_or_default();
        most = most.max(running.parse::<u32>()?);
        doubled += twice.parse::<u32>()?;
        thread::sleep(Duration::from_millis(100));
    }
    ensure!(most == 2, "{most} at a time");
    ensure!(doubled == 0, "one table twice at a time");
    ground.becomes(
        "SELECT count(DISTINCT relation) FROM warehouse.runs WHERE status = 'succeeded'",
        "5",
    )
}

/// Batches are computed by a worker, each in a transaction; what is interrupted goes on from there.
#[test]
fn a_backfill_goes_on_where_it_was() -> Result<()> {
    let mut ground = Ground::new("goeson")?;
    run(
        &mut ground.source,
        "CREATE TABLE events (id int PRIMARY KEY, at date, v int); \
         INSERT INTO events SELECT i, '2026-01-01'::date + i % 30, 1 FROM generate_series(1, 300) i",
    )?;
    run(
        &mut ground.client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (events) FROM SERVER src INTO app; SET TimeZone = 'UTC'",
    )?;
    ground.materialize(
        "daily",
        "SELECT at AS day, sum(v) AS v FROM app.events GROUP BY 1",
        "event_time => 'day'",
    )?;
    run(&mut ground.source, "UPDATE events SET v = 2")?;
    run(&mut ground.client, "SELECT warehouse.backfill('mart.daily', '2026-01-01', '2026-01-31')")?;
    let mut ended = 0;
    for _ in 0..200 {
        let hit = ground.rows("SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'warehouse refresh') t")?;
        ended += hit.parse::<u32>()?;
        if ended >= 3 {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    run(&mut ground.client, "SELECT warehouse.refresh('mart.daily')")?;
    ground.becomes("SELECT sum(v) FROM mart.daily", "600")?;
    ground.becomes("SELECT count(*) FROM warehouse.materialization_backfill", "0")
}
