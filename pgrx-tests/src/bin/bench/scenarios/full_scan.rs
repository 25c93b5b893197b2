//! All rows and columns travel here and are aggregated here.

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
    key: "a",
    title: "full scan into an aggregate that cannot be pushed",
    run: Run::Table(run),
};

/// Touches every column. `OFFSET 0` keeps the planner from looking through, so that the aggregate
/// stays above it whatever a wrapper can push.
pub fn query(table: &str) -> String {
    format!(
        "SELECT count(*), sum(id), min(name), max(created_at), sum(amount), sum(quantity), \
           count(*) FILTER (WHERE active), count(details) \
         FROM (SELECT * FROM {table} OFFSET 0) all_rows"
    )
}

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    let (mut ours, mut others) = (ground.connect()?, ground.connect()?);
    let expected = plan::rows(&mut ground.source.standby.connect(DATABASE)?, &query(SOURCE_TABLE))?;
    plan::ensure_local_aggregate(&mut ours, &query(OUR_TABLE))?;
    ensure!(plan::rows(&mut ours, &query(OUR_TABLE))? == expected, "our result is wrong");
    let best = theirs::best(|setup| scan(&mut others, &ground.their_table(setup)))?;
    let their_table = ground.their_table(best);
    plan::ensure_local_aggregate(&mut others, &query(&their_table))?;
    ensure!(plan::rows(&mut others, &query(&their_table))? == expected, "their result is wrong");
    let times = interleave(
        rounds,
        vec![
            Contender::new("replica_fdw", || scan(&mut ours, OUR_TABLE)),
            Contender::new(best.name(), || scan(&mut others, &their_table)),
        ],
    )?;
    Ok(Finding::of_times(times, Target::Faster(1.5)))
}

fn scan(client: &mut Client, table: &str) -> Result<Duration> {
    time(|| plan::rows(client, &query(table)))
}
