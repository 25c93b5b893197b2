//! Those who wait are served in the order of their coming.

use anyhow::{Context, Result, ensure};

use super::{ALL, Aside, Scene, answers, aside, joined};
use crate::ask::{expect, pid_of, rows, run, told};

/// A query that writes down when it was served.
fn noted(number: usize) -> String {
    format!("INSERT INTO served (session, n) SELECT {number}, count(*) FROM app.t RETURNING n")
}

fn start(test: &str) -> Result<Scene> {
    let mut scene = Scene::new(test, 1)?;
    run(&mut scene.observer, "CREATE TABLE served (place serial, session int, n bigint)")?;
    Ok(scene)
}

const SERVED: &str = "SELECT string_agg(session::text, ' ' ORDER BY place) FROM served";

#[test]
fn first_come_first_served() -> Result<()> {
    let mut scene = start("order")?;
    let mut holder = scene.holder(ALL)?;
    let mut line: Vec<Aside> = Vec::new();
    for number in 1..=6 {
        line.push(aside(scene.session()?, &noted(number)));
        scene.waiting("s1", number)?;
    }
    run(&mut holder, "COMMIT")?;
    for session in line {
        answers(session, "100")?;
    }
    expect(&mut scene.observer, SERVED, "1 2 3 4 5 6")
}

/// Who had a connection a moment ago has no better right than who waits.
#[test]
fn who_comes_again_goes_to_the_end() -> Result<()> {
    let mut scene = start("again")?;
    let mut first = scene.holder(ALL)?;
    let second = aside(scene.session()?, &noted(2));
    scene.waiting("s1", 1)?;
    let third = aside(scene.session()?, &noted(3));
    scene.waiting("s1", 2)?;
    run(&mut first, "COMMIT")?;
    run(&mut first, &noted(1))?;
    answers(second, "100")?;
    answers(third, "100")?;
    expect(&mut scene.observer, SERVED, "2 3 1")
}

/// Who gives up waiting holds nobody up.
#[test]
fn who_leaves_the_line_is_passed() -> Result<()> {
    let mut scene = start("leaves")?;
    let mut holder = scene.holder(ALL)?;
    let mut line = Vec::new();
    let mut pids = Vec::new();
    for number in 1..=4 {
        let mut client = scene.session()?;
        pids.push(pid_of(&mut client)?);
        line.push(aside(client, &noted(number)));
        scene.waiting("s1", number)?;
    }
    // The first and one in the middle.
    for at in [0, 2] {
        rows(&mut scene.observer, &format!("SELECT pg_cancel_backend({})", pids[at]))?;
    }
    scene.waiting("s1", 2)?;
    run(&mut holder, "COMMIT")?;
    for (at, session) in line.into_iter().enumerate() {
        let (_, answer) = joined(session)?;
        match answer {
            Ok(answer) => ensure!(answer == "100" && at % 2 == 1, "{at}: {answer}"),
            Err(error) => {
                ensure!(at % 2 == 0, "{at}: {error}");
                told(&error).context("not an error of the server")?.says("57014", &[])?;
            }
        }
    }
    expect(&mut scene.observer, SERVED, "2 4")
}

/// Statements that change something, and those with parallel workers, wait like any other; longer than
/// it takes to look for deadlocks.
#[test]
fn every_kind_of_statement_waits() -> Result<()> {
    let mut scene = start("kinds")?;
    run(
        &mut scene.observer,
        "CREATE TABLE big AS SELECT g % 100 + 1 AS id, g AS n FROM generate_series(1, 20000) g; ANALYZE big",
    )?;
    for (sql, answer) in [
        (
            "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; \
             SELECT count(*) FROM (SELECT id, sum(n) FROM big GROUP BY id) x JOIN app.t USING (id)",
            "100",
        ),
        ("INSERT INTO served (session, n) SELECT 1, id FROM app.t", ""),
        (
            "WITH x AS (INSERT INTO served (session) VALUES (9) RETURNING 1) SELECT count(*) FROM app.t, x",
            "100",
        ),
        ("UPDATE big SET n = 0 FROM app.t WHERE big.id = t.id AND t.id = 3", ""),
        (
            "DO $$ BEGIN IF (SELECT count(*) FROM app.t) <> 100 THEN RAISE 'wrong'; END IF; END $$",
            "",
        ),
        ("CREATE TABLE made AS SELECT * FROM app.t", ""),
        ("ANALYZE app.t", ""),
        (
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM app.t LIMIT 0",
            "",
        ),
        ("BEGIN READ ONLY; SELECT count(*) FROM app.t; COMMIT", "100"),
        (
            "CREATE SCHEMA again; IMPORT FOREIGN SCHEMA public LIMIT TO (t) FROM SERVER s1 INTO again",
            "",
        ),
    ] {
        let mut holder = scene.holder(ALL)?;
        let waiting = aside(scene.session()?, sql);
        if !sql.starts_with("EXPLAIN") {
            scene.waiting("s1", 1).with_context(|| sql.to_owned())?;
            std::thread::sleep(std::time::Duration::from_millis(750));
        }
        run(&mut holder, "COMMIT")?;
        let (_, found) = joined(waiting)?;
        let found = found.with_context(|| sql.to_owned())?;
        ensure!(answer.is_empty() || found == answer, "{sql}: {found}");
    }
    Ok(())
}
