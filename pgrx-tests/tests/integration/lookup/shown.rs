//! What EXPLAIN shows of such a join.

use anyhow::{Context, Result, ensure};

use super::{NODE, Scene};
use crate::ask::{rows, run};

const SOURCE: &str = "CREATE TABLE i AS SELECT g AS id, g % 50 AS k, g % 7 AS v FROM generate_series(1, 300) g; \
    CREATE TYPE \"ty'\"\"pe\" AS ENUM ('a''\"b', '{c,\\d}'); \
    CREATE TABLE \"ta'\"\"ble; DROP TABLE i; --\" (\"ke'\"\"y $1\" int, \"va lue\" text, \"select\" \"ty'\"\"pe\", \"ü\" text); \
    INSERT INTO \"ta'\"\"ble; DROP TABLE i; --\" VALUES (1, 'one', 'a''\"b', 'x'), (2, 'two', '{c,\\d}', 'y')";

const HERE: &str = "CREATE TABLE o AS SELECT g AS id, CASE WHEN g % 4 <> 0 THEN g % 60 END AS k FROM generate_series(1, 40) g; \
    CREATE TABLE none (LIKE o)";

#[test]
fn batches_and_keys() -> Result<()> {
    let mut scene = Scene::new("figures", SOURCE, HERE)?;
    for (sql, size, kind, batches, keys) in [
        ("SELECT * FROM o JOIN app.i ON i.k = o.k", 500, "Inner", 1, 40),
        ("SELECT * FROM o LEFT JOIN app.i ON i.k = o.k", 7, "Left", 6, 40),
        ("SELECT * FROM o WHERE EXISTS (SELECT FROM app.i WHERE i.k = o.k)", 40, "Semi", 1, 40),
        ("SELECT * FROM o WHERE NOT EXISTS (SELECT FROM app.i WHERE i.k = o.k)", 1, "Anti", 40, 40),
        ("SELECT * FROM o JOIN app.i ON i.k = o.k WHERE o.id <= 10", 3, "Inner", 4, 10),
    ] {
        run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        let plain = rows(&mut scene.client, &format!("EXPLAIN (COSTS OFF) {sql}"))?;
        ensure!(plain.contains(NODE) && !plain.contains("Batches"), "{plain}");
        ensure!(plain.contains(&format!("Join Type: {kind}")), "{plain}");
        ensure!(plain.contains("Join Cond: (") && plain.contains("k = "), "{plain}");
        let plan = rows(&mut scene.client, &format!("EXPLAIN (ANALYZE, COSTS OFF) {sql}"))?;
        ensure!(plan.contains(&format!("Batches: {batches}")), "{plan}");
        ensure!(plan.contains(&format!("Keys: {keys}")), "{plan}");
    }
    let plan = rows(
        &mut scene.client,
        "EXPLAIN (ANALYZE, COSTS OFF) SELECT * FROM none JOIN app.i ON i.k = none.k",
    )?;
    ensure!(plan.contains("never executed") && !plan.contains("Batches"), "{plan}");
    let plan = rows(
        &mut scene.client,
        "EXPLAIN (ANALYZE, COSTS OFF) SELECT * FROM o LEFT JOIN app.i ON i.k = o.k WHERE i.id IS NULL OR i.v > 3",
    )?;
    ensure!(plan.contains("Filter: (") && plan.contains("Rows Removed by Filter"), "{plan}");
    for options in [
        "VERBOSE",
        "ANALYZE, VERBOSE, BUFFERS",
        "ANALYZE, TIMING OFF, SUMMARY OFF",
        "ANALYZE, FORMAT json",
        "FORMAT xml",
        "ANALYZE, VERBOSE, FORMAT yaml",
        "ANALYZE, WAL, SETTINGS",
    ] {
        rows(
            &mut scene.client,
            &format!(
                "EXPLAIN ({options}) SELECT count(*) FROM o LEFT JOIN app.i ON i.k = o.k AND i.v > o.id"
            ),
        )?;
    }
    Ok(())
}

/// Names that mean something in SQL, JSON and EXPLAIN's own output.
#[test]
fn hostile_names() -> Result<()> {
    let mut scene = Scene::new(
        "hostile",
        SOURCE,
        "CREATE TABLE \"o'\"\"\\; --\" AS SELECT g AS \"k'\"\"{}\", 'one' AS \"sel ect\" FROM generate_series(1, 3) g",
    )?;
    let query = "SELECT * FROM \"o'\"\"\\; --\" o JOIN $.\"ta'\"\"ble; DROP TABLE i; --\" t \
        ON t.\"ke'\"\"y $1\" = o.\"k'\"\"{}\"";
    scene.agrees(query)?;
    scene.agrees(&format!(
        "{query} AND t.\"va lue\" = o.\"sel ect\" AND t.\"ü\" <> o.\"sel ect\""
    ))?;
    scene.agrees(
        "SELECT o.* FROM \"o'\"\"\\; --\" o WHERE NOT EXISTS (SELECT FROM $.\"ta'\"\"ble; DROP TABLE i; --\" \
         WHERE \"ke'\"\"y $1\" = o.\"k'\"\"{}\" AND \"select\"::text <> o.\"sel ect\")",
    )?;
    for options in [
        "VERBOSE",
        "ANALYZE, VERBOSE",
        "ANALYZE, VERBOSE, FORMAT json",
        "VERBOSE, FORMAT xml",
        "FORMAT yaml",
    ] {
        let plan = rows(
            &mut scene.client,
            &format!("EXPLAIN ({options}) {}", query.replace("$.", "app.")),
        )
        .with_context(|| options.to_owned())?;
        ensure!(
            plan.contains("ke'\"") || plan.contains("ke'\\\"") || plan.contains("&quot;"),
            "{plan}"
        );
    }
    // What was in the name has not happened.
    rows(&mut scene.pair.source()?, "SELECT count(*) FROM i")?;
    run(&mut scene.client, "SELECT count(*) FROM app.i")
}
