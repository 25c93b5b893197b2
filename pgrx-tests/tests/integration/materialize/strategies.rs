//! How changes are found and applied.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use warehouse_tests::timing::eventually;

use super::Ground;
use crate::ask::{expect, refused, rows, run};

const CHANGES: &str = "UPDATE people SET plan = 'gold', changed = clock_timestamp() WHERE id <= 10; \
    INSERT INTO people (id, name, plan) VALUES (1001, 'new', 'free'), (-5, NULL, 'free')";
const GONE: &str = "DELETE FROM people WHERE id IN (20, 500, 999)";

#[test]
fn xmin_moves_what_was_written_and_nothing_else() -> Result<()> {
    let mut ground = Ground::new("byxmin")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    ensure!(ground.refresh("'mart.people'")? == "succeeded|merge|xmin|0|0|0|0");
    ground.at_source(CHANGES)?;
    ensure!(ground.refresh("'mart.people'")? == "succeeded|merge|xmin|12|2|10|0");
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    // Deletes are found by comparison.
    ground.at_source(GONE)?;
    ensure!(ground.refresh("'mart.people'")? == "succeeded|merge|xmin|0|0|0|0");
    let found = ground.refresh("'mart.people', reconcile => true")?;
    ensure!(found.starts_with("succeeded|merge|diff|") && found.ends_with("|0|0|3"), "{found}");
    ground.agrees("mart.people", "SELECT * FROM app.people")
}

/// A row that was written before the last refresh and committed after it has an old stamp and an old
/// number; it is not lost.
#[test]
fn xmin_finds_late_commits() -> Result<()> {
    let mut ground = Ground::new("late")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    let mut late = ground.pair.source()?;
    run(&mut late, "BEGIN; INSERT INTO people (id, name, plan) VALUES (2000, 'late', 'free')")?;
    ground.at_source("INSERT INTO people (id, name, plan) VALUES (2001, 'early', 'free')")?;
    ensure!(ground.refresh("'mart.people'")?.ends_with("|1|0|0"));
    run(&mut late, "COMMIT")?;
    ground.refresh("'mart.people'")?;
    ground.agrees("mart.people", "SELECT * FROM app.people")
}

#[test]
fn cursor_reads_what_is_new_and_looks_back() -> Result<()> {
    let mut ground = Ground::new("bycursor")?;
    ground.people("unique_key => '{id}', cursor_column => 'changed', lookback => '1 hour'")?;
    let mut late = ground.pair.source()?;
    run(&mut late, "BEGIN; INSERT INTO people (id, name, plan) VALUES (2000, 'late', 'free')")?;
    ground.at_source(CHANGES)?;
    let found = ground.refresh("'mart.people'")?;
    ensure!(found.starts_with("succeeded|merge|cursor|") && found.ends_with("|2|10|0"), "{found}");
    run(&mut late, "COMMIT")?;
    ground.refresh("'mart.people'")?;
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    // What is read again and is as it was is neither written nor locked.
    let found = ground.refresh("'mart.people'")?;
    ensure!(!found.contains("|cursor|0|") && found.ends_with("|0|0|0"), "{found}");
    expect(&mut ground.client, "SELECT count(*) FROM mart.people WHERE xmax::text <> '0'", "0")
}

#[test]
fn a_growing_number_is_a_cursor_too() -> Result<()> {
    let mut ground = Ground::new("bynumber")?;
    ground.people("cursor_column => 'id', strategy => 'append'")?;
    ground.at_source("INSERT INTO people (id, name, plan) VALUES (1001, 'new', 'free')")?;
    ensure!(ground.refresh("'mart.people'")? == "succeeded|append|cursor|1|1|0|0");
    ensure!(ground.refresh("'mart.people'")? == "succeeded|append|cursor|0|0|0|0");
    ground.agrees("mart.people", "SELECT * FROM app.people")
}

#[test]
fn diff_finds_everything_and_moves_little() -> Result<()> {
    let mut ground = Ground::new("bydiff")?;
    ground.at_source(
        "INSERT INTO people SELECT i, 'more', 'free', i FROM generate_series(10001, 40000) i",
    )?;
    ground.people("unique_key => '{id}', capture => 'diff'")?;
    ensure!(ground.refresh("'mart.people'")? == "succeeded|merge|diff|0|0|0|0");
    ground.at_source(CHANGES)?;
    ground.at_source(GONE)?;
    let found = ground.refresh("'mart.people'")?;
    ensure!(found.ends_with("|2|10|3"), "{found}");
    let fetched: u64 = found.split('|').nth(3).unwrap_or_default().parse()?;
    ensure!(fetched < 1000, "{fetched} of 31000 rows were fetched for 15 changes");
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    // Keys that have changed, and none left.
    ground.at_source("UPDATE people SET id = id + 100000 WHERE id > 30000")?;
    ground.refresh("'mart.people'")?;
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    ground.at_source("TRUNCATE people")?;
    ground.refresh("'mart.people'")?;
    expect(&mut ground.client, "SELECT count(*) FROM mart.people", "0")
}

/// Types whose text depends on settings, and NULLs, are compared alike on both sides.
#[test]
fn diff_compares_values_of_every_type() -> Result<()> {
    let mut ground = Ground::new("difftypes")?;
    ground.at_source(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); \
         CREATE TABLE every (id uuid PRIMARY KEY, f float8, r real, n numeric, t timestamptz, l timestamp, d date, \
           b bytea, j jsonb, e mood, a int[], o boolean, i interval, s text); \
         INSERT INTO every SELECT gen_random_uuid(), i / 7.0::float8, i / 3.0::real, i * 1.10, now() + i * '1 hour'::interval, \
           'epoch'::timestamp + i * '1 day'::interval, '2024-01-01'::date + i, decode(md5(i::text), 'hex'), \
           jsonb_build_object('k', i), CASE WHEN i % 2 = 0 THEN 'sad' ELSE 'glad' END::mood, ARRAY[i, NULL], i % 3 = 0, \
           i * '1 minute'::interval, NULLIF('text ' || i, 'text 7') FROM generate_series(1, 300) i; \
         INSERT INTO every (id) VALUES (gen_random_uuid())",
    )?;
    run(
        &mut ground.client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (every) FROM SERVER src INTO app",
    )?;
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.every', 'SELECT * FROM app.every', unique_key => '{id}', capture => 'diff')",
    )?;
    ensure!(ground.refresh("'mart.every'")? == "succeeded|merge|diff|0|0|0|0");
    for change in [
        "f = f + 1e-9",
        "r = NULL",
        "n = n + 0",
        "t = t + '1 microsecond'",
        "l = 'infinity'",
        "d = d + 1",
        "b = '\\x00'",
        "j = '[]'",
        "e = NULL",
        "a = '{}'",
        "o = NOT o",
        "i = i * 2",
        "s = COALESCE(s, '') || ' '",
    ] {
        let one = "(SELECT id FROM every WHERE f IS NOT NULL ORDER BY id LIMIT 1)";
        ground.at_source(&format!("UPDATE every SET {change} WHERE id = {one}"))?;
        ground.refresh("'mart.every'")?;
        ground.agrees("mart.every", "SELECT * FROM app.every")?;
    }
    Ok(())
}

#[test]
fn delete_and_insert_replaces_what_belongs_to_a_key() -> Result<()> {
    let mut ground = Ground::new("delins")?;
    ground.people(
        "unique_key => '{id}', strategy => 'delete+insert', cursor_column => 'changed', lookback => '1 hour'",
    )?;
    ground.at_source(CHANGES)?;
    let found = ground.refresh("'mart.people'")?;
    ensure!(found.starts_with("succeeded|delete+insert|cursor|"), "{found}");
    ground.agrees("mart.people", "SELECT * FROM app.people")
}

#[test]
fn a_source_that_is_another_cluster_is_read_anew() -> Result<()> {
    let mut ground = Ground::new("othercluster")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    run(
        &mut ground.client,
        "UPDATE warehouse.materialization_source SET system = 'another', snapshot_xmin = '1'",
    )?;
    let found = ground.refresh("'mart.people'")?;
    ensure!(found == "succeeded|merge|xmin|1000|0|0|0", "{found}");
    // An older moment than the table has, as of a standby that has not caught up, is refused.
    run(
        &mut ground.client,
        "UPDATE warehouse.materialization_source SET snapshot_xmin = '99999999999', snapshot_xmax = '99999999999'",
    )?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
        .says("40001", &["older moment"])?
        .hints(&["catch up"])?;
    ensure!(ground.refresh("'mart.people', full_refresh => true")?.starts_with("succeeded|full"));
    ensure!(ground.refresh("'mart.people'")? == "succeeded|merge|xmin|0|0|0|0");
    Ok(())
}

#[test]
fn a_key_that_is_not_unique_is_told_without_its_values() -> Result<()> {
    let mut ground = Ground::new("notunique")?;
    let told = refused(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.p', 'SELECT plan, name FROM app.people', unique_key => '{plan}')",
    )?;
    told.says("23505", &["\"mart.p\"", "several rows of one unique_key (plan)"])?;
    told.hides("paid")?;
    ground.people("unique_key => '{name}', cursor_column => 'changed'")?;
    ground.at_source(
        "UPDATE people SET name = 'SECRETname', changed = clock_timestamp() WHERE id IN (1, 2)",
    )?;
    let told = refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?;
    told.says("23505", &["several rows of one unique_key (name)"])?.hides("SECRETname")?;
    ground.at_source(
        "UPDATE people SET name = NULL, changed = clock_timestamp() WHERE id IN (1, 2)",
    )?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
        .says("23502", &["\"name\""])?
        .hints(&["unique_key must not be NULL"])?;
    expect(&mut ground.client, "SELECT count(*) FROM mart.people", "1000")
}

/// Somebody who writes a row with the same key while it is merged is told of, and the next refresh puts it
/// right.
#[test]
fn a_row_that_another_session_writes_meanwhile() -> Result<()> {
    let mut ground = Ground::new("meanwhile")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    ground.at_source("INSERT INTO people (id, name, plan) VALUES (1001, 'new', 'free')")?;
    let (mut other, mut watch) = (ground.pair.warehouse()?, ground.pair.warehouse()?);
    run(
        &mut other,
        "BEGIN; INSERT INTO mart.people (id, name, plan) VALUES (1001, 'SECRETname', 'paid')",
    )?;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let client = &mut ground.client;
    let told = thread::scope(|scope| -> Result<_> {
        let refresh =
            scope.spawn(|| refused(client, "SELECT * FROM warehouse.refresh('mart.people')"));
        eventually(Duration::from_secs(20), "the merge waits", || {
            Ok(rows(&mut watch, waiting)? == "1")
        })?;
        run(&mut other, "COMMIT")?;
        refresh.join().map_err(|_| anyhow!("a panic"))?
    })?;
    told.says("23505", &["unique_key (id)"])?.hints(&["another session", "refresh again"])?;
    told.hides("SECRETname")?;
    ensure!(ground.refresh("'mart.people'")?.ends_with("|0|1|0"));
    ground.agrees("mart.people", "SELECT * FROM app.people")
}

/// A snapshot that was taken before another session refreshed the table cannot put rows back.
#[test]
fn an_older_snapshot_puts_nothing_back() -> Result<()> {
    for arguments in [
        "unique_key => '{id}', capture => 'xmin'",
        "unique_key => '{id}', capture => 'diff'",
        "unique_key => '{id}', cursor_column => 'changed', lookback => '1 hour'",
    ] {
        let mut ground = Ground::new("older")?;
        ground.people(arguments)?;
        let mut early = ground.pair.warehouse()?;
        run(&mut early, "BEGIN; SELECT count(*) FROM app.people")?;
        ground.at_source(
            "UPDATE people SET plan = 'gold', changed = clock_timestamp() WHERE id <= 10",
        )?;
        ground.refresh("'mart.people'")?;
        refused(&mut early, "SELECT * FROM warehouse.refresh('mart.people')")?
            .says("40001", &["older moment"])?;
        run(&mut early, "ROLLBACK")?;
        expect(&mut early, "SELECT count(*) FROM mart.people WHERE plan = 'gold'", "10")?;
    }
    Ok(())
}

/// A table that was emptied begins anew: what comes then may be older than what was there.
#[test]
fn an_emptied_table_begins_anew() -> Result<()> {
    let mut ground = Ground::new("emptied")?;
    ground.people("unique_key => '{id}', cursor_column => 'changed', reconcile => '1 day'")?;
    ground.at_source("TRUNCATE people")?;
    ground.refresh("'mart.people', reconcile => true")?;
    ground.at_source("INSERT INTO people VALUES (1, 'old', 'free', 1, '2001-01-01')")?;
    ground.refresh("'mart.people'")?;
    ground.agrees("mart.people", "SELECT * FROM app.people")
}
