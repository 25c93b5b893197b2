//! A full refresh of a materialized table, next to `CREATE TABLE AS` over postgres_fdw and to binary COPY
//! from one psql into another; then what a refresh takes and moves after a hundredth of the rows changed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::table_copy::{COPY, checksum, create, drop_copy, pipe};
use super::{Run, Scenario};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Target};
use crate::table::{OUR_TABLE, SOURCE_TABLE, Table};
use crate::theirs;

/// The scenario.
pub const SCENARIO: Scenario =
    Scenario { key: "refresh", title: "materialized, refreshed", run: Run::Table(run) };

const FULL: &str = "mart.events";

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    let mut client = ground.connect()?;
    client.batch_execute(&format!(
        "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS mart; \
         SELECT warehouse.materialize('{FULL}', 'SELECT * FROM {OUR_TABLE}')"
    ))?;
    let mut source = ground.source.primary.connect(crate::table::DATABASE)?;
    let expected = checksum(&mut source, SOURCE_TABLE)?;
    ensure!(checksum(&mut client, FULL)? == expected, "the materialized table differs");
    let mut others = ground.connect()?;
    let best = theirs::best(|setup| create(&mut others, &ground.their_table(setup)))?;
    ensure!(checksum(&mut others, COPY)? == expected, "postgres_fdw: the copy differs");
    let their_table = ground.their_table(best);
    let mut preparing = ground.connect()?;
    let times = interleave(
        rounds,
        vec![
            Contender::new("full refresh", || full(&mut client)),
            Contender::new(best.name(), || create(&mut others, &their_table)),
            Contender::new("COPY | COPY, the limit", || pipe(ground, &mut preparing)),
        ],
    )?;
    drop_copy(&mut preparing)?;
    let limit = times[0].median() / times[2].median();
    let mut finding = Finding::of_times(times, Target::Faster(2.0))
        .note(format!("{limit:.2} times as long as COPY | COPY (target 1.3)"));
    for note in incremental(ground, &mut client, &mut source)? {
        finding = finding.note(note);
    }
    Ok(finding)
}

fn full(client: &mut Client) -> Result<Duration> {
    client.batch_execute("CHECKPOINT")?;
    time(|| {
        client.batch_execute(&format!(
            "SELECT FROM warehouse.refresh('{FULL}', full_refresh => true)"
        ))?;
        Ok(())
    })
}

/// Seconds and bytes of a refresh.
fn refresh(client: &mut Client, table: &str, full: bool) -> Result<(f64, i64, i64)> {
    let row = client.query_one(
        &format!(
            "SELECT seconds, bytes, updated FROM warehouse.refresh('{table}', full_refresh => {full})"
        ),
        &[],
    )?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

fn incremental(ground: &Table, client: &mut Client, source: &mut Client) -> Result<Vec<String>> {
    let ways = [
        ("cursor", "cursor_column => 'created_at'"),
        ("xmin", "capture => 'xmin'"),
        ("diff", "capture => 'diff'"),
    ];
    // What a cursor takes for granted at the source.
    source.batch_execute(&format!("CREATE INDEX ON {SOURCE_TABLE} (created_at)"))?;
    for (name, arguments) in ways {
        client.batch_execute(&format!(
            "SELECT warehouse.materialize('mart.{name}', 'SELECT * FROM {OUR_TABLE}', unique_key => '{{id}}', {arguments})"
        ))?;
    }
    let (all, bytes, _) = refresh(client, "mart.cursor", true)?;
    // The latest hundredth, as of rows that people are working on.
    let first = ground.rows - ground.rows / 100;
    source.batch_execute(&format!(
        "UPDATE {SOURCE_TABLE} SET created_at = '2100-01-01'::timestamptz + id * interval '1 second' WHERE id > {first}"
    ))?;
    ground.source.standby.wait_for_replay()?;
    let expected = checksum(source, SOURCE_TABLE)?;
    let mut notes = Vec::new();
    for (name, _) in ways {
        let table = format!("mart.{name}");
        let (seconds, moved, updated) = refresh(client, &table, false)?;
        ensure!(updated as u64 == ground.rows / 100, "{name} updated {updated} rows");
        ensure!(checksum(client, &table)? == expected, "{name}: the table differs");
        notes.push(format!(
            "1 % changed, {name}: {:.1} % of the time of a full refresh ({seconds:.2} of {all:.2} s), {:.2} % of its bytes",
            100.0 * seconds / all,
            100.0 * moved as f64 / bytes as f64
        ));
        client.batch_execute(&format!("SELECT warehouse.drop_materialization('{table}')"))?;
    }
    client
        .batch_execute(&format!("SELECT warehouse.drop_materialization('{FULL}')"))
        .context("dropping")?;
    Ok(notes)
}
