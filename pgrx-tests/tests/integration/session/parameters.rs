//! Prepared statements: their values still reach the source when the plan has become a generic one.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use postgres::Client;

use crate::ask::{expect, rows, run};
use crate::support::Pair;

const SETUP: &str = "CREATE TYPE mood AS ENUM ('sad', 'so \"so\"', 'hap,py'); \
    CREATE TABLE v (id int, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, b bool, t text, \
      vc varchar(20), bp char(5), by bytea, d date, ti time, tz timetz, ts timestamp, tstz timestamptz, \
      iv interval, u uuid, j json, jb jsonb, m mood, ia int[], ta text[], ip inet, r int4range, x bit(3)); \
    INSERT INTO v SELECT g, g, g * 10000000000, g / 7.0, g / 3.0, g * 1.10, g % 2 = 0, 'it''s \\ ' || g, \
      'v' || g, 'b' || g, decode(lpad(to_hex(g), 4, '0'), 'hex'), date '2024-01-01' + g, \
      time '00:00:01.5' + g * interval '1 min', timetz '00:00:01+02' + g * interval '1 min', \
      timestamp '2024-01-01 12:00' + g * interval '1 day', \
      timestamptz '2024-01-01 12:00+00' + g * interval '1 day', g * interval '1 day 2 hours', \
      md5(g::text)::uuid, json_build_object('a', g), jsonb_build_object('a', g, 'b', 'x''y'), \
      (enum_range(NULL::mood))[1 + g % 3], ARRAY[g, NULL, g + 1], ARRAY['a,' || g, NULL, '\"', ''], \
      ('10.0.0.' || g)::inet, int4range(g, g + 5), (g % 8)::bit(3) FROM generate_series(1, 100) g";

/// Every column that can be compared with a value, by its type.
const COLUMNS: [(&str, &str); 22] = [
    ("i2", "int2"),
    ("i8", "int8"),
    ("f4", "float4"),
    ("f8", "float8"),
    ("n", "numeric"),
    ("b", "bool"),
    ("t", "text"),
    ("vc", "varchar"),
    ("bp", "char(5)"),
    ("by", "bytea"),
    ("d", "date"),
    ("ti", "time"),
    ("tz", "timetz"),
    ("ts", "timestamp"),
    ("tstz", "timestamptz"),
    ("iv", "interval"),
    ("u", "uuid"),
    ("jb", "jsonb"),
    ("ia", "int[]"),
    ("ta", "text[]"),
    ("ip", "inet"),
    ("r", "int4range"),
];

fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(&mut pair.source()?, SETUP)?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         CREATE SCHEMA plain; CREATE TABLE plain.v AS TABLE app.v",
    )?;
    Ok((pair, client))
}

#[test]
fn values_of_every_type_reach_the_source_in_custom_and_generic_plans() -> Result<()> {
    let (_pair, mut client) = start("paramtypes")?;
    let mut not_sent = Vec::new();
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        run(&mut client, &format!("SET plan_cache_mode = {mode}"))?;
        for (column, of) in COLUMNS.iter().chain(&[("m", "app.mood"), ("x", "bit(3)")]) {
            run(
                &mut client,
                &format!(
                    "PREPARE p({of}) AS SELECT count(*), min(id) FROM app.v WHERE {column} = $1"
                ),
            )?;
            let rounds = if mode == "auto" { 12 } else { 2 };
            for id in 1..=rounds {
                let value = rows(
                    &mut client,
                    &format!("SELECT quote_literal({column}::text) FROM plain.v WHERE id = {id}"),
                )?;
                let expected = rows(
                    &mut client,
                    &format!(
                        "SELECT count(*), min(id) FROM plain.v WHERE {column} = {value}::{of}"
                    ),
                )?;
                expect(&mut client, &format!("EXECUTE p({value})"), &expected)
                    .with_context(|| format!("{column}, {mode}, execution {id}"))?;
            }
            expect(&mut client, "EXECUTE p(NULL)", "0|~")?;
            let plan = rows(&mut client, "EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p(NULL)")?;
            if mode == "force_generic_plan" && plan.contains("Filter:") {
                not_sent.push(*column);
            }
            run(&mut client, "DEALLOCATE p")?;
        }
    }
    ensure!(not_sent.is_empty(), "compared here instead of at the source: {not_sent:?}");
    Ok(())
}

#[test]
fn bound_values_of_a_driver() -> Result<()> {
    let (_pair, mut client) = start("bind")?;
    let noon = UNIX_EPOCH + Duration::from_secs(1_704_196_800);
    let list = client.prepare(
        "SELECT id FROM app.v WHERE i2 = $1 AND i8 = $2 AND f8 = $3 AND t = $4 AND by = $5 \
         AND b = $6 AND tstz = $7 AND id = ANY ($8) AND ta @> $9",
    )?;
    for i in 1..=12i16 {
        let id = i32::from(i);
        let (i8, f8, t, by) = (
            i64::from(i) * 10_000_000_000,
            f64::from(i) / 3.0,
            format!("it's \\ {i}"),
            vec![0u8, u8::try_from(i)?],
        );
        let at = noon + Duration::from_secs(86_400 * u64::try_from(i - 1)?);
        let parameters: [&(dyn postgres::types::ToSql + Sync); 9] =
            [&i, &i8, &f8, &t, &by, &(i % 2 == 0), &at, &vec![id, -1], &vec!["\"", ""]];
        // float8 division of a numeric literal at the source: the value is the nearest one.
        let found = client.query(&list, &parameters)?;
        ensure!(found.len() == 1 && found[0].get::<_, i32>(0) == id, "{i}: {} rows", found.len());
    }
    let none: Option<i32> = None;
    let null = client.query("SELECT id FROM app.v WHERE id = $1", &[&none])?;
    ensure!(null.is_empty());
    // Values that would end a literal that is not quoted well.
    for hostile in ["'", "\\", "\\'", "''; DROP TABLE v; --", "$1", "\u{1F600}", "E'\\n'", ""] {
        let row = client.query_one(
            "SELECT count(*), count(*) FILTER (WHERE t = $1) FROM app.v WHERE t = $1 OR id = 1",
            &[&hostile],
        )?;
        ensure!(row.get::<_, i64>(0) == 1 && row.get::<_, i64>(1) == 0, "{hostile}");
    }
    Ok(())
}

#[test]
fn limits_windows_and_lists_as_parameters() -> Result<()> {
    let (_pair, mut client) = start("limits")?;
    run(
        &mut client,
        "PREPARE l(int, int) AS SELECT id FROM app.v ORDER BY id LIMIT $1 OFFSET $2; \
         PREPARE w(timestamptz, interval) AS SELECT count(*) FROM app.v WHERE tstz >= $1 - $2; \
         PREPARE a(int[]) AS SELECT count(*) FROM app.v WHERE id = ANY ($1) AND id <> ALL ('{3}'); \
         PREPARE k(text) AS SELECT count(*) FROM app.v WHERE t LIKE $1",
    )?;
    for i in 0..12 {
        expect(&mut client, &format!("EXECUTE l(2, {i})"), &format!("{}\n{}", i + 1, i + 2))?;
        expect(&mut client, &format!("EXECUTE a('{{1,2,3,{},NULL}}')", 50 + i), "3")?;
        expect(
            &mut client,
            &format!(
                "EXECUTE w('2024-01-01 12:00+00'::timestamptz + {i} * interval '1 day', '1 day')"
            ),
            &(if i < 2 { 100 } else { 102 - i }).to_string(),
        )?;
        expect(&mut client, "EXECUTE k('it''s _ 1%')", "12")?;
    }
    expect(&mut client, "EXECUTE l(NULL, 98)", "99\n100")?;
    expect(&mut client, "EXECUTE l(0, 0)", "")
}

/// A cached plan must notice that what it was made for is another thing now.
#[test]
fn cached_plans_follow_changes() -> Result<()> {
    let (pair, mut client) = start("cached")?;
    run(&mut client, "PREPARE p(int) AS SELECT t FROM app.v WHERE id = $1")?;
    for _ in 0..8 {
        expect(&mut client, "EXECUTE p(1)", "it's \\ 1")?;
    }
    run(
        &mut pair.source()?,
        "ALTER TABLE v RENAME TO w; CREATE TABLE x AS SELECT 1 AS id, 'other' AS t",
    )?;
    run(&mut client, "ALTER FOREIGN TABLE app.v OPTIONS (SET table_name 'x')")?;
    expect(&mut client, "EXECUTE p(1)", "other")?;
    run(
        &mut client,
        "ALTER FOREIGN TABLE app.v OPTIONS (SET table_name 'w'); \
         ALTER FOREIGN TABLE app.v ALTER COLUMN t OPTIONS (SET column_name 'vc', ADD remote_type 'varchar(20)')",
    )?;
    expect(&mut client, "EXECUTE p(1)", "v1")
}

#[test]
fn parameters_of_functions() -> Result<()> {
    let (_pair, mut client) = start("funcparams")?;
    run(
        &mut client,
        "CREATE FUNCTION at(want int, low timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN \
           RETURN QUERY SELECT t FROM app.v WHERE id = want AND tstz > low; \
           RETURN QUERY EXECUTE 'SELECT t FROM app.v WHERE id = $1 + 1' USING want; END $$; \
         CREATE FUNCTION one(want int) RETURNS text LANGUAGE sql STABLE AS 'SELECT t FROM app.v WHERE id = $1'",
    )?;
    for i in 1..=12 {
        expect(
            &mut client,
            &format!("SELECT * FROM at({i}, '2020-01-01')"),
            &format!("it's \\ {i}\nit's \\ {}", i + 1),
        )?;
        expect(&mut client, &format!("SELECT one({i})"), &format!("it's \\ {i}"))?;
    }
    expect(
        &mut client,
        "SELECT string_agg(one(g), ',' ORDER BY g) FROM generate_series(1, 2) g",
        "it's \\ 1,it's \\ 2",
    )
}
