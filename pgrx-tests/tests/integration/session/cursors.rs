//! Rows that are taken in pieces, with other statements in between.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{expect, refused, rows, run};
use crate::support::Pair;

const SETUP: &str = "CREATE TABLE t AS SELECT g AS id, repeat('x', g % 50) AS pad \
      FROM generate_series(1, 30000) g; \
    CREATE TABLE small AS SELECT g AS id FROM generate_series(1, 10) g";

fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(&mut pair.source()?, SETUP)?;
    let mut client = pair.warehouse()?;
    run(&mut client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")?;
    Ok((pair, client))
}

#[test]
fn cursors_and_other_statements_take_turns() -> Result<()> {
    let (pair, mut client) = start("turns")?;
    run(
        &mut client,
        "BEGIN; \
         DECLARE a CURSOR FOR SELECT id FROM app.t ORDER BY id; \
         DECLARE b CURSOR FOR SELECT id FROM app.t ORDER BY id DESC; \
         DECLARE c CURSOR FOR SELECT a.id FROM app.t a JOIN app.small b ON a.id % 10 = b.id % 10 \
           ORDER BY a.id, b.id",
    )?;
    let (mut a, mut b) = (1, 30_000);
    for step in [1, 3, 10, 500, 700, 3000, 10000] {
        let found = rows(&mut client, &format!("FETCH {step} FROM a"))?;
        ensure!(found.lines().count() == step && found.starts_with(&a.to_string()));
        expect(&mut client, "SELECT count(*) FROM app.small", "10")?;
        let found = rows(&mut client, &format!("FETCH {step} FROM b"))?;
        ensure!(found.lines().count() == step && found.starts_with(&b.to_string()));
        expect(&mut client, "SELECT max(id) FROM app.t", "30000")?;
        ensure!(rows(&mut client, &format!("FETCH {step} FROM c"))?.lines().count() == step);
        a += step;
        b -= step;
    }
    run(&mut pair.source()?, "DELETE FROM t")?;
    let rest = rows(&mut client, "FETCH ALL FROM a")?;
    ensure!(rest.lines().count() == 30_000 - (a - 1), "{}", rest.lines().count());
    ensure!(rest.ends_with("30000"));
    expect(&mut client, "FETCH 1 FROM a", "")?;
    run(&mut client, "CLOSE b; MOVE FORWARD ALL IN c; COMMIT")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "0")
}

#[test]
fn scrolling_backwards() -> Result<()> {
    let (_pair, mut client) = start("scroll")?;
    run(&mut client, "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM app.t ORDER BY id")?;
    expect(&mut client, "FETCH 3 FROM c", "1\n2\n3")?;
    expect(&mut client, "FETCH BACKWARD 2 FROM c", "2\n1")?;
    expect(&mut client, "FETCH ABSOLUTE 20000 FROM c", "20000")?;
    expect(&mut client, "SELECT count(*) FROM app.small", "10")?;
    expect(&mut client, "FETCH RELATIVE -10000 FROM c", "10000")?;
    expect(&mut client, "FETCH LAST FROM c", "30000")?;
    expect(&mut client, "FETCH FIRST FROM c", "1")?;
    expect(&mut client, "FETCH PRIOR FROM c", "")?;
    expect(&mut client, "MOVE FORWARD ALL IN c; FETCH BACKWARD 1 FROM c", "30000")?;
    run(&mut client, "COMMIT")?;
    run(&mut client, "BEGIN; DECLARE n NO SCROLL CURSOR FOR SELECT id FROM app.small ORDER BY id")?;
    expect(&mut client, "FETCH 2 FROM n", "1\n2")?;
    refused(&mut client, "FETCH BACKWARD 1 FROM n")?.says("55000", &[])?;
    run(&mut client, "ROLLBACK")
}

#[test]
fn a_cursor_with_hold_outlives_its_transaction() -> Result<()> {
    let (pair, mut client) = start("hold")?;
    run(
        &mut client,
        "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT id FROM app.t ORDER BY id; FETCH 5 FROM h; COMMIT",
    )?;
    run(&mut pair.source()?, "DELETE FROM t")?;
    expect(&mut client, "FETCH 2 FROM h", "6\n7")?;
    expect(&mut client, "SELECT count(*) FROM app.t", "0")?;
    ensure!(rows(&mut client, "FETCH ALL FROM h")?.lines().count() == 29_993);
    run(&mut client, "CLOSE h")?;
    // Outside a transaction block as well.
    run(&mut client, "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM app.small ORDER BY id")?;
    expect(&mut client, "FETCH 2 FROM h", "1\n2")?;
    run(&mut client, "CLOSE h")
}

#[test]
fn cursors_left_open_at_the_end_of_a_transaction() -> Result<()> {
    let (pair, mut client) = start("leftopen")?;
    for end in ["COMMIT", "ROLLBACK", "SELECT 1/0; ROLLBACK"] {
        run(
            &mut client,
            "BEGIN; DECLARE a CURSOR FOR SELECT id, pad FROM app.t; \
             DECLARE b CURSOR FOR SELECT id FROM app.t; FETCH 10 FROM a; FETCH 10 FROM b",
        )?;
        // The statement that fails is followed by nothing of its batch.
        if client.batch_execute(end).is_err() {
            run(&mut client, "ROLLBACK")?;
        }
        expect(&mut client, "SELECT count(*), sum(id) FROM app.t", "30000|450015000")?;
    }
    expect(
        &mut client,
        "SELECT server, in_transaction FROM warehouse.replica_connections()",
        "src|f",
    )?;
    crate::ask::nothing_runs(pair.source_cluster, &pair.source_database)
}

#[test]
fn cursors_of_a_subtransaction_that_was_rolled_back() -> Result<()> {
    let (_pair, mut client) = start("subcursor")?;
    run(
        &mut client,
        "BEGIN; DECLARE a CURSOR FOR SELECT id FROM app.t ORDER BY id; FETCH 1 FROM a; SAVEPOINT s; \
         DECLARE b CURSOR FOR SELECT id FROM app.t ORDER BY id; FETCH 700 FROM b",
    )?;
    ensure!(rows(&mut client, "FETCH 1500 FROM a")?.ends_with("1501"));
    refused(&mut client, "SELECT 1 / (id - 5) FROM app.small")?.says("22012", &[])?;
    run(&mut client, "ROLLBACK TO s")?;
    refused(&mut client, "FETCH 1 FROM b")?.says("34000", &[])?;
    run(&mut client, "ROLLBACK TO s")?;
    ensure!(rows(&mut client, "FETCH 5000 FROM a")?.ends_with("6501"));
    expect(&mut client, "SELECT count(*) FROM app.small", "10")?;
    ensure!(rows(&mut client, "FETCH ALL FROM a")?.ends_with("30000"));
    run(&mut client, "COMMIT")
}

/// Drivers that fetch in portions use a portal in the extended protocol.
#[test]
fn portals_of_a_driver() -> Result<()> {
    let (_pair, mut client) = start("portals")?;
    let mut transaction = client.transaction()?;
    let statement = transaction.prepare("SELECT id FROM app.t WHERE id > $1 ORDER BY id")?;
    let one = transaction.bind(&statement, &[&0i32])?;
    let two = transaction.bind(&statement, &[&100i32])?;
    let mut seen = (0, 0);
    for portion in [1, 10, 100, 2000, 0] {
        for row in transaction.query_portal(&one, portion)? {
            seen.0 += 1;
            ensure!(row.get::<_, i32>(0) == seen.0);
        }
        let count: i64 = transaction.query_one("SELECT count(*) FROM app.small", &[])?.get(0);
        ensure!(count == 10);
        for row in transaction.query_portal(&two, portion)? {
            seen.1 += 1;
            ensure!(row.get::<_, i32>(0) == seen.1 + 100);
        }
    }
    ensure!(seen == (30_000, 29_900), "{seen:?}");
    transaction.commit()?;
    expect(&mut client, "SELECT count(*) FROM app.t", "30000")
}

#[test]
fn a_cursor_with_parameters_in_plpgsql() -> Result<()> {
    let (_pair, mut client) = start("bound")?;
    run(
        &mut client,
        "CREATE FUNCTION walk() RETURNS bigint LANGUAGE plpgsql AS $$
         DECLARE c CURSOR (low int) FOR SELECT id FROM app.t WHERE id > low ORDER BY id;
           r record; total bigint := 0; x int;
         BEGIN
           FOR low IN 1..5 LOOP
             OPEN c(low * 5000);
             FOR i IN 1..3 LOOP FETCH c INTO r; total := total + r.id; END LOOP;
             SELECT count(*) INTO x FROM app.small;
             MOVE FORWARD 600 FROM c; FETCH c INTO r; total := total + r.id + x;
             CLOSE c;
           END LOOP;
           RETURN total;
         END $$",
    )?;
    // 3 rows behind low*5000 and the one 604 behind it, five times, and 10 each.
    expect(&mut client, "SELECT walk()", &(4 * 75_000 + 5 * (6 + 604 + 10)).to_string())?;
    expect(&mut client, "SELECT walk()", "303100")
}
