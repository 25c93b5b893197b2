//! What EXPLAIN tells of a scan.

use super::private::{Refusal, ScanPlan};
use super::pushdown;
use super::scan::Scan;
use crate::pg::catalog;
use crate::pg::explain::Explain;
use pgrx::pg_sys::Oid;
use warehouse_core::quote;

/// ExplainForeignScan. With VERBOSE the remote SQL and why conditions, and what is above the scan,
/// stayed here; with ANALYZE what was received. `local` are the conditions that stayed, as SQL.
pub fn scan(out: Explain<'_>, plan: &ScanPlan, local: &[String], scan: Option<&Scan>) {
    if out.verbose() {
        let reasons = with_reasons(plan, local);
        let lines: Vec<String> =
            reasons.iter().map(|(clause, reason)| format!("{reason}: {clause}")).collect();
        if !lines.is_empty() {
            out.text(c"Local Filter Reason", &lines.join("; "));
        }
        let refused: Vec<String> = plan.refused.iter().map(refusal).collect();
        if !refused.is_empty() {
            out.text(c"Not Sent", &refused.join("; "));
        }
        let gates: Vec<String> = plan
            .gates
            .iter()
            .map(|gate| format!("${} = {}", gate.param + 1, quote::literal(&gate.text)))
            .collect();
        if !gates.is_empty() {
            out.text(c"Read Only If", &gates.join(" AND "));
        }
        out.text(c"Remote SQL", &plan.sql.numbered());
        if pushdown::is_described() {
            let server = catalog::server(Oid::from(plan.server)).name;
            let mut pushed = plan.pushed.clone();
            pushed.extend(gates);
            let relations = plan.relations.join(", ");
            let note = pushdown::note(relations, server, pushed, reasons, plan.refused.clone());
            out.text(pushdown::PROPERTY, &note);
        }
    }
    let Some(scan) = scan.filter(|_| out.analyze()) else { return };
    let stats = scan.stats();
    if stats.reads == 0 {
        return;
    }
    out.integer(c"Rows Received", None, stats.rows);
    out.integer(c"Bytes Received", None, stats.bytes);
    if stats.reads > 1 {
        out.integer(c"Remote Reads", None, stats.reads);
    }
    if out.timing() {
        out.milliseconds(c"Time to First Row", stats.first_row);
        out.milliseconds(c"Time Waiting", stats.waiting);
    }
}

fn refusal(refusal: &Refusal) -> String {
    format!("{} ({})", refusal.what, refusal.reason)
}

/// The conditions that stayed, each with why.
fn with_reasons(plan: &ScanPlan, local: &[String]) -> Vec<(String, String)> {
    plan.local
        .iter()
        .map(|found| {
            let clause = local.get(found.at).cloned().unwrap_or_default();
            (clause, found.reason.clone())
        })
        .collect()
}
