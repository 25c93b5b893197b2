//! How many connections there are, and for how long.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::timing::eventually;

use crate::ask::{declare, expect, quiet_pair, refused, rows, run};
use crate::support::Pair;

fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = quiet_pair(test)?;
    run(
        &mut pair.source()?,
        "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; \
         CREATE TABLE u AS SELECT g AS id FROM generate_series(1, 100) g",
    )?;
    let mut client = pair.warehouse()?;
    run(&mut client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")?;
    Ok((pair, client))
}

fn at_source(pair: &Pair) -> Result<i64> {
    let sql = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'warehouse' \
         AND datname = '{}'",
        pair.source_database
    );
    Ok(pair.source_cluster.value("postgres", &sql)?.parse()?)
}

#[test]
fn many_statements_share_one_connection_a_server() -> Result<()> {
    let (pair, mut client) = start("share")?;
    run(&mut client, "SELECT warehouse.disconnect()")?;
    for i in 0..200 {
        expect(
            &mut client,
            &format!("SELECT count(*) FROM app.t WHERE id > {i}"),
            &(100 - i.min(100)).to_string(),
        )?;
    }
    expect(
        &mut client,
        "SELECT count(*) FROM app.t JOIN app.u USING (id) WHERE id IN (SELECT id FROM app.t)",
        "100",
    )?;
    let pids = rows(&mut client, "SELECT remote_pid FROM warehouse.replica_connections()")?;
    ensure!(pids.lines().count() == 1, "{pids}");
    ensure!(at_source(&pair)? == 1);
    ensure!(
        pair.source_cluster.value(
            "postgres",
            &format!("SELECT application_name FROM pg_stat_activity WHERE pid = {pids}")
        )? == "warehouse"
    );
    drop(client);
    eventually(Duration::from_secs(5), "the connection ends with the session", || {
        Ok(at_source(&pair)? == 0)
    })
}

#[test]
fn connections_are_listed_and_closed() -> Result<()> {
    let (pair, mut client) = start("listed")?;
    declare(&mut client, "again", pair.source_cluster.port(), &pair.source_database, "")?;
    run(&mut client, "CREATE SCHEMA b; IMPORT FOREIGN SCHEMA public FROM SERVER again INTO b")?;
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    expect(
        &mut client,
        "SELECT server, role, remote_version / 10000, in_transaction, seconds_open < 60 \
         FROM warehouse.replica_connections() ORDER BY server",
        "again|~|15|f|t\nsrc|~|15|t|t",
    )?;
    // What the transaction uses stays.
    expect(&mut client, "SELECT warehouse.disconnect()", "1")?;
    expect(&mut client, "SELECT warehouse.disconnect('src')", "0")?;
    expect(&mut client, "SELECT count(*) FROM app.u", "100")?;
    run(&mut client, "COMMIT")?;
    expect(
        &mut client,
        "SELECT warehouse.disconnect('src'), warehouse.disconnect('again')",
        "1|0",
    )?;
    expect(&mut client, "SELECT count(*) FROM warehouse.replica_connections()", "0")?;
    eventually(Duration::from_secs(5), "they are closed at the source", || {
        Ok(at_source(&pair)? == 0)
    })?;
    refused(&mut client, "SELECT warehouse.disconnect('no such')")?
        .says("42704", &["\"no such\""])?;
    expect(
        &mut client,
        "SELECT (SELECT count(*) FROM app.t), (SELECT count(*) FROM b.u)",
        "100|100",
    )?;
    expect(&mut client, "SELECT warehouse.disconnect(NULL)", "2")
}

/// A statement that closes the connection it is reading from would lose its rows.
#[test]
fn a_connection_in_use_is_not_closed() -> Result<()> {
    let (_pair, mut client) = start("inuse")?;
    expect(
        &mut client,
        "SELECT count(*) FROM (SELECT id, warehouse.disconnect() FROM app.t OFFSET 0) x",
        "100",
    )?;
    expect(&mut client, "SELECT sum(warehouse.disconnect('src')) FROM app.t", "0")
}

#[test]
fn idle_connections_are_closed_by_the_source_and_opened_again() -> Result<()> {
    let (pair, mut client) = start("idle")?;
    run(&mut client, "SELECT warehouse.disconnect(); SET warehouse.replica_idle_timeout = 1")?;
    for _ in 0..2 {
        expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
        ensure!(at_source(&pair)? == 1);
        eventually(Duration::from_secs(10), "the source closes the idle connection", || {
            Ok(at_source(&pair)? == 0)
        })?;
    }
    // A transaction is not idle, however long it does nothing.
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    thread::sleep(Duration::from_millis(1800));
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    run(
        &mut client,
        "COMMIT; SET warehouse.replica_idle_timeout = 0; SELECT warehouse.disconnect()",
    )?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
    thread::sleep(Duration::from_millis(1500));
    ensure!(at_source(&pair)? == 1);
    refused(&mut client, "SET warehouse.replica_idle_timeout = -1")?.says("22023", &[])?;
    refused(&mut client, "SET warehouse.no_such_setting = 1")?;
    Ok(())
}

#[test]
fn a_failed_transaction_gives_its_connection_back() -> Result<()> {
    let (pair, mut client) = start("giveback")?;
    for _ in 0..20 {
        refused(&mut client, "SELECT 1 / (id - 50) FROM app.t")?.says("22012", &[])?;
        run(&mut client, "BEGIN; SELECT count(*) FROM app.t")?;
        refused(&mut client, "SELECT nonsense")?;
        run(&mut client, "ROLLBACK")?;
    }
    ensure!(at_source(&pair)? == 1);
    let state = format!(
        "SELECT state FROM pg_stat_activity WHERE application_name = 'warehouse' AND datname = '{}'",
        pair.source_database
    );
    ensure!(pair.source_cluster.value("postgres", &state)? == "idle");
    Ok(())
}

/// At the source the session can do nothing but read.
#[test]
fn transactions_at_the_source_only_read() -> Result<()> {
    let (pair, mut client) = start("readonly")?;
    run(
        &mut pair.source()?,
        "CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS \
           $$ BEGIN INSERT INTO public.t VALUES (0); RETURN 1; END $$; \
         CREATE VIEW tricky AS SELECT writes() AS id; \
         CREATE VIEW how AS SELECT current_setting('transaction_read_only') AS r, \
           current_setting('transaction_isolation') AS i; \
         GRANT INSERT ON t TO reader",
    )?;
    run(
        &mut client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (tricky, how) FROM SERVER src INTO app",
    )?;
    refused(&mut client, "TABLE app.tricky")?.says("25006", &["\"src\"", "app.tricky"])?;
    expect(&mut client, "TABLE app.how", "on|repeatable read")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}
