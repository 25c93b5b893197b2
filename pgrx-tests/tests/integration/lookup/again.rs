//! Joins that start again, that are read in pieces, left early, or run many times.

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::{NODE, SIZES, Scene};
use crate::ask::{expect, refused, rows, run};

const SOURCE: &str = "CREATE TABLE i AS SELECT g AS id, g % 50 AS k, g % 7 AS v FROM generate_series(1, 300) g; \
    CREATE TABLE wide AS SELECT g AS id, g % 20 AS k, repeat('x', 2000) AS pad FROM generate_series(1, 4000) g; \
    CREATE TABLE small AS SELECT g AS id FROM generate_series(1, 10) g; ANALYZE";

const HERE: &str = "CREATE TABLE o AS SELECT g AS id, CASE WHEN g % 9 <> 0 THEN g % 60 END AS k, g % 6 AS v \
    FROM generate_series(1, 40) g";

fn start(test: &str) -> Result<Scene> {
    Scene::new(test, SOURCE, HERE)
}

/// Around the join, so that it starts again for every row.
#[test]
fn rescans() -> Result<()> {
    let mut scene = start("rescans")?;
    for query in [
        "SELECT x.id, (SELECT count(*) || ' ' || coalesce(sum(i.id), 0) FROM o JOIN $.i ON i.k = o.k WHERE o.v = x.v) FROM o x",
        "SELECT x.id, (SELECT count(*) FROM o JOIN $.i ON i.k = o.k AND i.v = x.v) FROM o x",
        "SELECT x.id, (SELECT count(*) FROM o JOIN $.i ON i.k = o.k + x.v) FROM o x",
        "SELECT x.id, (SELECT count(i.id) FROM o LEFT JOIN $.i ON i.k = o.k AND i.v < x.v WHERE o.id <= x.id) FROM o x",
        "SELECT x.id, (SELECT max(i.id) FROM o JOIN $.i ON i.k = o.k) FROM o x",
        "SELECT x.id, EXISTS (SELECT FROM o JOIN $.i ON i.k = o.k AND i.v + o.v = x.v) FROM o x",
        "SELECT x.id FROM o x WHERE x.v = ANY (SELECT i.v FROM o JOIN $.i ON i.k = o.k WHERE o.id < x.id)",
        "SELECT g, l.* FROM generate_series(1, 6) g, LATERAL \
           (SELECT count(*), sum(i.id) FROM o JOIN $.i ON i.k = o.k WHERE o.v = g OR i.v = g) l",
        "SELECT g, l.* FROM generate_series(1, 6) g, LATERAL \
           (SELECT o.id, i.id AS i_id FROM o JOIN $.i ON i.k = o.k WHERE o.v = g ORDER BY 1, 2 LIMIT 3) l",
        "SELECT g, l.* FROM generate_series(1, 6) g LEFT JOIN LATERAL \
           (SELECT o.id, i.id AS i_id FROM o LEFT JOIN $.i ON i.k = o.k AND i.v = g ORDER BY 1, 2 OFFSET 5 LIMIT 7) l ON true",
        "SELECT g, l.n FROM generate_series(1, 6) g, LATERAL \
           (SELECT count(*) AS n FROM o WHERE NOT EXISTS (SELECT FROM $.i WHERE i.k = o.k AND i.v > g)) l",
        "WITH RECURSIVE r(n, k) AS (SELECT 1, 3 UNION ALL SELECT n + 1, x.k FROM r, LATERAL \
           (SELECT max(i.k) AS k FROM o JOIN $.i ON i.k = o.k WHERE o.v = r.k % 6) x WHERE n < 8) TABLE r",
    ] {
        scene.agrees(query)?;
    }
    Ok(())
}

/// A join that was left before its end starts again with nothing of what it had.
#[test]
fn rescans_of_joins_that_were_left() -> Result<()> {
    let mut scene = start("left")?;
    run(&mut scene.client, "SET enable_material = off; SET enable_memoize = off")?;
    for size in SIZES {
        run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        expect(
            &mut scene.client,
            "SELECT count(*), sum(length(l.pad)) FROM generate_series(1, 12) g, LATERAL \
               (SELECT w.pad FROM o JOIN app.wide w ON w.k = o.k WHERE o.id > g - 5 LIMIT 5) l",
            "60|120000",
        )?;
        expect(
            &mut scene.client,
            "SELECT count(*) FROM generate_series(1, 12) g WHERE EXISTS \
               (SELECT FROM o JOIN app.wide w ON w.k = o.k WHERE length(w.pad) > g)",
            "12",
        )?;
        expect(&mut scene.client, "SELECT count(*) FROM warehouse.replica_connections()", "1")?;
    }
    Ok(())
}

#[test]
fn limits_above_it() -> Result<()> {
    let mut scene = start("limit")?;
    for size in SIZES {
        run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        for (limit, count) in [("0", 0), ("1", 1), ("7", 7), ("100", 100), ("ALL", 216)] {
            let sql = format!(
                "SELECT o.id, i.id FROM o JOIN app.i ON i.k = o.k WHERE i.v < 99 LIMIT {limit}"
            );
            let found = rows(&mut scene.client, &sql)?;
            let all = rows(
                &mut scene.client,
                "SELECT o.id, i.id FROM o JOIN plain.i ON i.k = o.k ORDER BY 1, 2",
            )?;
            ensure!(found.lines().count() == count, "{limit}: {}", found.lines().count());
            for line in found.lines() {
                ensure!(all.lines().any(|one| one == line), "{line} is no row of it");
            }
            let mut once: Vec<&str> = found.lines().collect();
            once.sort_unstable();
            once.dedup();
            ensure!(once.len() == count, "rows came twice");
        }
        let ordered = "SELECT o.id, i.id FROM o LEFT JOIN $.i ON i.k = o.k ORDER BY 2 NULLS FIRST, 1 LIMIT 9 OFFSET 4";
        let expected = rows(&mut scene.client, &ordered.replace('$', "plain"))?;
        expect(&mut scene.client, &ordered.replace('$', "app"), &expected)?;
    }
    Ok(())
}

#[test]
fn cursors_and_other_statements_take_turns() -> Result<()> {
    let mut scene = start("cursors")?;
    let pair = &scene.pair;
    let client = &mut scene.client;
    for size in SIZES {
        run(client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        run(
            client,
            "BEGIN; DECLARE a CURSOR FOR SELECT o.id || ' ' || i.id FROM o JOIN app.i ON i.k = o.k; \
             DECLARE b CURSOR FOR SELECT o.id || ' ' || coalesce(w.id, 0) FROM o LEFT JOIN app.wide w ON w.k = o.k; \
             DECLARE c SCROLL CURSOR FOR SELECT o.id || ' ' || i.id FROM o JOIN app.i ON i.k = o.k",
        )?;
        let mut got: [Vec<String>; 3] = Default::default();
        let fetch = |client: &mut Client, name: &str, count: &str| -> Result<Vec<String>> {
            let found = rows(client, &format!("FETCH {count} FROM {name}"))?;
            Ok(found.lines().map(str::to_owned).collect())
        };
        for count in ["1", "4", "30"] {
            for (at, name) in ["a", "b", "c"].iter().enumerate() {
                got[at].extend(fetch(client, name, count)?);
                expect(client, "SELECT count(*) FROM app.small", "10")?;
                expect(client, "SELECT count(*) FROM o x JOIN app.i ON i.k = x.k", "216")?;
            }
        }
        // The snapshot is that of the first read, and a failure in between takes nothing away.
        run(&mut pair.source()?, "UPDATE i SET v = 1 - v")?;
        run(client, "SAVEPOINT s")?;
        refused(client, "SELECT 1 / (i.v - i.v) FROM o JOIN app.i ON i.k = o.k")?
            .says("22012", &[])?;
        run(client, "ROLLBACK TO s")?;
        expect(client, "FETCH BACKWARD 2 FROM c", &format!("{}\n{}", got[2][33], got[2][32]))?;
        run(client, "MOVE FORWARD 2 IN c")?;
        for (at, name) in ["a", "b", "c"].iter().enumerate() {
            got[at].extend(fetch(client, name, "ALL")?);
        }
        for (all, sql) in got.iter_mut().zip([
            "SELECT o.id || ' ' || i.id FROM o JOIN plain.i ON i.k = o.k",
            "SELECT o.id || ' ' || coalesce(w.id, 0) FROM o LEFT JOIN plain.wide w ON w.k = o.k",
            "SELECT o.id || ' ' || i.id FROM o JOIN plain.i ON i.k = o.k",
        ]) {
            all.sort_unstable();
            let expected = super::sorted(client, sql)?;
            ensure!(*all == expected, "batches of {size}: {} of {}", all.len(), expected.len());
        }
        run(client, "COMMIT")?;
    }
    Ok(())
}

/// A function that reads the same server for every row of the join.
#[test]
fn reads_of_the_same_server_in_between() -> Result<()> {
    let mut scene = start("between")?;
    run(
        &mut scene.client,
        "CREATE FUNCTION again(int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS \
           'BEGIN RETURN (SELECT count(*) FROM app.i WHERE k = $1); END'; \
         CREATE FUNCTION nested(int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS \
           'BEGIN RETURN (SELECT count(*) FROM o JOIN app.i ON i.k = o.k WHERE o.v = $1); END'",
    )?;
    for (sql, plain) in [
        (
            "SELECT sum(again(i.k)), count(*), sum(w.id) FROM o JOIN app.i ON i.k = o.k \
               JOIN app.wide w ON w.k = i.v WHERE o.id < 4",
            "SELECT sum((SELECT count(*) FROM plain.i z WHERE z.k = i.k)), count(*), sum(w.id) \
               FROM o JOIN plain.i ON i.k = o.k JOIN plain.wide w ON w.k = i.v WHERE o.id < 4",
        ),
        (
            "SELECT sum(nested(o.v)), count(*) FROM o JOIN app.i ON i.k = o.k WHERE o.id < 8",
            "SELECT sum((SELECT count(*) FROM o x JOIN plain.i y ON y.k = x.k WHERE x.v = o.v)), \
               count(*) FROM o JOIN plain.i ON i.k = o.k WHERE o.id < 8",
        ),
        (
            "SELECT count(*), count(i.id) FROM o LEFT JOIN app.i ON i.k = o.k AND nested(i.v) > 30 \
               WHERE o.id BETWEEN 6 AND 12",
            "SELECT count(*), count(i.id) FROM o LEFT JOIN plain.i ON i.k = o.k AND \
                 (SELECT count(*) FROM o x JOIN plain.i y ON y.k = x.k WHERE x.v = i.v) > 30 \
               WHERE o.id BETWEEN 6 AND 12",
        ),
    ] {
        let expected = rows(&mut scene.client, plain)?;
        for size in SIZES {
            run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
            let plan = rows(&mut scene.client, &format!("EXPLAIN {sql}"))?;
            ensure!(plan.contains(NODE), "{plan}");
            let found = rows(&mut scene.client, sql).with_context(|| plan.clone())?;
            ensure!(found == expected, "{size}: {sql}\nexpected {expected}, found {found}");
        }
    }
    Ok(())
}

#[test]
fn prepared_statements() -> Result<()> {
    let mut scene = start("prepared")?;
    run(
        &mut scene.client,
        "PREPARE p(int, int) AS SELECT count(*), sum(i.id) FROM o JOIN app.i ON i.k = o.k \
           WHERE o.id <= $1 AND i.v >= $2; \
         PREPARE q(int) AS SELECT count(*), count(i.id) FROM o LEFT JOIN app.i ON i.k = o.k + $1",
    )?;
    for mode in ["auto", "force_generic_plan"] {
        run(&mut scene.client, &format!("SET plan_cache_mode = {mode}"))?;
        for n in 1..=12 {
            let expected = rows(
                &mut scene.client,
                &format!(
                    "SELECT count(*), sum(i.id) FROM o JOIN plain.i ON i.k = o.k \
                     WHERE o.id <= {} AND i.v >= {}",
                    n * 3,
                    n % 4
                ),
            )?;
            expect(&mut scene.client, &format!("EXECUTE p({}, {})", n * 3, n % 4), &expected)?;
            let expected = rows(
                &mut scene.client,
                &format!(
                    "SELECT count(*), count(i.id) FROM o LEFT JOIN plain.i ON i.k = o.k + {n}"
                ),
            )?;
            expect(&mut scene.client, &format!("EXECUTE q({n})"), &expected)?;
            if n == 6 {
                // A plan that is kept has the size it was made with, and goes on.
                run(&mut scene.client, "SET warehouse.lookup_batch_size = 2")?;
            }
        }
        run(&mut scene.client, "RESET warehouse.lookup_batch_size")?;
    }
    let plan = rows(&mut scene.client, "EXPLAIN EXECUTE p(1, 2)")?;
    ensure!(plan.contains(NODE), "{plan}");
    // By the extended protocol, with parameters of the driver's.
    let statement = scene
        .client
        .prepare("SELECT count(*) FROM o JOIN app.i ON i.k = o.k WHERE o.id > $1 AND i.v <> $2")?;
    for n in 0..12_i32 {
        let found: i64 = scene.client.query_one(&statement, &[&n, &(n % 3)])?.get(0);
        let expected = rows(
            &mut scene.client,
            &format!(
                "SELECT count(*) FROM o JOIN plain.i ON i.k = o.k WHERE o.id > {n} AND i.v <> {}",
                n % 3
            ),
        )?;
        ensure!(found.to_string() == expected, "{n}: {found}, not {expected}");
    }
    Ok(())
}
