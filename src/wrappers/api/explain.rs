//! What EXPLAIN tells of a scan.

use super::private::ScanPlan;
use super::scan::{self, Scan};
use super::source;
use super::table::ApiTable;
use super::vendor::Vendor;
use crate::pg::catalog;
use crate::pg::error::Result;
use crate::pg::executor::ScanNode;
use crate::pg::explain::Explain;
use crate::wrappers::replica::pushdown::{self, Refusal};
use pgrx::pg_sys::Oid;
use warehouse_core::connectors::{Line, Taken};

/// ExplainForeignScan. With VERBOSE the requests, and what the API takes of the conditions; with
/// ANALYZE what was asked and received. `local` are the conditions as SQL.
pub fn scan(
    out: Explain<'_>,
    node: ScanNode<'_>,
    plan: &ScanPlan,
    local: &[String],
    scan: Option<&Scan>,
) -> Result<()> {
    let stats = scan.map(Scan::stats);
    if out.verbose() {
        let server = catalog::table(Oid::from(plan.relation)).server;
        let source = source::planned(server, node.user())?;
        let table = ApiTable::load(Oid::from(plan.relation), &source, false)?;
        let condition = |at: usize| local.get(at).cloned().unwrap_or_default();
        let mut local_ones: Vec<(String, String)> =
            plan.kept.iter().map(|kept| (condition(kept.at), kept.reason.clone())).collect();
        let mut pushed = Vec::new();
        match scan::requests(plan, &table, &source, &[], None) {
            Ok(planned) => {
                let mut taken = Vec::new();
                for (what, at) in planned.taken.iter().zip(&plan.places) {
                    match what {
                        Taken::Exactly => taken.push(condition(*at)),
                        Taken::Wider => taken.push(format!("{} (wider)", condition(*at))),
                        Taken::No => {
                            local_ones.push((condition(*at), "not taken by the API".to_owned()));
                        }
                    }
                }
                if !taken.is_empty() {
                    out.text(c"API Filter", &taken.join("; "));
                }
                pushed = taken;
                if let Some(limit) = planned.limit {
                    out.integer(c"API Limit", None, limit);
                    pushed.push(format!("{}{limit}", pushdown::LIMIT));
                }
                // With the values that it was executed with, if it was.
                let told =
                    stats.as_ref().map(|stats| &stats.lines).filter(|lines| !lines.is_empty());
                out.text(c"API Request", &requests(told.unwrap_or(&planned.requests)));
            }
            Err(error) => out.text(c"API Request", &format!("none: {}", error.message())),
        }
        if !local_ones.is_empty() {
            let lines: Vec<String> =
                local_ones.iter().map(|(clause, reason)| format!("{reason}: {clause}")).collect();
            out.text(c"Local Filter Reason", &lines.join("; "));
        }
        if pushdown::is_described() {
            let name = Vendor::of_server(server)?.name();
            let (relation, server) = (table.plain_label.clone(), catalog::server(server).name);
            let note = pushdown::note(relation, server, pushed, local_ones, refused(name));
            out.text(pushdown::PROPERTY, &note);
        }
    }
    let Some(stats) = stats.filter(|stats| out.analyze() && stats.reads > 0) else {
        return Ok(());
    };
    let cache = match (stats.hits, stats.reads) {
        (0, 1) => "miss".to_owned(),
        (1, 1) => "hit".to_owned(),
        (hits, reads) => format!("{hits} hits, {} misses", reads - hits),
    };
    out.text(c"API Cache", &cache);
    let counts = stats.counts;
    out.integer(c"API Requests", None, counts.requests);
    out.integer(c"API Pages", None, counts.pages);
    out.integer(c"API Rows", None, counts.rows);
    out.integer(c"API Bytes", None, counts.bytes);
    out.integer(c"API Retries", None, counts.retries);
    if out.timing() {
        out.milliseconds(c"API Wait", counts.waited);
    }
    Ok(())
}

/// What no API does for us.
fn refused(api: &str) -> Vec<Refusal> {
    ["join", "GROUP BY", "DISTINCT", "ORDER BY", "LIMIT"]
        .map(|what| Refusal {
            what: what.to_owned(),
            reason: match what {
                "ORDER BY" => format!("{api} may order otherwise"),
                "LIMIT" => "rows are tested or ordered here first".to_owned(),
                _ => format!("{api} only gives records"),
            },
        })
        .into()
}

/// The requests, the first of many.
fn requests(lines: &[Line]) -> String {
    const SHOWN: usize = 5;
    if lines.is_empty() {
        return "none".to_owned();
    }
    let mut text: Vec<String> = lines.iter().take(SHOWN).map(Line::to_string).collect();
    if lines.len() > SHOWN {
        text.push(format!("and {} more", lines.len() - SHOWN));
    }
    text.join("; ")
}
