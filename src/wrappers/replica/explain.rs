//! What EXPLAIN tells of a scan.

use super::private::ScanPlan;
use super::scan::Scan;
use crate::pg::explain::Explain;
use warehouse_core::quote;

/// ExplainForeignScan. With VERBOSE the remote SQL and why conditions stayed here; with ANALYZE what
/// was received.
pub fn scan(out: Explain<'_>, plan: &ScanPlan, scan: Option<&Scan>) {
    if out.verbose() {
        let mut reasons: Vec<&str> = Vec::new();
        for local in &plan.local {
            if !reasons.contains(&local.reason.as_str()) {
                reasons.push(&local.reason);
            }
        }
        if !reasons.is_empty() {
            out.text(c"Local Filter Reason", &reasons.join("; "));
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
