//! `warehouse.explain_pushdown()`: which parts of a query the sources do, which stay here, and why.
//!
//! The query is planned by EXPLAIN; while it is, each scan of ours adds a note for us to its output.
//! What is above the scans is read from the plan.

pub use super::private::Refusal;
use crate::pg::error::{Error, Result};
use crate::pg::guc::Level;
use crate::pg::sql;
use pgrx::PgSqlErrorCode as Code;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::Cell;
use std::ffi::CStr;

/// The property of a scan that holds its note.
pub const PROPERTY: &CStr = c"Pushdown";

/// How the limit begins that a scan was told of, among what the source does.
pub const LIMIT: &str = "LIMIT ";

thread_local! {
    // A backend is one thread.
    static DESCRIBED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a query is being explained for us.
pub fn is_described() -> bool {
    DESCRIBED.get()
}

/// A scan's note.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    relation: String,
    server: String,
    pushed: Vec<String>,
    local: Vec<(String, String)>,
    refused: Vec<Refusal>,
}

/// The note of a scan: of these relations at a server, with what the source does, what stays here and
/// why, and what was not built on it.
pub fn note(
    relation: String,
    server: String,
    pushed: Vec<String>,
    local: Vec<(String, String)>,
    refused: Vec<Refusal>,
) -> String {
    let note = Note { relation, server, pushed, local, refused };
    serde_json::to_string(&note).expect("invariant: strings are always JSON")
}

/// A part of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The relations it is about.
    pub relation: String,
    /// The part.
    pub clause: String,
    /// Whether the source does it.
    pub pushed: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// The parts of a query.
pub fn explain(query: &str) -> Result<Vec<Row>> {
    if sql::statements(query)? != 1 {
        return Err(Error::new(Code::ERRCODE_SYNTAX_ERROR, "one statement is needed")
            .hint("Explain the statements one by one."));
    }
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            DESCRIBED.set(self.0);
        }
    }
    let _back = Back(DESCRIBED.replace(true));
    // A plan that was kept from before holds no notes.
    let level = Level::enter();
    level.set(c"plan_cache_mode", c"force_custom_plan");
    let text = sql::explain(query)?;
    let plans: Value = serde_json::from_str(&text)
        .map_err(|error| Error::bug(format!("EXPLAIN wrote no JSON: {error}")))?;
    let mut rows = Vec::new();
    for plan in plans.as_array().into_iter().flatten() {
        walk(&plan["Plan"], "", &mut rows);
    }
    Ok(rows)
}

/// Adds the rows of a node, whose parent is of the kind given, and of all below it; returns the scans
/// that it is built on.
fn walk(node: &Value, parent: &str, rows: &mut Vec<Row>) -> Vec<Note> {
    let own = node[PROPERTY.to_str().unwrap_or_default()].as_str();
    let own = own.and_then(|text| serde_json::from_str::<Note>(text).ok());
    if let Some(note) = &own {
        let row = |clause: &String, reason: Option<&String>| Row {
            relation: note.relation.clone(),
            clause: clause.clone(),
            pushed: reason.is_none(),
            reason: reason.cloned(),
        };
        rows.extend(note.pushed.iter().map(|clause| row(clause, None)));
        rows.extend(note.local.iter().map(|(clause, reason)| row(clause, Some(reason))));
    }
    let mut notes = Vec::new();
    let mut local_side = false;
    let kind = node["Node Type"].as_str().unwrap_or_default();
    for child in node["Plans"].as_array().into_iter().flatten() {
        let below = walk(child, kind, rows);
        // A sub-query is no side of what it stands in.
        let beside = child["Parent Relationship"].as_str().unwrap_or_default();
        if !matches!(beside, "InitPlan" | "SubPlan") {
            local_side |= below.is_empty();
            notes.extend(below);
        }
    }
    match own {
        Some(note) => vec![note],
        None => {
            if !notes.is_empty() {
                above(node, parent, &notes, local_side, rows);
            }
            notes
        }
    }
}

/// Whether a node of this kind wants its rows sorted for itself.
fn sorts_for_itself(kind: &str) -> bool {
    matches!(kind, "Merge Join" | "Aggregate" | "Group" | "Unique" | "WindowAgg" | "SetOp")
}

/// Adds the rows of a node above scans of ours.
fn above(node: &Value, parent: &str, notes: &[Note], local_side: bool, rows: &mut Vec<Row>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let text = |property: &str| match &node[property] {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) => {
            Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        }
        _ => None,
    };
    let mut servers: Vec<&str> = notes.iter().map(|note| note.server.as_str()).collect();
    servers.sort_unstable();
    servers.dedup();
    let refused = |what: &str| {
        let mut all = notes.iter().flat_map(|note| &note.refused);
        all.find(|refusal| refusal.what == what).map(|refusal| refusal.reason.clone())
    };
    let together = || "its input is put together here".to_owned();
    let mut add = |clause: String, reason: String| {
        let mut relations: Vec<&str> = notes.iter().map(|note| note.relation.as_str()).collect();
        relations.dedup();
        let relation = relations.join(", ");
        rows.push(Row { relation, clause, pushed: false, reason: Some(reason) });
    };
    let why_joined = || {
        if let Some(reason) = refused("join") {
            reason
        } else if local_side {
            "one side is not at the source".to_owned()
        } else if servers.len() > 1 {
            "the relations are on different servers".to_owned()
        } else {
            "the planner expects less work this way".to_owned()
        }
    };
    match kind {
        "Hash Join" | "Merge Join" | "Nested Loop" => {
            let on = ["Hash Cond", "Merge Cond", "Join Filter"].into_iter().find_map(text);
            let word = node["Join Type"].as_str().unwrap_or("Inner").to_uppercase();
            let on = on.map(|on| format!(" ON {on}")).unwrap_or_default();
            add(format!("{word} JOIN{on}"), why_joined());
        }
        "Custom Scan" if node["Custom Plan Provider"] == "Batched Lookup" => {
            let on = text("Join Cond").unwrap_or_default();
            let reason = format!("{}; keys are sent in batches", why_joined());
            add(format!("JOIN ON {on}"), reason);
        }
        "Aggregate" | "Group" => {
            let keys = text("Group Key").map(|keys| format!("GROUP BY {keys}"));
            let clause = keys.unwrap_or_else(|| "aggregation".to_owned());
            let reason = if node["Partial Mode"] == "Finalize" {
                "the sites' results are combined here".to_owned()
            } else {
                refused("GROUP BY").or_else(|| refused("DISTINCT")).unwrap_or_else(together)
            };
            add(clause, reason);
        }
        "Unique" => add("DISTINCT".to_owned(), refused("DISTINCT").unwrap_or_else(together)),
        "Sort" | "Incremental Sort" if sorts_for_itself(parent) => {}
        "Sort" | "Incremental Sort" => {
            let keys = text("Sort Key").unwrap_or_default();
            add(format!("ORDER BY {keys}"), refused("ORDER BY").unwrap_or_else(together));
        }
        // A scan that was told of the limit has no row too many.
        "Limit" if notes.iter().any(|note| note.pushed.iter().any(|it| it.starts_with(LIMIT))) => {}
        "Limit" => add("LIMIT".to_owned(), refused("LIMIT").unwrap_or_else(together)),
        "WindowAgg" => add("window functions".to_owned(), "they are computed here".to_owned()),
        "ProjectSet" => add("set-returning functions".to_owned(), "they run here".to_owned()),
        _ => {}
    }
    if let Some(filter) = text("Filter") {
        let having = (kind == "Aggregate").then(|| refused("GROUP BY")).flatten();
        add(filter, having.unwrap_or_else(together));
    }
}
