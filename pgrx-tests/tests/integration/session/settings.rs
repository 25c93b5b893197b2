//! What a client sets for itself does not change what is true.

use anyhow::{Context, Result, ensure};

use crate::ask::{expect, rows, run};
use crate::support::Pair;

const SETUP: &str = "CREATE TABLE v AS SELECT g AS id, timestamptz '2024-03-31 00:30+00' + g * interval '1 hour' AS tstz, \
      timestamp '2024-03-31 00:30' + g * interval '1 hour' AS ts, date '0044-03-15 BC' + g AS d, \
      g * interval '1 month 3 days 4 hours 5.678 seconds' - interval '2 years' AS iv, decode(md5(g::text), 'hex') AS by, \
      0.1::float8 + g / 3.0::float8 AS f8, (g / 3.0)::float4 AS f4, (g * 1.10)::numeric(10,2) AS n, \
      xmlelement(name a, g) AS x, timetz '10:00+03' + g * interval '1 min' AS tz, (g * 3.5)::numeric::money AS mo, \
      ARRAY[timestamptz '2024-01-01 00:00+00' + g * interval '1 day'] AS ta \
    FROM generate_series(1, 48) g; \
    CREATE TYPE pair AS (at timestamptz, f float8); \
    CREATE TABLE w AS SELECT id, ROW(tstz, f8)::pair AS p FROM v";

/// Values that a client may have set, the last ones hostile.
const SETTINGS: [(&str, &[&str]); 9] = [
    ("TimeZone", &["UTC", "America/New_York", "Asia/Kathmandu", "<+03>-3", "-07:30"]),
    ("DateStyle", &["ISO, MDY", "German, DMY", "SQL, DMY", "Postgres, YMD"]),
    ("IntervalStyle", &["postgres", "iso_8601", "sql_standard", "postgres_verbose"]),
    ("bytea_output", &["hex", "escape"]),
    ("extra_float_digits", &["-15", "0", "3"]),
    ("standard_conforming_strings", &["on", "off"]),
    ("search_path", &["pg_catalog", "public", "app, plain, pg_temp", "nowhere"]),
    ("lc_monetary", &["C"]),
    ("client_encoding", &["UTF8", "LATIN1"]),
];

const QUERIES: [&str; 9] = [
    "SELECT * FROM $.v ORDER BY id",
    "SELECT id FROM $.v WHERE tstz > '2024-03-31 12:00:00+00' AND by <> decode('00', 'hex') ORDER BY id",
    "SELECT id, date_trunc('day', tstz), tstz::date, extract(hour FROM tstz) FROM $.v \
       WHERE date_trunc('day', tstz) >= '2024-04-01'::timestamptz ORDER BY id",
    "SELECT id FROM $.v WHERE tstz::date = date '2024-04-01' OR ts::timestamptz < tstz ORDER BY id",
    "SELECT id FROM $.v WHERE iv > interval '1 month' AND f8 = 0.1::float8 + id / 3.0::float8 ORDER BY id",
    "SELECT id FROM $.v WHERE f4 > 3.3::float4 OR d < '0044-03-20 BC'::date ORDER BY id",
    "SELECT count(*) FROM $.v WHERE tstz::text LIKE '%31%' OR iv::text LIKE '%mon%' OR f8::text LIKE '%3'",
    "SELECT id FROM $.v WHERE tstz < now() AND iv::text = \
       (interval '2 months 6 days 8 hours 11.356 seconds' - interval '2 years' + (now() - now()))::text",
    "SELECT id, tstz AT TIME ZONE 'UTC', ts AT TIME ZONE 'Europe/Berlin', tz FROM $.v \
       WHERE tz > '10:20+03'::timetz ORDER BY id",
];

#[test]
fn settings_cannot_change_results() -> Result<()> {
    let pair = Pair::new("settings")?;
    run(&mut pair.source()?, SETUP)?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         CREATE SCHEMA plain; CREATE TABLE plain.v AS TABLE app.v",
    )?;
    for (name, values) in SETTINGS {
        for value in values {
            run(&mut client, &format!("SET {name} = {}", literal(name, value)))?;
            for query in QUERIES {
                let expected = rows(&mut client, &query.replace('$', "plain"))?;
                let found = rows(&mut client, &query.replace('$', "app"))?;
                ensure!(
                    found == expected,
                    "{name} = {value}\n{query}\nexpected:\n{expected}\nfound:\n{found}"
                );
            }
        }
        run(&mut client, &format!("RESET {name}"))?;
    }
    Ok(())
}

fn literal(name: &str, value: &str) -> String {
    match name {
        "search_path" => value.to_owned(),
        _ => format!("'{value}'"),
    }
}

/// Within a transaction the setting changes too, and goes back with a savepoint.
#[test]
fn the_time_zone_follows_within_a_transaction() -> Result<()> {
    let pair = Pair::new("zone")?;
    run(&mut pair.source()?, SETUP)?;
    let mut client = pair.warehouse()?;
    run(&mut client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")?;
    let day = "SELECT count(*) FROM app.v WHERE tstz::date = date '2024-03-31'";
    let in_zone = |client: &mut postgres::Client, zone: &str| {
        rows(
            client,
            &format!(
                "SELECT count(*) FROM generate_series(1, 48) g WHERE \
                 (timestamptz '2024-03-31 00:30+00' + g * interval '1 hour') AT TIME ZONE '{zone}' < '2024-04-01' \
                 AND (timestamptz '2024-03-31 00:30+00' + g * interval '1 hour') AT TIME ZONE '{zone}' >= '2024-03-31'"
            ),
        )
    };
    let (utc, tokyo, honolulu) = (
        in_zone(&mut client, "UTC")?,
        in_zone(&mut client, "Asia/Tokyo")?,
        in_zone(&mut client, "Pacific/Honolulu")?,
    );
    ensure!(utc != tokyo && tokyo != honolulu);
    run(&mut client, "SET TimeZone = 'UTC'; BEGIN")?;
    expect(&mut client, day, &utc)?;
    run(&mut client, "SAVEPOINT s; SET LOCAL TimeZone = 'Asia/Tokyo'")?;
    expect(&mut client, day, &tokyo)?;
    let failed = client.batch_execute("SELECT 1 / (id - 5) FROM app.v");
    ensure!(failed.is_err());
    run(&mut client, "ROLLBACK TO s")?;
    expect(&mut client, day, &utc)?;
    run(&mut client, "SET LOCAL TimeZone = 'Pacific/Honolulu'")?;
    expect(&mut client, day, &honolulu)?;
    run(&mut client, "COMMIT")?;
    expect(&mut client, day, &utc)?;
    run(
        &mut client,
        "PREPARE p AS SELECT count(*) FROM app.v WHERE tstz::date = date '2024-03-31'",
    )?;
    for _ in 0..7 {
        for (zone, expected) in [("UTC", &utc), ("Asia/Tokyo", &tokyo)] {
            run(&mut client, &format!("SET TimeZone = '{zone}'"))?;
            expect(&mut client, "EXECUTE p", expected)?;
        }
    }
    run(&mut client, "SELECT set_config('TimeZone', 'Pacific/Honolulu', false)")?;
    expect(&mut client, day, &honolulu).context("set_config()")
}

/// The source's own settings for the role or the database do not get in the way either.
#[test]
fn settings_of_the_source_cannot_change_results() -> Result<()> {
    let pair = Pair::new("theirs")?;
    run(&mut pair.source()?, SETUP)?;
    let database = &pair.source_database;
    for (name, value) in [
        ("TimeZone", "Asia/Tokyo"),
        ("DateStyle", "German, DMY"),
        ("IntervalStyle", "sql_standard"),
        ("bytea_output", "escape"),
        ("extra_float_digits", "-15"),
        ("standard_conforming_strings", "off"),
        ("backslash_quote", "off"),
        ("search_path", "nowhere"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_read_only", "on"),
        ("client_encoding", "LATIN1"),
        ("xmlbinary", "hex"),
        ("row_security", "off"),
        ("idle_in_transaction_session_timeout", "10min"),
    ] {
        pair.source()?
            .batch_execute(&format!("SET transaction_read_only = off; ALTER DATABASE \"{database}\" SET {name} = '{value}'"))
            .with_context(|| name.to_owned())?;
    }
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         CREATE SCHEMA plain; CREATE TABLE plain.v AS TABLE app.v",
    )?;
    for query in QUERIES {
        let expected = rows(&mut client, &query.replace('$', "plain"))?;
        let found = rows(&mut client, &query.replace('$', "app"))?;
        ensure!(found == expected, "{query}\nexpected:\n{expected}\nfound:\n{found}");
    }
    // What plain.v holds came through the same wire, so the source has a say as well.
    let sum =
        "SELECT sum(extract(epoch FROM tstz)), sum(length(by)), sum(n), min(d), max(f8) FROM $";
    let there = rows(
        &mut pair.source()?,
        &format!(
            "SET search_path = public; SET DateStyle = ISO; SET extra_float_digits = 1; {}",
            sum.replace('$', "v")
        ),
    )?;
    expect(&mut client, &sum.replace('$', "app.v"), &there)
}
