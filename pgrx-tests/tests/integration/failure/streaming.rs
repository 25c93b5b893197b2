//! Sources that go, or go silent, while a session uses them.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::faults::Mode;
use warehouse_tests::timing::within;
use warehouse_tests::{Cluster, Stop};

use crate::ask::{
    Proxied, SOON, cancel, declare, disturb, expect, nothing_runs, own_source, refused, rows, run,
    told,
};
use crate::support::Pair;

/// A table, and a view that takes 20 seconds for 2,000 wide rows.
const SETUP: &str = "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; \
    CREATE TABLE big AS SELECT g AS id, repeat('x', 1000) AS pad FROM generate_series(1, 50000) g; \
    CREATE VIEW trickle AS SELECT g AS id, repeat('x', 20000) AS pad \
      FROM generate_series(1, 2000) g, LATERAL pg_sleep(0.01 + g * 0)";

const IMPORT: &str = "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app";

const SCAN: &str = "SELECT sum(length(pad)) FROM app.trickle WHERE random() < 2";

/// A pair whose server `own` is a cluster that the test may stop.
fn with_own_source(test: &str) -> Result<(Pair, Cluster, Client)> {
    let pair = Pair::new(test)?;
    let source = own_source(test)?;
    source.execute("postgres", SETUP)?;
    let mut client = pair.warehouse()?;
    declare(&mut client, "own", source.port(), "postgres", ", connect_timeout '2'")?;
    run(&mut client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER own INTO app")?;
    Ok((pair, source, client))
}

#[test]
fn a_restart_between_statements_is_not_noticed() -> Result<()> {
    let (_pair, source, mut client) = with_own_source("between")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    source.restart()?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    source.kill9();
    source.start()?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}

/// The session there ends with a message in one case and without one in the other.
#[test]
fn a_connection_that_breaks_between_transactions_is_not_noticed() -> Result<()> {
    let proxied = Proxied::new("breaks", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    for _ in 0..3 {
        proxied.proxy.drop_connections()?;
        expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
        end_sessions(&proxied)?;
        expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    }
    Ok(())
}

fn end_sessions(proxied: &Proxied) -> Result<()> {
    proxied.pair.source_cluster.execute(
        "postgres",
        &format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE application_name = 'warehouse' AND datname = '{}'",
            proxied.pair.source_database
        ),
    )
}

/// Going on with another snapshot would mix two states of the source in one transaction.
#[test]
fn a_connection_that_breaks_in_a_transaction_is_an_error() -> Result<()> {
    let proxied = Proxied::new("intx", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    for silently in [true, false] {
        run(&mut client, "BEGIN")?;
        expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
        if silently {
            proxied.proxy.drop_connections()?;
        } else {
            end_sessions(&proxied)?;
        }
        refused(&mut client, "SELECT count(*) FROM app.t")
            .with_context(|| format!("broken silently: {silently}"))?
            .says("08006", &["\"src\"", "app.t"])?;
        run(&mut client, "ROLLBACK")?;
        expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    }
    // A savepoint does not bring the snapshot back either.
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    run(&mut client, "SAVEPOINT s")?;
    end_sessions(&proxied)?;
    refused(&mut client, "TABLE app.t")?.says("08006", &[])?;
    run(&mut client, "ROLLBACK TO s")?;
    refused(&mut client, "TABLE app.t")?.says("08006", &["\"src\""])?;
    run(&mut client, "ROLLBACK")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}

/// Nor does a change of the server, after which the next transaction connects anew.
#[test]
fn a_changed_server_does_not_bring_a_lost_snapshot_back() -> Result<()> {
    let proxied = Proxied::new("lostchanged", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    run(&mut client, "SAVEPOINT s")?;
    run(&mut proxied.pair.warehouse()?, "ALTER SERVER src OPTIONS (SET connect_timeout '3')")?;
    end_sessions(&proxied)?;
    run(&mut proxied.pair.source()?, "INSERT INTO t VALUES (101)")?;
    for attempt in 1..=3 {
        refused(&mut client, "SELECT count(*) FROM app.t")
            .with_context(|| format!("attempt {attempt}"))?
            .says("08006", &["\"src\""])?;
        run(&mut client, "ROLLBACK TO s")?;
    }
    run(&mut client, "ROLLBACK")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "101")
}

#[test]
fn a_restart_in_mid_scan_is_one_error() -> Result<()> {
    let (_pair, source, mut client) = with_own_source("midscan")?;
    for how in [Stop::Fast, Stop::Immediate] {
        let (error, took) = disturb(&mut client, Duration::from_millis(700), SCAN, |_| {
            source.stop(how)?;
            source.start()
        })?;
        println!("{how:?}: told {took:?} after the stop began");
        told(&error.context("the scan ended well")?)?
            .says("08006", &["\"own\"", "app.trickle"])?
            .hints(&["Run the transaction again"])?;
        expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    }
    Ok(())
}

#[test]
fn a_crash_in_mid_scan_is_one_error() -> Result<()> {
    let (_pair, source, mut client) = with_own_source("crash")?;
    let (error, _) = disturb(&mut client, Duration::from_millis(700), SCAN, |_| {
        source.kill9();
        source.start()
    })?;
    told(&error.context("the scan ended well")?)?.says("08006", &["\"own\"", "app.trickle"])?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}

/// Every place in the stream at which it can be cut: never fewer rows instead of an error.
#[test]
fn a_cut_stream_is_never_a_shorter_result() -> Result<()> {
    let proxied = Proxied::new("cut", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    for bytes in [500, 5_000, 65_536, 1_000_000, 20_000_000] {
        proxied.proxy.set(Mode::CutAfter(bytes))?;
        let told = refused(&mut client, "SELECT count(pad) FROM app.big WHERE random() < 2")
            .with_context(|| format!("cut after {bytes} bytes"))?;
        // Few bytes end while connecting, if the connection has to be a new one.
        let code = if told.code == "08001" && bytes < 5_000 { "08001" } else { "08006" };
        told.says(code, &["\"src\"", "app.big"])?;
        proxied.proxy.set(Mode::Pass)?;
        expect(&mut client, "SELECT count(pad) FROM app.big WHERE random() < 2", "50000")?;
    }
    Ok(())
}

#[test]
fn a_stall_in_mid_stream_obeys_statement_timeout() -> Result<()> {
    let proxied = Proxied::new("timeout", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    run(&mut client, "SET statement_timeout = '1s'")?;
    let stall = |_: i32| proxied.proxy.set(Mode::Stall);
    let (error, took) = disturb(&mut client, Duration::from_millis(400), SCAN, stall)?;
    println!("told {took:?} after the stall");
    told(&error.context("the scan ended well")?)?.says("57014", &["statement timeout"])?;
    ensure!(took < Duration::from_secs(3), "{took:?}");
    // An idle connection that stalls is noticed by nobody, so the timeout has to count here too.
    refused(&mut client, "TABLE app.t")?;
    proxied.proxy.set(Mode::Pass)?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    proxied.proxy.set(Mode::Stall)?;
    let told = within(Duration::from_secs(3), "a stalled idle connection", || {
        refused(&mut client, "TABLE app.t")
    })?;
    told.says("57014", &["statement timeout"])?;
    proxied.proxy.set(Mode::Pass)?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}

#[test]
fn a_stall_in_mid_stream_can_be_cancelled() -> Result<()> {
    let proxied = Proxied::new("stallcancel", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            proxied.proxy.set(Mode::Stall)
        });
        cancel(&proxied.pair, &mut client, Duration::from_millis(800), SCAN)
    })?;
    println!("cancelled in {took:?}");
    proxied.proxy.set(Mode::Pass)?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    nothing_runs(proxied.pair.source_cluster, &proxied.pair.source_database)
}

#[test]
fn statement_timeout_stops_a_scan_here_and_there() -> Result<()> {
    let proxied = Proxied::new("scantimeout", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    run(&mut client, "SET statement_timeout = '700ms'")?;
    let told = within(SOON, "a scan with a timeout", || refused(&mut client, SCAN))?;
    told.says("57014", &["statement timeout"])?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    nothing_runs(proxied.pair.source_cluster, &proxied.pair.source_database)
}

/// LIMIT, EXISTS and a cursor's end all leave a scan before its end.
#[test]
fn nothing_stays_running_behind_a_scan_that_was_left() -> Result<()> {
    let proxied = Proxied::new("left", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, IMPORT)?;
    for sql in [
        "SELECT id, length(pad) FROM app.trickle WHERE random() < 2 LIMIT 1",
        "SELECT id, length(pad) FROM app.trickle LIMIT 1",
        "SELECT EXISTS (SELECT FROM app.trickle WHERE length(pad) + random() > 2)",
        "BEGIN; DECLARE c CURSOR FOR SELECT pad FROM app.trickle; COMMIT",
    ] {
        within(Duration::from_secs(5), sql, || run(&mut client, sql))?;
        nothing_runs(proxied.pair.source_cluster, &proxied.pair.source_database)?;
        expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    }
    // The connection survived all that.
    ensure!(rows(&mut client, "SELECT server FROM warehouse.replica_connections()")? == "src");
    Ok(())
}
