//! The first rows in an order that no index has: every site sorts.

use anyhow::Result;

use super::{Run, Scenario};
use crate::finding::Finding;
use crate::sites::{Question, Sites, measure};

/// The scenario.
pub const SCENARIO: Scenario =
    Scenario { key: "top", title: "top 10 over the merged table", run: Run::Sites(run) };

const QUESTION: Question = Question {
    sql: "SELECT site, id, user_id, kind, amount FROM @events ORDER BY amount DESC LIMIT 10",
    session: "",
    by_site: false,
    target: 2.0,
};

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    measure(sites, rounds, &QUESTION)
}
