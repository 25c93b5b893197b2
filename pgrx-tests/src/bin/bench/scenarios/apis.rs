//! Braintree and Airtable, read whole, next to their official SDKs doing the same one request after the
//! other. Airtable allows five requests a second to anybody, so that nobody can be faster there.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres::Client;
use serde_json::{Value, json};
use warehouse_tests::apis::log::RequestLog;

use super::memory::watched;
use super::{Run, Scenario};
use crate::apis::Apis;
use crate::finding::{Finding, Promise, Target};
use crate::plan;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "apis",
    title: "all transactions and records of emulated APIs, next to the official SDKs",
    run: Run::Apis(run),
};

/// Requests of Braintree in flight at most, as the wrapper promises.
const BRAINTREE_AT_ONCE: f64 = 10.0;

/// Requests of an Airtable base in any second at most, as the service demands.
const AIRTABLE_A_SECOND: f64 = 5.0;

/// One service and what is read of it.
struct Side<'a> {
    name: &'static str,
    log: &'a RequestLog,
    /// What its pages are asked for by.
    page: &'static str,
    /// All columns of all rows, with their number and the sum of an amount.
    whole: &'static str,
    /// A few columns, of which a session keeps all rows.
    narrow: &'static str,
    /// The first row of what one listing can give.
    first: &'static str,
}

fn run(apis: &Apis) -> Result<Finding> {
    let braintree = Side {
        name: "Braintree",
        log: apis.braintree.log(),
        page: "/transactions/advanced_search",
        whole: "SELECT count(t), sum(t.amount) FROM b.transactions t",
        narrow: "SELECT status, count(*), sum(amount) FROM b.transactions GROUP BY 1 ORDER BY 1",
        first: "SELECT * FROM b.transactions WHERE created_at >= '2024-05-01'",
    };
    let airtable = Side {
        name: "Airtable",
        log: apis.airtable.log(),
        page: "/listRecords",
        whole: "SELECT count(t), sum(t.balance) FROM a.contacts t",
        narrow: "SELECT tier, count(*), sum(balance) FROM a.contacts GROUP BY 1 ORDER BY 1",
        first: "SELECT * FROM a.contacts",
    };
    let mut further = Vec::new();
    let mut notes = Vec::new();
    let mut wrong = Vec::new();

    let ours = read(apis, &braintree, &mut further, &mut notes)?;
    further.push(Promise {
        about: "Braintree: requests at once".to_owned(),
        figure: braintree.log.most_at_once("") as f64,
        target: Target::NoMoreThan(BRAINTREE_AT_ONCE),
    });
    let cap = apis.braintree.api().settings().transaction_cap;
    let command = json!({
        "do": "total",
        "kind": "transactions",
        "since": "2000-01-01T00:00:00Z",
        "until": "2040-01-01T00:00:00Z",
        "cap": cap,
    });
    let theirs = apis.braintree_sdk()?.must(&command)?;
    let figure = compare(&braintree, &ours, &theirs, &mut notes, &mut wrong)?;

    let ours = read(apis, &airtable, &mut further, &mut notes)?;
    further.push(Promise {
        about: "Airtable: requests in any second".to_owned(),
        figure: airtable.log.most_in_a_second("") as f64,
        target: Target::NoMoreThan(AIRTABLE_A_SECOND),
    });
    let base = apis.airtable.api().base();
    let command = json!({"do": "total", "base": base, "table": "Contacts", "sum": "Balance"});
    let theirs = apis.airtable_sdk()?.must(&command)?;
    let ratio = compare(&airtable, &ours, &theirs, &mut notes, &mut wrong)?;
    notes.push(format!(
        "Airtable: {ratio:.2}x as fast; its limit is the same for both, and no target is set"
    ));
    let finding = Finding::new(figure, Target::Faster(3.0));
    Ok(Finding { further, notes, wrong, ..finding })
}

/// What reading everything gave.
struct Whole {
    /// Number of rows and sum.
    answer: String,
    took: Duration,
}

fn timed(client: &mut Client, sql: &str) -> Result<(String, Duration)> {
    let start = Instant::now();
    let rows = plan::rows(client, sql).with_context(|| sql.to_owned())?;
    Ok((rows.join("\n"), start.elapsed()))
}

/// Reads one service in each way, and says what was promised of it. The log holds the requests of the
/// whole read at the end.
fn read(
    apis: &Apis,
    side: &Side<'_>,
    further: &mut Vec<Promise>,
    notes: &mut Vec<String>,
) -> Result<Whole> {
    let mut promise = |about: &str, figure: f64, target: Target| {
        further.push(Promise { about: format!("{}: {about}", side.name), figure, target });
    };
    // The first row, in a session that has planned and asked nothing yet.
    let mut client = apis.connect()?;
    plan::rows(&mut client, &format!("EXPLAIN {}", side.first))?;
    side.log.clear();
    let start = Instant::now();
    client.batch_execute(&format!("BEGIN; DECLARE c CURSOR FOR {}", side.first))?;
    let rows = plan::rows(&mut client, "FETCH 1 FROM c")?;
    let first = start.elapsed();
    client.batch_execute("ROLLBACK")?;
    ensure!(rows.len() == 1, "{}: no first row", side.name);
    let page = page_time(side)?;
    let pages = first.as_secs_f64() / page.as_secs_f64();
    promise("first row", pages, Target::Pages(2.0));
    notes.push(format!(
        "{}: first row after {:.0} ms, a page takes {:.0} ms",
        side.name,
        first.as_secs_f64() * 1e3,
        page.as_secs_f64() * 1e3
    ));
    drop(client);

    // A repeat.
    let mut client = apis.connect()?;
    let (once, before) = timed(&mut client, side.narrow)?;
    side.log.clear();
    let (again, after) = timed(&mut client, side.narrow)?;
    ensure!(once == again, "{}: a repeat has another answer", side.name);
    ensure!(side.log.entries().is_empty(), "{}: a repeat asked again", side.name);
    promise("cached repeat", after.as_secs_f64() / before.as_secs_f64(), Target::TimesTheirs(0.05));
    drop(client);

    // Everything, in a session that has asked before.
    let mut client = apis.connect()?;
    plan::rows(&mut client, &format!("{} LIMIT 1", side.first))?;
    client.batch_execute(
        "SELECT warehouse.clear_cache('braintree'), warehouse.clear_cache('airtable')",
    )?;
    side.log.clear();
    let ((answer, took), growth) = watched(&mut client, |client| timed(client, side.whole))?;
    promise("memory growth of the backend", growth.peak - growth.before, Target::MemoryBelow(30.0));
    let refused = side.log.entries().iter().filter(|entry| entry.status == 429).count();
    promise("refused requests", refused as f64, Target::NoMoreThan(0.0));
    Ok(Whole { answer, took })
}

/// What the service took for the first requests of a read, one of them for records.
fn page_time(side: &Side<'_>) -> Result<Duration> {
    let entries = side.log.entries();
    let took = entries.iter().filter(|entry| entry.target.contains(side.page));
    let took: Vec<Duration> = took.filter_map(|entry| entry.took).collect();
    let longest = took.iter().max().copied();
    longest.with_context(|| format!("{}: no page was asked for", side.name))
}

/// How many times as fast as the SDK we were; the answers have to be the same.
fn compare(
    side: &Side<'_>,
    ours: &Whole,
    theirs: &Value,
    notes: &mut Vec<String>,
    wrong: &mut Vec<String>,
) -> Result<f64> {
    let (count, sum) = ours.answer.split_once('|').context("a count and a sum")?;
    let same = theirs["count"].as_u64() == count.parse().ok()
        && theirs["sum"].as_str().is_some_and(|theirs| decimal(theirs) == decimal(sum));
    if !same {
        wrong.push(format!("{}: {} here, {theirs} by the SDK", side.name, ours.answer));
    }
    let seconds = theirs["seconds"].as_f64().context("the SDK's time")?;
    notes.push(format!(
        "{}: {count} rows in {:.1} s; the SDK for Python in {seconds:.1} s, its first row after {:.0} ms",
        side.name,
        ours.took.as_secs_f64(),
        theirs["first"].as_f64().unwrap_or(f64::NAN) * 1e3
    ));
    Ok(seconds / ours.took.as_secs_f64())
}

/// A decimal number without zeros at its end.
fn decimal(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
