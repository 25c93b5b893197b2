//! A condition on the current time, as most questions have one.

use anyhow::Result;

use super::{Run, Scenario};
use crate::finding::Finding;
use crate::sites::{Question, Sites, measure};

/// The scenario.
pub const SCENARIO: Scenario =
    Scenario { key: "recent", title: "the last 30 days by site and kind", run: Run::Sites(run) };

const QUESTION: Question = Question {
    sql: "SELECT site, kind, count(*), sum(amount) FROM @events \
          WHERE created_at > now() - interval '30 days' GROUP BY site, kind",
    session: "",
    by_site: true,
    target: 5.0,
};

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    measure(sites, rounds, &QUESTION)
}
