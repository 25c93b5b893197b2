//! How much memory a backend needs to read a table of any size.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use postgres::Client;

use super::{Run, Scenario, full_scan};
use crate::finding::{Finding, Target};
use crate::plan;
use crate::table::{OUR_TABLE, Table};
use crate::theirs::Setup;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "memory",
    title: "growth of the backend's own resident memory (RssAnon) over a scan of all rows",
    run: Run::Table(run),
};

/// How often the backend is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// In MiB.
pub(super) struct Growth {
    pub(super) before: f64,
    pub(super) peak: f64,
    after: f64,
}

fn run(ground: &Table, _rounds: usize) -> Result<Finding> {
    let ours = scan(ground, OUR_TABLE)?;
    let setup = Setup::all().next_back().context("invariant: there are setups")?;
    let others = scan(ground, &ground.their_table(setup))?;
    let text = |name: &str, growth: &Growth| {
        format!(
            "{name}: before {:.1} MB, peak {:.1} MB, after {:.1} MB",
            growth.before, growth.peak, growth.after
        )
    };
    Ok(Finding::new(ours.peak - ours.before, Target::MemoryBelow(20.0))
        .note(text("replica_fdw", &ours))
        .note(text(&setup.name(), &others)))
}

/// Scans the table in a session of its own that has read a row before.
fn scan(ground: &Table, table: &str) -> Result<Growth> {
    let mut client = ground.connect()?;
    client.simple_query(&format!("SELECT * FROM {table} WHERE id = 1"))?;
    watched(&mut client, |client| plan::rows(client, &full_scan::query(table))).map(|(_, it)| it)
}

/// What a session's own memory grows by while it does something.
pub(super) fn watched<T>(
    client: &mut Client,
    work: impl FnOnce(&mut Client) -> Result<T>,
) -> Result<(T, Growth)> {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let before = resident(pid)?;
    let done = AtomicBool::new(false);
    let (done_work, peak) = thread::scope(|scope| -> Result<(T, f64)> {
        let watcher = scope.spawn(|| {
            let mut peak = before;
            while !done.load(Ordering::Relaxed) {
                peak = resident(pid).map_or(peak, |now| peak.max(now));
                thread::sleep(EVERY);
            }
            peak
        });
        let worked = work(client);
        done.store(true, Ordering::Relaxed);
        let peak = watcher.join().map_err(|_| anyhow!("the watching thread panicked"));
        Ok((worked?, peak?))
    })?;
    let after = resident(pid)?;
    Ok((done_work, Growth { before, peak: peak.max(after), after }))
}

/// The backend's own resident memory, in MiB.
pub fn resident(pid: i32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the backend")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|text| text.split_whitespace().next()).context("RssAnon")?;
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}
