//! Types that the source defines: enums, domains, composite types, those of extensions.

use anyhow::{Result, ensure};

use super::{declared, imported, same};
use crate::ask::{expect, refused, rows, run};

const TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s'); \
     CREATE DOMAIN small AS int CHECK (VALUE < 100); CREATE DOMAIN smaller AS small CHECK (VALUE < 10); \
     CREATE TYPE point3 AS (x int, y text, m mood); \
     CREATE TYPE nest AS (p point3, l point3[]);";

#[test]
fn enums_domains_and_rows() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "own_types",
        &format!(
            "{TYPES} CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[], s smaller, ss smaller[], p point3, ps point3[], n nest); \
             INSERT INTO t VALUES (1, 'sad', '{{sad,NULL,it''s}}', 5, '{{1,NULL}}', ROW(1, 'a \"b\", c', 'ok'), \
               ARRAY[ROW(1, NULL, NULL)::point3, NULL], ROW(ROW(NULL, '', 'sad'), ARRAY[ROW(2, '{{}}', 'ok')::point3])), \
             (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
             (3, 'it''s', '{{{{sad}},{{ok}}}}', 9, '{{}}', ROW(NULL, NULL, NULL), '[3:3]={{\"(,,)\"}}', ROW(NULL, NULL))"
        ),
    )?;
    // The enum has come along; of the rest, the values.
    same(&mut source, &mut warehouse, "SELECT * FROM t ORDER BY id")?;
    same(&mut source, &mut warehouse, "SELECT t FROM t ORDER BY id")?;
    same(
        &mut source,
        &mut warehouse,
        "SELECT id FROM t WHERE m > 'sad' OR m IS NULL ORDER BY m, id",
    )?;
    same(&mut source, &mut warehouse, "SELECT id FROM t WHERE 'sad' = ANY (ms) AND s = 5")?;
    expect(
        &mut warehouse,
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) \
         FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0",
        "id integer, m mood, ms mood[], s integer, ss text, p text, ps text, n text",
    )?;
    // Declared with types of the same names, they are these types.
    warehouse.batch_execute(
        "CREATE DOMAIN small AS int CHECK (VALUE < 100); CREATE DOMAIN smaller AS small CHECK (VALUE < 10); \
         CREATE TYPE point3 AS (x int, y text, m mood); CREATE TYPE nest AS (p point3, l point3[]); \
         CREATE FOREIGN TABLE typed (id int, m mood, ms mood[], s smaller, ss smaller[], p point3, ps point3[], n nest) \
           SERVER src OPTIONS (schema_name 'd', table_name 't')",
    )?;
    source.batch_execute("CREATE VIEW typed AS SELECT * FROM t")?;
    for sql in [
        "SELECT * FROM typed ORDER BY id",
        "SELECT id, (p).y, ps[1], (n).p, ((n).l)[1] FROM typed ORDER BY id",
        "SELECT id FROM typed WHERE p IS NULL ORDER BY id",
        "SELECT id FROM typed WHERE p IS NOT NULL ORDER BY id",
        "SELECT id FROM typed WHERE p = ROW(1, 'a \"b\", c', 'ok')::point3",
        "SELECT id, s + 1 FROM typed WHERE s > 5",
        "SELECT id FROM typed WHERE ss @> '{1}'::smaller[]",
    ] {
        same(&mut source, &mut warehouse, sql)?;
    }
    Ok(())
}

#[test]
fn a_local_domain_is_enforced_and_a_missing_label_told() -> Result<()> {
    let (_source, mut warehouse) = declared(
        "stricter",
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'new'); CREATE TABLE t (id int, s int, m mood); \
         INSERT INTO t VALUES (1, 5, 'sad'), (2, 500, 'new')",
    )?;
    warehouse.batch_execute(
        "CREATE DOMAIN small AS int CHECK (VALUE < 100); CREATE TYPE mood AS ENUM ('sad', 'ok'); \
         CREATE FOREIGN TABLE t (id int, s small, m mood) SERVER src",
    )?;
    expect(&mut warehouse, "SELECT s, m FROM t WHERE id = 1", "5|sad")?;
    refused(&mut warehouse, "SELECT s FROM t")?.says("23514", &["small"])?;
    let told = refused(&mut warehouse, "SELECT m FROM t")?;
    told.says("22P02", &["mood"])?;
    // Which column it is stands in the message or its context.
    ensure!(format!("{told:?}").contains("\\\"m\\\""), "the column is not named: {told:?}");
    Ok(())
}

/// A row with a NULL in it IS NOT NULL as a value and not as a row; the planner turns `p = p` into
/// the former.
#[test]
fn a_row_with_a_null_in_it_is_a_value() -> Result<()> {
    let script = "CREATE TYPE pair AS (a int, b text); CREATE TABLE t (id int, p pair); \
                  INSERT INTO t VALUES (1, ROW(NULL, 'x')), (2, ROW(NULL, NULL)), (3, NULL), (4, ROW(1, 'y'))";
    let (mut source, mut warehouse) = declared("row_nulls", script)?;
    warehouse.batch_execute(
        "CREATE TYPE pair AS (a int, b text); CREATE FOREIGN TABLE t (id int, p pair) SERVER src",
    )?;
    for sql in [
        "SELECT id FROM t WHERE p = p ORDER BY id",
        "SELECT id FROM t WHERE p IS NULL ORDER BY id",
        "SELECT id FROM t WHERE p IS NOT NULL ORDER BY id",
        "SELECT count(p) FROM t",
    ] {
        same(&mut source, &mut warehouse, sql)?;
    }
    Ok(())
}

#[test]
fn an_enum_that_came_after_the_connection() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "late_enum",
        "CREATE TYPE one AS ENUM ('a'); CREATE TABLE t1 (v one); INSERT INTO t1 VALUES ('a')",
    )?;
    expect(&mut warehouse, "SELECT v FROM t1", "a")?;
    source.batch_execute(
        "CREATE TYPE two AS ENUM ('b'); CREATE TABLE t2 (v two); INSERT INTO t2 VALUES ('b')",
    )?;
    warehouse.batch_execute("IMPORT FOREIGN SCHEMA d LIMIT TO (t2) FROM SERVER src INTO d")?;
    expect(&mut warehouse, "SELECT v FROM t2", "b")
}

/// Types of extensions read as text unless the extension is here too.
#[test]
fn types_of_extensions() -> Result<()> {
    let setup = "CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION citext SCHEMA public; \
         CREATE TABLE t (id int, h hstore, c citext, hs hstore[]); \
         INSERT INTO t VALUES (1, 'a=>1, \"b c\"=>NULL', 'Abc', ARRAY['x=>y'::hstore, NULL]), (2, NULL, NULL, NULL), (3, '', 'aBC', '{}')";
    let (mut source, mut warehouse) = imported("extension_there", setup)?;
    let all = "SELECT id, h, c, hs FROM t ORDER BY id";
    same(&mut source, &mut warehouse, all)?;
    expect(
        &mut warehouse,
        "SELECT DISTINCT format_type(atttypid, NULL) FROM pg_attribute \
         WHERE attrelid = 't'::regclass AND attname IN ('h', 'c', 'hs')",
        "text",
    )?;
    expect(&mut warehouse, "SELECT id FROM t WHERE c = 'Abc'", "1")?;

    let (mut source, mut warehouse) = declared("extension_both", setup)?;
    warehouse.batch_execute(
        "CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION citext SCHEMA public; \
         IMPORT FOREIGN SCHEMA d FROM SERVER src INTO d",
    )?;
    for sql in [
        all,
        "SELECT id FROM t WHERE c = 'ABC' ORDER BY id",
        "SELECT id, h -> 'a' FROM t WHERE h ? 'a'",
        "SELECT id FROM t ORDER BY c, id",
    ] {
        same(&mut source, &mut warehouse, sql)?;
    }
    Ok(())
}

/// Conditions on an enum go to the source as values of its own type, also where the source lacks a label
/// that is known here: then nothing is equal to it, and everything else differs from it.
#[test]
fn conditions_on_enums_are_those_of_the_source() -> Result<()> {
    let (source, mut warehouse) = imported(
        "enum_conditions",
        "CREATE TYPE \"Mo'od\" AS ENUM ('sad', 'it''s', 'ok'); CREATE TABLE t (id int, m \"Mo'od\"); \
         INSERT INTO t SELECT i, (enum_range(NULL::\"Mo'od\"))[1 + i % 3] FROM generate_series(1, 3000) i; \
         INSERT INTO t VALUES (0, NULL); CREATE INDEX ON t (m); ANALYZE t",
    )?;
    drop(source);
    warehouse.batch_execute("ALTER TYPE d.\"Mo'od\" ADD VALUE 'only here'")?;
    warehouse.batch_execute(
        "CREATE TABLE plain AS TABLE d.t; CREATE TABLE asked (m d.\"Mo'od\"); \
         INSERT INTO asked SELECT unnest(enum_range(NULL::d.\"Mo'od\")); INSERT INTO asked VALUES (NULL); \
         ANALYZE asked",
    )?;
    for condition in [
        "m = 'sad'",
        "'it''s' = m",
        "m = 'only here'",
        "NOT m = 'only here'",
        "m <> 'only here'",
        "NOT (m = 'only here' OR id < 10)",
        "(m = 'only here' OR id < 10) AND m IN ('sad', 'only here')",
        "m IN ('only here')",
        "m NOT IN ('ok', 'only here')",
        "m = ANY (ARRAY['ok', NULL]::d.\"Mo'od\"[])",
        "m = ALL (ARRAY['ok', 'ok']::d.\"Mo'od\"[])",
        "(m = 'only here') IS NOT TRUE",
        "(m = 'only here') IS NULL",
        "m IS NOT DISTINCT FROM 'ok'",
        "m = (SELECT max(m) FROM asked WHERE m < 'only here')",
        "CASE WHEN m = 'only here' THEN false ELSE true END",
    ] {
        let ask = |table: &str| format!("SELECT count(*), sum(id) FROM {table} WHERE {condition}");
        let expected = rows(&mut warehouse, &ask("plain"))?;
        let found = rows(&mut warehouse, &ask("d.t"))?;
        ensure!(found == expected, "{condition}: {found}, not {expected}");
    }
    let joined = |table: &str| {
        format!(
            "SELECT a.m, count(t.id) FROM asked a LEFT JOIN {table} t ON t.m = a.m GROUP BY 1 ORDER BY 1"
        )
    };
    let expected = rows(&mut warehouse, &joined("plain"))?;
    expect(&mut warehouse, &joined("d.t"), &expected)?;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut warehouse, &format!("SET plan_cache_mode = {mode}"))?;
        run(
            &mut warehouse,
            "PREPARE q(text) AS SELECT count(*) FROM d.t WHERE m = CAST($1 AS d.\"Mo'od\")",
        )?;
        expect(&mut warehouse, "EXECUTE q('ok')", "1000")?;
        expect(&mut warehouse, "EXECUTE q('only here')", "0")?;
        expect(&mut warehouse, "EXECUTE q(NULL)", "0")?;
        let plan = rows(&mut warehouse, "EXPLAIN (VERBOSE, COSTS OFF) EXECUTE q('ok')")?;
        ensure!(plan.contains("enum_range(NULL::d.\"Mo'od\")"), "{plan}");
        run(&mut warehouse, "DEALLOCATE q")?;
    }
    Ok(())
}
