//! Processes and servers that end while refreshes run: nothing hangs, nothing is lost or doubled, and
//! `warehouse.runs` says what happened.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use warehouse_tests::cluster::Stop;

use super::{Ground, PATIENCE};
use crate::ask::{rows, run};

const SLOW: &str = "SELECT id, s FROM app.slow";
const FETCHING: &str = "SELECT count(*) FROM warehouse.progress WHERE phase = 'fetching'";

fn kill9(pid: &str) -> Result<()> {
    let status = Command::new("kill").args(["-9", pid]).status()?;
    ensure!(status.success(), "kill -9 {pid}");
    Ok(())
}

fn slow(test: &str) -> Result<Ground> {
    let mut ground = Ground::new(test)?;
    ground.materialize(
        "people",
        "SELECT * FROM app.people",
        "unique_key => '{id}', capture => 'xmin', schedule => 'every 1 second'",
    )?;
    ground.materialize("slow", SLOW, "schedule => '1 hour', with_data => false")?;
    ground.becomes(FETCHING, "1")?;
    Ok(ground)
}

fn is_right(ground: &mut Ground) -> Result<()> {
    run(&mut ground.source, "UPDATE people SET name = 'after all'")?;
    ground.becomes("SELECT count(*) FROM mart.people WHERE name = 'after all'", "100")?;
    ground.becomes("SELECT count(*) FROM mart.people", "100")
}

/// Postgres restarts all of its processes when one of them is killed.
#[test]
fn a_worker_or_a_scheduler_is_killed() -> Result<()> {
    let mut ground = slow("killed")?;
    for victim in ["warehouse refresh", "warehouse scheduler", "warehouse launcher"] {
        ground.becomes(FETCHING, "1")?;
        let pid = ground.rows(&format!("SELECT pid FROM pg_stat_activity WHERE backend_type = '{victim}' ORDER BY backend_start LIMIT 1"))?;
        kill9(&pid)?;
        ground.reconnect().context(victim)?;
        ground.becomes("SELECT count(*) > 0 FROM warehouse.runs WHERE status = 'crashed' AND relation = 'mart.slow'", "t")?;
        is_right(&mut ground).context(victim)?;
    }
    ensure!(ground.rows("SELECT count(*) FROM mart.slow")? == "0");
    Ok(())
}

/// A scheduler that is terminated leaves its workers alone; the next one goes on with them.
#[test]
fn a_scheduler_is_terminated() -> Result<()> {
    let mut ground = slow("newscheduler")?;
    let scheduler = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'warehouse scheduler'";
    let before = ground.rows(scheduler)?;
    ground.rows(&format!("SELECT pg_terminate_backend({before})"))?;
    ground.becomes(&format!("SELECT count(*) FROM ({scheduler}) s WHERE pid <> {before}"), "1")?;
    is_right(&mut ground)?;
    ground.becomes(
        "SELECT status, count(*) FROM warehouse.runs WHERE relation = 'mart.slow' GROUP BY 1",
        "succeeded|1",
    )
}

#[test]
fn the_server_crashes_and_restarts() -> Result<()> {
    let mut ground = slow("crashrestart")?;
    ground.warehouse.kill9();
    ground.warehouse.start()?;
    ground.reconnect()?;
    ground.becomes(
        "SELECT count(*) FROM warehouse.runs WHERE status = 'crashed' AND relation = 'mart.slow'",
        "1",
    )?;
    is_right(&mut ground)?;
    // It is tried again by itself.
    ground.becomes(
        "SELECT count(*) > 0 FROM warehouse.runs WHERE relation = 'mart.slow' AND cause = 'retry'",
        "t",
    )
}

#[test]
fn a_fast_shutdown_does_not_wait() -> Result<()> {
    let mut ground = slow("fastshutdown")?;
    let began = Instant::now();
    ground.warehouse.stop(Stop::Fast)?;
    ensure!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    ground.warehouse.start()?;
    ground.reconnect()?;
    is_right(&mut ground)?;
    ground.becomes("SELECT count(*) FROM warehouse.runs WHERE finished_at IS NULL AND relation = 'mart.people'", "0")
}

#[test]
fn the_extension_and_the_database_are_dropped() -> Result<()> {
    let mut ground = slow("droppeddb")?;
    let within = |began: Instant, what: &str| {
        ensure!(began.elapsed() < PATIENCE, "{what} took {:?}", began.elapsed());
        Ok(())
    };
    let began = Instant::now();
    run(&mut ground.client, "BEGIN; DROP EXTENSION warehouse CASCADE; ROLLBACK")?;
    within(began, "DROP EXTENSION, rolled back")?;
    is_right(&mut ground)?;
    run(&mut ground.client, "SELECT warehouse.request_refresh('mart.slow', full_refresh => true)")?;
    ground.becomes(FETCHING, "1")?;
    let began = Instant::now();
    run(&mut ground.client, "DROP EXTENSION warehouse CASCADE")?;
    within(began, "DROP EXTENSION")?;
    ground.becomes("SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('warehouse refresh', 'warehouse scheduler')", "0")?;
    // The tables stay.
    ensure!(ground.rows("SELECT count(*) FROM mart.people")? == "100");
    run(&mut ground.client, "CREATE EXTENSION warehouse")?;
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.one', 'SELECT 1 AS a', schedule => 'every 1 second')",
    )?;
    ground.becomes("SELECT count(*) > 0 FROM warehouse.runs WHERE cause = 'schedule'", "t")?;
    let began = Instant::now();
    let mut other = ground.warehouse.connect("postgres")?;
    // A database with a scheduler is copied, renamed and dropped like any other.
    ground.client = ground.warehouse.connect("postgres")?;
    run(&mut other, "CREATE DATABASE copy TEMPLATE mart")?;
    run(&mut other, "ALTER DATABASE mart RENAME TO renamed")?;
    let mut renamed = ground.warehouse.connect("renamed")?;
    let runs = rows(&mut renamed, "SELECT max(id) FROM warehouse.runs")?;
    warehouse_tests::timing::eventually(PATIENCE, "it goes on", || {
        Ok(rows(&mut renamed, &format!("SELECT max(id) > {runs} FROM warehouse.runs"))? == "t")
    })?;
    drop(renamed);
    run(&mut other, "DROP DATABASE renamed")?;
    run(&mut other, "DROP DATABASE copy")?;
    within(began, "CREATE, ALTER and DROP DATABASE")
}

#[test]
fn without_workers_the_shortage_is_told() -> Result<()> {
    let mut ground = Ground::with("noworkers", &[("max_worker_processes", "3")])?;
    // The launcher, the scheduler and the server's own worker take all there are.
    ground.materialize(
        "people",
        "SELECT * FROM app.people",
        "schedule => 'every 1 second', with_data => false",
    )?;
    ground
        .becomes("SELECT last_error LIKE '%max_worker_processes%' FROM warehouse.freshness", "t")?;
    run(&mut ground.client, "SELECT warehouse.refresh('mart.people')")?;
    ensure!(ground.rows("SELECT count(*) FROM mart.people")? == "100");
    Ok(())
}
