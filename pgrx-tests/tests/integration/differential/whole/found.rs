//! What the random statements have found: each went wrong once.

use anyhow::{Result, ensure};

use super::super::random::Random;
use super::super::session::USUAL;
use super::ground::Ground;
use super::run::{Case, Way};
use super::statement::{Rows, Statement};

const FOUND: &[&str] = &[
    // An aggregate is no column that a table could be sorted by (XX000).
    "min(t.n) FROM far_main.t t ORDER BY min(t.id)",
    "t.g FROM far_one.t t WHERE t.g = 1 GROUP BY t.g ORDER BY min(t.id)",
    "every(v.parent IS NULL) FROM far_act.e t FULL JOIN far_main.u v ON t.t_id = v.id ORDER BY min(t.id)",
    // NaN beside others at one site: that there were others was forgotten, and one value does not vary.
    "t.g, var_samp(CASE WHEN t.id = 1 THEN 'NaN'::numeric ELSE t.id END), \
       stddev(CASE WHEN t.id = 2 THEN 'Infinity'::numeric ELSE t.id END), count(*) FROM far_main.t t \
       WHERE t.site = 'a' OR t.id < 0 GROUP BY t.g",
    "t.what, variance(t.amount), stddev_samp(t.amount), avg(t.amount), sum(t.amount) \
       FROM far_act.e t GROUP BY t.what",
    // Keys that are constants leave nothing to sort by (XX000, and whatever lies in memory).
    "t.g, count(DISTINCT t.site) FROM far_main.t t WHERE t.g = 1 GROUP BY t.g",
    "t.cost, count(DISTINCT t.site) FROM far_main.w t WHERE t.cost = 1.5 GROUP BY t.cost",
    "DISTINCT t.g FROM far_main.t t WHERE t.g = 1",
    // A cast or an element of a column has its name, also in ORDER BY (42702).
    "t.k::text, count(*) FROM far_one.t t GROUP BY t.k ORDER BY t.k",
    "DISTINCT t.active::int4, t.active FROM far_one.u t ORDER BY t.active::int4, t.active",
    "t.ia[1], t.ia, max(t.id) FROM far_one.t t GROUP BY t.ia[1], t.ia ORDER BY t.ia",
];

/// Whether all that is sorted is sorted by something: a Sort without keys compares memory that nobody has
/// written, which mostly goes well.
pub fn sorts_by_keys(plan: &str) -> bool {
    plan.split("->  ").all(|node| {
        let mut lines = node.lines().map(str::trim);
        let sort = matches!(lines.next(), Some("Sort" | "Incremental Sort"));
        !sort || lines.any(|line| line.starts_with("Sort Key: "))
    })
}

#[test]
fn found_once() -> Result<()> {
    let mut ground = Ground::new("found", None)?;
    for seed in 1..=6 {
        ground.fill(&mut Random::new(seed))?;
        for found in FOUND {
            let (targets, from) = found.split_once(" FROM ").unwrap_or_default();
            let mut statement = Statement::from(from.to_owned());
            statement.targets = vec![targets.to_owned()];
            statement.rows = if from.contains("ORDER BY") { Rows::List } else { Rows::Bag };
            let case = Case {
                seed,
                statement,
                way: Way::Plain,
                settings: USUAL.to_owned(),
                styles: vec![USUAL.to_owned()],
                planning: String::new(),
            };
            let (found, expected) = case.run(&mut ground.client)?;
            let plan = case.explain(&mut ground.client)?;
            ensure!(
                case.agrees(&found, &expected) && sorts_by_keys(&plan),
                "{}\nfound: {found:?}\nexpected: {expected:?}\n{plan}",
                case.statement.sql(),
            );
        }
    }
    Ok(())
}
