//! What the planner knows of imported tables, at once and after ANALYZE.

use anyhow::{Result, ensure};
use postgres::Client;

use super::{IMPORT, shop};
use crate::ask::{expect, rows, run};

const SCRIPT: &str = "
    CREATE TABLE t (id int PRIMARY KEY, kind text, v numeric, tags int[], gone int, at timestamptz);
    ALTER TABLE t DROP COLUMN gone;
    INSERT INTO t SELECT g, CASE WHEN g % 10 = 0 THEN 'rare' ELSE 'common' END,
      CASE WHEN g % 4 = 0 THEN NULL ELSE g * 1.5 END, ARRAY[g % 3, 7], '2024-01-01 00:00+00'
      FROM generate_series(1, 20000) g;
    CREATE TABLE parted (id int, kind text) PARTITION BY HASH (id);
    CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO parted SELECT g, 'k' || g % 5 FROM generate_series(1, 6000) g;
    CREATE VIEW a_view AS SELECT id, kind FROM t WHERE id <= 3000;
    CREATE MATERIALIZED VIEW a_matview AS SELECT id FROM t WHERE id <= 1000;
    CREATE TABLE unanalyzed (id int); INSERT INTO unanalyzed SELECT generate_series(1, 50);
    CREATE TABLE empty (id int);
    ANALYZE t, parted, a_matview, empty";

fn rows_of(client: &mut Client, table: &str) -> Result<f64> {
    Ok(rows(client, &format!("SELECT reltuples FROM pg_class WHERE oid = '{table}'::regclass"))?
        .parse()?)
}

/// How many rows the planner expects.
fn expected(client: &mut Client, sql: &str) -> Result<f64> {
    let plan = rows(client, &format!("EXPLAIN {sql}"))?;
    let number = plan.split(" rows=").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|n| n.parse().ok()).ok_or_else(|| anyhow::anyhow!("no estimate: {plan}"))
}

fn about(found: f64, wanted: f64) -> bool {
    found > wanted * 0.8 && found < wanted * 1.25
}

#[test]
fn an_import_brings_the_statistics_of_the_source() -> Result<()> {
    let (_pair, mut client) = shop("stats", SCRIPT)?;
    run(&mut client, IMPORT)?;
    ensure!(rows_of(&mut client, "here.t")? == 20_000.0);
    ensure!(rows_of(&mut client, "here.parted")? == 6_000.0);
    ensure!(rows_of(&mut client, "here.a_matview")? == 1_000.0);
    expect(
        &mut client,
        "SELECT attname, null_frac > 0.2, n_distinct, most_common_vals::text FROM pg_stats \
         WHERE schemaname = 'here' AND tablename = 't' AND attname IN ('kind', 'v') ORDER BY 1",
        "kind|f|2|{common,rare}\nv|t|-0.75|~",
    )?;
    expect(
        &mut client,
        "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_stats WHERE schemaname = 'here' AND tablename = 't'",
        "at id kind tags v",
    )?;
    for (sql, wanted) in [
        ("SELECT * FROM here.t", 20_000.0),
        ("SELECT * FROM here.t WHERE kind = 'rare'", 2_000.0),
        ("SELECT * FROM here.t WHERE v IS NULL", 5_000.0),
        ("SELECT * FROM here.t WHERE id <= 5000", 5_000.0),
        ("SELECT * FROM here.t WHERE id = 77", 1.0),
        ("SELECT * FROM here.parted", 6_000.0),
        ("SELECT * FROM here.parted WHERE kind = 'k1'", 1_200.0),
    ] {
        let found = expected(&mut client, sql)?;
        ensure!(about(found, wanted), "{sql}: {found} rows expected, {wanted} there are");
    }
    // The planner must not think that a table nobody has analyzed is empty.
    ensure!(expected(&mut client, "SELECT * FROM here.unanalyzed")? > 10.0);
    expect(&mut client, "SELECT count(*) FROM here.empty", "0")
}

#[test]
fn analyze_of_foreign_tables() -> Result<()> {
    let (pair, mut client) = shop("analyze", SCRIPT)?;
    run(
        &mut client,
        "CREATE SCHEMA here; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here OPTIONS (import_statistics 'false')",
    )?;
    run(
        &mut client,
        "ANALYZE here.t, here.a_view, here.parted, here.unanalyzed, here.empty, here.a_matview",
    )?;
    for (table, wanted) in [
        ("t", 20_000.0),
        ("a_view", 3_000.0),
        ("parted", 6_000.0),
        ("unanalyzed", 50.0),
        ("empty", 0.0),
        ("a_matview", 1_000.0),
    ] {
        let found = rows_of(&mut client, &format!("here.{table}"))?;
        ensure!(found == wanted || about(found, wanted), "{table}: {found}");
    }
    for (sql, wanted) in [
        ("SELECT * FROM here.t WHERE kind = 'rare'", 2_000.0),
        ("SELECT * FROM here.t WHERE v IS NULL", 5_000.0),
        ("SELECT * FROM here.t WHERE id <= 5000", 5_000.0),
        ("SELECT * FROM here.a_view WHERE kind = 'rare'", 300.0),
    ] {
        let found = expected(&mut client, sql)?;
        ensure!(about(found, wanted), "{sql}: {found} rows expected, {wanted} there are");
    }
    // Rows come and go at the source; the next ANALYZE sees it.
    run(&mut pair.source()?, "DELETE FROM shop.t WHERE id > 4000; VACUUM shop.t").or_else(
        |_| {
            run(&mut pair.source()?, "DELETE FROM shop.t WHERE id > 4000")?;
            run(&mut pair.source()?, "VACUUM ANALYZE shop.t")
        },
    )?;
    run(&mut client, "ANALYZE here.t")?;
    ensure!(about(rows_of(&mut client, "here.t")?, 4_000.0));
    // One column alone, and a smaller sample.
    run(
        &mut client,
        "ANALYZE here.t (kind); SET default_statistics_target = 5; ANALYZE here.t; ANALYZE VERBOSE here.a_view",
    )
}

/// A random sample, not the first rows: these say nothing of the rest.
#[test]
fn the_sample_is_of_the_whole_table() -> Result<()> {
    let (_pair, mut client) = shop(
        "sample",
        "CREATE TABLE sorted AS SELECT g AS id, g / 1000 AS block FROM generate_series(1, 100000) g; ANALYZE sorted",
    )?;
    run(
        &mut client,
        "CREATE SCHEMA here; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here OPTIONS (import_statistics 'false'); \
         SET default_statistics_target = 10; ANALYZE here.sorted",
    )?;
    for (sql, wanted) in [
        ("SELECT * FROM here.sorted WHERE id > 50000", 50_000.0),
        ("SELECT * FROM here.sorted WHERE block > 90", 9_000.0),
        ("SELECT * FROM here.sorted", 100_000.0),
    ] {
        let found = expected(&mut client, sql)?;
        ensure!(found > wanted * 0.7 && found < wanted * 1.4, "{sql}: {found}");
    }
    Ok(())
}

#[test]
fn analyze_of_merged_tables() -> Result<()> {
    let (_pair, mut client) = shop("analyzemerged", SCRIPT)?;
    let call = "SELECT FROM warehouse.merge_schema('main', \
      '[{\"server\": \"src\", \"schema\": \"shop\", \"site\": \"a\"}, {\"server\": \"src\", \"schema\": \"shop\", \"site\": \"b\"}]')";
    run(&mut client, call)?;
    let check = |client: &mut Client| -> Result<()> {
        for (sql, wanted) in [
            ("SELECT * FROM main.t", 40_000.0),
            ("SELECT * FROM main.t WHERE site = 'a'", 20_000.0),
            ("SELECT * FROM main.t WHERE kind = 'rare'", 4_000.0),
            ("SELECT * FROM main.t WHERE site = 'b' AND kind = 'rare'", 2_000.0),
        ] {
            let found = expected(client, sql)?;
            ensure!(about(found, wanted), "{sql}: {found}");
        }
        let groups = rows(client, "EXPLAIN SELECT kind, count(*) FROM main.t GROUP BY kind")?;
        ensure!(groups.contains(" rows=2 "), "{groups}");
        Ok(())
    };
    check(&mut client)?;
    expect(
        &mut client,
        "SELECT attname, n_distinct FROM pg_stats WHERE schemaname = 'main' AND tablename = 't' AND attname IN ('site', 'kind') ORDER BY 1",
        "kind|2\nsite|2",
    )?;
    run(&mut client, "ANALYZE main.t; ANALYZE")?;
    check(&mut client)?;
    ensure!(rows(&mut client, call)?.is_empty());
    check(&mut client)
}
