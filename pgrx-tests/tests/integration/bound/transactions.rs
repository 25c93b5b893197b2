//! A session in a transaction keeps its connection, and with it its snapshot, however many wait.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{ALL, Scene, answers, aside};
use crate::ask::{expect, refused, run};

#[test]
fn the_snapshot_survives_who_waits() -> Result<()> {
    let mut scene = Scene::new("snapshot", 1)?;
    let mut holder = scene.holder(ALL)?;
    let waiting: Vec<_> =
        (0..3).map(|_| Ok(aside(scene.session()?, ALL))).collect::<Result<_>>()?;
    scene.waiting("s1", 3)?;
    scene.source.execute(&scene.source_database, "INSERT INTO t VALUES (101)")?;
    // Long enough to be asked several times.
    thread::sleep(Duration::from_millis(800));
    expect(&mut holder, ALL, "100")?;
    run(&mut holder, "SAVEPOINT s")?;
    refused(&mut holder, "SELECT 1 / (id - 5) FROM app.t")?.says("22012", &[])?;
    run(&mut holder, "ROLLBACK TO s")?;
    expect(&mut holder, ALL, "100")?;
    ensure!(scene.usage("s1")? == "1|1|3");
    run(&mut holder, "COMMIT")?;
    for session in waiting {
        answers(session, "101")?;
    }
    expect(&mut holder, ALL, "101")
}

#[test]
fn every_end_of_a_transaction_gives_it_back() -> Result<()> {
    for end in ["COMMIT", "ROLLBACK", "SELECT 1 / 0; COMMIT", "COMMIT AND CHAIN", "ABORT"] {
        let mut scene = Scene::new("ends", 1)?;
        let mut holder = scene.holder(ALL)?;
        let waiting = aside(scene.session()?, ALL);
        scene.waiting("s1", 1)?;
        if holder.batch_execute(end).is_err() {
            run(&mut holder, "ROLLBACK")?;
        }
        answers(waiting, "100")?;
        scene.comes_to("s1", "0|0|0")?;
        run(&mut holder, "ROLLBACK")?;
    }
    Ok(())
}

/// Cursors, procedures that commit and prepared transactions are transactions as well.
#[test]
fn cursors_and_procedures() -> Result<()> {
    let mut scene = Scene::new("cursorsandprocedures", 1)?;
    let mut holder = scene.session()?;
    run(&mut holder, "BEGIN; DECLARE c CURSOR FOR SELECT id FROM app.t ORDER BY id")?;
    expect(&mut holder, "FETCH 2 FROM c", "1\n2")?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    expect(&mut holder, "FETCH 2 FROM c", "3\n4")?;
    run(&mut holder, "COMMIT")?;
    answers(waiting, "100")?;
    // A held cursor has read all rows by then.
    run(&mut holder, "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT id FROM app.t ORDER BY id")?;
    expect(&mut holder, "FETCH 2 FROM h", "1\n2")?;
    let waiting = aside(scene.session()?, ALL);
    scene.waiting("s1", 1)?;
    run(&mut holder, "COMMIT")?;
    answers(waiting, "100")?;
    expect(&mut holder, "FETCH 2 FROM h", "3\n4")?;
    run(
        &mut holder,
        "CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$ BEGIN \
           PERFORM count(*) FROM app.t; COMMIT; PERFORM pg_sleep(1.5); END $$",
    )?;
    let mut other = scene.session()?;
    expect(&mut other, ALL, "100")?;
    let steps = aside(holder, "CALL steps()");
    // The procedure asks for it, uses it, and at its COMMIT nothing of its transaction is left.
    expect(&mut other, ALL, "100")?;
    answers(steps, "")?;
    scene.waiting("s1", 0)
}
