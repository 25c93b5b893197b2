//! Kinds of join, and conditions of every kind beside the key.

use anyhow::{Context, Result, ensure};

use super::{NODE, SIZES, Scene, sorted};
use crate::ask::{expect, rows, run};

/// `i` has several rows for some keys, none for others and NULL for a few.
const SOURCE: &str = "CREATE TABLE i AS SELECT g AS id, CASE WHEN g % 11 <> 0 THEN g % 40 END AS k, \
      CASE WHEN g % 7 <> 0 THEN g % 5 END AS k2, g % 13 AS v, 'x' || g % 4 AS t, g % 3 = 0 AS f \
    FROM generate_series(1, 200) g; \
    CREATE TABLE j AS SELECT g AS id, g % 25 AS i_id, g % 6 AS w FROM generate_series(1, 100) g; \
    ALTER TABLE i ADD PRIMARY KEY (id); CREATE INDEX ON i (k); ANALYZE";

/// `o` has duplicates, NULLs and keys that `i` lacks; `none` has no rows.
const HERE: &str = "CREATE TABLE o AS SELECT g AS id, CASE WHEN g % 9 <> 0 THEN g % 60 END AS k, \
      CASE WHEN g % 8 <> 0 THEN g % 6 END AS k2, g % 10 AS v, 'x' || g % 5 AS t, g % 2 = 0 AS f \
    FROM generate_series(1, 70) g; \
    CREATE TABLE none (LIKE o); \
    CREATE TABLE big AS SELECT g AS id, g % 300 AS k FROM generate_series(1, 2000) g";

const INNER: [&str; 9] = [
    "SELECT o.id, i.* FROM o JOIN $.i ON o.k = i.k",
    "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k AND o.k2 = i.k2",
    "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k AND o.v < i.v",
    "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k AND (o.v + i.v) % 3 = 1 AND o.t <> i.t",
    "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k WHERE i.f AND o.f AND i.v > 2 AND o.id % 3 > 0",
    "SELECT o.id, i.id FROM o JOIN $.i ON o.k + 1 = i.k",
    "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k * 2 + 1",
    "SELECT o, i FROM o JOIN $.i ON o.k = i.k AND o.t = i.t",
    "SELECT o.id, i.id, random() < 2, i.v + o.v, i.t || o.t FROM o JOIN $.i ON i.k = o.k \
       WHERE i.v + random() < 20",
];

const OUTER: [&str; 10] = [
    "SELECT o.id, i.* FROM o LEFT JOIN $.i ON o.k = i.k",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND o.v < i.v AND o.f",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND i.f AND i.v > 3",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND o.f",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k WHERE i.id IS NULL OR i.v > o.v",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k WHERE coalesce(i.v, 1) = o.v % 4",
    "SELECT o.id, x.n FROM o LEFT JOIN (SELECT k, coalesce(v, 0) + 1 AS n FROM $.i) x ON o.k = x.k",
    "SELECT o.id, x.n, x.c FROM o LEFT JOIN (SELECT k, 'there' AS c, v + 1 AS n FROM $.i) x ON o.k = x.k",
    "SELECT o.id, i.id, o2.id FROM o LEFT JOIN $.i ON o.k = i.k JOIN o o2 ON o2.id = o.id",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND o.k2 = i.k2 AND i.t = 'x1' WHERE o.id > 3",
];

const SEMI: [&str; 9] = [
    "SELECT * FROM o WHERE EXISTS (SELECT FROM $.i WHERE i.k = o.k)",
    "SELECT * FROM o WHERE EXISTS (SELECT FROM $.i WHERE i.k = o.k AND i.v > o.v)",
    "SELECT * FROM o WHERE EXISTS (SELECT FROM $.i WHERE i.k = o.k AND i.k2 = o.k2 AND i.f)",
    "SELECT * FROM o WHERE k IN (SELECT k FROM $.i)",
    "SELECT * FROM o WHERE (k, k2) IN (SELECT k, k2 FROM $.i WHERE v < 9)",
    "SELECT * FROM o WHERE NOT EXISTS (SELECT FROM $.i WHERE i.k = o.k)",
    "SELECT * FROM o WHERE NOT EXISTS (SELECT FROM $.i WHERE i.k = o.k AND i.v > o.v AND o.f)",
    "SELECT * FROM o LEFT JOIN $.i ON i.k = o.k WHERE i.id IS NULL",
    "SELECT i.* FROM $.i WHERE k IN (SELECT k FROM o)",
];

fn all(test: &str, queries: &[&str]) -> Result<()> {
    let mut scene = Scene::new(test, SOURCE, HERE)?;
    for query in queries {
        scene.agrees(query)?;
        // Nothing on the outer side: nothing comes.
        scene.agrees(&query.replace("FROM o ", "FROM none o "))?;
    }
    Ok(())
}

#[test]
fn inner_joins() -> Result<()> {
    all("inner", &INNER)
}

#[test]
fn left_joins() -> Result<()> {
    all("left", &OUTER)
}

#[test]
fn semi_and_anti_joins() -> Result<()> {
    all("semi", &SEMI)
}

/// Several of them in one query, over one server and over several.
#[test]
fn several_joins() -> Result<()> {
    let mut scene = Scene::new("several", SOURCE, HERE)?;
    for query in [
        "SELECT o.id, i.id, j.id FROM o JOIN $.i ON o.k = i.k LEFT JOIN $.j ON j.i_id = i.id AND j.w > o.v",
        "SELECT o.id, i.id, i2.id FROM o JOIN $.i ON o.k = i.k JOIN $.i i2 ON o.k2 = i2.k AND i2.v > i.v",
        "SELECT o.id, x.id, x.w FROM o LEFT JOIN (SELECT i.id, i.k, j.w FROM $.i JOIN $.j ON j.i_id = i.id) x \
           ON x.k = o.k",
        "SELECT o.id, x.id, x.w FROM o JOIN (SELECT i.id, i.k, j.w FROM $.i LEFT JOIN $.j ON j.i_id = i.id) x \
           ON x.k = o.k AND coalesce(x.w, 0) < o.v",
        "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k WHERE EXISTS (SELECT FROM $.j WHERE j.i_id = i.id) \
           AND NOT EXISTS (SELECT FROM $.j WHERE j.w = o.v)",
        "SELECT o.k, count(*), sum(i.v), max(i.t) FROM o JOIN $.i ON o.k = i.k GROUP BY o.k HAVING count(*) > 2",
        "SELECT a.id, b.id FROM (SELECT DISTINCT k, k2 AS id FROM o) a JOIN $.i b USING (k)",
        "SELECT a.n, b.id FROM (SELECT k, count(*) AS n FROM o GROUP BY k) a LEFT JOIN $.i b ON b.k = a.k",
        "WITH c AS MATERIALIZED (SELECT k, id FROM o WHERE v > 4) SELECT c.id, i.id FROM c JOIN $.i USING (k)",
        "SELECT v.k, i.id FROM (VALUES (1), (2), (2), (NULL), (77)) v (k) LEFT JOIN $.i ON i.k = v.k",
        "SELECT g, i.id FROM generate_series(1, 50, 7) g JOIN $.i ON i.k = g",
        "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k UNION ALL SELECT o.id, j.id FROM o JOIN $.j ON j.w = o.v",
        "SELECT x.id, j.id FROM (SELECT * FROM $.i WHERE v > random() - 1) x JOIN $.j ON j.i_id = x.k",
        "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND (i.v IN (SELECT v FROM o o2 WHERE o2.id < 3) OR o.v = i.v)",
        "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND EXISTS (SELECT FROM o o2 WHERE o2.id = i.id + o.id)",
        "SELECT i.id, o.id, o2.id FROM o JOIN o o2 ON o.id = o2.id + 1 LEFT JOIN $.i ON i.k = o.k AND i.k2 = o2.k2",
    ] {
        scene.agrees(query)?;
    }
    Ok(())
}

/// More outer rows than a batch holds, and keys that are in several batches.
#[test]
fn many_batches() -> Result<()> {
    let mut scene = Scene::new("many", SOURCE, HERE)?;
    for query in [
        "SELECT big.id, i.id FROM big JOIN $.i ON big.k = i.k",
        "SELECT big.id, i.id FROM big LEFT JOIN $.i ON big.k = i.k AND i.v > 5",
        "SELECT big.id FROM big WHERE NOT EXISTS (SELECT FROM $.i WHERE i.k = big.k)",
        "SELECT big.id FROM big WHERE EXISTS (SELECT FROM $.i WHERE i.k = big.k)",
    ] {
        let expected = sorted(&mut scene.client, &query.replace('$', "plain"))?;
        for size in [7, 499, 500, 1999, 2000, 2001, 10_000] {
            run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
            let found = sorted(&mut scene.client, &query.replace('$', "app"))?;
            ensure!(found == expected, "batches of {size}: {query}");
        }
    }
    Ok(())
}

/// What may not be joined so, or has conditions that decide before any row is looked at.
#[test]
fn joins_that_are_gated_or_change_something() -> Result<()> {
    let mut scene = Scene::new("gated", SOURCE, HERE)?;
    for query in [
        "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k AND 1 > 2",
        "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND now() < '2000-01-01'",
        "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k WHERE now() > '2000-01-01'",
        "SELECT o.id, i.id FROM o FULL JOIN $.i ON o.k = i.k",
        "SELECT o.id, i.id FROM o RIGHT JOIN $.i ON o.k = i.k",
        "SELECT o.id FROM o WHERE k NOT IN (SELECT k FROM $.i WHERE k IS NOT NULL)",
        "SELECT o.id FROM o WHERE k NOT IN (SELECT k FROM $.i)",
        "SELECT o.id, i.id FROM o JOIN $.i ON o.k IS NOT DISTINCT FROM i.k AND o.k2 = i.k2",
        "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k AND i.ctid IS NOT NULL",
    ] {
        let expected = sorted(&mut scene.client, &query.replace('$', "plain"))?;
        for size in [0, 1, 3, 500] {
            run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
            match sorted(&mut scene.client, &query.replace('$', "app")) {
                Ok(found) => ensure!(found == expected, "batches of {size}: {query}\n{found:?}"),
                // A system column is none of the source's.
                Err(error) => ensure!(query.contains("ctid"), "{error:#}"),
            }
        }
    }
    run(&mut scene.client, "RESET warehouse.lookup_batch_size")?;
    // Local tables are changed by what is joined.
    for sql in [
        "UPDATE # SET v = i.v FROM $.i WHERE i.id = #.id",
        "DELETE FROM # USING $.i WHERE i.id = #.k AND i.f",
        "INSERT INTO # SELECT i.id, i.k, i.k2, i.v, i.t, i.f FROM $.i JOIN o ON o.k = i.id",
        "MERGE INTO # USING $.i ON i.id = #.id AND i.id < 60 WHEN MATCHED AND i.f THEN DELETE \
           WHEN MATCHED THEN UPDATE SET t = i.t WHEN NOT MATCHED THEN INSERT (id, v) VALUES (i.id, i.v)",
    ] {
        for (schema, copy) in [("app", "a"), ("plain", "b")] {
            run(
                &mut scene.client,
                &format!("DROP TABLE IF EXISTS {copy}; CREATE TABLE {copy} AS TABLE o"),
            )?;
            run(&mut scene.client, &sql.replace('#', copy).replace('$', schema))
                .with_context(|| sql.to_owned())?;
        }
        let a = sorted(&mut scene.client, "TABLE a")?;
        ensure!(a == sorted(&mut scene.client, "TABLE b")?, "{sql}");
    }
    let locking = "SELECT o.id, i.id FROM o JOIN $.i ON o.k = i.k FOR UPDATE OF o";
    let expected = sorted(&mut scene.client, &locking.replace('$', "plain"))?;
    ensure!(sorted(&mut scene.client, &locking.replace('$', "app"))? == expected);
    Ok(())
}

#[test]
fn without_keys_to_ask_for_the_source_is_not_asked() -> Result<()> {
    let mut scene = Scene::new("void", SOURCE, HERE)?;
    run(
        &mut scene.client,
        "SELECT warehouse.disconnect(); CREATE TABLE nulls AS SELECT NULL::int AS k FROM generate_series(1, 9)",
    )?;
    for (sql, answer) in [
        ("SELECT count(*) FROM none JOIN app.i USING (k)", "0"),
        ("SELECT count(*) FROM nulls JOIN app.i USING (k)", "0"),
        ("SELECT count(*) FROM nulls LEFT JOIN app.i USING (k)", "9"),
        (
            "SELECT count(*) FROM nulls WHERE NOT EXISTS (SELECT FROM app.i WHERE i.k = nulls.k)",
            "9",
        ),
    ] {
        for size in SIZES {
            run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
            let plan = rows(&mut scene.client, &format!("EXPLAIN {sql}"))?;
            ensure!(plan.contains(NODE), "{plan}");
            expect(&mut scene.client, sql, answer)?;
        }
    }
    expect(&mut scene.client, "SELECT count(*) FROM warehouse.replica_connections()", "0")
}
