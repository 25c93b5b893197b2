//! Scans that start again, with other parameters or the same: every plan gives the same rows.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{expect, rows, run};
use crate::support::Pair;

const QUERIES: [&str; 14] = [
    "SELECT a.id, b.id FROM $.a JOIN $.b ON a.id = b.a_id ORDER BY 1, 2",
    "SELECT a.id, b.id FROM $.a LEFT JOIN $.b ON a.id = b.a_id AND b.v > 5 ORDER BY 1, 2",
    "SELECT a.id, b.id FROM $.a JOIN $.b ON a.v = b.v AND a.id < b.id ORDER BY 1, 2",
    "SELECT a.id, l.n, l.m FROM $.a, LATERAL (SELECT count(*) AS n, max(b.id) AS m FROM $.b \
       WHERE b.a_id = a.id) l ORDER BY 1",
    "SELECT a.id, l.id FROM $.a, LATERAL (SELECT b.id FROM $.b WHERE b.a_id = a.id \
       ORDER BY b.id DESC LIMIT 2) l ORDER BY 1, 2",
    "SELECT a.id, l.id FROM $.a LEFT JOIN LATERAL (SELECT b.id FROM $.b WHERE b.v = a.v \
       ORDER BY b.id OFFSET 1 LIMIT 1) l ON true ORDER BY 1, 2",
    "SELECT a.id, (SELECT sum(b.v) FROM $.b WHERE b.a_id = a.id) FROM $.a ORDER BY 1",
    "SELECT a.id, (SELECT b.t FROM $.b WHERE b.a_id = a.id ORDER BY b.t LIMIT 1) FROM $.a ORDER BY 1",
    "SELECT a.id FROM $.a WHERE EXISTS (SELECT FROM $.b WHERE b.a_id = a.id AND b.v > a.v) ORDER BY 1",
    "SELECT a.id FROM $.a WHERE NOT EXISTS (SELECT FROM $.b WHERE b.a_id = a.id AND b.v > 8) ORDER BY 1",
    "SELECT a.id FROM $.a WHERE a.v IN (SELECT b.v FROM $.b WHERE b.a_id < a.id) ORDER BY 1",
    "SELECT a.id FROM $.a WHERE a.id = ANY (ARRAY(SELECT b.a_id FROM $.b WHERE b.t = a.t)) ORDER BY 1",
    "WITH RECURSIVE r(id, depth) AS (SELECT id, 1 FROM $.a WHERE id = 1 UNION ALL \
       SELECT b.id, r.depth + 1 FROM r JOIN $.b ON b.a_id = r.id WHERE r.depth < 6) \
       SELECT depth, count(*), max(id) FROM r GROUP BY 1 ORDER BY 1",
    "SELECT g, (SELECT count(*) FROM $.b WHERE b.a_id = g % 7) FROM generate_series(1, 30) g ORDER BY 1",
];

/// The plans that the planner is pushed to.
const PLANS: [&str; 5] = [
    "RESET ALL",
    "RESET ALL; SET enable_hashjoin = off; SET enable_mergejoin = off",
    "RESET ALL; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; \
       SET enable_memoize = off",
    "RESET ALL; SET enable_nestloop = off; SET enable_hashjoin = off",
    "RESET ALL; SET enable_nestloop = off; SET enable_mergejoin = off",
];

fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(
        &mut pair.source()?,
        "CREATE TABLE a AS SELECT g AS id, g % 10 AS v, 't' || g % 13 AS t \
           FROM generate_series(1, 60) g; \
         CREATE TABLE b AS SELECT g AS id, (g * 7) % 61 AS a_id, g % 11 AS v, 't' || g % 17 AS t \
           FROM generate_series(1, 400) g; INSERT INTO b VALUES (401, NULL, NULL, NULL); \
         CREATE INDEX ON b (a_id); ANALYZE",
    )?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         CREATE SCHEMA plain; CREATE TABLE plain.a AS TABLE app.a; CREATE TABLE plain.b AS TABLE app.b; \
         SELECT FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"public\", \"site\": \"x\"}]')",
    )?;
    Ok((pair, client))
}

#[test]
fn every_plan_gives_the_same_rows() -> Result<()> {
    let (_pair, mut client) = start("plans")?;
    let mut nested = 0;
    for query in QUERIES {
        run(&mut client, "RESET ALL")?;
        let expected = rows(&mut client, &query.replace('$', "plain"))?;
        for plan in PLANS {
            run(&mut client, plan)?;
            for schema in ["app", "main"] {
                let sql = query.replace('$', schema);
                let found = rows(&mut client, &sql)?;
                ensure!(
                    found == expected,
                    "{plan}\n{sql}\nexpected:\n{expected}\nfound:\n{found}\n{}",
                    rows(&mut client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?
                );
                let explained = rows(&mut client, &format!("EXPLAIN (COSTS OFF) {sql}"))?;
                nested += usize::from(explained.contains("Nested Loop"));
            }
        }
    }
    ensure!(nested > 20, "only {nested} nested loops were tried");
    Ok(())
}

/// An inner side that is given up before its end at every round.
#[test]
fn rescans_of_scans_that_were_left_early() -> Result<()> {
    let (pair, mut client) = start("early")?;
    run(
        &mut pair.source()?,
        "CREATE TABLE wide AS SELECT g AS id, g % 60 + 1 AS a_id, repeat('x', 500) AS pad \
         FROM generate_series(1, 20000) g",
    )?;
    run(&mut client, "IMPORT FOREIGN SCHEMA public LIMIT TO (wide) FROM SERVER src INTO app")?;
    for plan in PLANS {
        run(&mut client, plan)?;
        expect(
            &mut client,
            "SELECT count(*), sum(length(l.pad)) FROM app.a, LATERAL \
             (SELECT pad FROM app.wide w WHERE w.a_id = a.id AND random() < 2 LIMIT 3) l",
            "180|90000",
        )?;
        expect(
            &mut client,
            "SELECT count(*) FROM app.a WHERE EXISTS \
             (SELECT FROM app.wide w WHERE w.a_id = a.id AND length(w.pad) > random())",
            "60",
        )?;
    }
    let open = rows(&mut client, "SELECT count(*) FROM warehouse.replica_connections()")?;
    ensure!(open == "1", "{open}");
    Ok(())
}

#[test]
fn a_scan_that_starts_again_with_the_same_values() -> Result<()> {
    let (_pair, mut client) = start("again")?;
    run(&mut client, "SET enable_material = off; SET enable_memoize = off")?;
    expect(
        &mut client,
        "SELECT count(*) FROM app.a, app.b WHERE a.v + b.v > random() - 1",
        "24000",
    )?;
    expect(
        &mut client,
        "SELECT count(*) FROM generate_series(1, 3) g, LATERAL (SELECT id FROM app.a OFFSET g * 0) l",
        "180",
    )
}
