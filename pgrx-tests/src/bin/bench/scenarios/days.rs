//! Days begin at midnight where the client is.

use anyhow::Result;

use super::{Run, Scenario};
use crate::finding::Finding;
use crate::sites::{Question, Sites, measure};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "days",
    title: "GROUP BY day in the time zone of the client",
    run: Run::Sites(run),
};

const QUESTION: Question = Question {
    sql: "SELECT date_trunc('day', created_at) AS day, count(*), sum(amount) \
          FROM @events GROUP BY 1 ORDER BY 1",
    session: "SET TimeZone = 'America/New_York'",
    by_site: false,
    target: 5.0,
};

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    measure(sites, rounds, &QUESTION)
}
