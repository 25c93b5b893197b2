//! Dates and times, whatever the session's settings.

use anyhow::{Context, Result, ensure};

use super::{agree, queries, scene};
use crate::ask::{rows, run};

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
