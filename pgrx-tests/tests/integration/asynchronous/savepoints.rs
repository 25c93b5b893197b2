//! Subtransactions that fail in mid-stream, in a transaction that goes on.

use anyhow::{Context, Result};

use super::{EVERYTHING, EVERYTHING_IS, Scene};
use crate::ask::{expect, refused, run};

/// Statements that fail while all sites stream, and their SQLSTATE.
const FAILING: [(&str, &str); 4] = [
    ("SELECT 1 / (id - 40003) FROM main.trickle WHERE length(pad) > random()", "22012"),
    (
        "SELECT sum(1 / (id - 5000)) FROM (SELECT id FROM main.flood WHERE random() < 2 OFFSET 0) x",
        "22012",
    ),
    (
        "SELECT count(*), sum(length(pad)) FROM (SELECT pad FROM main.broken WHERE q + random() > 0 OFFSET 0) x",
        "22012",
    ),
    (
        "SELECT sum(length(pad)) FROM (SELECT pad FROM main.wide WHERE 1 / (id - 30900) + random() < 9 OFFSET 0) x",
        "22012",
    ),
];

#[test]
fn the_transaction_goes_on() -> Result<()> {
    let mut scene = Scene::new("goeson")?;
    run(&mut scene.client, "BEGIN")?;
    for first in [false, true] {
        for (sql, code) in FAILING {
            run(&mut scene.client, "SAVEPOINT s")?;
            if first {
                expect(&mut scene.client, EVERYTHING, EVERYTHING_IS)?;
            }
            refused(&mut scene.client, sql)?.says(code, &[])?;
            run(&mut scene.client, "ROLLBACK TO s")?;
            expect(&mut scene.client, EVERYTHING, EVERYTHING_IS)
                .with_context(|| format!("behind {sql}"))?;
        }
    }
    run(&mut scene.client, "COMMIT")?;
    scene.works()
}

/// What failed stops at the sources although nothing else is asked of them.
#[test]
fn nothing_runs_while_the_transaction_stays_open() -> Result<()> {
    let mut scene = Scene::new("openblock")?;
    for (sql, code) in FAILING {
        run(&mut scene.client, "BEGIN; SAVEPOINT s")?;
        refused(&mut scene.client, sql)?.says(code, &[])?;
        run(&mut scene.client, "ROLLBACK TO s; SELECT 1")?;
        scene.sources.nothing_runs().with_context(|| sql.to_owned())?;
        run(&mut scene.client, "ROLLBACK")?;
    }
    scene.works()
}

#[test]
fn exceptions_in_a_loop() -> Result<()> {
    let mut scene = Scene::new("exceptions")?;
    run(
        &mut scene.client,
        "CREATE FUNCTION tries() RETURNS text LANGUAGE plpgsql AS $$
         DECLARE failed int := 0; n bigint := 0; r record;
         BEGIN
           FOR i IN 1..12 LOOP
             BEGIN
               IF i % 3 = 0 THEN
                 FOR r IN SELECT id FROM main.t WHERE random() < 2 LOOP
                   IF r.id % 997 = 0 THEN RAISE EXCEPTION 'enough'; END IF;
                 END LOOP;
               ELSIF i % 3 = 1 THEN
                 PERFORM 1 / (id - 20000 - i * 10) FROM main.t WHERE random() < 2;
               ELSE
                 PERFORM count(*), sum(length(pad)) FROM main.broken WHERE q + random() > 0;
               END IF;
             EXCEPTION WHEN division_by_zero OR raise_exception THEN failed := failed + 1;
             END;
             n := n + (SELECT count(*) FROM (SELECT FROM main.t WHERE random() < 2 OFFSET 0) x);
           END LOOP;
           RETURN failed || ' ' || n;
         END $$",
    )?;
    expect(&mut scene.client, "SELECT tries()", "12 48000")?;
    run(&mut scene.client, "BEGIN")?;
    expect(&mut scene.client, "SELECT tries()", "12 48000")?;
    run(&mut scene.client, "COMMIT")?;
    scene.works()
}

/// A cursor over all sites that is in the middle goes on behind a failure.
#[test]
fn cursors_that_were_open_before() -> Result<()> {
    let mut scene = Scene::new("opencursor")?;
    run(
        &mut scene.client,
        "BEGIN; DECLARE c CURSOR FOR SELECT id FROM main.t WHERE random() < 2; MOVE 10 IN c",
    )?;
    for (at, (sql, code)) in FAILING.iter().enumerate() {
        run(&mut scene.client, "SAVEPOINT s")?;
        refused(&mut scene.client, sql)?.says(code, &[])?;
        run(&mut scene.client, "ROLLBACK TO s")?;
        run(&mut scene.client, "MOVE 600 IN c").with_context(|| format!("behind failure {at}"))?;
    }
    let moved = scene.client.execute("MOVE ALL IN c", &[])?;
    anyhow::ensure!(moved == 4000 - 10 - 4 * 600, "{moved} rows were left");
    run(&mut scene.client, "COMMIT")?;
    scene.works()
}
