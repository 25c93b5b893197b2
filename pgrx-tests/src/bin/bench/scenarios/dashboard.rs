//! Everybody opens the same dashboard in the morning: sessions side by side, each with the same few
//! questions and values of its own.

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow, ensure};
use postgres::Client;
use postgres::types::ToSql;

use super::{Run, Scenario};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Part, Target};
use crate::sites::{Fleet, Merged, Raw, SITES, Sites, fastest};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "dashboard",
    title: "15 concurrent dashboard sessions, each with six questions with bind parameters",
    run: Run::Sites(run),
};

/// Sessions side by side.
const SESSIONS: usize = 15;

/// Rounds of the questions one by one.
const ALONE: usize = 3;

/// The questions of the dashboard: name, query, and its values.
const QUESTIONS: [(&str, &str, Values); 6] = [
    (
        "kinds of one site",
        "SELECT kind, count(*), sum(amount) FROM @events \
         WHERE site = $1 AND created_at >= $2 GROUP BY kind",
        |who| vec![&who.site, &who.month],
    ),
    (
        "events a day",
        "SELECT created_at::date AS day, count(*) FROM @events WHERE created_at >= $1 GROUP BY 1",
        |who| vec![&who.month],
    ),
    (
        "new users a week",
        "SELECT site, date_trunc('week', created_at) AS week, country, count(*) FROM @users \
         WHERE created_at >= $1 GROUP BY 1, 2, 3",
        |who| vec![&who.quarter],
    ),
    (
        "one user's latest",
        "SELECT id, kind, created_at, amount FROM @events WHERE site = $1 AND user_id = $2 \
         ORDER BY created_at DESC LIMIT 20",
        |who| vec![&who.site, &who.user],
    ),
    (
        "totals of a kind",
        "SELECT count(*), sum(amount), avg(amount), max(created_at) FROM @events WHERE kind = $1",
        |who| vec![&who.kind],
    ),
    (
        "amounts by country",
        "SELECT u.site, u.country, sum(e.amount), count(DISTINCT u.id) \
         FROM @users u JOIN @events e ON e.site = u.site AND e.user_id = u.id \
         WHERE e.kind = $1 AND e.created_at >= $2 GROUP BY 1, 2",
        |who| vec![&who.kind, &who.week],
    ),
];

type Values = for<'a> fn(&'a Viewer) -> Vec<&'a (dyn ToSql + Sync)>;

/// What one session asks for.
struct Viewer {
    site: &'static str,
    kind: &'static str,
    user: i64,
    week: SystemTime,
    month: SystemTime,
    quarter: SystemTime,
}

/// All answers of a session.
type Answers = Vec<Vec<Vec<Raw>>>;

fn run(sites: &Sites, rounds: usize) -> Result<Finding> {
    let viewers = viewers(sites.users);
    let mut ours: Vec<Client> = (0..SESSIONS).map(|_| sites.connect()).collect::<Result<_>>()?;
    let mut others: Vec<Client> =
        (0..SESSIONS).map(|_| sites.connect_theirs()).collect::<Result<_>>()?;
    let mut sources: Vec<Fleet> =
        (0..SESSIONS).map(|_| Fleet::connect(sites, "")).collect::<Result<_>>()?;

    let expected =
        open(&mut ours, &viewers, |client, viewer| ask_all(client, Merged::Ours, viewer))?;
    let best = fastest(|way| {
        let mut answers = Vec::new();
        let took = time(|| {
            answers = open(&mut others, &viewers, |client, viewer| ask_all(client, way, viewer))?;
            Ok(())
        })?;
        for (viewer, (answers, expected)) in answers.iter().zip(&expected).enumerate() {
            for (at, (answer, expected)) in answers.iter().zip(expected).enumerate() {
                let (name, ..) = QUESTIONS[at];
                ensure!(answer == expected, "session {viewer}, {name}: the answers differ");
            }
        }
        Ok(took)
    })?;

    let parts = alone(&mut ours[0], &mut others[0], &mut sources[0], best, &viewers[0])?;
    let times = interleave(
        rounds,
        vec![
            Contender::new(Merged::Ours.name(), || {
                time(|| open(&mut ours, &viewers, |c, viewer| ask_all(c, Merged::Ours, viewer)))
            }),
            Contender::new(best.name(), || {
                time(|| open(&mut others, &viewers, |c, viewer| ask_all(c, best, viewer)))
            }),
            Contender::new(Merged::Source.name(), || {
                time(|| open(&mut sources, &viewers, ask_all_sources))
            }),
        ],
    )?;
    let mut finding = Finding::of_times(times, Target::Faster(3.0));
    finding.parts = parts;
    Ok(finding.note("the questions one by one are those of one session alone"))
}

fn viewers(users: u64) -> Vec<Viewer> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const KINDS: [&str; 4] = ["login", "lesson", "quiz", "payment"];
    let now = SystemTime::now();
    (0..SESSIONS)
        .map(|number| Viewer {
            site: SITES[number % SITES.len()],
            kind: KINDS[number % KINDS.len()],
            user: (number as u64 * 7_919 % users + 1) as i64,
            week: now - DAY * 7,
            month: now - DAY * (30 + number as u32),
            quarter: now - DAY * (90 + number as u32),
        })
        .collect()
}

/// Lets all sessions do the same at once and waits for the last one.
fn open<S: Send, T: Send>(
    sessions: &mut [S],
    viewers: &[Viewer],
    ask: impl Fn(&mut S, &Viewer) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let ask = &ask;
    thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .iter_mut()
            .zip(viewers)
            .map(|(session, viewer)| scope.spawn(move || ask(session, viewer)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
            .collect()
    })
}

fn ask_all(client: &mut Client, way: Merged, viewer: &Viewer) -> Result<Answers> {
    QUESTIONS
        .iter()
        .map(|(_, sql, values)| {
            let mut rows = Raw::rows(client, &way.sql(sql), &values(viewer))?;
            rows.sort_unstable();
            Ok(rows)
        })
        .collect()
}

fn ask_all_sources(fleet: &mut Fleet, viewer: &Viewer) -> Result<()> {
    for (_, sql, values) in QUESTIONS {
        fleet.values(&Merged::Source.sql(sql), &values(viewer))?;
    }
    Ok(())
}

/// The questions one by one, in one session.
fn alone(
    ours: &mut Client,
    others: &mut Client,
    sources: &mut Fleet,
    best: Merged,
    viewer: &Viewer,
) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (name, sql, values) in QUESTIONS {
        let times = interleave(
            ALONE,
            vec![
                Contender::new(Merged::Ours.name(), || {
                    time(|| Raw::rows(ours, &Merged::Ours.sql(sql), &values(viewer)))
                }),
                Contender::new(best.name(), || {
                    time(|| Raw::rows(others, &best.sql(sql), &values(viewer)))
                }),
                Contender::new(Merged::Source.name(), || {
                    time(|| sources.values(&Merged::Source.sql(sql), &values(viewer)))
                }),
            ],
        )?;
        parts.push(Part { name: name.to_owned(), times, remark: String::new() });
    }
    Ok(parts)
}
