//! One question over the merged tables, asked in every way.

use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::Client;

use super::{Fleet, Merged, Sites, fastest};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Target};
use crate::plan;

/// A question, and what is promised for it.
pub struct Question {
    /// The query, with `@users`, `@events` and `@people` for the tables.
    pub sql: &'static str,
    /// What a session sets before it asks.
    pub session: &'static str,
    /// Whether no row of the answer is about several sites: then the sources together must give it.
    pub by_site: bool,
    /// How many times as fast as postgres_fdw.
    pub target: f64,
}

/// Checks that everybody gives the same answer, then lets them answer in turn.
pub fn measure(sites: &Sites, rounds: usize, question: &Question) -> Result<Finding> {
    let (mut ours, mut others) = (sites.connect()?, sites.connect_theirs()?);
    let mut sources = Fleet::connect(sites, question.session)?;
    ours.batch_execute(question.session)?;
    others.batch_execute(question.session)?;
    let (our_sql, source_sql) = (Merged::Ours.sql(question.sql), Merged::Source.sql(question.sql));

    // Orders are total.
    let comparable = |rows| if question.sql.contains("ORDER BY") { rows } else { sorted(rows) };
    let expected = comparable(plan::rows(&mut ours, &our_sql)?);
    ensure!(!expected.is_empty(), "no rows");
    let at_sources = sorted(sources.rows(&source_sql)?);
    ensure!(!question.by_site || at_sources == sorted(expected.clone()), "our answer is wrong");
    let best = fastest(|way| {
        let mut answer = Vec::new();
        let took = time(|| {
            answer = plan::rows(&mut others, &way.sql(question.sql))?;
            Ok(())
        })?;
        ensure!(comparable(answer) == expected, "the answers differ");
        Ok(took)
    })?;
    let their_sql = best.sql(question.sql);

    let times = interleave(
        rounds,
        vec![
            Contender::new(Merged::Ours.name(), || ask(&mut ours, &our_sql)),
            Contender::new(best.name(), || ask(&mut others, &their_sql)),
            Contender::new(Merged::Source.name(), || {
                time(|| sources.rows(&source_sql).map(|_| ()))
            }),
        ],
    )?;
    let mut finding = Finding::of_times(times, Target::Faster(question.target))
        .note(format!("{}: {}", Merged::Ours.name(), plan::account(&mut ours, &our_sql)?))
        .note(format!("{}: {}", best.name(), plan::account(&mut others, &their_sql)?));
    if !finding.is_reached() {
        finding.plans.push(plan::analyzed(&mut ours, &our_sql)?);
        finding.plans.push(plan::analyzed(&mut others, &their_sql)?);
    }
    Ok(finding)
}

fn ask(client: &mut Client, sql: &str) -> Result<Duration> {
    time(|| plan::rows(client, sql))
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort_unstable();
    rows
}
