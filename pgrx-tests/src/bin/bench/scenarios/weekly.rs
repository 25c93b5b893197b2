//! A question of the company: a join of two big tables site by site, with an enum, a stable function and
//! time arithmetic in it.

use anyhow::Result;

use super::{Run, Scenario};
use crate::finding::Finding;
use crate::sites::{Question, Sites, measure};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "weekly",
    title: "students registered each week who did a lesson within seven days",
    run: Run::Sites(run),
};

const QUESTION: Question = Question {
    sql: "SELECT u.site, date_trunc('week', u.created_at) AS week, count(DISTINCT u.id) \
          FROM @users u JOIN @events e ON e.site = u.site AND e.user_id = u.id \
          WHERE u.kind = 'student' AND e.kind = 'lesson' \
            AND e.created_at >= u.created_at AND e.created_at < u.created_at + interval '7 days' \
          GROUP BY 1, 2 ORDER BY 1, 2",
    session: "",
    by_site: true,
    target: 5.0,
};

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    measure(sites, rounds, &QUESTION)
}
