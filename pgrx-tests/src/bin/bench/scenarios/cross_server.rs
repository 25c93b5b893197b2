//! Some users, and what they did on another server: the join cannot go to either.

use anyhow::Result;

use super::{Run, Scenario};
use crate::finding::Finding;
use crate::sites::{Question, Sites, measure};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "cross",
    title: "cross-server join of 100 users with their events",
    run: Run::Sites(run),
};

const QUESTION: Question = Question {
    sql: "SELECT u.site, u.id, u.country, e.id, e.kind, e.created_at, e.amount \
          FROM @people u JOIN @events e ON e.site = u.site AND e.user_id = u.id \
          WHERE u.country = 'LI'",
    session: "",
    by_site: true,
    target: 10.0,
};

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    measure(sites, rounds, &QUESTION)
}
