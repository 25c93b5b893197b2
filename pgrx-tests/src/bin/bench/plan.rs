//! Looking at plans: a scenario measures what it says only if the work is where it should be.

use anyhow::{Result, ensure};
use postgres::{Client, SimpleQueryMessage};

/// The rows of a query as text, the columns separated by `|`.
pub fn rows(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for message in client.simple_query(sql)? {
        if let SimpleQueryMessage::Row(row) = message {
            let fields: Vec<&str> =
                (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect();
            out.push(fields.join("|"));
        }
    }
    Ok(out)
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

fn explain(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    rows(client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))
}
