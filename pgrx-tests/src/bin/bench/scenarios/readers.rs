//! What readers of a materialized table wait at worst while it is refreshed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::{Run, Scenario};
use crate::finding::{Finding, Target};
use crate::table::{OUR_TABLE, SOURCE_TABLE, Table};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "readers",
    title: "the worst wait of 15 readers while their table is refreshed, in full and by xmin",
    run: Run::Table(run),
};

const READERS: usize = 15;
/// What a reader thinks between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// The waits of all readers, in ms, sorted.
struct Waits(Vec<f64>);

impl Waits {
    fn worst(&self) -> f64 {
        self.0.last().copied().unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        let at = |share: f64| self.0[((self.0.len() - 1) as f64 * share) as usize];
        format!(
            "{name}: {} questions, median {:.1} ms, 99 % {:.1} ms, worst {:.1} ms",
            self.0.len(),
            at(0.5),
            at(0.99),
            self.worst()
        )
    }
}

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    let mut client = ground.connect()?;
    client.batch_execute(&format!(
        "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS mart; \
         SELECT warehouse.materialize('mart.read', 'SELECT * FROM {OUR_TABLE}', unique_key => '{{id}}', capture => 'xmin')"
    ))?;
    let mut source = ground.source.primary.connect(crate::table::DATABASE)?;
    let quiet = with_readers(ground, || {
        thread::sleep(Duration::from_secs(5));
        Ok(())
    })?;
    let full = with_readers(ground, || {
        for _ in 0..rounds {
            client.batch_execute("SELECT warehouse.refresh('mart.read', full_refresh => true)")?;
        }
        Ok(())
    })?;
    let changes = with_readers(ground, || {
        for round in 0..rounds {
            source.batch_execute(&format!(
                "UPDATE {SOURCE_TABLE} SET quantity = quantity + 1 WHERE id % 100 = {round}"
            ))?;
            ground.source.standby.wait_for_replay()?;
            client.batch_execute("SELECT warehouse.refresh('mart.read')")?;
        }
        Ok(())
    })?;
    client.batch_execute("SELECT warehouse.drop_materialization('mart.read')")?;
    Ok(Finding::new(full.worst().max(changes.worst()), Target::WaitBelow(200.0))
        .note(quiet.text("nothing runs"))
        .note(full.text("full refreshes"))
        .note(changes.text("1 % changed, by xmin")))
}

/// Runs something while readers read; gives their waits.
fn with_readers(ground: &Table, work: impl FnOnce() -> Result<()>) -> Result<Waits> {
    let done = AtomicBool::new(false);
    let (outcome, waits) = thread::scope(|scope| {
        let done = &done;
        let readers: Vec<_> =
            (0..READERS).map(|number| scope.spawn(move || read(ground, number, done))).collect();
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        let waits: Vec<_> = readers
            .into_iter()
            .map(|one| one.join().map_err(|_| anyhow!("a reader panicked")).and_then(|it| it))
            .collect();
        (outcome, waits)
    });
    outcome?;
    let mut all: Vec<f64> = waits.into_iter().collect::<Result<Vec<_>>>()?.concat();
    ensure!(!all.is_empty(), "nobody has read");
    all.sort_by(f64::total_cmp);
    Ok(Waits(all))
}

fn read(ground: &Table, number: usize, done: &AtomicBool) -> Result<Vec<f64>> {
    let mut client = ground.connect()?;
    let question = client
        .prepare("SELECT count(*), sum(amount) FROM mart.read WHERE id BETWEEN $1 AND $1 + 99")?;
    let mut waits = Vec::new();
    let mut at = number as i64 * 1009;
    while !done.load(Ordering::Relaxed) {
        at = (at + 7919) % (ground.rows as i64 - 100) + 1;
        let begun = Instant::now();
        let row = client.query_one(&question, &[&at])?;
        waits.push(begun.elapsed().as_secs_f64() * 1000.0);
        let seen: i64 = row.get(0);
        ensure!(seen == 100, "a reader saw {seen} of 100 rows");
        thread::sleep(PAUSE);
    }
    Ok(waits)
}
