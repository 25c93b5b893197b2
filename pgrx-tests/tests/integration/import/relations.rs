//! Which relations an import brings, and how they look here.

use anyhow::{Result, ensure};

use super::{IMPORT, shop};
use crate::ask::{expect, refused, rows, run};

const SCRIPT: &str = "
    CREATE TABLE plain (id int PRIMARY KEY, name text NOT NULL, extra varchar(7));
    COMMENT ON TABLE plain IS 'It''s plain'; COMMENT ON COLUMN plain.name IS 'The \"name\"';
    INSERT INTO plain VALUES (1, 'one', NULL), (2, 'two', 'x');
    CREATE TABLE parted (id int, at date NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE parted_2023 PARTITION OF parted FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
    CREATE TABLE parted_2024 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
      PARTITION BY LIST (id);
    CREATE TABLE parted_2024_1 PARTITION OF parted_2024 FOR VALUES IN (1);
    INSERT INTO parted VALUES (1, '2023-05-05'), (1, '2024-05-05');
    CREATE TABLE old_child () INHERITS (plain);
    CREATE VIEW a_view AS SELECT id, upper(name) AS loud FROM plain;
    COMMENT ON VIEW a_view IS 'a view';
    CREATE MATERIALIZED VIEW a_matview AS SELECT count(*) AS n FROM plain;
    CREATE SEQUENCE a_sequence; CREATE INDEX an_index ON plain (name);
    CREATE TYPE a_composite AS (a int, b text);
    CREATE TABLE nothing ();
    CREATE TABLE dropped (a int, gone int, b int); ALTER TABLE dropped DROP COLUMN gone;
    INSERT INTO dropped VALUES (1, 2);
    CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int DEFAULT 7,
      d int GENERATED ALWAYS AS IDENTITY); INSERT INTO generated (a) VALUES (4)";

#[test]
fn tables_partitioned_tables_and_views() -> Result<()> {
    let (_pair, mut client) = shop("relations", SCRIPT)?;
    run(&mut client, IMPORT)?;
    expect(
        &mut client,
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
         WHERE relnamespace = 'here'::regnamespace AND relkind = 'f'",
        "a_matview a_view dropped generated nothing old_child parted plain",
    )?;
    expect(&mut client, "SELECT * FROM here.plain ORDER BY id", "1|one|~\n2|two|x")?;
    expect(&mut client, "SELECT * FROM here.parted ORDER BY at", "1|2023-05-05\n1|2024-05-05")?;
    expect(&mut client, "SELECT * FROM here.a_view ORDER BY id", "1|ONE\n2|TWO")?;
    expect(&mut client, "TABLE here.a_matview", "2")?;
    expect(&mut client, "TABLE here.dropped", "1|2")?;
    expect(&mut client, "TABLE here.generated", "4|8|7|1")?;
    expect(&mut client, "SELECT count(*) FROM here.nothing", "0")?;
    expect(
        &mut client,
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) \
         FROM pg_attribute WHERE attrelid = 'here.plain'::regclass AND attnum > 0 ORDER BY attnum",
        "id|integer|t|~\nname|text|t|The \"name\"\nextra|character varying(7)|f|~",
    )?;
    expect(
        &mut client,
        "SELECT obj_description('here.plain'::regclass), obj_description('here.a_view'::regclass)",
        "It's plain|a view",
    )
}

#[test]
fn limit_to_and_except() -> Result<()> {
    let (_pair, mut client) = shop("limitto", SCRIPT)?;
    let tables = "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class \
                  WHERE relkind = 'f' AND relnamespace = 'here'::regnamespace";
    run(
        &mut client,
        "CREATE SCHEMA here; IMPORT FOREIGN SCHEMA shop LIMIT TO (plain, a_view, \"No Such\") FROM SERVER src INTO here",
    )?;
    expect(&mut client, tables, "a_view plain")?;
    run(
        &mut client,
        "DROP SCHEMA here CASCADE; CREATE SCHEMA here; \
         IMPORT FOREIGN SCHEMA shop EXCEPT (plain, a_view, nothing) FROM SERVER src INTO here",
    )?;
    expect(&mut client, tables, "a_matview dropped generated old_child parted")?;
    // A partition can be asked for by name.
    run(
        &mut client,
        "IMPORT FOREIGN SCHEMA shop LIMIT TO (parted_2023) FROM SERVER src INTO here",
    )?;
    expect(&mut client, "SELECT count(*) FROM here.parted_2023", "1")?;
    refused(&mut client, "IMPORT FOREIGN SCHEMA nope FROM SERVER src INTO here")?
        .says("HV00Q", &["\"nope\"", "\"src\""])?;
    refused(&mut client, "IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here")?
        .says("42P07", &[])?;
    run(
        &mut client,
        "CREATE SCHEMA loose; IMPORT FOREIGN SCHEMA shop LIMIT TO (plain) FROM SERVER src INTO loose \
         OPTIONS (import_not_null 'false', import_statistics 'false')",
    )?;
    expect(
        &mut client,
        "SELECT bool_or(attnotnull) FROM pg_attribute WHERE attrelid = 'loose.plain'::regclass AND attnum > 0",
        "f",
    )
}

const TYPES: &str = "
    CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION citext SCHEMA public;
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
    CREATE DOMAIN work_email AS email NOT NULL;
    CREATE DOMAIN cents AS numeric(10,2);
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE span AS RANGE (subtype = float8);
    CREATE TABLE types (id int, m mood, ms mood[], e work_email, c cents, cs cents[], p pair, s span,
      h public.hstore, ci public.citext, x xml, j json, pt point, ts tsvector, oidc oid, rc regclass,
      ip inet, mr int4multirange, b bit varying(5), mo money, l pg_lsn, me mood);
    INSERT INTO types VALUES (1, 'ok', '{sad,happy}', 'a@b', 1.5, '{1.5,2.25}', '(1,x)', '[1,2)',
      'a=>1', 'CiText', '<a/>', '{\"b\": 1}', '(1,2)', 'a:1 b:2', 42, 'pg_class', '10.0.0.0/8',
      '{[1,3),[5,7)}', B'101', 12.5, '16/B374D848', 'happy')";

#[test]
fn enums_domains_and_types_that_exist_only_there() -> Result<()> {
    let (_pair, mut client) = shop("types", TYPES)?;
    run(&mut client, IMPORT)?;
    expect(
        &mut client,
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) \
         FROM pg_attribute WHERE attrelid = 'here.types'::regclass AND attnum > 0",
        "id integer, m here.mood, ms here.mood[], e text, c numeric(10,2), cs text, p text, s text, \
         h text, ci text, x xml, j json, pt point, ts tsvector, oidc oid, rc text, ip inet, \
         mr int4multirange, b bit varying(5), mo money, l pg_lsn, me here.mood",
    )?;
    expect(
        &mut client,
        "TABLE here.types",
        "1|ok|{sad,happy}|a@b|1.50|{1.50,2.25}|(1,x)|[1,2)|\"a\"=>\"1\"|CiText|<a/>|{\"b\": 1}|(1,2)|'a':1 'b':2|42|pg_class|\
         10.0.0.0/8|{[1,3),[5,7)}|101|$12.50|16/B374D848|happy",
    )?;
    expect(&mut client, "SELECT enum_range(NULL::here.mood)", "{sad,ok,happy}")?;
    for condition in [
        "m = 'ok'",
        "m > 'sad'",
        "me IN ('happy')",
        "'happy' = ANY (ms)",
        "e = 'a@b'",
        "c = 1.5",
        "h LIKE '%1%'",
        "ci = 'CiText'",
        "p = '(1,x)'",
        "ip >> '10.1.0.0/16'",
        "mr @> 6",
        "b = B'101'",
        "rc = 'pg_class'",
        "ts @@ 'a & b'",
        "j ->> 'b' = '1'",
        "pt <@ box '((0,0),(3,3))'",
        "l > '0/0'",
        "x::text = '<a/>'",
        "cs = '{1.50,2.25}'",
        "s = '[1,2)'",
        "mo = '$12.50'",
        "oidc = 42",
    ] {
        expect(&mut client, &format!("SELECT id FROM here.types WHERE {condition}"), "1")?;
        expect(&mut client, &format!("SELECT id FROM here.types WHERE NOT ({condition})"), "")?;
    }
    // Where the type exists here, it is used.
    run(
        &mut client,
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE SCHEMA again; \
         IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO again",
    )?;
    expect(
        &mut client,
        "SELECT pg_typeof(ci), pg_typeof(h), h -> 'a' FROM again.types",
        "citext|hstore|1",
    )?;
    expect(&mut client, "SELECT id FROM again.types WHERE ci = 'citext' AND h ? 'a'", "1")
}

#[test]
fn another_import_into_another_schema() -> Result<()> {
    let (pair, mut client) = shop("again", TYPES)?;
    run(&mut client, IMPORT)?;
    run(&mut client, "CREATE SCHEMA there; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO there")?;
    expect(
        &mut client,
        "SELECT pg_typeof(a.m), pg_typeof(b.m) FROM here.types a, there.types b",
        "here.mood|there.mood",
    )?;
    // The same schema again after its tables were dropped: the types are there already, and grow.
    run(&mut pair.source()?, "ALTER TYPE shop.mood ADD VALUE 'angry' BEFORE 'sad'")?;
    run(
        &mut client,
        "DROP FOREIGN TABLE here.types; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here",
    )?;
    expect(&mut client, "SELECT enum_range(NULL::here.mood)", "{angry,sad,ok,happy}")?;
    expect(&mut client, "SELECT enum_range(NULL::there.mood)", "{sad,ok,happy}")?;
    // A label that is new at the source is an error that says so where it is not known.
    run(&mut pair.source()?, "INSERT INTO shop.types (id, m, e) VALUES (2, 'angry', 'c@d')")?;
    expect(&mut client, "SELECT id FROM here.types WHERE m = 'angry'", "2")?;
    let told = refused(&mut client, "SELECT m FROM there.types WHERE id = 2")?;
    told.says("22P02", &["there.types", "\"m\""])?;
    expect(&mut client, "SELECT m FROM there.types WHERE id = 1", "ok")
}

#[test]
fn a_name_of_a_type_that_is_taken() -> Result<()> {
    let (_pair, mut client) = shop(
        "taken",
        "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (m mood); INSERT INTO t VALUES ('sad'); \
         CREATE TYPE u AS ENUM ('x'); CREATE TABLE v (m u); INSERT INTO v VALUES ('x')",
    )?;
    run(
        &mut client,
        "CREATE SCHEMA here; CREATE DOMAIN here.mood AS int; CREATE TYPE here.u AS (a int)",
    )?;
    run(&mut client, "IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here")?;
    expect(&mut client, "SELECT m, pg_typeof(m) FROM here.t WHERE m = 'sad'", "sad|text")?;
    expect(&mut client, "SELECT m, pg_typeof(m) FROM here.v", "x|text")
}

#[test]
fn a_role_that_is_no_superuser() -> Result<()> {
    let (pair, mut client) = shop("importrole", TYPES)?;
    run(
        &mut client,
        "DO $$ BEGIN CREATE ROLE importer LOGIN PASSWORD 'importer'; \
         EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         CREATE SCHEMA here AUTHORIZATION importer",
    )?;
    let warehouse = pair.warehouse_cluster;
    let mut importer = warehouse.connect_as("importer", "importer", &pair.warehouse_database)?;
    let import = "IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here";
    refused(&mut importer, import)?.says("42501", &["permission denied"])?;
    run(&mut client, "GRANT USAGE ON FOREIGN SERVER src TO importer")?;
    run(&mut importer, import)?;
    expect(&mut importer, "SELECT id, m FROM here.types", "1|ok")?;
    expect(
        &mut importer,
        "SELECT DISTINCT relowner::regrole, (SELECT typowner::regrole FROM pg_type WHERE typname = 'mood') \
         FROM pg_class WHERE relname = 'types'",
        "importer|importer",
    )?;
    run(&mut importer, "ANALYZE here.types")
}

/// What the source sees is nobody's guess: system schemas and schemas without a table import nothing.
#[test]
fn schemas_that_are_empty_or_of_the_system() -> Result<()> {
    let (_pair, mut client) = shop("empty", "CREATE TYPE lonely AS ENUM ('a')")?;
    run(&mut client, IMPORT)?;
    expect(
        &mut client,
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'here'::regnamespace",
        "0",
    )?;
    run(
        &mut client,
        "IMPORT FOREIGN SCHEMA pg_catalog LIMIT TO (pg_class, pg_stat_activity) FROM SERVER src INTO here",
    )?;
    ensure!(rows(&mut client, "SELECT count(*) > 100 FROM here.pg_class")? == "t");
    ensure!(rows(&mut client, "SELECT count(*) > 0 FROM here.pg_stat_activity")? == "t");
    Ok(())
}
