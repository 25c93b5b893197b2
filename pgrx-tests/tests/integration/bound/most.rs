//! A source never has more connections than the bound.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use warehouse_tests::Cluster;

use super::{Ground, Scene};
use crate::ask::{declare, expect, run};

/// Sessions that query at the same time.
const SESSIONS: usize = 10;

/// The most connections of `s1` that the source ever had while `work` ran.
fn most(ground: &Ground, work: impl FnOnce() -> Result<()>) -> Result<i64> {
    let done = AtomicBool::new(false);
    let sql = ground.count_at_source("s1");
    thread::scope(|scope| {
        let watcher = scope.spawn(|| -> Result<i64> {
            let mut source = ground.source.connect("postgres")?;
            let mut most = 0;
            while !done.load(Ordering::SeqCst) {
                let found: String = source.query_one(&sql, &[])?.get(0);
                most = most.max(found.parse()?);
            }
            Ok(most)
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        let most = watcher.join().map_err(|_| anyhow!("the watcher panicked"))??;
        result.map(|()| most)
    })
}

/// Runs `session` in threads of their own, with their numbers.
fn together(session: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let session = &session;
        let all: Vec<_> =
            (0..SESSIONS).map(|number| scope.spawn(move || session(number))).collect();
        for thread in all {
            thread.join().map_err(|_| anyhow!("a session panicked"))??;
        }
        Ok(())
    })
}

const BRIEF: &str = "SELECT count(*) FROM app.brief";

#[test]
fn sessions_that_stay() -> Result<()> {
    let mut scene = Scene::new("stay", 3)?;
    let ground = &scene.ground;
    let found = most(ground, || {
        together(|number| {
            let mut client = ground.session()?;
            for round in 0..6 {
                expect(&mut client, BRIEF, "100").with_context(|| format!("{number}, {round}"))?;
            }
            Ok(())
        })
    })?;
    ensure!(found == 3, "{found} connections with a bound of 3");
    scene.is_empty()
}

#[test]
fn sessions_in_transactions() -> Result<()> {
    let mut scene = Scene::new("intransactions", 2)?;
    let ground = &scene.ground;
    let found = most(ground, || {
        together(|number| {
            let mut client = ground.session()?;
            for round in 0..3 {
                run(&mut client, "BEGIN")?;
                expect(&mut client, BRIEF, "100").with_context(|| format!("{number}, {round}"))?;
                expect(&mut client, "SELECT count(*) FROM app.t", "100")?;
                // Some of them by errors, which close nothing either.
                if (number + round) % 3 == 0 {
                    ensure!(client.batch_execute("SELECT 1 / (id - 5) FROM app.t").is_err());
                }
                run(&mut client, "COMMIT")?;
            }
            Ok(())
        })
    })?;
    ensure!(found == 2, "{found} connections with a bound of 2");
    scene.is_empty()
}

/// An analyst's tool that opens a session a query.
#[test]
fn sessions_that_come_and_go() -> Result<()> {
    let mut scene = Scene::new("comeandgo", 2)?;
    let ground = &scene.ground;
    let found = most(ground, || {
        together(|number| {
            for round in 0..6 {
                let mut client = ground.session()?;
                expect(&mut client, BRIEF, "100").with_context(|| format!("{number}, {round}"))?;
            }
            Ok(())
        })
    })?;
    ensure!(found <= 2, "{found} connections with a bound of 2");
    scene.is_empty()
}

/// The source itself has the same limit: whoever connects a moment too early is refused there.
#[test]
fn a_source_with_the_same_limit_refuses_nobody() -> Result<()> {
    let mut scene = Scene::new("samelimit", 2)?;
    let role = scene.source_database.clone();
    scene.source.execute(
        "postgres",
        &format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'limited' CONNECTION LIMIT 2; \
             GRANT pg_read_all_data TO {role}"
        ),
    )?;
    run(
        &mut scene.observer,
        &format!(
            "ALTER USER MAPPING FOR PUBLIC SERVER s1 \
               OPTIONS (SET user '{role}', SET password 'limited')"
        ),
    )?;
    let ground = &scene.ground;
    together(|number| {
        for round in 0..3 {
            let mut client = ground.session()?;
            for _ in 0..3 {
                expect(&mut client, BRIEF, "100").with_context(|| format!("{number}, {round}"))?;
            }
        }
        Ok(())
    })?;
    scene.is_empty()
}

/// A connection is given back when the source has noticed its end, not when it has been told: at a
/// source that lets everybody in at once the next one would be there before the last has gone.
#[test]
fn handing_over_is_not_seen_at_the_source() -> Result<()> {
    let scene = Scene::new("handingover", 1)?;
    let source = Cluster::builder("trusting").hba("host all all 127.0.0.1/32 trust").start()?;
    source.execute("postgres", "CREATE ROLE reader LOGIN")?;
    let name = "handing over";
    let mut client = scene.session()?;
    let options = format!(", max_connections '1', application_name '{name}'");
    declare(&mut client, "trusting", source.port(), "postgres", &options)?;
    run(
        &mut client,
        "CREATE FOREIGN TABLE one (relname name) SERVER trusting \
           OPTIONS (schema_name 'pg_catalog', table_name 'pg_class')",
    )?;
    let sql = "SELECT count(*) FROM one WHERE relname = 'pg_class'";
    let done = AtomicBool::new(false);
    let ground = &scene.ground;
    let (most, taken) = thread::scope(|scope| {
        let watcher = scope.spawn(|| -> Result<i64> {
            let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
            let mut source = source.connect("postgres")?;
            let count = source.prepare(count)?;
            let mut most = 0;
            while !done.load(Ordering::SeqCst) {
                most = most.max(source.query_one(&count, &[&name])?.get(0));
            }
            Ok(most)
        });
        let turns: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut client = ground.session()?;
                    for _ in 0..120 {
                        expect(&mut client, sql, "1")?;
                    }
                    Ok(())
                })
            })
            .collect();
        let mut taken = Ok(());
        for turn in turns {
            let one = turn.join().map_err(|_| anyhow!("a session panicked"));
            taken = taken.and(one.and_then(|one| one));
        }
        done.store(true, Ordering::SeqCst);
        let most = watcher.join().map_err(|_| anyhow!("the watcher panicked"));
        (most.and_then(|most| most), taken)
    });
    taken?;
    let most = most?;
    ensure!(most == 1, "{most} connections with a bound of 1");
    Ok(())
}
