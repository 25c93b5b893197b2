//! `warehouse.explain_pushdown()`: which parts of a query it tells, and what it refuses.

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::FORCED;
use crate::ask::{expect, refused, rows, run};
use crate::support::Pair;

fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(
        &mut pair.source()?,
        "CREATE TABLE a AS SELECT g AS id, g % 10 AS v, 'x' || g AS t FROM generate_series(1, 100) g; \
         CREATE TABLE b AS SELECT g AS id, g % 20 AS a_id FROM generate_series(1, 60) g; ANALYZE",
    )?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         CREATE TABLE o AS SELECT g AS id FROM generate_series(1, 20) g",
    )?;
    Ok((pair, client))
}

/// The parts of a query: relation, clause, pushed, reason.
fn parts(client: &mut Client, query: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT * FROM warehouse.explain_pushdown($q${query}$q$)");
    Ok(rows(client, &sql)?.lines().map(str::to_owned).collect())
}

/// Fails unless each of `wanted` is the beginning of a part.
fn tells(client: &mut Client, query: &str, wanted: &[&str]) -> Result<()> {
    let found = parts(client, query)?;
    for part in wanted {
        ensure!(
            found.iter().any(|line| line.starts_with(part)),
            "{part} is not told of {query}: {found:#?}"
        );
    }
    Ok(())
}

#[test]
fn what_a_source_does() -> Result<()> {
    let (_pair, mut client) = start("does")?;
    for (query, wanted) in [
        (
            "SELECT id FROM app.a WHERE v = 3 AND id > 5",
            &["app.a|(v = 3)|t|~", "app.a|(id > 5)|t|~"][..],
        ),
        (
            "SELECT id FROM app.a WHERE v = 3 ORDER BY id LIMIT 4 OFFSET 2",
            &["app.a|(v = 3)|t|~", "app.a|ORDER BY id", "app.a|LIMIT"],
        ),
        ("SELECT v, count(*) FROM app.a GROUP BY v HAVING count(*) > 3", &["app.a|GROUP BY"]),
        ("SELECT DISTINCT v FROM app.a", &["app.a|GROUP BY v|t|~"]),
        ("SELECT * FROM app.a JOIN app.b ON b.a_id = a.id", &["app.a, app.b|"]),
        (
            "SELECT a.id FROM app.a WHERE EXISTS (SELECT FROM app.b WHERE a_id = a.id)",
            &["app.a, app.b|"],
        ),
        (
            "WITH c AS (SELECT * FROM app.a WHERE v = 1) SELECT * FROM c WHERE id > 2",
            &["app.a|(v = 1)|t|~"],
        ),
        ("INSERT INTO o SELECT id FROM app.a WHERE v = 1", &["app.a|(v = 1)|t|~"]),
        ("CREATE TABLE new AS SELECT id FROM app.a WHERE v = 1", &["app.a|(v = 1)|t|~"]),
        ("DECLARE c CURSOR FOR SELECT id FROM app.a WHERE v = 1", &["app.a|(v = 1)|t|~"]),
        ("/* what */ SELECT id FROM app.a WHERE v = 1; -- why", &["app.a|(v = 1)|t|~"]),
        ("SELECT id FROM app.a WHERE t = 'it''s {\"a\": \\}'", &["app.a|(t = "]),
    ] {
        tells(&mut client, query, wanted)?;
        let found = parts(&mut client, query)?;
        ensure!(found.iter().all(|line| line.ends_with("|t|~")), "{query}: {found:#?}");
    }
    ensure!(parts(&mut client, "SELECT 1")?.is_empty());
    ensure!(parts(&mut client, "SELECT * FROM o WHERE id = 3")?.is_empty());
    expect(&mut client, "SELECT to_regclass('new') IS NULL, (SELECT count(*) FROM o)", "t|20")
}

/// Whatever hangs below a scan: sub-queries of its conditions and of its results.
#[test]
fn sub_queries_are_told_as_well() -> Result<()> {
    let (_pair, mut client) = start("subqueries")?;
    for (query, wanted) in [
        (
            "SELECT id FROM app.a WHERE v = (SELECT max(b.a_id) FROM app.b WHERE b.id > 4)",
            &["app.a|(v = ", "app.b|(id > 4)|t|~"][..],
        ),
        (
            "SELECT id, (SELECT max(b.id) FROM app.b WHERE b.a_id = a.v) FROM app.a WHERE v = 1",
            &["app.a|(v = 1)|t|~", "app.b|(a_id = "],
        ),
        (
            "SELECT id FROM app.a WHERE id NOT IN (SELECT id FROM app.b WHERE a_id = 2)",
            &["app.a|(NOT (hashed SubPlan", "app.b|(a_id = 2)|t|~"],
        ),
        ("SELECT id FROM app.a WHERE v = (SELECT count(*) FROM o)", &["app.a|(v = "]),
        (
            "SELECT * FROM o WHERE id = (SELECT max(id) FROM app.b WHERE a_id = 3)",
            &["app.b|(a_id = 3)|t|~"],
        ),
    ] {
        tells(&mut client, query, wanted)?;
    }
    Ok(())
}

/// A statement that has been prepared, planned now or kept.
#[test]
fn prepared_statements_are_told_as_well() -> Result<()> {
    let (_pair, mut client) = start("toldprepared")?;
    run(&mut client, "PREPARE p(int) AS SELECT id FROM app.a WHERE v = $1 AND id > 10")?;
    for mode in ["force_custom_plan", "force_generic_plan", "auto"] {
        run(&mut client, &format!("SET plan_cache_mode = {mode}; EXECUTE p(3)"))?;
        tells(&mut client, "EXECUTE p(3)", &["app.a|(id > 10)|t|~", "app.a|(v = "])
            .with_context(|| mode.to_owned())?;
    }
    Ok(())
}

#[test]
fn one_statement_that_can_be_explained() -> Result<()> {
    let (_pair, mut client) = start("refused")?;
    let mut told = |query: &str| {
        refused(&mut client, &format!("SELECT * FROM warehouse.explain_pushdown($q${query}$q$)"))
    };
    for query in
        ["SELECT 1; SELECT 2", "SELECT id FROM app.a; DROP TABLE o", "", " ; ; ", "-- nothing"]
    {
        told(query)?.says("42601", &["one statement"])?.hints(&["one by one"])?;
    }
    for (query, code, part) in [
        ("SELEC 1", "42601", "SELEC"),
        ("SELECT (1", "42601", "end of input"),
        ("SELECT 'open", "42601", "unterminated"),
        ("SELECT nope FROM app.a", "42703", "nope"),
        ("SELECT * FROM app.nope", "42P01", "app.nope"),
        ("SELECT nope(1)", "42883", "nope"),
        ("SELECT 1 / 0 FROM app.a", "22012", "division"),
        ("SELECT $1", "42P02", "$1"),
        ("DROP TABLE o", "42601", "DROP"),
        (";DROP TABLE o", "42601", ";"),
        ("EXPLAIN ANALYZE SELECT 1", "42601", "EXPLAIN"),
        ("ANALYZE SELECT 1", "42601", "SELECT"),
        ("SELECT 1 FROM app.a FOR UPDATE", "0A000", "app.a"),
        ("DELETE FROM app.a", "0A000", "app.a"),
        ("EXECUTE nothing", "26000", "nothing"),
    ] {
        told(query).with_context(|| query.to_owned())?.says(code, &[part])?;
    }
    // Nothing of it has stayed behind: EXPLAIN shows what it shows.
    let plan = rows(&mut client, "EXPLAIN (VERBOSE) SELECT id FROM app.a WHERE random() < 2")?;
    ensure!(!plan.contains("Pushdown"), "{plan}");
    expect(&mut client, "SELECT count(*) FROM warehouse.explain_pushdown(NULL)", "0")?;
    expect(&mut client, "SELECT count(*) FROM o", "20")
}

#[test]
fn nothing_is_run_and_no_source_is_asked() -> Result<()> {
    let (pair, mut client) = start("runsnothing")?;
    run(
        &mut client,
        "CREATE TABLE ran (at timestamptz); CREATE FUNCTION runs(int) RETURNS int LANGUAGE plpgsql VOLATILE AS \
           'BEGIN INSERT INTO ran VALUES (now()); RETURN $1; END'; \
         SELECT warehouse.disconnect(); ALTER SERVER src OPTIONS (SET port '1')",
    )?;
    for query in [
        "SELECT runs(id) FROM app.a WHERE runs(v) = 1",
        "INSERT INTO o SELECT runs(id) FROM app.a",
        "WITH x AS (INSERT INTO o SELECT id FROM app.a RETURNING id) TABLE x",
        "CREATE TABLE made AS SELECT runs(id) FROM app.a",
        "SELECT * FROM app.a JOIN app.b ON a.id = b.a_id WHERE a.v > random()",
    ] {
        parts(&mut client, query).with_context(|| query.to_owned())?;
    }
    expect(
        &mut client,
        "SELECT (SELECT count(*) FROM ran), (SELECT count(*) FROM o), to_regclass('made') IS NULL, \
           (SELECT count(*) FROM warehouse.replica_connections())",
        "0|20|t|0",
    )?;
    // In a transaction that only reads, and on a standby's terms.
    run(&mut client, "BEGIN READ ONLY")?;
    tells(&mut client, "SELECT id FROM app.a WHERE v = 1", &["app.a|(v = 1)|t|~"])?;
    run(&mut client, "COMMIT")?;
    drop(pair);
    Ok(())
}

/// Everybody may ask, of what they may read, by the names that they see.
#[test]
fn as_a_plain_reader() -> Result<()> {
    let (pair, mut client) = start("plain")?;
    let role = format!("{}_reader", pair.warehouse_database);
    run(
        &mut client,
        &format!(
            "CREATE ROLE {role}; GRANT USAGE ON SCHEMA app TO {role}; GRANT SELECT ON app.a TO {role}; \
             SET ROLE {role}; SET search_path = app"
        ),
    )?;
    run(&mut client, FORCED)?;
    tells(&mut client, "SELECT id FROM a WHERE v = 1", &["app.a|(v = 1)|t|~"])?;
    for query in ["SELECT id FROM b", "SELECT * FROM public.o JOIN a USING (id)"] {
        let told =
            refused(&mut client, &format!("SELECT * FROM warehouse.explain_pushdown('{query}')"))?;
        told.says("42501", &["permission denied"])?;
    }
    run(&mut client, "SET search_path = pg_catalog")?;
    refused(&mut client, "SELECT * FROM warehouse.explain_pushdown('SELECT id FROM a')")?
        .says("42P01", &[])?;
    Ok(())
}

/// A relation is told by its name, whatever that is.
#[test]
fn hostile_names_are_told() -> Result<()> {
    let (pair, mut client) = start("toldhostile")?;
    run(&mut pair.source()?, "CREATE TABLE \"we'\"\"ird {}\\\" (\"co'\"\"l $1\" int, \"ü\" text)")?;
    run(
        &mut client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (\"we'\"\"ird {}\\\") FROM SERVER src INTO app",
    )?;
    tells(
        &mut client,
        "SELECT * FROM app.\"we'\"\"ird {}\\\" WHERE \"co'\"\"l $1\" = 3 AND \"ü\" > random()::text",
        &["app.we'\"ird {}\\|(\"co'\"\"l $1\" = 3)|t|~"],
    )
}
