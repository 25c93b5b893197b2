//! One row by its key, many times: what a dashboard's drill-down does.

use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::{Client, Statement};

use super::{Run, Scenario};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Target};
use crate::table::{DATABASE, OUR_TABLE, SOURCE_TABLE, Table};
use crate::{plan, theirs};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "c",
    title: "3000 lookups by key: prepared, one connection, a transaction each",
    run: Run::Table(run),
};

/// Lookups a round.
const LOOKUPS: u64 = 3_000;

/// Lookups of which the rows are compared.
const COMPARED: u64 = 200;

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    let (mut ours, mut others) = (ground.connect()?, ground.connect()?);
    let expected =
        some_rows(&mut ground.source.standby.connect(DATABASE)?, SOURCE_TABLE, ground.rows)?;
    let by_literal = |table: &str| format!("SELECT * FROM {table} WHERE id = 1");
    plan::ensure_remote_filter(&mut ours, &by_literal(OUR_TABLE))?;
    let got = some_rows(&mut ours, OUR_TABLE, ground.rows)?;
    ensure!(got == expected, "our rows are wrong");
    let best = theirs::best(|setup| {
        let table = ground.their_table(setup);
        let statement = prepare(&mut others, &table)?;
        look_up(&mut others, &statement, ground.rows)
    })?;
    let their_table = ground.their_table(best);
    plan::ensure_remote_filter(&mut others, &by_literal(&their_table))?;
    let got = some_rows(&mut others, &their_table, ground.rows)?;
    ensure!(got == expected, "their rows are wrong");
    let (our_statement, their_statement) =
        (prepare(&mut ours, OUR_TABLE)?, prepare(&mut others, &their_table)?);
    let times = interleave(
        rounds,
        vec![
            Contender::new("replica_fdw", || look_up(&mut ours, &our_statement, ground.rows)),
            Contender::new(best.name(), || look_up(&mut others, &their_statement, ground.rows)),
        ],
    )?;
    let each = |at: usize| times[at].median() * 1000.0 / LOOKUPS as f64;
    let note = format!("a lookup takes {:.0} µs here, {:.0} µs there", each(0), each(1));
    Ok(Finding::of_times(times, Target::TimesTheirs(1.1)).note(note))
}

fn prepare(client: &mut Client, table: &str) -> Result<Statement> {
    Ok(client.prepare(&format!("SELECT * FROM {table} WHERE id = $1"))?)
}

/// Keys spread over the table, the same for everybody.
fn keys(count: u64, rows: u64) -> impl Iterator<Item = i64> {
    // A prime step visits every part of the table.
    (0..count).filter_map(move |at| i64::try_from(at * 7_919_999 % rows + 1).ok())
}

fn look_up(client: &mut Client, statement: &Statement, rows: u64) -> Result<Duration> {
    time(|| {
        for key in keys(LOOKUPS, rows) {
            let found = client.query(statement, &[&key])?;
            ensure!(found.len() == 1, "key {key}: {} rows", found.len());
        }
        Ok(())
    })
}

fn some_rows(client: &mut Client, table: &str, rows: u64) -> Result<Vec<String>> {
    let statement = client.prepare(&format!("SELECT t::text FROM {table} t WHERE id = $1"))?;
    keys(COMPARED, rows).map(|key| Ok(client.query_one(&statement, &[&key])?.get(0))).collect()
}
