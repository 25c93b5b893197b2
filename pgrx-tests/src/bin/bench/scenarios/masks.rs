//! What masking costs: the same scan with three columns of seven masked.

use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::Client;

use super::full_scan::query;
use super::{Run, Scenario};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Target};
use crate::plan;
use crate::table::{OUR_TABLE, Table};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "masks",
    title: "the scan of (a) with three columns of seven masked, and with three not shown",
    run: Run::Table(run),
};

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    ground.with_key()?;
    let mut client = ground.connect()?;
    client.batch_execute(
        "CREATE SCHEMA masked; IMPORT FOREIGN SCHEMA app LIMIT TO (events) FROM SERVER ours INTO masked; \
         SELECT warehouse.classify('masked.events', 'name', 'identifier', 'pseudonym(person)'), \
           warehouse.classify('masked.events', 'created_at', 'quasi', 'generalize(''month'')'), \
           warehouse.classify('masked.events', 'quantity', 'quasi', 'generalize(10)'); \
         CREATE SCHEMA hidden; IMPORT FOREIGN SCHEMA app LIMIT TO (events) FROM SERVER ours INTO hidden; \
         SELECT warehouse.classify('hidden.events', 'name', 'secret'), \
           warehouse.classify('hidden.events', 'details', 'secret'), \
           warehouse.classify('hidden.events', 'quantity', 'sensitive')",
    )?;
    let raw = plan::rows(&mut client, &query(OUR_TABLE))?;
    ensure!(plan::rows(&mut client, &query("masked.events"))? != raw, "nothing is masked");
    let (mut plain, mut masked, mut hidden) =
        (ground.connect()?, ground.connect()?, ground.connect()?);
    let times = interleave(
        rounds,
        vec![
            Contender::new("replica_fdw, masked", || scan(&mut masked, "masked.events")),
            Contender::new("replica_fdw, in clear", || scan(&mut plain, OUR_TABLE)),
            Contender::new("replica_fdw, not shown", || scan(&mut hidden, "hidden.events")),
        ],
    )?;
    let not_shown = times[2].median() / times[1].median();
    Ok(Finding::of_times(times, Target::TimesTheirs(1.15))
        .note(format!("three columns that are not shown: {not_shown:.2} of the time")))
}

fn scan(client: &mut Client, table: &str) -> Result<Duration> {
    time(|| plan::rows(client, &query(table)))
}
