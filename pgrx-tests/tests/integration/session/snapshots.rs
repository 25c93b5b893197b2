//! A transaction sees one state of each server.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{declare, expect, refused, rows, run};
use crate::support::Pair;

const SETUP: &str = "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; \
    CREATE TABLE u AS SELECT g AS id, g % 10 AS t_id FROM generate_series(1, 1000) g";

fn start(test: &str) -> Result<(Pair, Client, Client)> {
    let pair = Pair::new(test)?;
    let mut source = pair.source()?;
    run(&mut source, SETUP)?;
    let mut client = pair.warehouse()?;
    run(&mut client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")?;
    Ok((pair, source, client))
}

const COUNT: &str = "SELECT count(*) FROM app.t";

#[test]
fn a_transaction_sees_one_state_of_a_server() -> Result<()> {
    let (_pair, mut source, mut client) = start("onestate")?;
    let mut expected = 100;
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "READ UNCOMMITTED"] {
        run(&mut client, &format!("BEGIN ISOLATION LEVEL {isolation}"))?;
        expect(&mut client, COUNT, &expected.to_string())?;
        run(&mut source, "INSERT INTO t VALUES (1000); INSERT INTO u VALUES (5000, 1000)")?;
        expect(&mut client, COUNT, &expected.to_string())?;
        // Also in a table that the transaction has not touched so far.
        expect(
            &mut client,
            "SELECT count(*) FROM app.u WHERE t_id = 1000",
            &(expected - 100).to_string(),
        )?;
        run(&mut client, "COMMIT")?;
        expected += 1;
        expect(&mut client, COUNT, &expected.to_string())?;
    }
    Ok(())
}

#[test]
fn every_statement_of_its_own_sees_what_is_new() -> Result<()> {
    let (_pair, mut source, mut client) = start("fresh")?;
    for i in 0..5 {
        expect(&mut client, COUNT, &(100 + i).to_string())?;
        run(&mut source, "INSERT INTO t VALUES (1000)")?;
    }
    // So does the transaction after one that was rolled back, and one that failed.
    run(&mut client, "BEGIN")?;
    expect(&mut client, COUNT, "105")?;
    run(&mut source, "INSERT INTO t VALUES (1000)")?;
    run(&mut client, "ROLLBACK")?;
    expect(&mut client, COUNT, "106")?;
    refused(&mut client, "BEGIN; SELECT count(*) FROM app.t; SELECT 1/0")?.says("22012", &[])?;
    run(&mut client, "ROLLBACK")?;
    run(&mut source, "INSERT INTO t VALUES (1000)")?;
    expect(&mut client, COUNT, "107")?;
    // A transaction begins to see when it first asks.
    run(&mut client, "BEGIN; SELECT 1")?;
    run(&mut source, "INSERT INTO t VALUES (1000)")?;
    expect(&mut client, COUNT, "108")?;
    run(&mut client, "COMMIT")
}

#[test]
fn two_servers_have_a_state_each() -> Result<()> {
    let (pair, mut source, mut client) = start("twoservers")?;
    declare(&mut client, "again", pair.source_cluster.port(), &pair.source_database, "")?;
    run(&mut client, "CREATE SCHEMA b; IMPORT FOREIGN SCHEMA public FROM SERVER again INTO b")?;
    run(&mut client, "BEGIN")?;
    expect(&mut client, COUNT, "100")?;
    run(&mut source, "INSERT INTO t VALUES (1000)")?;
    expect(&mut client, "SELECT count(*) FROM b.t", "101")?;
    run(&mut source, "INSERT INTO t VALUES (1000)")?;
    expect(
        &mut client,
        "SELECT (SELECT count(*) FROM app.t), (SELECT count(*) FROM b.t)",
        "100|101",
    )?;
    run(&mut client, "COMMIT")
}

#[test]
fn savepoints_keep_the_state() -> Result<()> {
    let (_pair, mut source, mut client) = start("savepoints")?;
    run(&mut client, "BEGIN; SAVEPOINT a")?;
    expect(&mut client, COUNT, "100")?;
    run(&mut source, "INSERT INTO t VALUES (1000)")?;
    run(&mut client, "SAVEPOINT b")?;
    expect(&mut client, COUNT, "100")?;
    refused(&mut client, "SELECT id / 0 FROM app.t")?.says("22012", &[])?;
    run(&mut client, "ROLLBACK TO b")?;
    expect(&mut client, COUNT, "100")?;
    refused(&mut client, "TABLE app.no_such_table")?;
    run(&mut client, "ROLLBACK TO a")?;
    expect(&mut client, COUNT, "100")?;
    run(&mut client, "RELEASE a; SAVEPOINT c; SAVEPOINT d; RELEASE c")?;
    expect(&mut client, COUNT, "100")?;
    run(&mut client, "COMMIT")?;
    expect(&mut client, COUNT, "101")
}

/// An error in the middle of a scan leaves rows on the wire; the next savepoint goes on behind them.
#[test]
fn many_failed_subtransactions_do_not_add_up() -> Result<()> {
    let (_pair, _source, mut client) = start("manysub")?;
    run(&mut client, "BEGIN")?;
    for i in 0..100 {
        run(&mut client, "SAVEPOINT s")?;
        refused(&mut client, "SELECT 1 / (id - 500) FROM app.u")?.says("22012", &[])?;
        run(&mut client, "ROLLBACK TO s")?;
        expect(&mut client, "SELECT sum(id) FROM app.u WHERE t_id = 3", "49800")?;
        if i % 2 == 0 {
            run(&mut client, "RELEASE s")?;
        }
    }
    run(&mut client, "COMMIT")?;
    ensure!(rows(&mut client, "SELECT count(*) FROM warehouse.replica_connections()")? == "1");
    Ok(())
}

#[test]
fn plpgsql_loops_with_exceptions_and_nested_scans() -> Result<()> {
    let (_pair, mut source, mut client) = start("loops")?;
    run(
        &mut client,
        "CREATE FUNCTION nested() RETURNS bigint LANGUAGE plpgsql AS $$
         DECLARE a record; b record; total bigint := 0; failed int := 0;
         BEGIN
           FOR a IN SELECT id FROM app.t WHERE id <= 20 ORDER BY id LOOP
             BEGIN
               FOR b IN SELECT id, t_id FROM app.u WHERE t_id = a.id ORDER BY id LOOP
                 total := total + b.id;
                 IF b.id > 900 AND a.id % 2 = 0 THEN RAISE EXCEPTION 'enough'; END IF;
                 EXIT WHEN b.id > 950;
               END LOOP;
               PERFORM 1 / (a.id - 7);
               total := total + (SELECT count(*) FROM app.u WHERE t_id = a.id);
             EXCEPTION
               WHEN division_by_zero THEN failed := failed + 1;
               WHEN raise_exception THEN failed := failed + 100;
             END;
           END LOOP;
           RETURN total * 1000 + failed;
         END $$",
    )?;
    // The same over ordinary tables.
    run(
        &mut client,
        "CREATE SCHEMA plain; CREATE TABLE plain.t AS TABLE app.t; CREATE TABLE plain.u AS TABLE app.u",
    )?;
    let body = rows(&mut client, "SELECT prosrc FROM pg_proc WHERE proname = 'nested'")?;
    run(
        &mut client,
        &format!(
            "CREATE FUNCTION nested_plain() RETURNS bigint LANGUAGE plpgsql AS $$ {} $$",
            body.replace("app.", "plain.")
        ),
    )?;
    let expected = rows(&mut client, "SELECT nested_plain()")?;
    for _ in 0..3 {
        expect(&mut client, "SELECT nested()", &expected)?;
    }
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT nested()", &expected)?;
    run(&mut source, "DELETE FROM u")?;
    expect(&mut client, "SELECT nested()", &expected)?;
    run(&mut client, "COMMIT")?;
    expect(&mut client, "SELECT count(*) FROM app.u", "0")
}

/// A loop whose rows come while an exception of its body goes back to a savepoint.
#[test]
fn a_loop_goes_on_behind_an_exception_in_its_body() -> Result<()> {
    let (_pair, _source, mut client) = start("goeson")?;
    run(
        &mut client,
        "CREATE FUNCTION survive() RETURNS text LANGUAGE plpgsql AS $$
         DECLARE r record; seen int := 0; failed int := 0;
         BEGIN
           FOR r IN SELECT id FROM app.u LOOP
             seen := seen + 1;
             BEGIN
               IF r.id % 100 = 0 THEN PERFORM 1 / (id - id) FROM app.t; END IF;
               PERFORM count(*) FROM app.t WHERE id = r.id;
             EXCEPTION WHEN division_by_zero THEN failed := failed + 1;
             END;
           END LOOP;
           RETURN seen || ' ' || failed;
         END $$",
    )?;
    expect(&mut client, "SELECT survive()", "1000 10")?;
    run(&mut client, "BEGIN")?;
    expect(&mut client, "SELECT survive()", "1000 10")?;
    expect(&mut client, "SELECT survive()", "1000 10")?;
    run(&mut client, "COMMIT")
}

/// Functions in the select list ask the server again for each row of a scan of it.
#[test]
fn functions_that_read_the_same_server() -> Result<()> {
    let (_pair, _source, mut client) = start("functions")?;
    run(
        &mut client,
        "CREATE FUNCTION of(int) RETURNS bigint LANGUAGE sql STABLE AS \
           'SELECT count(*) FROM app.u WHERE t_id = $1'; \
         CREATE FUNCTION loops(int) RETURNS bigint LANGUAGE plpgsql AS $$ \
           DECLARE n bigint := 0; r record; BEGIN \
           FOR r IN SELECT id FROM app.u WHERE t_id = $1 LOOP n := n + r.id; END LOOP; RETURN n; END $$",
    )?;
    expect(&mut client, "SELECT sum(of(id)) FROM app.t", "900")?;
    expect(&mut client, "SELECT sum(loops(id)) FROM app.t", "450000")?;
    expect(&mut client, "SELECT sum(loops(id) + of(id)) FROM app.t WHERE of(id) > 0", "450900")?;
    expect(&mut client, "SELECT id FROM app.t WHERE of(id) = 100 ORDER BY id LIMIT 2", "1\n2")
}

#[test]
fn procedures_that_commit() -> Result<()> {
    let (_pair, _source, mut client) = start("procedure")?;
    run(
        &mut client,
        "CREATE TABLE sink (id int); \
         CREATE PROCEDURE copy_all() LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN \
           FOR r IN SELECT id FROM app.t ORDER BY id LOOP \
             INSERT INTO sink VALUES (r.id); \
             IF r.id % 10 = 0 THEN COMMIT; END IF; \
             IF r.id % 25 = 0 THEN ROLLBACK; END IF; \
           END LOOP; END $$",
    )?;
    run(&mut client, "CALL copy_all()")?;
    // 21 to 25, 71 to 75 were rolled back (25 and 75), 50 and 100 had been committed just before.
    expect(&mut client, "SELECT count(*) FROM sink", "90")?;
    expect(&mut client, COUNT, "100")
}

#[test]
fn prepared_transactions_keep_nothing_open_at_the_source() -> Result<()> {
    let (_pair, _source, mut client) = start("twophase")?;
    // Where two-phase commit is off, the statement fails and the transaction is rolled back.
    run(&mut client, "BEGIN")?;
    expect(&mut client, COUNT, "100")?;
    let prepared = client.batch_execute("PREPARE TRANSACTION 'x'");
    if prepared.is_ok() {
        run(&mut client, "COMMIT PREPARED 'x'")?;
    }
    expect(&mut client, "SELECT in_transaction FROM warehouse.replica_connections()", "f")?;
    expect(&mut client, COUNT, "100")
}
