//! The columns of a merged table: the union over the sites, in types that hold them all.

use anyhow::{Result, ensure};

use super::{Sites, reports};
use crate::ask::{expect, rows, run};

#[test]
fn the_union_of_columns_and_null_for_what_a_site_lacks() -> Result<()> {
    let mut sites = Sites::new(
        "union",
        &[
            (
                "ai",
                "CREATE TABLE app.t (id int NOT NULL, a text NOT NULL); INSERT INTO app.t VALUES (1, 'x')",
            ),
            (
                "cd",
                "CREATE TABLE app.t (id int NOT NULL, b numeric, c bool); INSERT INTO app.t VALUES (2, 1.5, true); \
                    CREATE TABLE app.only_cd (id int); INSERT INTO app.only_cd VALUES (7)",
            ),
            (
                "ef",
                "CREATE TABLE app.t (c bool, id int NOT NULL, a text NOT NULL); INSERT INTO app.t VALUES (false, 3, 'z')",
            ),
        ],
    )?;
    let report = sites.merge()?;
    ensure!(report.lines().any(|l| l.starts_with("main|~|~|created schema")), "{report}");
    ensure!(report.lines().any(|l| l.starts_with("main_sites|~|~|created schema")), "{report}");
    ensure!(report.lines().filter(|l| l.contains("|created table")).count() == 2, "{report}");
    ensure!(report.lines().filter(|l| l.contains("|added site")).count() == 4, "{report}");
    let client = &mut sites.client;
    expect(client, "SELECT * FROM main.t ORDER BY id", "ai|1|x|~|~\ncd|2|~|1.5|t\nef|3|z|~|f")?;
    expect(client, "SELECT * FROM main.only_cd", "cd|7")?;
    expect(
        client,
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute \
         WHERE attrelid = 'main.t'::regclass AND attnum > 0 ORDER BY attnum",
        "site|text|t\nid|integer|t\na|text|f\nb|numeric|f\nc|boolean|f",
    )?;
    // Conditions on a column that a site lacks hold for its NULLs.
    expect(client, "SELECT id FROM main.t WHERE a IS NULL ORDER BY 1", "2")?;
    expect(client, "SELECT id FROM main.t WHERE coalesce(b, 9) = 9 ORDER BY 1", "1\n3")?;
    expect(client, "SELECT id FROM main.t WHERE c IS NOT TRUE ORDER BY 1", "1\n3")?;
    expect(
        client,
        "SELECT site, id FROM main.t WHERE b = 1.5 OR a = 'z' ORDER BY b DESC, a",
        "ef|3\ncd|2",
    )?;
    expect(
        client,
        "SELECT count(*), count(a), count(b), count(DISTINCT site) FROM main.t",
        "3|2|1|3",
    )
}

/// Each line: the column's types at the two sites, values there, the merged type, what is read.
const CONFLICTS: [(&str, &str, &str, &str, &str, &str); 16] = [
    ("int", "7", "bigint", "9000000000", "bigint", "7,9000000000"),
    ("bigint", "9000000000", "int", "7", "bigint", "9000000000,7"),
    ("smallint", "-5", "numeric", "1.25", "numeric", "-5,1.25"),
    ("int", "7", "float8", "0.5", "double precision", "7,0.5"),
    ("text", "'abc'", "int", "12", "text", "abc,12"),
    ("numeric(10,2)", "1.50", "numeric", "1.23456", "numeric", "1.50,1.23456"),
    ("numeric(10,2)", "1.50", "numeric(12,4)", "1.2345", "numeric", "1.50,1.2345"),
    (
        "varchar(10)",
        "'abc'",
        "varchar(20)",
        "'defghijklmnopq'",
        "character varying",
        "abc,defghijklmnopq",
    ),
    ("varchar(10)", "'abc'", "text", "'def'", "character varying", "abc,def"),
    ("char(5)", "'abc'", "text", "'def'", "bpchar", "abc,def"),
    (
        "timestamp",
        "'2024-01-01 12:00'",
        "timestamptz",
        "'2024-06-01 12:00+00'",
        "timestamp with time zone",
        "2024-01-01 12:00:00+00,2024-06-01 12:00:00+00",
    ),
    (
        "date",
        "'2024-01-01'",
        "timestamptz",
        "'2024-06-01 12:00+00'",
        "timestamp with time zone",
        "2024-01-01 00:00:00+00,2024-06-01 12:00:00+00",
    ),
    ("bool", "true", "int", "1", "text", "true,1"),
    ("jsonb", "'{\"a\": 1}'", "text", "'x'", "text", "{\"a\": 1},x"),
    (
        "uuid",
        "'00000000-0000-0000-0000-000000000001'",
        "text",
        "'x'",
        "text",
        "00000000-0000-0000-0000-000000000001,x",
    ),
    ("int[]", "'{1,2}'", "text", "'x'", "text", "{1,2},x"),
];

#[test]
fn types_that_differ() -> Result<()> {
    let script = |first: bool| {
        let mut sql = String::new();
        for (i, (a, x, b, y, _, _)) in CONFLICTS.iter().enumerate() {
            let (of, value) = if first { (a, x) } else { (b, y) };
            sql.push_str(&format!(
                "CREATE TABLE app.t{i} (id int, v {of}); INSERT INTO app.t{i} VALUES ({}, {value}), (9, NULL);",
                if first { 1 } else { 2 }
            ));
        }
        sql
    };
    let mut sites = Sites::new("conflicts", &[("ai", &script(true)), ("cd", &script(false))])?;
    run(&mut sites.client, "SET TimeZone = 'UTC'")?;
    let report = sites.merge()?;
    for (i, (a, _, b, _, merged, read)) in CONFLICTS.iter().enumerate() {
        let client = &mut sites.client;
        expect(
            client,
            &format!(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
                 WHERE attrelid = 'main.t{i}'::regclass AND attname = 'v'"
            ),
            merged,
        )?;
        expect(
            client,
            &format!("SELECT string_agg(v::text, ',' ORDER BY id) FROM main.t{i}"),
            read,
        )?;
        let line = report.lines().find(|l| l.starts_with(&format!("t{i}|~|v|type conflict|")));
        ensure!(
            line.is_some_and(|l| l.contains("(ai)") && l.contains("(cd)") && l.contains(merged)),
            "{a} and {b}: {line:?}\n{report}"
        );
        // A condition means the same for both.
        let (x, y) = read.split_once(',').map_or(("", ""), |(x, y)| (x, y));
        if !read.contains('{') {
            for (value, id) in [(x, "1"), (y, "2")] {
                let sql = format!("SELECT id FROM main.t{i} WHERE v = '{value}'");
                expect(client, &sql, id)?;
            }
            expect(
                client,
                &format!("SELECT count(*) FROM main.t{i} WHERE v IN ('{x}', '{y}')"),
                "2",
            )?;
            expect(client, &format!("SELECT count(*) FROM main.t{i} WHERE v IS NULL"), "2")?;
        }
    }
    reports(&sites.merge()?, &[])
}

/// The TimeZone decides what a timestamp without one is, here as at the source.
#[test]
fn a_timestamp_without_a_zone_among_others_with_one() -> Result<()> {
    let mut sites = Sites::new(
        "zones",
        &[
            (
                "ai",
                "CREATE TABLE app.t (id int, v timestamp); INSERT INTO app.t VALUES (1, '2024-01-01 12:00')",
            ),
            (
                "cd",
                "CREATE TABLE app.t (id int, v timestamptz); INSERT INTO app.t VALUES (2, '2024-01-01 12:00+00')",
            ),
        ],
    )?;
    sites.merge()?;
    let client = &mut sites.client;
    for (zone, first, second) in
        [("UTC", "12:00:00+00", "12:00:00+00"), ("Asia/Tokyo", "12:00:00+09", "21:00:00+09")]
    {
        run(client, &format!("SET TimeZone = '{zone}'"))?;
        expect(
            client,
            "SELECT v FROM main.t ORDER BY id",
            &format!("2024-01-01 {first}\n2024-01-01 {second}"),
        )?;
        expect(
            client,
            &format!("SELECT id FROM main.t WHERE v = '2024-01-01 {first}' AND id = 1"),
            "1",
        )?;
    }
    Ok(())
}

#[test]
fn enums_become_one_with_all_labels() -> Result<()> {
    let mut sites = Sites::new(
        "enums",
        &[
            (
                "ai",
                "CREATE TYPE app.plan AS ENUM ('free', 'paid'); CREATE TABLE app.t (id int, p app.plan, q app.plan[]); \
                    INSERT INTO app.t VALUES (1, 'free', '{paid,free}')",
            ),
            (
                "cd",
                "CREATE TYPE app.plan AS ENUM ('trial', 'free', 'gold', 'paid'); CREATE TABLE app.t (id int, p app.plan, q app.plan[]); \
                    INSERT INTO app.t VALUES (2, 'gold', '{trial,NULL}')",
            ),
            (
                "ef",
                "CREATE TABLE app.t (id int, p text, q text[]); INSERT INTO app.t VALUES (3, 'free text', '{a}')",
            ),
        ],
    )?;
    let call = |list: &[(&str, &str)]| format!("SELECT * FROM {}", Sites::call(list));
    let both = call(&[("ai", "ai"), ("cd", "cd")]);
    let report = rows(&mut sites.client, &both)?;
    ensure!(report.contains("plan|ai|~|created type"), "{report}");
    ensure!(
        report.contains("plan|cd|~|added label|trial")
            && report.contains("plan|cd|~|added label|gold"),
        "{report}"
    );
    let client = &mut sites.client;
    expect(
        client,
        "SELECT pg_typeof(p), p, q FROM main.t ORDER BY id",
        "main.plan|free|{paid,free}\nmain.plan|gold|{trial,NULL}",
    )?;
    expect(client, "SELECT enum_range(NULL::main.plan)", "{trial,free,gold,paid}")?;
    expect(client, "SELECT id FROM main.t WHERE p = 'gold'", "2")?;
    expect(client, "SELECT id FROM main.t WHERE p = 'trial'", "")?;
    expect(client, "SELECT id FROM main.t WHERE p > 'free' ORDER BY id", "2")?;
    expect(client, "SELECT id FROM main.t WHERE p IN ('free', 'gold') ORDER BY p DESC", "2\n1")?;
    expect(client, "SELECT p, count(*) FROM main.t GROUP BY p ORDER BY p", "free|1\ngold|1")?;
    reports(&rows(client, &both)?, &[])?;

    // A new label at a source.
    sites.at("ai", "ALTER TYPE app.plan ADD VALUE 'silver'")?;
    sites.at("ai", "INSERT INTO app.t VALUES (4, 'silver', NULL)")?;
    let report = rows(&mut sites.client, &both)?;
    ensure!(report.contains("plan|ai|~|added label|silver"), "{report}");
    expect(&mut sites.client, "SELECT p FROM main.t WHERE id = 4", "silver")?;

    // A site that has text instead turns the column into text.
    let report = sites.merge()?;
    ensure!(report.lines().any(|l| l.starts_with("t|~|p|type conflict")), "{report}");
    let client = &mut sites.client;
    expect(
        client,
        "SELECT id, p FROM main.t ORDER BY id",
        "1|free\n2|gold\n3|free text\n4|silver",
    )?;
    expect(client, "SELECT id FROM main.t WHERE p LIKE 'free%' ORDER BY id", "1\n3")?;
    expect(
        client,
        "SELECT id, q FROM main.t WHERE id < 4 ORDER BY id",
        "1|{paid,free}\n2|{trial,NULL}\n3|{a}",
    )
}

#[test]
fn labels_that_differ_sort_as_here() -> Result<()> {
    let mut sites = Sites::new(
        "order",
        &[
            (
                "ai",
                "CREATE TYPE app.size AS ENUM ('s', 'm', 'l'); CREATE TABLE app.t (id int, v app.size); \
                    INSERT INTO app.t VALUES (1, 's'), (2, 'm'), (3, 'l')",
            ),
            (
                "cd",
                "CREATE TYPE app.size AS ENUM ('l', 'm', 's'); CREATE TABLE app.t (id int, v app.size); \
                    INSERT INTO app.t VALUES (4, 's'), (5, 'm'), (6, 'l')",
            ),
        ],
    )?;
    sites.merge()?;
    let client = &mut sites.client;
    expect(client, "SELECT string_agg(v::text, ',' ORDER BY v) FROM main.t", "s,s,m,m,l,l")?;
    expect(client, "SELECT id FROM main.t ORDER BY v, id LIMIT 4", "1\n4\n2\n5")?;
    expect(client, "SELECT id FROM main.t WHERE v > 'm' ORDER BY id", "3\n6")?;
    expect(
        client,
        "SELECT site, max(v), min(v) FROM main.t GROUP BY site ORDER BY 1",
        "ai|l|s\ncd|l|s",
    )
}
