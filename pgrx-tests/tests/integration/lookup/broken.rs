//! Sources that go or refuse between two batches, and joins that are stopped in the middle of one.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::faults::Mode;
use warehouse_tests::timing::eventually;

use super::{FORCED, NODE};
use crate::ask::{
    Proxied, SOON, cancel, disturb, expect, nothing_runs, pid_of, refused, rows, run, told,
};

/// `slow` takes its time for every row, `picky` fails for one key, `late` for every batch.
const SOURCE: &str = "CREATE TABLE i AS SELECT g AS id, g % 100 AS k, repeat('x', 1000) AS pad \
      FROM generate_series(1, 1000) g; \
    CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql AS \
      'BEGIN PERFORM pg_sleep(0.02); RETURN $1; END'; \
    CREATE VIEW slow AS SELECT slowly(id) AS id, k, pad FROM i; \
    CREATE VIEW picky AS SELECT id, k, 1 / (id - 550) AS q FROM i; \
    CREATE VIEW late AS SELECT i.id, i.k FROM pg_sleep(0.05), i";

const HERE: &str = "CREATE TABLE o AS SELECT g AS id, g % 100 AS k FROM generate_series(1, 200) g; ANALYZE o; \
    CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app";

fn start(test: &str) -> Result<(Proxied, Client)> {
    let proxied = Proxied::new(test, SOURCE)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, HERE)?;
    run(&mut client, FORCED)?;
    run(&mut client, "SET warehouse.lookup_batch_size = 3; SET statement_timeout = '20s'")?;
    Ok((proxied, client))
}

const JOIN: &str = "SELECT o.id, i.id FROM o JOIN app.i ON i.k = o.k";

fn works(proxied: &Proxied, client: &mut Client) -> Result<()> {
    proxied.proxy.set(Mode::Pass)?;
    expect(client, "SELECT count(*) FROM o JOIN app.i ON i.k = o.k", "2000")?;
    nothing_runs(proxied.pair.source_cluster, &proxied.pair.source_database)
}

#[test]
fn a_source_that_dies_between_two_batches() -> Result<()> {
    let (proxied, mut client) = start("dies")?;
    for mode in [Mode::Refuse, Mode::Pass] {
        run(&mut client, &format!("BEGIN; DECLARE c CURSOR FOR {JOIN}"))?;
        // Two batches of three keys with ten rows each, and a part of the third.
        ensure!(rows(&mut client, "FETCH 65 FROM c")?.lines().count() == 65);
        proxied.proxy.set(mode)?;
        proxied.proxy.drop_connections()?;
        let told =
            refused(&mut client, "FETCH ALL FROM c").context("fewer rows instead of an error")?;
        told.says("08006", &["\"src\"", "app.i"])?.hints(&["Run the transaction again"])?;
        run(&mut client, "ROLLBACK")?;
        works(&proxied, &mut client)?;
    }
    // Cut at many places: never fewer rows.
    for bytes in [300, 2_000, 5_000, 20_000, 60_000] {
        proxied.proxy.set(Mode::CutAfter(bytes))?;
        let told = refused(&mut client, "SELECT o.id, i.pad FROM o LEFT JOIN app.i ON i.k = o.k")
            .with_context(|| format!("cut after {bytes} bytes"))?;
        ensure!(["08006", "08001"].contains(&told.code.as_str()), "{told:?}");
        told.says(&told.code, &["\"src\""])?;
        works(&proxied, &mut client)?;
    }
    Ok(())
}

#[test]
fn a_source_that_refuses_one_batch() -> Result<()> {
    let (proxied, mut client) = start("picky")?;
    let join = "SELECT count(q) FROM o JOIN app.picky p ON p.k = o.k";
    let plan = rows(&mut client, &format!("EXPLAIN {join}"))?;
    ensure!(plan.contains(NODE), "{plan}");
    for size in [1, 3, 500] {
        run(&mut client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        refused(&mut client, join)?.says("22012", &["\"src\""])?;
        works(&proxied, &mut client)?;
        // The snapshot survives.
        run(&mut client, "BEGIN")?;
        expect(&mut client, "SELECT count(*) FROM app.i", "1000")?;
        run(&mut client, "SAVEPOINT s")?;
        refused(&mut client, join)?.says("22012", &[])?;
        run(&mut client, "ROLLBACK TO s")?;
        run(&mut proxied.pair.source()?, "INSERT INTO i VALUES (2000, 1, '')")?;
        expect(&mut client, "SELECT count(*) FROM app.i", "1000")?;
        expect(&mut client, &format!("{join} WHERE o.k < 40"), "800")?;
        run(&mut client, "COMMIT")?;
        run(&mut proxied.pair.source()?, "DELETE FROM i WHERE id = 2000")?;
    }
    Ok(())
}

/// Stopped while rows of a batch come, and while the first is waited for.
#[test]
fn a_cancel_in_the_middle_of_a_batch() -> Result<()> {
    let (proxied, mut client) = start("cancelled")?;
    for (sql, size) in [
        ("SELECT count(s.pad) FROM o JOIN app.slow s ON s.k = o.k", 3),
        ("SELECT count(s.pad) FROM o LEFT JOIN app.slow s ON s.k = o.k", 500),
        ("SELECT count(*) FROM o JOIN app.late l ON l.k = o.k", 1),
        ("SELECT count(*) FROM o WHERE NOT EXISTS (SELECT FROM app.slow s WHERE s.k = o.k)", 2),
    ] {
        run(&mut client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        let took = cancel(&proxied.pair, &mut client, Duration::from_millis(700), sql)?;
        println!("{sql}: cancelled in {took:?}");
        nothing_runs(proxied.pair.source_cluster, &proxied.pair.source_database)?;
        works(&proxied, &mut client)?;
    }
    run(&mut client, "SET statement_timeout = '600ms'")?;
    refused(&mut client, "SELECT count(s.pad) FROM o JOIN app.slow s ON s.k = o.k")?
        .says("57014", &["statement timeout"])?;
    run(&mut client, "RESET statement_timeout")?;
    works(&proxied, &mut client)
}

#[test]
fn a_termination_in_the_middle_of_a_batch() -> Result<()> {
    let (proxied, mut client) = start("terminated")?;
    let pid = pid_of(&mut client)?;
    let statement = thread::spawn(move || {
        client.simple_query("SELECT count(s.pad) FROM o JOIN app.slow s ON s.k = o.k").err()
    });
    thread::sleep(Duration::from_millis(600));
    let mut other = proxied.pair.warehouse()?;
    let at = Instant::now();
    run(&mut other, &format!("SELECT pg_terminate_backend({pid})"))?;
    eventually(SOON, "the backend has gone", || {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
        Ok(rows(&mut other, &sql)? == "0")
    })?;
    println!("gone in {:?}", at.elapsed());
    ensure!(statement.join().is_ok_and(|error| error.is_some()));
    nothing_runs(proxied.pair.source_cluster, &proxied.pair.source_database)
}

/// Nothing goes on at the source behind a join that has what it needs.
#[test]
fn a_join_that_is_left_stops_the_source() -> Result<()> {
    let (proxied, mut client) = start("left")?;
    for sql in [
        "SELECT o.id, s.id FROM o JOIN app.slow s ON s.k = o.k LIMIT 2",
        "SELECT EXISTS (SELECT FROM o JOIN app.slow s ON s.k = o.k)",
        "BEGIN; DECLARE c CURSOR FOR SELECT s.id FROM o JOIN app.slow s ON s.k = o.k; FETCH 1 FROM c; COMMIT",
        "SELECT count(*) FROM (SELECT FROM o WHERE EXISTS (SELECT FROM app.slow s WHERE s.k = o.k) LIMIT 1) x",
    ] {
        let at = Instant::now();
        run(&mut client, sql)?;
        nothing_runs(proxied.pair.source_cluster, &proxied.pair.source_database)?;
        println!("{sql}: {:?}", at.elapsed());
        expect(&mut client, "SELECT count(*) FROM warehouse.replica_connections()", "1")?;
        works(&proxied, &mut client)?;
    }
    Ok(())
}

/// A source that falls silent in the middle of a batch is waited for, and the wait can be ended.
#[test]
fn a_source_that_falls_silent() -> Result<()> {
    let (proxied, mut client) = start("silent")?;
    run(&mut client, "SET statement_timeout = '1s'")?;
    let stall = |_: i32| proxied.proxy.set(Mode::Stall);
    let sql = "SELECT count(s.pad) FROM o JOIN app.slow s ON s.k = o.k";
    let (error, took) = disturb(&mut client, Duration::from_millis(400), sql, stall)?;
    told(&error.context("it ended well")?)?.says("57014", &["statement timeout"])?;
    ensure!(took < Duration::from_secs(5), "{took:?}");
    proxied.proxy.set(Mode::Pass)?;
    run(&mut client, "RESET statement_timeout")?;
    works(&proxied, &mut client)
}
