//! A dashboard: a pool of sessions, each of which reads every site at once, with few connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use postgres::NoTls;
use warehouse_tests::timing::eventually;

use super::Scene;
use crate::ask::{SOON, expect, rows, run, told};

/// Sessions of the pool.
const SESSIONS: usize = 15;

/// Connections that a server may have.
const BOUND: i64 = 4;

const QUESTIONS: [&str; 5] = [
    "SELECT kind, count(*), sum(amount) FROM main.orders GROUP BY 1 ORDER BY 1",
    "SELECT site, max(at) FROM main.orders GROUP BY 1 ORDER BY 1",
    "SELECT site, id, name FROM main.orders ORDER BY score DESC, site, id LIMIT 20",
    "SELECT count(*) FROM main.orders o JOIN main.users u ON u.site = o.site AND u.id = o.user_id WHERE u.active",
    "SELECT DATE_TRUNC('day', at), count(DISTINCT user_id) FROM main.orders GROUP BY 1 ORDER BY 1",
];

#[test]
fn fifteen_sessions_share_few_connections() -> Result<()> {
    let mut scene = Scene::with("dashboard", &format!(", max_connections '{BOUND}'"))?;
    run(&mut scene.admin, "SET TimeZone = 'America/New_York'")?;
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(rows(&mut scene.admin, &question.replace(" main.", " plain."))?);
    }
    let done = AtomicBool::new(false);
    let (scene, answers, done) = (&scene.ground, &answers, &done);
    let most = thread::scope(|scope| -> Result<i64> {
        let watcher = scope.spawn(|| -> Result<i64> {
            let names: Vec<&str> =
                scene.sites.iter().map(|site| site.application.as_str()).collect();
            let mut source = scene.source.connect("postgres")?;
            let count = source.prepare(
                "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM pg_stat_activity \
                 WHERE application_name = ANY ($1) GROUP BY application_name) q",
            )?;
            let mut most = 0;
            while !done.load(Ordering::SeqCst) {
                most = most.max(source.query_one(&count, &[&names])?.get(0));
                thread::sleep(Duration::from_millis(2));
            }
            Ok(most)
        });
        let pool: Vec<_> = (0..SESSIONS)
            .map(|number| {
                scope.spawn(move || -> Result<()> {
                    let mut tool = scene.tool()?;
                    for round in 0..8 {
                        let at = (number + round) % QUESTIONS.len();
                        if round == 5 {
                            run(&mut tool, "BEGIN READ ONLY")?;
                        }
                        expect(&mut tool, QUESTIONS[at], &answers[at])
                            .with_context(|| format!("session {number}, round {round}"))?;
                        if round == 5 {
                            run(&mut tool, "COMMIT")?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let mut served = Ok(());
        for session in pool {
            let one = session.join().map_err(|_| anyhow!("a session panicked"));
            served = served.and(one.and_then(|one| one));
        }
        done.store(true, Ordering::SeqCst);
        let most = watcher.join().map_err(|_| anyhow!("the watcher panicked"))?;
        served?;
        most
    })?;
    ensure!(most <= BOUND, "{most} connections with a bound of {BOUND}");
    ensure!(most > 1, "the sessions were not served at the same time");
    Ok(())
}

/// The tool's own cancel, while all connections are others'.
#[test]
fn one_who_waits_can_be_cancelled() -> Result<()> {
    let mut scene = Scene::with("waits", ", max_connections '2'")?;
    let mut holders = Vec::new();
    for _ in 0..2 {
        let mut holder = scene.tool()?;
        run(&mut holder, "BEGIN")?;
        expect(&mut holder, "SELECT count(*) FROM main.orders", "3200")?;
        holders.push(holder);
    }
    let mut tool = scene.tool()?;
    let token = tool.cancel_token();
    let waiting = thread::spawn(move || {
        let answer = tool.simple_query("SELECT count(*) FROM main.orders").map(|_| ());
        (tool, answer, std::time::Instant::now())
    });
    eventually(Duration::from_secs(10), "it waits", || {
        let waits = "SELECT coalesce(sum(waiting), 0) FROM warehouse.replica_usage() \
                     WHERE server LIKE 'server\\__'";
        Ok(rows(&mut scene.admin, waits)? != "0")
    })?;
    let at = std::time::Instant::now();
    token.cancel_query(NoTls)?;
    let (mut tool, answer, ended) = waiting.join().map_err(|_| anyhow!("the session panicked"))?;
    let error = answer.err().context("it was served")?;
    told(&error)?.says("57014", &[])?;
    let took = ended.saturating_duration_since(at);
    ensure!(took < SOON, "cancelled only {took:?} later");
    run(&mut holders.remove(0), "COMMIT")?;
    expect(&mut tool, "SELECT count(*) FROM main.orders", "3200")
}
