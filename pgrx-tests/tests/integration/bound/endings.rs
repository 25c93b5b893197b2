//! Sessions that end, well or badly, while others hold or want connections. Each test has a warehouse
//! of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use warehouse_tests::timing::eventually;

use super::{ALL, PATIENCE, Scene, aside, joined};
use crate::ask::{expect, pid_of, run};

/// A session that ends hands its place in the book to the next one, and takes nothing of it with it.
#[test]
fn who_ends_takes_nothing_from_the_next() -> Result<()> {
    let mut scene = Scene::apart("handover", ", max_connections '1'", true)?;
    for round in 1..=5 {
        let holder = scene.holder(ALL)?;
        let mut next = scene.session()?;
        run(&mut next, "BEGIN")?;
        let next = aside(next, ALL);
        scene.waiting("s1", 1)?;
        drop(holder);
        let (next, answer) = joined(next)?;
        answer?;
        // Time for the process that ended to be gone.
        thread::sleep(Duration::from_millis(150));
        let found = scene.usage("s1")?;
        ensure!(found == "1|1|0", "round {round}: one connection in use, the book says {found}");
        drop(next);
        scene.is_empty()?;
    }
    Ok(())
}

/// The book is looked at while processes end, whatever others do to it at that moment.
#[test]
fn sessions_that_end_while_others_commit() -> Result<()> {
    let mut scene = Scene::apart("endandcommit", ", max_connections '30'", true)?;
    let ground = &scene.ground;
    let done = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| -> Result<()> {
                let mut client = ground.session()?;
                expect(&mut client, ALL, "100")?;
                while !done.load(Ordering::SeqCst) {
                    // Every end of a transaction is noted in the book.
                    run(&mut client, "DO $$ BEGIN FOR i IN 1..2000 LOOP COMMIT; END LOOP; END $$")?;
                }
                Ok(())
            });
        }
        let comers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let until = Instant::now() + Duration::from_millis(2500);
                    while Instant::now() < until {
                        expect(&mut ground.session()?, ALL, "100")?;
                    }
                    Ok(())
                })
            })
            .collect();
        let mut outcome = Ok(());
        for comer in comers {
            let result = comer.join().map_err(|_| anyhow!("a session panicked"));
            outcome = outcome.and(result.and_then(|result| result));
        }
        done.store(true, Ordering::SeqCst);
        outcome
    });
    let log = scene.warehouse.cluster().log()?;
    let panic = log.lines().find(|line| line.contains("PANIC"));
    ensure!(panic.is_none(), "the server crashed: {}", panic.unwrap_or_default());
    outcome?;
    scene.is_empty()
}

/// The server starts all over when one of its processes is killed: nobody has a connection then.
#[test]
fn a_crash_empties_the_book() -> Result<()> {
    let mut scene = Scene::apart("crashes", ", max_connections '1'", true)?;
    for _ in 0..2 {
        let mut holder = scene.holder(ALL)?;
        let pid = pid_of(&mut holder)?;
        let waiting = aside(scene.session()?, ALL);
        scene.waiting("s1", 1)?;
        // SAFETY: a plain system call; the process is a backend of the test's own cluster.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        ensure!(joined(waiting)?.1.is_err());
        eventually(PATIENCE, "the server is back", || {
            let Ok(mut client) = scene.warehouse.cluster().connect(&scene.database) else {
                return Ok(false);
            };
            Ok(client.simple_query("SELECT 1").is_ok())
        })?;
        scene.observer = scene.session()?;
        ensure!(scene.usage("s1")? == "0|0|0", "{}", scene.usage("s1")?);
        let holder = scene.holder(ALL)?;
        let waiting = aside(scene.session()?, ALL);
        scene.waiting("s1", 1)?;
        drop(holder);
        super::answers(waiting, "100")?;
        scene.is_empty()?;
    }
    Ok(())
}

/// A source that cannot be reached, or refuses, costs nobody a place.
#[test]
fn failures_to_connect_give_the_place_back() -> Result<()> {
    let mut scene = Scene::new("noconnect", 1)?;
    let mut client = scene.session()?;
    let mapping = |password: &str| {
        format!(
            "ALTER USER MAPPING FOR PUBLIC SERVER s1 OPTIONS (SET password '{password}'); \
             SELECT warehouse.disconnect()"
        )
    };
    run(&mut scene.observer, &mapping("wrong"))?;
    for _ in 0..5 {
        crate::ask::refused(&mut client, ALL)?.says("08001", &["\"s1\""])?;
    }
    ensure!(scene.usage("s1")? == "0|0|0");
    run(&mut scene.observer, &mapping(crate::support::READER_PASSWORD))?;
    expect(&mut client, ALL, "100").context("with the right password")?;
    // The source ends the session: the next query has a new one in its place.
    for _ in 0..3 {
        let sql = scene
            .count_at_source("s1")
            .replace("count(*)", "count(pg_terminate_backend(pid, 5000))");
        scene.source.value("postgres", &sql)?;
        expect(&mut client, ALL, "100")?;
        ensure!(scene.usage("s1")? == "1|0|0");
    }
    expect(&mut client, "SELECT warehouse.disconnect()", "1")?;
    scene.is_empty()
}
