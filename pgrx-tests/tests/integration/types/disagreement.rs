//! A column declared with another type or collation than it has at the source: an error that names the
//! column, or the right value; never another one.

use anyhow::{Result, ensure};

use super::{declared, imported, same};
use crate::ask::{expect, refused, rows, told};

/// The types that disagree with each other, with a value.
const TYPES: [(&str, &str); 24] = [
    ("bool", "t"),
    ("int2", "1"),
    ("int4", "1"),
    ("int8", "1"),
    ("oid", "1"),
    ("float4", "1"),
    ("float8", "1"),
    ("numeric", "1"),
    ("money", "1"),
    ("text", "1"),
    ("varchar", "1"),
    ("char(4)", "1"),
    ("name", "1"),
    ("bytea", "1"),
    ("date", "2021-01-31"),
    ("timestamp", "2021-01-31"),
    ("timestamptz", "2021-01-31"),
    ("time", "01:00"),
    ("interval", "01:00"),
    ("uuid", "00000000-0000-0000-0000-000000000001"),
    ("json", "1"),
    ("jsonb", "1"),
    ("int4[]", "{1}"),
    ("int8[]", "{1}"),
];

/// Every local type over every remote one, read as it stands and compared.
#[test]
fn no_pair_of_types_gives_another_value() -> Result<()> {
    let columns: Vec<String> =
        TYPES.iter().enumerate().map(|(at, (of, _))| format!("c{at} {of}")).collect();
    let values: Vec<String> = TYPES.iter().map(|(_, value)| format!("'{value}'")).collect();
    let (mut source, mut warehouse) = declared(
        "disagree",
        &format!(
            "CREATE TABLE t ({}); INSERT INTO t VALUES ({})",
            columns.join(", "),
            values.join(", ")
        ),
    )?;
    let mut read = 0;
    for (here, (local, _)) in TYPES.iter().enumerate() {
        for (there, (remote, _)) in TYPES.iter().enumerate() {
            warehouse.batch_execute(&format!(
                "DROP FOREIGN TABLE IF EXISTS t; \
                 CREATE FOREIGN TABLE t (c{there} {local}) SERVER src OPTIONS (schema_name 'd', table_name 't')"
            ))?;
            let sql = format!("SELECT c{there} FROM t");
            match warehouse.simple_query(&sql) {
                Ok(_) => {
                    let found = rows(&mut warehouse, &sql)?;
                    let expected = rows(&mut source, &sql)?;
                    ensure!(
                        found == expected,
                        "{remote} as {local}: {found} instead of {expected}"
                    );
                    read += usize::from(here != there);
                }
                Err(error) => {
                    let told = told(&error)?;
                    ensure!(here != there, "{remote} as itself: {told:?}");
                    told.says("HV004", &[&format!("\"c{there}\""), "d.t"])?;
                }
            }
        }
    }
    // text and varchar are the only pair of the same form.
    ensure!(read == 2, "{read} pairs of different types can be read");
    Ok(())
}

/// With `remote_type` the source casts, or says that it cannot.
#[test]
fn the_source_casts_where_it_is_told_to() -> Result<()> {
    let (_source, mut warehouse) = declared(
        "cast",
        "CREATE TABLE t (id int, n numeric, t text, at timestamptz, j jsonb); \
         INSERT INTO t VALUES (1, 1.50, '7', '2021-01-31 12:00+00', '{\"a\": 1}'), (2, 10, 'x', NULL, NULL)",
    )?;
    warehouse.batch_execute(
        "SET TimeZone = 'UTC'; CREATE FOREIGN TABLE t (id bigint OPTIONS (remote_type 'integer'), \
           n text OPTIONS (remote_type 'numeric'), t int OPTIONS (remote_type 'text'), \
           at date OPTIONS (remote_type 'timestamp with time zone'), j text OPTIONS (remote_type 'jsonb')) SERVER src",
    )?;
    expect(
        &mut warehouse,
        "SELECT id, n, t, at, j FROM t WHERE id = 1",
        "1|1.50|7|2021-01-31|{\"a\": 1}",
    )?;
    // Sorted and compared as what it is here: as text, "10" comes before "1.50" in no collation.
    expect(&mut warehouse, "SELECT n FROM t WHERE n < '10' ORDER BY n", "1.50")?;
    expect(&mut warehouse, "SELECT n FROM t ORDER BY n COLLATE \"C\" LIMIT 1", "1.50")?;
    expect(&mut warehouse, "SELECT id FROM t WHERE t = 7 AND id = 1", "1")?;
    refused(&mut warehouse, "SELECT t FROM t")?.says("22P02", &["d.t", "src"])?;
    expect(&mut warehouse, "SELECT count(*) FROM t", "2")
}

/// A narrower declaration here must not hold what does not fit it.
#[test]
fn a_shorter_type_modifier_is_kept_or_told() -> Result<()> {
    let (_source, mut warehouse) = declared(
        "modifier",
        "CREATE TABLE t (v varchar(10), c char(5), n numeric, ts timestamp, b bit(8), i interval); \
         INSERT INTO t VALUES ('abcdef', 'abc', 1.2345, '2021-01-31 12:00:00.123456', B'10101010', '1 day 00:00:01.6')",
    )?;
    let mut wrong = Vec::new();
    for (column, of, fits) in [
        ("v", "varchar(3)", "octet_length(v) <= 3"),
        ("v", "varchar(20)", "true"),
        ("c", "char(2)", "octet_length(c) = 2"),
        ("c", "char(8)", "octet_length(c) = 8"),
        ("n", "numeric(10,2)", "scale(n) = 2"),
        ("ts", "timestamp(0)", "date_trunc('second', ts) = ts"),
        ("b", "bit(4)", "length(b) = 4"),
        ("i", "interval(0)", "date_trunc('second', i) = i"),
    ] {
        warehouse.batch_execute(&format!(
            "DROP FOREIGN TABLE IF EXISTS t; CREATE FOREIGN TABLE t ({column} {of}) SERVER src; \
             DROP TABLE IF EXISTS copy"
        ))?;
        match warehouse.batch_execute("CREATE TABLE copy AS SELECT * FROM t") {
            Err(error) => {
                let told = told(&error)?;
                let named = format!("{told:?}").contains(&format!("\\\"{column}\\\""));
                if !named {
                    wrong.push(format!("{of}: {}", told.message));
                }
            }
            Ok(()) => {
                let fitting = rows(&mut warehouse, &format!("SELECT {fits}, {column} FROM copy"))?;
                if !fitting.starts_with("t|") {
                    wrong.push(format!("a column {of} holds {fitting}"));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// A column that the source collates in its own way is sorted and compared here as it is declared here.
#[test]
fn the_collation_of_a_column_there_does_not_leak() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "collation",
        "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         CREATE TABLE t (id int, a text COLLATE \"en-x-icu\", b text COLLATE nocase, c text COLLATE \"C\", d text); \
         INSERT INTO t SELECT i, w, w, w, w FROM unnest('{b,B,a,A,é,e,z}'::text[]) WITH ORDINALITY x(w, i); \
         CREATE TABLE plain AS SELECT id, d AS a, d AS b, d AS c, d FROM t",
    )?;
    for column in ["a", "b", "c", "d"] {
        for sql in [
            format!("SELECT id, {column} FROM t ORDER BY {column}, id"),
            format!("SELECT {column} FROM t ORDER BY {column}, id LIMIT 3"),
            format!("SELECT id FROM t WHERE {column} < 'a' ORDER BY id"),
            format!("SELECT id FROM t WHERE {column} >= 'b' ORDER BY id"),
            format!("SELECT id FROM t WHERE {column} = 'b' ORDER BY id"),
            format!("SELECT id FROM t WHERE {column} IN ('A', 'é') ORDER BY id"),
            format!("SELECT id FROM t WHERE {column} LIKE 'b%' ORDER BY id"),
            format!("SELECT max({column}), count(DISTINCT {column}) FROM t"),
        ] {
            let found = rows(&mut warehouse, &sql)?;
            // As declared here, all four are collated like the database.
            let declared = rows(
                &mut warehouse,
                "SELECT string_agg(DISTINCT attcollation::regcollation::text, ' ') FROM pg_attribute \
                 WHERE attrelid = 't'::regclass AND attname IN ('a', 'b', 'c', 'd')",
            )?;
            let expected = match declared.as_str() {
                "\"default\"" => rows(
                    &mut source,
                    &sql.replace(" t ", " plain ").replace("FROM t", "FROM plain"),
                )?,
                // An import that carries the collations over makes the two alike.
                _ => rows(&mut source, &sql)?,
            };
            ensure!(found == expected, "{sql}\nexpected:\n{expected}\nfound:\n{found}");
        }
    }
    same(&mut source, &mut warehouse, "SELECT id, a, b, c, d FROM t ORDER BY id")
}

/// Settings of a session that change how values are written or read change nothing here.
#[test]
fn settings_do_not_change_values_or_conditions() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "settings",
        "CREATE TYPE twin AS (n int, t text); \
         CREATE TABLE t (id int, b bytea, i interval, p point, x xml, w text, c twin[], r real[]); \
         INSERT INTO t VALUES (1, '\\x01', '1 day', '(0.1,0.30000000000000004)', '<a/><b/>', 'word', ARRAY[ROW(1, 'NULL')::twin, NULL], '{0.1}')",
    )?;
    for settings in [
        "SET bytea_output = 'escape'",
        "SET IntervalStyle = 'iso_8601'",
        "SET extra_float_digits = -15",
        "SET quote_all_identifiers = on",
        "SET xmloption = document",
        "SET array_nulls = off",
        "SET client_encoding = 'SQL_ASCII'",
        "SET standard_conforming_strings = off; SET escape_string_warning = off",
        "SET lc_monetary = 'C'; SET DateStyle = 'SQL, DMY'; SET xmlbinary = hex",
        "SET default_transaction_isolation = 'serializable'",
        "SET row_security = off",
    ] {
        for client in [&mut source, &mut warehouse] {
            client.batch_execute(&format!("RESET ALL; SET search_path = d, public; {settings}"))?;
        }
        for sql in [
            "SELECT * FROM t",
            "SELECT id FROM t WHERE b::text = (SELECT b::text FROM t)",
            "SELECT id FROM t WHERE b::text = '\\x01'::bytea::text",
            "SELECT id FROM t WHERE i::text = '1 day'::interval::text",
            "SELECT id FROM t WHERE p::text = point(0.1, 0.1 + 0.2)::text",
            "SELECT id FROM t WHERE quote_ident(w) = quote_ident('word')",
            "SELECT id FROM t WHERE r::text = '{0.1}'::real[]::text",
        ] {
            same(&mut source, &mut warehouse, sql).map_err(|e| e.context(settings))?;
        }
    }
    Ok(())
}

/// What a condition would never evaluate is not evaluated here either.
#[test]
fn what_is_not_reached_does_not_fail() -> Result<()> {
    let (mut source, mut warehouse) =
        imported("lazy", "CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 20)")?;
    for client in [&mut source, &mut warehouse] {
        client.batch_execute(
            "SET plan_cache_mode = force_generic_plan; \
             PREPARE a(int) AS SELECT id FROM t WHERE CASE WHEN $1 <> 0 THEN n > 10 / $1 ELSE n = 1 END; \
             PREPARE b(int) AS SELECT id FROM t WHERE COALESCE(n, 10 / $1) = 1; \
             PREPARE c(int) AS SELECT id FROM t WHERE n > CASE WHEN $1 = 0 THEN 0 ELSE 10 / $1 END",
        )?;
    }
    for sql in [
        "EXECUTE a(5)",
        "EXECUTE a(0)",
        "EXECUTE b(0)",
        "EXECUTE c(0)",
        "SELECT id FROM t WHERE COALESCE(n, current_setting('no.such')::int) = 1",
        "SELECT id FROM t WHERE CASE WHEN n > 0 THEN n = 1 ELSE current_setting('no.such') = 'x' END",
        "SELECT o.g, t.id FROM generate_series(0, 2) o(g) JOIN t ON CASE WHEN o.g > 0 THEN t.id = 2 / o.g ELSE false END ORDER BY 1, 2",
    ] {
        same(&mut source, &mut warehouse, sql)?;
    }
    Ok(())
}

/// A query that finds nothing needs no source, whatever else it asks for.
#[test]
fn nothing_is_found_without_asking() -> Result<()> {
    let (_source, mut warehouse) =
        imported("nothing", "CREATE TABLE t (id int PRIMARY KEY, v text)")?;
    warehouse.batch_execute(
        "ALTER SERVER src OPTIONS (SET port '1'); SELECT warehouse.disconnect(NULL)",
    )?;
    for sql in [
        "SELECT * FROM t WHERE false",
        "SELECT * FROM t WHERE 1 <> 1 LIMIT 0",
        "SELECT * FROM t WHERE false ORDER BY id LIMIT 10",
        "SELECT * FROM t WHERE NULL LIMIT 1",
        "SELECT * FROM t WHERE id = 1 AND id = 2 AND false ORDER BY v OFFSET 2",
        "SELECT * FROM (SELECT * FROM t WHERE false ORDER BY id LIMIT 10) x JOIN t USING (id)",
    ] {
        expect(&mut warehouse, sql, "")?;
    }
    Ok(())
}
