//! When the planner takes it by itself.

use anyhow::{Result, ensure};

use super::{NODE, Scene};
use crate::ask::{expect, rows, run};

const SOURCE: &str = "CREATE TABLE big AS SELECT g AS id, g % 5000 AS k, g % 10 AS v, 'row ' || g AS t \
      FROM generate_series(1, 200000) g; \
    ALTER TABLE big ADD PRIMARY KEY (id); CREATE INDEX ON big (k); ANALYZE";

const HERE: &str = "CREATE TABLE few AS SELECT g * 1999 AS big_id, g AS n FROM generate_series(1, 100) g; \
    CREATE TABLE most AS SELECT g AS big_id, g % 7 AS n FROM generate_series(1, 150000) g; \
    CREATE TABLE one AS SELECT 77 AS big_id";

#[test]
fn few_keys_of_a_large_table_are_looked_up() -> Result<()> {
    let mut scene = Scene::new("choice", SOURCE, HERE)?;
    let client = &mut scene.client;
    run(client, "RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_nestloop")?;
    let explain = |client: &mut postgres::Client, sql: &str| {
        rows(client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))
    };
    for sql in [
        "SELECT * FROM few JOIN app.big ON big.id = few.big_id",
        "SELECT * FROM few LEFT JOIN app.big ON big.id = few.big_id",
        "SELECT * FROM few WHERE EXISTS (SELECT FROM app.big WHERE big.id = few.big_id)",
        "SELECT * FROM few WHERE NOT EXISTS (SELECT FROM app.big WHERE big.id = few.big_id)",
        "SELECT * FROM app.big WHERE id IN (SELECT big_id FROM few)",
        "SELECT * FROM few JOIN app.big ON big.k = few.n",
        "SELECT big.v, count(*) FROM few JOIN app.big ON big.id = few.big_id GROUP BY 1",
    ] {
        let plan = explain(client, sql)?;
        ensure!(plan.contains(NODE), "{sql}\n{plan}");
        run(client, "SET warehouse.lookup_batch_size = 0")?;
        let plan = explain(client, sql)?;
        ensure!(!plan.contains(NODE), "{sql}\n{plan}");
        let without = rows(client, &format!("SELECT count(*) FROM ({sql}) x"))?;
        run(client, "RESET warehouse.lookup_batch_size")?;
        expect(client, &format!("SELECT count(*) FROM ({sql}) x"), &without)?;
    }
    for sql in [
        "SELECT * FROM most JOIN app.big ON big.id = most.big_id",
        "SELECT * FROM most LEFT JOIN app.big ON big.id = most.big_id",
        "SELECT * FROM few JOIN app.big ON big.v = few.n",
        "SELECT count(*) FROM app.big WHERE id IN (SELECT big_id FROM most)",
    ] {
        let plan = explain(client, sql)?;
        ensure!(!plan.contains(NODE), "{sql}\n{plan}");
    }
    expect(client, "SELECT count(*) FROM most JOIN app.big ON big.id = most.big_id", "150000")
}

/// Without statistics of the table here, and with a size of 0 or one that cannot be.
#[test]
fn the_setting() -> Result<()> {
    let mut scene = Scene::new("setting", SOURCE, HERE)?;
    for (value, code) in [("-1", "22023"), ("10001", "22023"), ("many", "22023")] {
        crate::ask::refused(
            &mut scene.client,
            &format!("SET warehouse.lookup_batch_size = '{value}'"),
        )?
        .says(code, &["lookup_batch_size"])?;
    }
    let sql = "SELECT count(*), sum(v) FROM one JOIN app.big ON big.id = one.big_id";
    for size in ["0", "1", "10000"] {
        run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        expect(&mut scene.client, sql, "1|7")?;
        let plan = rows(&mut scene.client, &format!("EXPLAIN {sql}"))?;
        ensure!(plan.contains(NODE) == (size != "0"), "{size}\n{plan}");
    }
    // Ten thousand keys at a time.
    run(&mut scene.client, "SET warehouse.lookup_batch_size = 10000")?;
    let sql = "SELECT count(*), sum(n), sum(v) FROM most JOIN $.big ON big.id = big_id WHERE n = 3";
    let found = rows(&mut scene.client, &sql.replace('$', "app"))?;
    run(&mut scene.client, "RESET enable_hashjoin")?;
    expect(&mut scene.client, &sql.replace('$', "plain"), &found)
}
