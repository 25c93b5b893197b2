//! Looking at plans: a scenario measures what it says only if the work is where it should be, and a
//! figure says more with what was done where.

use anyhow::{Context, Result, ensure};
use postgres::{Client, SimpleQueryMessage};
use serde_json::Value;

/// The rows of a query as text, the columns separated by `|`.
pub fn rows(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    Ok(texts(client.simple_query(sql)?))
}

/// The rows in the answer to a simple query, the same way.
pub fn texts(answer: Vec<SimpleQueryMessage>) -> Vec<String> {
    let mut out = Vec::new();
    for message in answer {
        if let SimpleQueryMessage::Row(row) = message {
            let fields: Vec<&str> =
                (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect();
            out.push(fields.join("|"));
        }
    }
    out
}

/// Checks that a query aggregates here, above a foreign scan that brings plain rows.
pub fn ensure_local_aggregate(client: &mut Client, sql: &str) -> Result<()> {
    let plan = explain(client, sql)?;
    let line = |word: &str| plan.iter().position(|line| line.contains(word));
    let remote = plan.iter().find(|line| line.contains("Remote SQL:"));
    let above = matches!((line("Aggregate"), line("Foreign Scan")), (Some(a), Some(b)) if a < b);
    let plain = remote.is_some_and(|sql| !sql.contains("count(") && !sql.contains("sum("));
    ensure!(above && plain, "not aggregated here, over plain rows:\n{}", plan.join("\n"));
    Ok(())
}

/// Checks that the conditions of a query are evaluated at the source.
pub fn ensure_remote_filter(client: &mut Client, sql: &str) -> Result<()> {
    let plan = explain(client, sql)?;
    let local = plan.iter().any(|line| line.trim_start().starts_with("Filter:"));
    let remote = plan.iter().any(|line| line.contains("Remote SQL:") && line.contains("WHERE"));
    ensure!(remote && !local, "not filtered at the source:\n{}", plan.join("\n"));
    Ok(())
}

/// Where the time of a query goes, in a line: planning, execution, and what the sources send.
pub fn account(client: &mut Client, sql: &str) -> Result<String> {
    let text = rows(client, &format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}"))?.concat();
    let explained: Value = serde_json::from_str(&text).context("EXPLAIN as JSON")?;
    let top = &explained[0];
    let millis = |what: &str| top[what].as_f64().unwrap_or(0.0);
    let (mut scans, mut brought) = (0, 0.0);
    let mut left = vec![&top["Plan"]];
    while let Some(node) = left.pop() {
        if node["Node Type"] == "Foreign Scan" {
            scans += 1;
            let number = |what: &str| node[what].as_f64().unwrap_or(0.0);
            let rows = number("Actual Rows") + number("Rows Removed by Filter");
            brought += rows * number("Actual Loops");
        }
        left.extend(node["Plans"].as_array().into_iter().flatten());
    }
    Ok(format!(
        "planning {:.1} ms, execution {:.1} ms, {brought:.0} rows from {scans} foreign scans",
        millis("Planning Time"),
        millis("Execution Time")
    ))
}

/// The time it takes to plan a query, in milliseconds.
pub fn planning_time(client: &mut Client, sql: &str) -> Result<f64> {
    let text = rows(client, &format!("EXPLAIN (SUMMARY, FORMAT JSON) {sql}"))?.concat();
    let explained: Value = serde_json::from_str(&text).context("EXPLAIN as JSON")?;
    explained[0]["Planning Time"].as_f64().context("no planning time")
}

/// The query and its plan with what each step took.
pub fn analyzed(client: &mut Client, sql: &str) -> Result<String> {
    let plan = rows(client, &format!("EXPLAIN (ANALYZE, VERBOSE) {sql}"));
    // A query that hits its time limit has no such plan.
    let plan = match plan {
        Ok(plan) => plan,
        Err(_) => explain(client, sql)?,
    };
    Ok(format!("{sql}\n\n{}\n", plan.join("\n")))
}

fn explain(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    rows(client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))
}
