//! A statement that is cancelled while it reads all sites stops at all of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::ground::SERVERS;
use super::{PATIENCE, Scene, Sources};
use crate::ask::{disturb, expect, refused, run, told};

/// How a statement is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Cancel,
    Timeout,
    Terminate,
}

impl Way {
    fn stop(self, sources: &Sources, pid: i32) -> Result<()> {
        let function = match self {
            Way::Cancel => "pg_cancel_backend",
            Way::Terminate => "pg_terminate_backend",
            Way::Timeout => return Ok(()),
        };
        let warehouse = sources.ground.warehouse_cluster;
        warehouse.execute("postgres", &format!("SELECT {function}({pid})"))
    }
}

/// Runs `sql`, stops it once all sites run, and looks for what is left.
fn stopped(
    scene: &mut Scene,
    sql: &str,
    way: Way,
    ready: impl FnOnce(&Sources) -> Result<()> + Send,
) -> Result<()> {
    if way == Way::Timeout {
        run(&mut scene.client, "SET statement_timeout = '600ms'")?;
    }
    let sources = &scene.sources;
    let (error, took) = disturb(&mut scene.client, Duration::ZERO, sql, |pid| {
        let seen = ready(sources);
        way.stop(sources, pid)?;
        seen
    })?;
    ensure!(took < PATIENCE * 2, "stopped after {took:?}");
    let error = error.context("ended well")?;
    match way {
        Way::Cancel => told(&error)?.says("57014", &["user request"]).map(|_| ())?,
        Way::Timeout => told(&error)?.says("57014", &["statement timeout"]).map(|_| ())?,
        Way::Terminate => {}
    }
    scene.sources.nothing_runs()?;
    match way {
        Way::Cancel => {}
        Way::Timeout => run(&mut scene.client, "SET statement_timeout = '10s'")?,
        Way::Terminate => scene.client = scene.sources.session()?,
    }
    Ok(())
}

const STREAMING: [&str; 3] = [
    "SELECT sum(length(pad)) FROM (SELECT pad FROM main.trickle WHERE random() < 2 OFFSET 0) x",
    "SELECT sum(length(pad)) FROM (SELECT pad FROM main.flood WHERE random() < 2 OFFSET 0) x",
    "SELECT count(*) FROM main.flood",
];

#[test]
fn while_all_sites_stream() -> Result<()> {
    let mut scene = Scene::new("streaming")?;
    for way in [Way::Cancel, Way::Timeout, Way::Terminate] {
        for sql in STREAMING.iter().skip(usize::from(way == Way::Timeout)) {
            stopped(&mut scene, sql, way, |sources| sources.all_run(&SERVERS))
                .with_context(|| format!("{way:?}: {sql}"))?;
            scene.works().with_context(|| format!("{way:?}: {sql}"))?;
        }
    }
    Ok(())
}

#[test]
fn while_all_sites_keep_it_waiting() -> Result<()> {
    let mut scene = Scene::new("waiting")?;
    for way in [Way::Cancel, Way::Timeout, Way::Terminate] {
        for sql in [
            "SELECT count(id) FROM (SELECT id FROM main.held WHERE random() < 2 OFFSET 0) x",
            "SELECT count(*) FROM main.held",
        ] {
            // The locks stay until the end: what was not cancelled would wait.
            let holders = scene.sources.hold_all()?;
            stopped(&mut scene, sql, way, |sources| sources.all_are_held(&SERVERS))
                .with_context(|| format!("{way:?}: {sql}"))?;
            drop(holders);
            scene.works().with_context(|| format!("{way:?}: {sql}"))?;
        }
    }
    Ok(())
}

/// Behind a savepoint the transaction goes on, with the snapshots it had.
#[test]
fn in_a_transaction() -> Result<()> {
    let mut scene = Scene::new("cancelblock")?;
    run(&mut scene.client, "BEGIN")?;
    expect(&mut scene.client, "SELECT count(*) FROM main.t", "4000")?;
    for (sql, held) in [
        (STREAMING[0], false),
        (STREAMING[1], false),
        ("SELECT count(id) FROM (SELECT id FROM main.held WHERE random() < 2 OFFSET 0) x", true),
    ] {
        run(&mut scene.client, "SAVEPOINT s")?;
        let holders = if held { scene.sources.hold_all()? } else { Vec::new() };
        let sources = &scene.sources;
        let (error, _) = disturb(&mut scene.client, Duration::ZERO, sql, |pid| {
            let seen =
                if held { sources.all_are_held(&SERVERS) } else { sources.all_run(&SERVERS) };
            Way::Cancel.stop(sources, pid)?;
            seen
        })
        .with_context(|| sql.to_owned())?;
        told(&error.context("ended well")?)?.says("57014", &[])?;
        run(&mut scene.client, "ROLLBACK TO s")?;
        expect(&mut scene.client, "SELECT count(id) FROM main.t WHERE random() < 2", "4000")
            .with_context(|| format!("behind {sql}"))?;
        drop(holders);
        scene.works()?;
    }
    run(&mut scene.client, "COMMIT")?;
    scene.works()
}

/// What fails in the warehouse while rows come.
#[test]
fn an_error_here_stops_them_too() -> Result<()> {
    let mut scene = Scene::new("errorhere")?;
    for sql in [
        "SELECT 1 / (id - 40003) FROM main.trickle WHERE length(pad) > random()",
        "SELECT sum(1 / (1000 - id)) FROM (SELECT id FROM main.flood WHERE random() < 2 OFFSET 0) x",
        "SELECT id::text::date FROM main.trickle WHERE length(pad) > random()",
    ] {
        let told = refused(&mut scene.client, sql)?;
        ensure!(["22012", "22008", "22007"].contains(&told.code.as_str()), "{told:?}");
        scene.works().with_context(|| sql.to_owned())?;
    }
    Ok(())
}
