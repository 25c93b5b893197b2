//! One who waits can be stopped in every way, and leaves no trace.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::timing::eventually;

use super::{ALL, PATIENCE, Scene, aside, joined};
use crate::ask::{SOON, expect, pid_of, rows, run, terminated, told};

/// A scene in which `holder` has the one connection to `s1` and another session waits for it.
struct Waiting {
    scene: Scene,
    holder: Client,
    pid: i32,
    session: super::Aside,
}

fn waiting(test: &str, setting: &str) -> Result<Waiting> {
    let mut scene = Scene::new(test, 1)?;
    let holder = scene.holder(ALL)?;
    let mut client = scene.session()?;
    run(&mut client, setting)?;
    let pid = pid_of(&mut client)?;
    let session = aside(client, ALL);
    scene.waiting("s1", 1)?;
    Ok(Waiting { scene, holder, pid, session })
}

impl Waiting {
    /// The error of the session that waited; what it leaves is nothing.
    fn ends(mut self, at: Instant) -> Result<(Client, postgres::Error)> {
        let (client, answer) = joined(self.session)?;
        let took = at.elapsed();
        let error = answer.err().context("it was served")?;
        println!("ended {took:?} later");
        ensure!(took < SOON, "ended only {took:?} later");
        self.scene.comes_to("s1", "1|1|0")?;
        // The one who holds it notices nothing, and the next is served.
        expect(&mut self.holder, ALL, "100")?;
        run(&mut self.holder, "COMMIT")?;
        expect(&mut self.scene.session()?, ALL, "100")?;
        drop(self.holder);
        self.scene.is_empty()?;
        Ok((client, error))
    }
}

#[test]
fn by_a_cancel() -> Result<()> {
    let mut waiting = waiting("cancel", "")?;
    let at = Instant::now();
    rows(&mut waiting.scene.observer, &format!("SELECT pg_cancel_backend({})", waiting.pid))?;
    let (mut client, error) = waiting.ends(at)?;
    told(&error)?.says("57014", &["user request"])?;
    expect(&mut client, ALL, "100")
}

#[test]
fn by_a_timeout() -> Result<()> {
    let waiting = waiting("timeout", "SET statement_timeout = '700ms'")?;
    let (mut client, error) = waiting.ends(Instant::now())?;
    told(&error)?.says("57014", &["statement timeout"])?;
    expect(&mut client, ALL, "100")
}

#[test]
fn by_a_termination() -> Result<()> {
    let mut waiting = waiting("terminated", "")?;
    let at = Instant::now();
    rows(&mut waiting.scene.observer, &format!("SELECT pg_terminate_backend({})", waiting.pid))?;
    terminated(&waiting.ends(at)?.1)
}

#[test]
fn by_a_signal() -> Result<()> {
    let waiting = waiting("sigterm", "")?;
    let at = Instant::now();
    // SAFETY: a plain system call; the process is a backend of the test's own cluster.
    unsafe { libc::kill(waiting.pid, libc::SIGTERM) };
    terminated(&waiting.ends(at)?.1)
}

/// A session whose client has gone notices it when it next writes, but its place is not for ever.
#[test]
fn within_a_transaction() -> Result<()> {
    let mut scene = Scene::new("cancelintx", 1)?;
    let mut holder = scene.holder(ALL)?;
    let mut client = scene.session()?;
    run(&mut client, "BEGIN; SAVEPOINT s")?;
    let pid = pid_of(&mut client)?;
    for _ in 0..3 {
        let session = aside(client, ALL);
        scene.waiting("s1", 1)?;
        rows(&mut scene.observer, &format!("SELECT pg_cancel_backend({pid})"))?;
        let (back, answer) = joined(session)?;
        told(&answer.err().context("it was served")?)?.says("57014", &[])?;
        client = back;
        run(&mut client, "ROLLBACK TO s")?;
        ensure!(scene.usage("s1")? == "1|1|0");
    }
    run(&mut holder, "COMMIT")?;
    expect(&mut client, ALL, "100")?;
    run(&mut client, "COMMIT")
}

/// A holder that is stopped in mid-query gives its connection back, too.
#[test]
fn a_holder_that_is_stopped() -> Result<()> {
    let mut scene = Scene::new("holderstopped", 1)?;
    for how in ["pg_cancel_backend", "pg_terminate_backend"] {
        let mut holder = scene.session()?;
        let pid = pid_of(&mut holder)?;
        let holder = aside(holder, "SELECT count(*) FROM app.slow");
        scene.comes_to("s1", "1|1|0")?;
        let next = aside(scene.session()?, ALL);
        scene.waiting("s1", 1)?;
        let at = Instant::now();
        rows(&mut scene.observer, &format!("SELECT {how}({pid})"))?;
        super::answers(next, "100").context(how)?;
        println!("{how}: the next is served {:?} later", at.elapsed());
        ensure!(at.elapsed() < Duration::from_secs(5), "{:?}", at.elapsed());
        ensure!(joined(holder)?.1.is_err());
        scene.is_empty().context(how)?;
    }
    Ok(())
}

/// A read of another server that was begun meanwhile ends with the statement.
#[test]
fn with_another_server_being_read() -> Result<()> {
    let mut scene = Scene::new("both", 1)?;
    let mut holder = scene.holder(super::ALL_THERE)?;
    let mut client = scene.session()?;
    for _ in 0..2 {
        let pid = pid_of(&mut client)?;
        let session = aside(client, "SELECT id FROM app.slow UNION ALL SELECT id FROM there.t");
        scene.waiting("s2", 1)?;
        let at = Instant::now();
        rows(&mut scene.observer, &format!("SELECT pg_cancel_backend({pid})"))?;
        let (back, answer) = joined(session)?;
        told(&answer.err().context("it was served")?)?.says("57014", &[])?;
        ensure!(at.elapsed() < SOON, "{:?}", at.elapsed());
        scene.comes_to("s2", "1|1|0")?;
        let running = format!("{} AND state = 'active'", scene.count_at_source("s1"));
        eventually(PATIENCE, "nothing runs at the other server", || {
            Ok(scene.source.value("postgres", &running)? == "0")
        })?;
        client = back;
        expect(&mut client, ALL, "100")?;
    }
    run(&mut holder, "COMMIT")?;
    expect(&mut client, super::ALL_THERE, "100")
}
