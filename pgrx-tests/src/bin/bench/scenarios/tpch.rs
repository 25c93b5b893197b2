//! The 22 queries of TPC-H: joins of many tables, subqueries, and what planners make of them.

use std::time::Duration;

use anyhow::{Context, Result};
use postgres::Client;
use postgres::error::SqlState;

use super::{Run, Scenario};
use crate::contest::{Times, time};
use crate::finding::{
    Finding, Part, Promise, Target, geometric_mean, times_as_fast, times_the_source,
};
use crate::plan;
use crate::tpch::{LIMIT_SECONDS, Query, Tpch};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "tpch",
    title: "the 22 queries of TPC-H on one server; postgres_fdw with remote estimates",
    run: Run::Tpch(run),
};

/// Our wrapper, postgres_fdw and the source itself.
const NAMES: [&str; 3] =
    ["replica_fdw", "postgres_fdw (fetch_size 10000, remote estimates)", "the source itself"];

/// Who takes longer than this once is not asked again.
const LONG: Duration = Duration::from_secs(10);

/// A query may take so many times the time of postgres_fdw.
const SLOWER_THAN_THEIRS: f64 = 1.2;

/// All of them on average may take so many times the time at the source.
const SLOWER_THAN_SOURCE: f64 = 1.5;

fn run(tpch: &Tpch, rounds: usize) -> Result<Finding> {
    let mut clients = [tpch.connect_ours()?, tpch.connect_theirs()?, tpch.connect_source()?];
    let mut finding = Finding::new(f64::NAN, Target::Faster(1.5));
    for query in tpch.queries() {
        let part = contest(&mut clients, &query, rounds, &mut finding.wrong)
            .with_context(|| format!("query {}", query.number))?;
        let slow = times_as_fast(&part.times).is_some_and(|x| x < 1.0 / SLOWER_THAN_THEIRS)
            || times_the_source(&part.times).is_some_and(|x| x > SLOWER_THAN_SOURCE);
        if slow {
            for client in &mut clients {
                let plan = plan::analyzed(client, &query.sql);
                finding.plans.push(plan.unwrap_or_else(|error| format!("{error:#}\n")));
            }
        }
        finding.parts.push(part);
    }
    let parts = &finding.parts;
    finding.times = (0..NAMES.len())
        .map(|at| {
            let total = parts.iter().map(|part| part.times[at].median()).sum::<f64>() / 1000.0;
            let rounds = vec![Duration::from_secs_f64(total)];
            Times { name: format!("{}, all", NAMES[at]), rounds }
        })
        .collect();
    finding.figure = geometric_mean(parts.iter().filter_map(|part| times_as_fast(&part.times)));
    let source = geometric_mean(parts.iter().filter_map(|part| times_the_source(&part.times)));
    let worst = parts
        .iter()
        .filter_map(|part| Some((1.0 / times_as_fast(&part.times)?, part.name.as_str())))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    let (worst, name) = worst.context("invariant: there are queries")?;
    finding.further = vec![
        Promise {
            about: "geometric mean".to_owned(),
            figure: source,
            target: Target::TimesSource(SLOWER_THAN_SOURCE),
        },
        Promise {
            about: format!("the worst query, {name}, next to postgres_fdw"),
            figure: worst,
            target: Target::TimesTheirs(SLOWER_THAN_THEIRS),
        },
    ];
    let shortest = |at: usize, of: usize| {
        geometric_mean(parts.iter().map(|part| part.times[at].min() / part.times[of].min()))
    };
    let note = format!(
        "the figure is the geometric mean over the queries; by the shortest times {:.2}x as fast, \
         {:.2} of the source",
        shortest(1, 0),
        shortest(0, 2)
    );
    Ok(finding.note(note))
}

/// What came of asking.
enum Answer {
    Rows(Vec<String>),
    /// It took longer than it may.
    Late,
    Failed(String),
}

/// Asks everybody for a first time, compares the answers, then lets them answer in turn.
fn contest(
    clients: &mut [Client; 3],
    query: &Query,
    rounds: usize,
    wrong: &mut Vec<String>,
) -> Result<Part> {
    let name = format!("Q{}", query.number);
    let limit = Duration::from_secs(LIMIT_SECONDS);
    let mut remarks = Vec::new();
    let mut answers = Vec::new();
    let mut times: Vec<Times> = Vec::new();
    let mut again = [true; 3];
    for (at, client) in clients.iter_mut().enumerate() {
        let mut answer = Answer::Late;
        let took = time(|| {
            answer = ask(client, query);
            Ok(())
        })?;
        again[at] = took < LONG && matches!(answer, Answer::Rows(_));
        let counted = match &answer {
            Answer::Rows(_) => took,
            Answer::Late | Answer::Failed(_) => limit,
        };
        times.push(Times { name: NAMES[at].to_owned(), rounds: vec![counted] });
        answers.push(answer);
    }
    for (at, answer) in answers.iter().enumerate() {
        match answer {
            Answer::Rows(_) => {}
            Answer::Late => remarks.push(format!("{}: over {LIMIT_SECONDS} s", NAMES[at])),
            Answer::Failed(error) => wrong.push(format!("{name}, {}: {error}", NAMES[at])),
        }
    }
    // The source is right by definition.
    if let Some(Answer::Rows(expected)) = answers.pop() {
        remarks.push(format!("{} rows", expected.len()));
        for (at, answer) in answers.iter().enumerate() {
            if let Answer::Rows(rows) = answer
                && *rows != expected
            {
                wrong.push(format!(
                    "{name}, {}: {} rows, not those of the source",
                    NAMES[at],
                    rows.len()
                ));
            }
        }
    }
    // What was measured first pays for connecting and for cold caches.
    for (at, times) in times.iter_mut().enumerate() {
        if again[at] {
            times.rounds.clear();
        }
    }
    for _ in 0..rounds {
        for (at, client) in clients.iter_mut().enumerate().filter(|(at, _)| again[*at]) {
            times[at].rounds.push(time(|| plan::rows(client, &query.sql))?);
        }
    }
    Ok(Part { name, times, remark: remarks.join("; ") })
}

fn ask(client: &mut Client, query: &Query) -> Answer {
    match client.simple_query(&query.sql).map(plan::texts) {
        Ok(mut rows) => {
            if !query.is_ordered {
                rows.sort_unstable();
            }
            Answer::Rows(rows)
        }
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Answer::Late,
        Err(error) => {
            let text = error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned());
            Answer::Failed(text)
        }
    }
}
