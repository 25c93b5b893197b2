//! Aggregates over all sites: the groups of the sites are combined here.

use anyhow::Result;

use super::{Run, Scenario};
use crate::finding::Finding;
use crate::sites::{Question, Sites, measure};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "groups",
    title: "merged GROUP BY kind: count, avg, sum, min, max",
    run: Run::Sites(run),
};

const QUESTION: Question = Question {
    sql: "SELECT kind, count(*), avg(amount), sum(amount), min(amount), max(amount) \
          FROM @events GROUP BY kind ORDER BY kind",
    session: "",
    by_site: false,
    target: 3.0,
};

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    measure(sites, rounds, &QUESTION)
}
