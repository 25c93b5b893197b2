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
