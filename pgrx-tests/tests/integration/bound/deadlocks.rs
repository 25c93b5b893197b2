//! Nobody waits for ever: of sessions that wait for each other one is told so, and no other.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::timing::eventually;

use super::{ALL, ALL_THERE, Aside, PATIENCE, Scene, answers, aside, joined};
use crate::ask::{expect, pid_of, rows, run, told};

/// The sessions that got 40P01 for a server; the others have to have answers.
fn victims(sessions: Vec<Aside>) -> Result<Vec<(usize, String)>> {
    let mut out = Vec::new();
    let mut clients = Vec::new();
    for (at, session) in sessions.into_iter().enumerate() {
        let (mut client, answer) = joined(session)?;
        if let Err(error) = answer {
            let told = told(&error)?;
            ensure!(told.code == "40P01", "session {at}: {told:?}");
            told.hints(&["max_connections"])?;
            out.push((at, told.message));
            run(&mut client, "ROLLBACK")?;
        } else {
            run(&mut client, "COMMIT")?;
        }
        clients.push(client);
    }
    Ok(out)
}

#[test]
fn two_sessions_that_want_each_others_server() -> Result<()> {
    let mut scene = Scene::new("two", 1)?;
    let (one, two) = (scene.holder(ALL)?, scene.holder(ALL_THERE)?);
    let one = aside(one, &format!("{ALL_THERE}; COMMIT"));
    scene.waiting("s2", 1)?;
    let two = aside(two, &format!("{ALL}; COMMIT"));
    let victims = victims(vec![one, two])?;
    ensure!(victims.len() == 1, "{victims:?}");
    let (at, message) = &victims[0];
    ensure!(message.contains(if *at == 0 { "\"s2\"" } else { "\"s1\"" }), "{message}");
    scene.is_empty()
}

/// With room for two, it takes more sessions.
#[test]
fn a_ring_of_four_with_a_bound_of_two() -> Result<()> {
    let mut scene = Scene::new("ring", 2)?;
    let mut all: Vec<Client> = Vec::new();
    for sql in [ALL, ALL_THERE, ALL, ALL_THERE] {
        all.push(scene.holder(sql)?);
    }
    let mut sessions = Vec::new();
    for (client, sql) in all.into_iter().zip([ALL_THERE, ALL, ALL_THERE, ALL]) {
        sessions.push(aside(client, &format!("{sql}; COMMIT")));
    }
    let victims = victims(sessions)?;
    ensure!(victims.len() == 1, "{victims:?}");
    scene.is_empty()
}

/// A session that waits for one server gives back what it keeps unused of another.
#[test]
fn who_waits_gives_back_what_it_does_not_use() -> Result<()> {
    let mut scene = Scene::new("unusedwhilewaiting", 1)?;
    let mut one = scene.session()?;
    expect(&mut one, ALL, "100")?;
    let two = scene.holder(ALL_THERE)?;
    let one = aside(one, ALL_THERE);
    scene.waiting("s2", 1)?;
    let two = aside(two, &format!("{ALL}; COMMIT"));
    let (_two, answer) = joined(two)?;
    answer.context("the session whose turn it is waits for a connection that nobody uses")?;
    answers(one, "100")?;
    Ok(())
}

/// Who merely stands in line behind sessions that wait for each other has nothing to give way with.
#[test]
fn who_stands_behind_is_left_alone() -> Result<()> {
    let mut scene = Scene::new("bystander", 1)?;
    let (one, two) = (scene.holder(ALL)?, scene.holder(ALL_THERE)?);
    let one = aside(one, &format!("{ALL_THERE}; COMMIT"));
    scene.waiting("s2", 1)?;
    let two = aside(two, &format!("{ALL}; COMMIT"));
    scene.waiting("s1", 1)?;
    let mut behind: Vec<Aside> = Vec::new();
    for _ in 0..3 {
        behind.push(aside(scene.session()?, ALL));
    }
    let victims = victims(vec![one, two])?;
    ensure!(victims.len() == 1, "{victims:?}");
    for session in behind {
        answers(session, "100").context("a session that holds nothing was told of a deadlock")?;
    }
    scene.is_empty()
}

/// Newcomers do not put off that a deadlock is found.
#[test]
fn newcomers_do_not_put_it_off() -> Result<()> {
    let mut scene = Scene::new("newcomers", 1)?;
    let (one, two) = (scene.holder(ALL)?, scene.holder(ALL_THERE)?);
    let one = aside(one, &format!("{ALL_THERE}; COMMIT"));
    scene.waiting("s2", 1)?;
    let two = aside(two, &format!("{ALL}; COMMIT"));
    scene.waiting("s1", 1)?;
    let mut newcomers = Vec::new();
    // Ten times deadlock_timeout.
    for _ in 0..16 {
        newcomers.push(aside(scene.session()?, ALL));
        std::thread::sleep(Duration::from_millis(250));
        if one.is_finished() || two.is_finished() {
            break;
        }
    }
    let found = one.is_finished() || two.is_finished();
    let victims = victims(vec![one, two])?;
    for newcomer in newcomers {
        drop(joined(newcomer)?);
    }
    ensure!(found, "not found in ten times deadlock_timeout, because others came");
    ensure!(victims.len() == 1, "{victims:?}");
    Ok(())
}

/// One holds the connection and waits for a table, the other holds the table and waits for the
/// connection: Postgres sees one half of it and the book the other.
#[test]
fn a_table_and_a_connection() -> Result<()> {
    let mut scene = Scene::new("tablelock", 1)?;
    run(&mut scene.observer, "CREATE TABLE mart (id int)")?;
    let mut one = scene.holder(ALL)?;
    let mut two = scene.session()?;
    run(&mut two, "BEGIN; LOCK TABLE mart")?;
    let blocked = pid_of(&mut one)?;
    let one = aside(one, "SELECT count(*) FROM mart; COMMIT");
    waits_for_a_lock(&mut scene, blocked)?;
    let two = aside(two, &format!("{ALL}; COMMIT"));
    let victims = victims(vec![one, two])?;
    ensure!(victims.len() == 1, "{victims:?}");
    scene.is_empty()
}

/// One of two holders waits for a table of who waits, the other is about to commit: no deadlock.
#[test]
fn a_table_and_one_connection_of_two() -> Result<()> {
    let mut scene = Scene::new("oneoftwo", 2)?;
    run(&mut scene.observer, "CREATE TABLE mart (id int)")?;
    let mut one = scene.holder(ALL)?;
    let mut free = scene.holder(ALL)?;
    let mut two = scene.session()?;
    run(&mut two, "BEGIN; LOCK TABLE mart")?;
    let blocked = pid_of(&mut one)?;
    let one = aside(one, "SELECT count(*) FROM mart; COMMIT");
    waits_for_a_lock(&mut scene, blocked)?;
    let two = aside(two, &format!("{ALL}; COMMIT"));
    scene.waiting("s1", 1)?;
    // Four times deadlock_timeout.
    std::thread::sleep(Duration::from_millis(1600));
    run(&mut free, "COMMIT")?;
    let victims = victims(vec![one, two])?;
    ensure!(victims.is_empty(), "a connection was about to be free: {victims:?}");
    Ok(())
}

/// A session that keeps an unused connection cannot give it up while it waits for a table: a refresh
/// that has the table locked and wants to read, and the dashboards that wait for it.
#[test]
fn a_table_and_an_unused_connection() -> Result<()> {
    let mut scene = Scene::new("unusedandtable", 1)?;
    run(&mut scene.observer, "CREATE TABLE mart (id int)")?;
    let mut one = scene.session()?;
    expect(&mut one, ALL, "100")?;
    let mut two = scene.session()?;
    run(&mut two, "BEGIN; LOCK TABLE mart")?;
    let blocked = pid_of(&mut one)?;
    let one = aside(one, "SELECT count(*) FROM mart");
    waits_for_a_lock(&mut scene, blocked)?;
    let two = aside(two, &format!("{ALL}; COMMIT"));
    let victims = victims(vec![one, two])?;
    ensure!(victims.len() <= 1, "{victims:?}");
    Ok(())
}

/// One waits for a table of the second, who waits for a connection of the third, who waits for a
/// connection of the first.
#[test]
fn a_ring_of_a_table_and_two_connections() -> Result<()> {
    let mut scene = Scene::new("mixedring", 1)?;
    run(&mut scene.observer, "CREATE TABLE mart (id int)")?;
    let mut one = scene.holder(ALL)?;
    let mut two = scene.session()?;
    run(&mut two, "BEGIN; LOCK TABLE mart")?;
    let three = scene.holder(ALL_THERE)?;
    let blocked = pid_of(&mut one)?;
    let one = aside(one, "SELECT count(*) FROM mart; COMMIT");
    waits_for_a_lock(&mut scene, blocked)?;
    let two = aside(two, &format!("{ALL_THERE}; COMMIT"));
    scene.waiting("s2", 1)?;
    let three = aside(three, &format!("{ALL}; COMMIT"));
    let victims = victims(vec![one, two, three])?;
    ensure!(victims.len() == 1, "{victims:?}");
    scene.is_empty()
}

/// Waits until a session waits for a lock of Postgres's own.
fn waits_for_a_lock(scene: &mut Scene, pid: i32) -> Result<()> {
    let sql = format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}");
    eventually(PATIENCE, "a session waits for the table", || {
        Ok(rows(&mut scene.observer, &sql)? == "Lock")
    })
}
