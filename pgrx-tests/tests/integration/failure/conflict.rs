//! Standbys that cancel a query because it holds up their recovery.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::timing::eventually;
use warehouse_tests::{Cluster, Standby};

use crate::ask::{declare, disturb, expect, own_source, refused, rows, run, told};
use crate::support::Pair;

/// A view whose rows all come after a second, and one whose rows trickle for 20 seconds.
const SETUP: &str = "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g; \
    CREATE TABLE other AS SELECT g AS id FROM generate_series(1, 10) g; \
    CREATE VIEW late AS SELECT t.id FROM pg_sleep(1), t; \
    CREATE VIEW trickle AS SELECT t.id, repeat('x', 20000) AS pad FROM t, LATERAL pg_sleep(0.02 + t.id * 0)";

/// A primary, its standby, and a session of a warehouse that reads the standby.
struct Scene {
    primary: Cluster,
    standby: Standby,
    client: Client,
    _pair: Pair,
}

fn scene(test: &str, delay: &str) -> Result<Scene> {
    let primary = own_source(test)?;
    primary.execute("postgres", SETUP)?;
    let standby = Standby::of(&primary, &format!("{test}-standby"))
        .setting("max_standby_streaming_delay", delay)
        .setting("hot_standby_feedback", "off")
        .start()?;
    standby.wait_for_replay()?;
    let pair = Pair::new(test)?;
    let mut client = pair.warehouse()?;
    declare(&mut client, "standby", standby.port(), "postgres", "")?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER standby INTO app",
    )?;
    Ok(Scene { primary, standby, client, _pair: pair })
}

/// Removes rows at the primary that a snapshot at the standby may still see.
fn vacuum(primary: &Cluster) -> Result<()> {
    primary.execute("postgres", "DELETE FROM t WHERE id = (SELECT min(id) FROM t)")?;
    primary.execute("postgres", "VACUUM t")
}

fn conflicts(standby: &Standby) -> Result<u32> {
    let sql = "SELECT sum(confl_snapshot + confl_lock)::text FROM pg_stat_database_conflicts";
    Ok(standby.value("postgres", sql)?.parse()?)
}

/// Waits until the standby has cancelled so many times. What VACUUM writes may reach it late.
fn conflict_seen(standby: &Standby, times: u32) -> Result<()> {
    eventually(Duration::from_secs(10), "the standby has cancelled something", || {
        Ok(conflicts(standby)? >= times)
    })
}

#[test]
fn what_was_cancelled_before_its_first_row_is_tried_again() -> Result<()> {
    let Scene { primary, standby, mut client, .. } = scene("retried", "0")?;
    let pid: String = rows(&mut client, "SELECT pg_backend_pid()")?;
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(400));
            vacuum(&primary)
        });
        rows(&mut client, "SELECT count(id) FROM app.late")
    });
    conflict_seen(&standby, 1)?;
    ensure!(result.context("not tried again")? == "999");
    expect(&mut client, "SELECT pg_backend_pid()", &pid)?;
    // Also as the second statement of a transaction whose first one had no rows.
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT id FROM app.t WHERE id < 0", "")?;
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(400));
            vacuum(&primary)
        });
        rows(&mut client, "SELECT count(id) FROM app.late")
    });
    ensure!(result.context("not tried again in a transaction")? == "998");
    run(&mut client, "COMMIT")
}

/// An aggregate over nothing hands a row to the client, yet no row of the source was seen; here rows
/// of the source were seen, so another snapshot could contradict them.
#[test]
fn what_was_cancelled_after_its_first_row_is_a_clear_error() -> Result<()> {
    let Scene { primary, standby, mut client, .. } = scene("handed", "0")?;
    let (error, took) = disturb(
        &mut client,
        Duration::from_millis(700),
        "SELECT sum(length(pad)) FROM app.trickle WHERE random() < 2",
        |_| vacuum(&primary),
    )?;
    println!("told {took:?} after the vacuum began");
    conflict_seen(&standby, 1)?;
    told(&error.context("the scan ended well")?)?
        .says("40001", &["\"standby\"", "app.trickle", "conflict with recovery"])?
        .hints(&["max_standby_streaming_delay", "hot_standby_feedback"])?;
    expect(&mut client, "SELECT count(*) FROM app.t", "999")?;

    // The same for the second statement of a transaction.
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT count(*) FROM app.other", "10")?;
    let (error, _) =
        disturb(&mut client, Duration::from_millis(400), "SELECT count(id) FROM app.late", |_| {
            vacuum(&primary)
        })?;
    told(&error.context("a transaction went on with another snapshot")?)?
        .says("40001", &["\"standby\"", "app.late"])?
        .hints(&["hot_standby_feedback"])?;
    run(&mut client, "ROLLBACK")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "998")
}

/// A standby ends a session that is idle in a transaction it has to get rid of.
#[test]
fn a_transaction_that_was_ended_while_idle_is_a_clear_error() -> Result<()> {
    let Scene { primary, standby, mut client, .. } = scene("idle", "0")?;
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "1000")?;
    vacuum(&primary)?;
    conflict_seen(&standby, 1)?;
    let told = refused(&mut client, "SELECT count(*) FROM app.t")?;
    ensure!(told.code == "40001" || told.code == "08006", "{told:?}");
    told.says(&told.code, &["\"standby\"", "app.t"])?;
    run(&mut client, "ROLLBACK")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "999")?;

    run(&mut client, "BEGIN; DECLARE c CURSOR FOR SELECT id FROM app.t")?;
    rows(&mut client, "FETCH 1 FROM c")?;
    vacuum(&primary)?;
    conflict_seen(&standby, 2)?;
    let told = refused(&mut client, "FETCH ALL FROM c")?;
    ensure!(told.code == "40001" || told.code == "08006", "{told:?}");
    told.says(&told.code, &["\"standby\"", "app.t"])?;
    run(&mut client, "ROLLBACK")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "998")
}

#[test]
fn a_standby_that_waits_cancels_nothing() -> Result<()> {
    let Scene { primary, standby, mut client, .. } = scene("waits", "-1")?;
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(400));
            vacuum(&primary)
        });
        rows(&mut client, "SELECT count(id) FROM app.late")
    })?;
    ensure!(result == "1000", "{result}");
    ensure!(conflicts(&standby)? == 0);
    // The transaction there has ended with the statement: recovery goes on.
    standby.wait_for_replay()?;
    expect(&mut client, "SELECT count(*) FROM app.t", "999")
}
