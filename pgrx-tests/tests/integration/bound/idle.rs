//! Sessions that keep a connection for their next query and do nothing: they give it up by themselves.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{ALL, ALL_THERE, PATIENCE, Scene, answers, aside};
use crate::ask::{expect, rows, run};

#[test]
fn an_unused_connection_goes_to_who_waits() -> Result<()> {
    let mut scene = Scene::new("unused", 1)?;
    let (mut one, mut two) = (scene.session()?, scene.session()?);
    for _ in 0..3 {
        // The one before is idle when the other asks, and does nothing about it.
        expect(&mut one, ALL, "100")?;
        expect(&mut two, ALL, "100")?;
    }
    scene.comes_to("s1", "1|0|0")?;
    ensure!(scene.at_source("s1")? == 1);
    expect(&mut one, "SELECT count(*) FROM warehouse.replica_connections()", "0")?;
    expect(&mut two, "SELECT count(*) FROM warehouse.replica_connections()", "1")
}

#[test]
fn an_unused_connection_stays_while_nobody_waits() -> Result<()> {
    let mut scene = Scene::new("kept", 2)?;
    let (mut one, mut two) = (scene.session()?, scene.session()?);
    let pid = "SELECT remote_pid FROM warehouse.replica_connections()";
    expect(&mut one, ALL, "100")?;
    let before = rows(&mut one, pid)?;
    expect(&mut two, ALL, "100")?;
    expect(&mut one, ALL, "100")?;
    expect(&mut one, pid, &before)?;
    scene.comes_to("s1", "2|0|0")
}

/// Each of many takes from another.
#[test]
fn many_idle_sessions_take_turns() -> Result<()> {
    let mut scene = Scene::new("turns", 2)?;
    let mut all: Vec<_> = (0..6).map(|_| scene.session()).collect::<Result<_>>()?;
    for _ in 0..3 {
        for client in &mut all {
            expect(client, ALL, "100")?;
            expect(client, ALL_THERE, "100")?;
        }
    }
    for server in ["s1", "s2"] {
        let found = scene.usage(server)?;
        ensure!(["1|0|0", "2|0|0"].contains(&found.as_str()), "{server}: {found}");
    }
    Ok(())
}

/// A session that is busy with something else gives it up when that has ended.
#[test]
fn a_busy_session_gives_up_at_its_statements_end() -> Result<()> {
    let mut scene = Scene::new("busy", 1)?;
    let mut busy = scene.session()?;
    expect(&mut busy, ALL, "100")?;
    let at = Instant::now();
    let busy = aside(busy, "SELECT pg_sleep(1)");
    let mut other = scene.session()?;
    expect(&mut other, ALL, "100")?;
    ensure!(at.elapsed() < PATIENCE, "{:?}", at.elapsed());
    let _busy = answers(busy, "")?;
    scene.comes_to("s1", "1|0|0")
}

/// A transaction that has not read from the server is none that has a snapshot there.
#[test]
fn an_unused_connection_in_another_transaction_is_given_back_at_its_end() -> Result<()> {
    let mut scene = Scene::new("othertx", 1)?;
    let mut one = scene.session()?;
    expect(&mut one, ALL, "100")?;
    run(&mut one, "BEGIN")?;
    expect(&mut one, ALL_THERE, "100")?;
    let other = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    expect(&mut one, ALL_THERE, "100")?;
    run(&mut one, "COMMIT")?;
    let _other = answers(other, "100")?;
    scene.comes_to("s1", "1|0|0")
}
