//! The other types, and keys of several columns.

use anyhow::{Context, Result};

use super::super::Scene;
use super::{Types, agree, compare, queries, scene, tables};
use crate::ask::run;

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
