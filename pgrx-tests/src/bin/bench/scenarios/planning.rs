//! What planning costs when a table has many sites. Nothing is asked of the sources.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Run, Scenario};
use crate::contest::{Contender, interleave};
use crate::finding::{Finding, Part, Target};
use crate::plan;
use crate::sites::{Sites, declare_dozen};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "planning",
    title: "planning queries over 12 partitions, no remote estimates",
    run: Run::Sites(run),
};

/// How often each query is planned, for each of the rounds.
const SAMPLES: usize = 10;

/// Name and query.
const QUERIES: [(&str, &str); 4] = [
    (
        "groups",
        "SELECT kind, count(*), avg(amount), sum(amount), min(amount), max(amount) \
         FROM @.events GROUP BY kind ORDER BY kind",
    ),
    (
        "join and groups",
        "SELECT u.site, u.country, date_trunc('month', u.created_at) AS month, count(*), sum(e.amount) \
         FROM @.users u JOIN @.events e ON e.site = u.site AND e.user_id = u.id \
         WHERE e.kind = 'lesson' AND e.amount > 100 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    ),
    (
        "latest rows",
        "SELECT * FROM @.events WHERE amount > 9000 ORDER BY created_at DESC, site, id LIMIT 50",
    ),
    (
        "one site of twelve",
        "SELECT id, kind, amount FROM @.events WHERE site = 'south2' AND user_id = 42 ORDER BY id",
    ),
];

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    declare_dozen(sites)?;
    let (mut ours, mut others) = (sites.connect()?, sites.connect_theirs()?);
    // What they plan out of the box.
    let mut plain = sites.connect()?;
    let mut parts = Vec::new();
    for (name, query) in QUERIES {
        let (mine, other) = (query.replace('@', "dozen"), query.replace('@', "theirs_dozen"));
        let expected = plan::rows(&mut ours, &mine)?;
        ensure!(plan::rows(&mut others, &other)? == expected, "{name}: the answers differ");
        let mut times = interleave(
            SAMPLES * rounds,
            vec![
                Contender::new("replica_fdw", || planned(&mut ours, &mine)),
                Contender::new("postgres_fdw (partitions, partitionwise)", || {
                    planned(&mut others, &other)
                }),
                Contender::new("postgres_fdw (partitions)", || planned(&mut plain, &other)),
            ],
        )?;
        let as_they_come = times.split_off(2);
        let remark = format!(
            "{} rows; without partitionwise they need {:.2} ms",
            expected.len(),
            as_they_come.first().map_or(f64::NAN, |times| times.median())
        );
        parts.push(Part { name: name.to_owned(), times, remark });
    }
    let ratio = |part: &Part| part.times[0].median() / part.times[1].median();
    let worst = parts.iter().map(ratio).fold(0.0, f64::max);
    let mut finding = Finding::new(worst, Target::TimesTheirs(1.5));
    finding.parts = parts;
    Ok(finding.note("the figure is that of the worst query"))
}

fn planned(client: &mut postgres::Client, sql: &str) -> Result<Duration> {
    Ok(Duration::from_secs_f64(plan::planning_time(client, sql)? / 1000.0))
}
