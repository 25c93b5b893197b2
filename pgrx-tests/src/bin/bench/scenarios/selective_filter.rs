//! Few rows of many, found by a sequential scan at the source, which may use parallel workers there.

use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::Client;

use super::{Run, Scenario};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Target};
use crate::table::{DATABASE, OUR_TABLE, SOURCE_TABLE, Table};
use crate::{plan, theirs};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "d",
    title: "a filter that keeps few rows and needs a sequential scan at the source",
    run: Run::Table(run),
};

/// `name` is an md5 in hexadecimal: this holds for about one row in 4000.
fn query(table: &str) -> String {
    format!("SELECT * FROM {table} WHERE name ~ 'dead.*f'")
}

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    let (mut ours, mut others) = (ground.connect()?, ground.connect()?);
    let expected = sorted_rows(&mut ground.source.standby.connect(DATABASE)?, SOURCE_TABLE)?;
    plan::ensure_remote_filter(&mut ours, &query(OUR_TABLE))?;
    ensure!(sorted_rows(&mut ours, OUR_TABLE)? == expected, "our rows are wrong");
    let best = theirs::best(|setup| filter(&mut others, &ground.their_table(setup)))?;
    let their_table = ground.their_table(best);
    plan::ensure_remote_filter(&mut others, &query(&their_table))?;
    ensure!(sorted_rows(&mut others, &their_table)? == expected, "their rows are wrong");
    let times = interleave(
        rounds,
        vec![
            Contender::new("replica_fdw", || filter(&mut ours, OUR_TABLE)),
            Contender::new(best.name(), || filter(&mut others, &their_table)),
        ],
    )?;
    let note = format!("{} rows found", expected.len());
    Ok(Finding::of_times(times, Target::Faster(1.5)).note(note))
}

fn filter(client: &mut Client, table: &str) -> Result<Duration> {
    time(|| plan::rows(client, &query(table)))
}

/// Parallel workers give their rows in any order.
fn sorted_rows(client: &mut Client, table: &str) -> Result<Vec<String>> {
    let mut rows = plan::rows(client, &query(table))?;
    rows.sort_unstable();
    Ok(rows)
}
