//! A new bound, or a server that changes or goes, while sessions wait.

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::{ALL, Aside, PATIENCE, Scene, answers, aside, joined};
use crate::ask::{expect, refused, rows, run};

const BOUND: &str = "SELECT max_connections FROM warehouse.replica_usage() WHERE server = 's1'";

fn set(scene: &mut Scene, bound: u32) -> Result<()> {
    run(
        &mut scene.observer,
        &format!("ALTER SYSTEM SET warehouse.max_connections_per_server = {bound}"),
    )?;
    run(&mut scene.observer, "SELECT pg_reload_conf()")?;
    let wanted = if bound == 0 { "~".to_owned() } else { bound.to_string() };
    warehouse_tests::timing::eventually(PATIENCE, "the setting is in force", || {
        Ok(rows(&mut scene.observer, BOUND)? == wanted)
    })
}

/// So many sessions that hold a connection each.
fn holders(scene: &Scene, count: usize) -> Result<Vec<Client>> {
    (0..count).map(|_| scene.holder(ALL)).collect()
}

#[test]
fn the_setting_takes_effect_by_a_reload() -> Result<()> {
    let mut scene = Scene::apart("setting", "", true)?;
    expect(&mut scene.observer, BOUND, "32")?;
    set(&mut scene, 2)?;
    let held = holders(&scene, 2)?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    drop(held);
    answers(waiting, "100")?;
    scene.is_empty()?;
    // Up again, and no bound at all.
    set(&mut scene, 5)?;
    let mut held = holders(&scene, 5)?;
    set(&mut scene, 0)?;
    held.extend(holders(&scene, 3)?);
    ensure!(scene.usage("s1")? == "8|8|0");
    // Lower than what there is: nobody loses anything, and nobody comes until there is room.
    set(&mut scene, 6)?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    held.truncate(6);
    scene.comes_to("s1", "6|6|1")?;
    held.truncate(5);
    answers(waiting, "100")?;
    refused(&mut scene.observer, "SET warehouse.max_connections_per_server = 3")?
        .says("55P02", &[])?;
    drop(held);
    scene.is_empty()
}

/// The hint of a deadlock, and every operator, says: raise the bound. Those who wait are who it is for.
#[test]
fn a_higher_setting_serves_who_waits() -> Result<()> {
    let mut scene = Scene::apart("higher", "", true)?;
    set(&mut scene, 1)?;
    let mut holder = scene.holder(ALL)?;
    let line: Vec<Aside> =
        (0..2).map(|_| Ok(aside(scene.session()?, ALL))).collect::<Result<_>>()?;
    scene.waiting("s1", 2)?;
    set(&mut scene, 5)?;
    // Whoever comes now knows the new bound.
    expect(&mut scene.session()?, ALL, "100").context("a newcomer under the new bound")?;
    for session in line {
        answers(session, "100").context("a session that waited as the bound was raised")?;
    }
    expect(&mut holder, ALL, "100")
}

#[test]
fn a_higher_option_serves_who_waits() -> Result<()> {
    let mut scene = Scene::new("higheroption", 1)?;
    let mut holder = scene.holder(ALL)?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    run(&mut scene.observer, "ALTER SERVER s1 OPTIONS (SET max_connections '5')")?;
    expect(&mut scene.session()?, ALL, "100").context("a newcomer under the new bound")?;
    answers(waiting, "100").context("a session that waited as the bound was raised")?;
    expect(&mut holder, ALL, "100")
}

/// The option says otherwise than the setting, in both directions.
#[test]
fn the_option_counts_before_the_setting() -> Result<()> {
    let mut scene = Scene::apart("option", ", max_connections '3'", true)?;
    set_and_expect(&mut scene, 1, "3")?;
    let held = holders(&scene, 3)?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    drop(held);
    answers(waiting, "100")?;
    run(&mut scene.observer, "ALTER SERVER s1 OPTIONS (DROP max_connections)")?;
    expect(&mut scene.observer, BOUND, "1")
}

fn set_and_expect(scene: &mut Scene, setting: u32, bound: &str) -> Result<()> {
    run(
        &mut scene.observer,
        &format!("ALTER SYSTEM SET warehouse.max_connections_per_server = {setting}"),
    )?;
    run(&mut scene.observer, "SELECT pg_reload_conf()")?;
    // Another server without the option shows when it is in force.
    run(&mut scene.observer, "ALTER SERVER s2 OPTIONS (DROP max_connections)")?;
    warehouse_tests::timing::eventually(PATIENCE, "the setting is in force", || {
        let sql = BOUND.replace("s1", "s2");
        Ok(rows(&mut scene.observer, &sql)? == setting.to_string())
    })?;
    expect(&mut scene.observer, BOUND, bound)
}

/// A server that changes under a session that waits: it is served, and the next statement is by the
/// new one.
#[test]
fn a_server_that_changes_under_who_waits() -> Result<()> {
    let mut scene = Scene::new("altered", 1)?;
    let elsewhere = scene.source.create_database("elsewhere")?;
    scene.source.execute(&elsewhere, "CREATE TABLE t AS SELECT 1 AS id")?;
    let mut holder = scene.holder(ALL)?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    run(&mut scene.observer, &format!("ALTER SERVER s1 OPTIONS (SET dbname '{elsewhere}')"))?;
    run(&mut scene.observer, "ALTER SERVER s1 RENAME TO renamed")?;
    expect(&mut holder, ALL, "100")?;
    run(&mut holder, "COMMIT")?;
    let (mut client, answer) = joined(waiting)?;
    let answer = answer.context("the one who waited")?;
    ensure!(answer == "100" || answer == "1", "{answer}");
    for client in [&mut client, &mut holder] {
        expect(client, ALL, "1")?;
    }
    scene.comes_to("renamed", "1|0|0")
}

/// Who waits for a server has its table locked, so the server goes after them.
#[test]
fn a_server_that_is_dropped_under_who_waits() -> Result<()> {
    let mut scene = Scene::new("dropped", 1)?;
    let mut holder = scene.holder(ALL)?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    let dropping = aside(scene.session()?, "DROP SERVER s1 CASCADE");
    expect(&mut holder, ALL, "100")?;
    run(&mut holder, "COMMIT")?;
    // Either was served before the other, none of them hangs.
    let (mut client, answer) = joined(waiting)?;
    if let Err(error) = answer {
        ensure!(["42P01", "42704"].contains(&crate::ask::told(&error)?.code.as_str()), "{error}");
    }
    answers(dropping, "")?;
    refused(&mut client, ALL)?.says("42P01", &[])?;
    expect(&mut client, super::ALL_THERE, "100")?;
    expect(&mut scene.observer, "SELECT server FROM warehouse.replica_usage()", "s2")?;
    // Another of the same name is another one.
    let source_database = scene.source_database.clone();
    let port = scene.source.port();
    crate::ask::declare(
        &mut scene.observer,
        "s1",
        port,
        &source_database,
        ", max_connections '1'",
    )?;
    scene.comes_to("s1", "0|0|0")
}
