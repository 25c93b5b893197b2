//! The first rows in the order of an index at every site.

use anyhow::Result;

use super::{Run, Scenario};
use crate::finding::Finding;
use crate::sites::{Question, Sites, measure};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "latest",
    title: "the latest 10 events over the merged table",
    run: Run::Sites(run),
};

const QUESTION: Question = Question {
    sql: "SELECT site, id, user_id, kind, created_at FROM @events ORDER BY created_at DESC LIMIT 10",
    session: "",
    by_site: false,
    target: 2.0,
};

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    measure(sites, rounds, &QUESTION)
}
