//! Keys of many types: what is sent as text finds what Postgres would call equal.

use anyhow::{Context, Result, ensure};

use super::{NODE, SIZES, Scene, sorted};
use crate::ask::{rows, run};

/// A pair of types: that of the source and its values, that of here and its values.
type Types<'a> = (&'a str, &'a [&'a str], &'a str, &'a [&'a str]);

/// The table `i<number>` at the source and `o<number>` here with the values given, two of them twice
/// and one NULL.
fn tables(number: usize, (of_i, i, of_o, o): Types<'_>) -> (String, String) {
    let values = |all: &[&str]| -> String {
        let mut out: Vec<String> = all.iter().map(|value| format!("({value})")).collect();
        out.push("(NULL)".to_owned());
        out.extend(all.iter().take(2).map(|value| format!("({value})")));
        out.join(", ")
    };
    let table = |name: &str, of: &str, all: &[&str]| {
        format!(
            "CREATE TABLE {name}{number} (id serial, k {of}); \
             INSERT INTO {name}{number} (k) VALUES {}; ANALYZE {name}{number}",
            values(all)
        )
    };
    (table("i", of_i, i), table("o", of_o, o))
}

const QUERIES: [&str; 4] = [
    "SELECT o.id, i.id, i.k, o.k FROM o JOIN $.i ON i.k = o.k",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND i.id > 1",
    "SELECT o.id FROM o WHERE EXISTS (SELECT FROM $.i WHERE i.k = o.k)",
    "SELECT o.id FROM o WHERE NOT EXISTS (SELECT FROM $.i WHERE i.k = o.k)",
];

/// The queries over the pair of tables with this number.
fn queries(number: usize) -> impl Iterator<Item = String> {
    QUERIES.iter().map(move |query| {
        query
            .replace("$.i", &format!("$.i{number} i"))
            .replace("FROM o ", &format!("FROM o{number} o "))
    })
}

/// A scene with a pair of tables for each pair of types. `before` makes types at both sides.
fn scene(test: &str, before: &str, all: &[Types<'_>]) -> Result<Scene> {
    let (mut there, mut here) = (before.to_owned(), before.to_owned());
    for (number, types) in all.iter().enumerate() {
        let (i, o) = tables(number, *types);
        there.push_str(&format!("; {i}"));
        here.push_str(&format!("; {o}"));
    }
    Scene::new(test, &there, &here)
}

/// Checks the joins of pairs of types.
fn agree(test: &str, before: &str, all: &[Types<'_>]) -> Result<()> {
    let mut scene = scene(test, before, all)?;
    for (number, (of_i, _, of_o, _)) in all.iter().enumerate() {
        for query in queries(number) {
            scene.agrees(&query).with_context(|| format!("{of_i} = {of_o}"))?;
            // It says something only if there are partners.
            let found = sorted(&mut scene.client, &query.replace('$', "app"))?;
            ensure!(!found.is_empty(), "{of_i} = {of_o}: {query}");
        }
    }
    Ok(())
}

#[test]
fn integers() -> Result<()> {
    let small = ["1", "2", "-3", "0", "32767", "-32768"];
    let large = ["1", "-3", "32767", "2147483647", "-2147483648", "7"];
    let largest = ["1", "9223372036854775807", "-9223372036854775808", "2147483647", "-3"];
    agree(
        "integers",
        "",
        &[
            ("int", &large, "bigint", &largest),
            ("bigint", &largest, "int", &large),
            ("smallint", &small, "bigint", &largest),
            ("bigint", &largest, "smallint", &small),
            ("int", &large, "smallint", &small),
            ("oid", &["1", "4294967295", "7"], "oid", &["4294967295", "7", "8"]),
        ],
    )
}

/// Everything that has a meaning in the text form of an array, in a literal, or in JSON.
const TEXTS: [&str; 26] = [
    "'a'",
    "''",
    "'NULL'",
    "'null'",
    "' '",
    "'a b '",
    "E'it\\'s'",
    "'\"'",
    "'\"\"'",
    "E'\\\\'",
    "E'\\\\\\\\'",
    "E'a\\\\\"b'",
    "'{'",
    "'}'",
    "'{}'",
    "'{a,b}'",
    "','",
    "'a,b'",
    "E'line\\nline'",
    "E'\\t'",
    "E'\\r\\n'",
    "'größe'",
    "'日本語 🎓'",
    "'$1'",
    "'%s; DROP TABLE i; --'",
    "E'e\\u0301'",
];

#[test]
fn texts() -> Result<()> {
    let mut others = TEXTS.to_vec();
    others.extend(["'A'", "E'\\u00e9'", "'a '", "'none'"]);
    let (few, names) = (["'a'", "'a b'", "''", "'NULL'", "'{\"'"], ["'a'", "'{\"'", "'b'"]);
    agree(
        "texts",
        "",
        &[
            ("text", &TEXTS, "text", &others),
            ("varchar(80)", &TEXTS, "text", &others),
            ("text", &others, "varchar", &TEXTS),
            ("char(12)", &few, "char(20)", &["'a '", "'a b'", "'NULL'", "''", "'b'"]),
            ("name", &few, "name", &names),
            ("text", &few, "name", &names),
        ],
    )
}

/// The source's own settings do not change what the text of an array is.
#[test]
fn texts_at_a_source_with_other_settings() -> Result<()> {
    let mut scene = scene("textsettings", "", &[("text", &TEXTS, "text", &TEXTS)])?;
    run(
        &mut scene.pair.source()?,
        &format!(
            "ALTER DATABASE \"{0}\" SET standard_conforming_strings = off; \
             ALTER DATABASE \"{0}\" SET array_nulls = off; \
             ALTER DATABASE \"{0}\" SET backslash_quote = off; \
             ALTER DATABASE \"{0}\" SET transform_null_equals = on",
            scene.pair.source_database
        ),
    )?;
    for setting in ["standard_conforming_strings = off", "array_nulls = off", "DateStyle = German"]
    {
        run(&mut scene.client, "SELECT warehouse.disconnect()")?;
        run(&mut scene.client, &format!("SET {setting}"))?;
        for query in queries(0) {
            scene.agrees(&query).with_context(|| setting.to_owned())?;
        }
    }
    Ok(())
}

#[test]
fn numbers_that_are_equal_and_look_different() -> Result<()> {
    let n = [
        "1.0",
        "1.00",
        "1",
        "0.10",
        "-0",
        "'NaN'",
        "'Infinity'",
        "1e20",
        "123456789012345678901234567890.5",
        "8",
    ];
    let m = [
        "1",
        "1.000",
        "0.1",
        "0",
        "'NaN'",
        "'-Infinity'",
        "'Infinity'",
        "100000000000000000000.0",
        "5",
    ];
    let f = ["0.1", "-0.0", "1e300", "'NaN'", "'Infinity'", "1.0", "0.30000000000000004", "5e-324"];
    let g =
        ["0.1", "0.0", "1e300", "'NaN'", "'-Infinity'", "'Infinity'", "0.3", "0.1 + 0.2", "5e-324"];
    agree(
        "numbers",
        "",
        &[
            ("numeric", &n, "numeric", &m),
            ("numeric(30,4)", &["1", "0.1", "2.5"], "numeric", &["1.00", "0.1", "2.51", "7"]),
            ("float8", &f, "float8", &g),
            (
                "float4",
                &["0.1", "0.5", "-0.0", "'NaN'", "16777216"],
                "float8",
                &["0.1", "0.5", "0", "0.1::float4", "16777217"],
            ),
            (
                "float8",
                &["0.1", "0.5", "-0.0", "'NaN'", "0.1::float4"],
                "float4",
                &["0.1", "0.5", "0", "'NaN'", "7"],
            ),
        ],
    )
}

#[test]
fn times() -> Result<()> {
    let at = [
        "'2024-03-31 00:30+00'",
        "'2024-10-27 00:30+00'",
        "'2024-10-27 01:30+00'",
        "'1850-01-01 00:00:00.123456+00'",
        "'infinity'",
        "'0044-03-15 12:00:00+00 BC'",
    ];
    let plain = ["'2024-03-31 02:30'", "'2024-02-29 23:59:59.999999'", "'-infinity'"];
    let dates = ["'2024-02-29'", "'0044-03-15 BC'", "'infinity'", "'1999-12-31'"];
    agree(
        "times",
        "",
        &[
            (
                "date",
                &dates,
                "date",
                &["'2024-02-29'", "'0044-03-15 BC'", "'-infinity'", "'infinity'"],
            ),
            ("timestamptz", &at[1..], "timestamptz", &at[..5]),
            ("timestamp", &plain[1..], "timestamp", &plain),
            (
                "time",
                &["'00:00'", "'24:00'", "'12:34:56.789'"],
                "time",
                &["'24:00'", "'12:34:56.789'", "'1:00'"],
            ),
            (
                "timetz",
                &["'10:00+03'", "'09:00+02'"],
                "timetz",
                &["'10:00+03'", "'07:00+00'", "'09:00+02'"],
            ),
            (
                "interval",
                &["'1 day'", "'24 hours'", "'1 month -3 days'"],
                "interval",
                &["'1 day'", "'30 days'", "'1 month'", "'24:00'"],
            ),
        ],
    )
}

/// The session's time zone writes the keys, and the source reads them.
#[test]
fn times_under_other_settings() -> Result<()> {
    let at = [
        "'2024-10-27 00:30+00'",
        "'2024-10-27 01:30+00'",
        "'1850-01-01 00:00+00'",
        "'2024-03-31 00:30+00'",
    ];
    let mut scene = scene("zones", "", &[("timestamptz", &at, "timestamptz", &at)])?;
    for setting in [
        "TimeZone = 'America/New_York'",
        "TimeZone = 'Asia/Kathmandu'",
        "TimeZone = '<+03>-3'",
        "DateStyle = 'German, DMY'",
        "DateStyle = 'SQL, DMY'",
        "DateStyle = 'Postgres, YMD'",
    ] {
        run(&mut scene.client, &format!("SET {setting}"))?;
        for query in queries(0) {
            scene.agrees(&query).with_context(|| setting.to_owned())?;
        }
    }
    // Within a transaction, too, and back by a savepoint.
    run(&mut scene.client, "RESET TimeZone; BEGIN")?;
    let sql = "SELECT count(*) FROM o0 o JOIN app.i0 i ON i.k = o.k";
    let before = rows(&mut scene.client, sql)?;
    for zone in ["America/New_York", "Asia/Tokyo"] {
        run(&mut scene.client, &format!("SAVEPOINT s; SET LOCAL TimeZone = '{zone}'"))?;
        ensure!(rows(&mut scene.client, sql)? == before, "{zone}");
        run(&mut scene.client, "ROLLBACK TO s")?;
        ensure!(rows(&mut scene.client, sql)? == before, "after {zone}");
    }
    run(&mut scene.client, "COMMIT")
}

#[test]
fn other_types() -> Result<()> {
    let id = "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'";
    agree(
        "others",
        "",
        &[
            (
                "uuid",
                &[id, "'00000000-0000-0000-0000-000000000000'"],
                "uuid",
                &[id, "'{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12}'"],
            ),
            ("boolean", &["true"], "boolean", &["true", "false"]),
            ("bytea", &["'\\x00ff'", "''", "'abc\\\\'"], "bytea", &["'\\x00ff'", "''", "'\\x61'"]),
            (
                "inet",
                &["'10.0.0.1'", "'10.0.0.0/8'", "'::1'"],
                "inet",
                &["'10.0.0.1/32'", "'10.0.0.0/8'", "'::2'"],
            ),
        ],
    )
}

/// Types that the source has under the same name, or under another one.
#[test]
fn enums_and_domains() -> Result<()> {
    let domains = "CREATE DOMAIN key AS int CHECK (VALUE <> 99); \
        CREATE DOMAIN code AS text CHECK (VALUE <> 'no'); CREATE DOMAIN deeper AS code";
    let all: [Types<'_>; 5] = [
        ("key", &["1", "2", "3"], "int", &["2", "3", "99"]),
        ("int", &["1", "2", "99"], "key", &["2", "1", "3"]),
        ("code", &["'a'", "'{\"'", "''"], "text", &["'{\"'", "'no'", "''"]),
        ("text", &["'a'", "'{\"'", "'no'"], "deeper", &["'{\"'", "'a'", "'b'"]),
        ("deeper", &["'a'", "'{\"'", "'b'"], "code", &["'{\"'", "'a'", "'c'"]),
    ];
    let mut scene = scene("domains", domains, &all)?;
    for (number, (of_i, _, of_o, _)) in all.iter().enumerate() {
        for query in queries(number) {
            compare(&mut scene, &query).with_context(|| format!("{of_i} = {of_o}"))?;
        }
    }
    // The import makes the enum here.
    let there = ["'sad'", "'ok'", "'so, so \"{}'", "'NULL'"];
    let (i, _) = tables(9, ("mood", &there, "int", &["1"]));
    let mood = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'so, so \"{}', 'NULL')";
    run(&mut scene.pair.source()?, &format!("{mood}; {i}"))?;
    run(
        &mut scene.client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (i9) FROM SERVER src INTO app; \
         CREATE TABLE plain.i9 AS TABLE app.i9",
    )?;
    let (_, o) = tables(9, ("int", &["1"], "app.mood", &["'ok'", "'so, so \"{}'", "'NULL'"]));
    run(&mut scene.client, &o)?;
    for query in queries(9) {
        compare(&mut scene, &query)?;
    }
    Ok(())
}

/// As [`Scene::agrees`], where it is left to the wrapper whether it asks by such keys.
fn compare(scene: &mut Scene, query: &str) -> Result<()> {
    let expected = sorted(&mut scene.client, &query.replace('$', "plain"))?;
    let sql = query.replace('$', "app");
    for size in SIZES {
        run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        let plan = rows(&mut scene.client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
        let found = sorted(&mut scene.client, &sql).with_context(|| plan.clone())?;
        ensure!(found == expected, "{sql}\nexpected {expected:?}\nfound {found:?}\n{plan}");
    }
    let plan = rows(&mut scene.client, &format!("EXPLAIN {sql}"))?;
    println!("{}by keys: {sql}", if plan.contains(NODE) { "" } else { "not " });
    Ok(())
}

/// Keys of several columns: a row has to agree in all of them, not in each with some row.
#[test]
fn several_columns() -> Result<()> {
    let mut scene = Scene::new(
        "columns",
        "CREATE TABLE i AS SELECT g AS id, g % 7 AS a, (g % 5)::text AS b, date '2024-01-01' + g % 3 AS c \
         FROM generate_series(1, 200) g",
        "CREATE TABLE o AS SELECT g AS id, CASE WHEN g % 6 <> 0 THEN (g % 9)::bigint END AS a, \
           CASE WHEN g % 5 <> 0 THEN (g % 4)::text END AS b, date '2024-01-01' + g % 4 AS c \
         FROM generate_series(1, 40) g",
    )?;
    for query in [
        "SELECT o.id, i.id FROM o JOIN $.i ON i.a = o.a AND i.b = o.b AND i.c = o.c",
        "SELECT o.id, i.id FROM o LEFT JOIN $.i USING (a, b)",
        "SELECT o.id FROM o WHERE (a, b, c) IN (SELECT a, b, c FROM $.i)",
        "SELECT o.id FROM o WHERE NOT EXISTS (SELECT FROM $.i WHERE i.a = o.a AND i.b = o.b AND i.c = o.c)",
        "SELECT o.id, i.id FROM o JOIN $.i ON i.a = o.a AND i.a = o.id % 7 AND i.b = o.b || ''",
    ] {
        scene.agrees(query)?;
    }
    Ok(())
}

/// A comparison that is no equality of bytes stays here or is made by the same rules.
#[test]
fn collations_that_call_different_texts_equal() -> Result<()> {
    let mut scene = scene(
        "ci",
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        &[
            ("text", &["'a'", "'A'", "'b'", "'B'"], "text", &["'A'", "'b'", "'c'"]),
            ("text COLLATE \"C\"", &TEXTS, "text COLLATE \"POSIX\"", &TEXTS),
        ],
    )?;
    for query in [
        "SELECT o.id, i.id FROM o0 o JOIN $.i0 i ON i.k COLLATE ci = o.k",
        "SELECT o.id FROM o0 o WHERE NOT EXISTS (SELECT FROM $.i0 i WHERE i.k = o.k COLLATE ci)",
        "SELECT o.id, i.id FROM o0 o LEFT JOIN $.i0 i ON lower(i.k) = lower(o.k)",
        "SELECT o.id, i.id FROM o0 o JOIN $.i0 i ON upper(i.k) COLLATE \"C\" = o.k AND i.id = o.id",
        "SELECT o.id, i.id FROM o1 o JOIN $.i1 i ON i.k COLLATE \"C\" = o.k",
        "SELECT o.id FROM o1 o WHERE NOT EXISTS (SELECT FROM $.i1 i WHERE i.k = o.k COLLATE \"C\")",
    ] {
        compare(&mut scene, query)?;
    }
    Ok(())
}
