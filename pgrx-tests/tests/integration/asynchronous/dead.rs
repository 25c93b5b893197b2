//! A site that is dead, or dies: one clear error that names its server, and the others stop.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warehouse_tests::faults::{Mode, SilentHost};

use super::ground::SERVERS;
use super::{Scene, Sources};
use crate::ask::{disturb, expect, refused, run, told};

/// Queries that read all sites for long: by rows that trickle, rows that never end, and counts.
const LONG: [&str; 3] = [
    "SELECT sum(length(pad)) FROM (SELECT pad FROM main.trickle WHERE random() < 2 OFFSET 0) x",
    "SELECT sum(length(pad)) FROM (SELECT pad FROM main.flood WHERE random() < 2 OFFSET 0) x",
    "SELECT count(*) FROM main.flood",
];

#[test]
fn a_site_that_is_dead_at_the_start() -> Result<()> {
    let mut scene = Scene::new("dead")?;
    for server in SERVERS {
        for warm in [false, true] {
            if warm {
                scene.works()?;
            } else {
                scene.client = scene.sources.session()?;
            }
            scene.sources.kill(server, true)?;
            for sql in LONG {
                refused(&mut scene.client, sql)?
                    .says("08001", &[&format!("\"{server}\""), "refused"])?
                    .hints(&["host, port and dbname"])?;
                scene.sources.nothing_runs().with_context(|| format!("{server}, {sql}"))?;
            }
            scene.sources.proxy(server)?.set(Mode::Pass)?;
        }
    }
    scene.works()
}

#[test]
fn a_silent_host() -> Result<()> {
    let mut scene = Scene::new("silent")?;
    let silent = SilentHost::start()?;
    run(
        &mut scene.client,
        &format!("ALTER SERVER s2 OPTIONS (SET port '{}', SET connect_timeout '1')", silent.port()),
    )?;
    refused(&mut scene.client, LONG[0])?.says("08001", &["\"s2\"", "connect_timeout"])?;
    ensure!(silent.accepted() == 1, "{} connections", silent.accepted());
    scene.sources.nothing_runs()?;
    run(
        &mut scene.client,
        &format!("ALTER SERVER s2 OPTIONS (SET port '{}')", scene.sources.proxy("s2")?.port()),
    )?;
    scene.works()
}

/// Runs long queries, waits until all sites run, and has `die` happen to each of `servers` in turn.
fn dies_in_mid_stream(
    test: &str,
    queries: &[&str],
    servers: &[&'static str],
    die: impl Fn(&Sources, &str) -> Result<()> + Sync,
) -> Result<()> {
    let mut scene = Scene::new(test)?;
    for sql in queries {
        for server in servers.iter().copied() {
            // A connection that breaks before anything was heard over it may be replaced by another.
            run(&mut scene.client, "BEGIN")?;
            expect(&mut scene.client, "SELECT count(*) FROM main.t", "4000")?;
            let sources = &scene.sources;
            let die = &die;
            let (error, _) = disturb(&mut scene.client, Duration::ZERO, sql, move |_| {
                let seen = sources.all_run(&SERVERS);
                std::thread::sleep(Duration::from_millis(50));
                die(sources, server)?;
                seen
            })
            .with_context(|| format!("{server}, {sql}"))?;
            told(&error.with_context(|| format!("{server}, {sql}: ended well"))?)?
                .says("08006", &[&format!("\"{server}\"")])
                .with_context(|| format!("{server}, {sql}"))?;
            run(&mut scene.client, "ROLLBACK")?;
            // The server whose connection was cut does not know it.
            scene.sources.nothing_runs_but_at(server)?;
            scene.sources.terminate(server)?;
            scene.works().with_context(|| format!("{server}, {sql}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_connection_that_is_cut_in_mid_stream() -> Result<()> {
    dies_in_mid_stream("cut", &[LONG[0], LONG[2]], &SERVERS, |sources, server| {
        sources.kill(server, false)
    })
}

#[test]
fn a_source_that_ends_the_session_in_mid_stream() -> Result<()> {
    dies_in_mid_stream("ended", &[LONG[0], LONG[2]], &SERVERS, Sources::terminate)
}

/// Sites that always have another row do not hide it for long.
#[test]
fn a_site_that_dies_behind_one_that_never_ends() -> Result<()> {
    dies_in_mid_stream("flooded", &[LONG[1]], &["s2"], Sources::terminate)
}

/// Never fewer rows, wherever the stream is cut.
#[test]
fn a_cut_stream_is_never_a_shorter_result() -> Result<()> {
    let mut scene = Scene::new("cutat")?;
    for (server, bytes) in
        [("s1", 400), ("s2", 9_000), ("s3", 70_000), ("s1", 4_000_000), ("s2", 2_900_000)]
    {
        let proxy = scene.sources.proxy(server)?;
        proxy.set(Mode::CutAfter(bytes))?;
        let told = refused(
            &mut scene.client,
            "SELECT count(*), sum(length(pad)) FROM (SELECT pad FROM main.wide WHERE random() < 2 OFFSET 0) x",
        )
        .with_context(|| format!("{server} cut after {bytes}"))?;
        let code = if told.code == "08001" { "08001" } else { "08006" };
        told.says(code, &[&format!("\"{server}\"")])?;
        proxy.set(Mode::Pass)?;
        scene.works()?;
    }
    Ok(())
}

/// While no site has answered yet. A session that breaks before it has said anything may be asked
/// again, over a new connection.
#[test]
fn a_site_that_dies_while_all_wait() -> Result<()> {
    let mut scene = Scene::new("deadwait")?;
    for server in SERVERS {
        let mut holders = scene.sources.hold_all()?;
        let sources = &scene.sources;
        let (error, _) = disturb(
            &mut scene.client,
            Duration::ZERO,
            "SELECT count(id) FROM (SELECT id FROM main.held WHERE random() < 2 OFFSET 0) x",
            |_| {
                let seen = sources.all_are_held(&SERVERS);
                sources.kill(server, true)?;
                std::thread::sleep(Duration::from_millis(100));
                seen
            },
        )
        .with_context(|| server.to_owned())?;
        let told = told(&error.with_context(|| format!("{server}: ended well"))?)?;
        let code = if told.code == "08001" { "08001" } else { "08006" };
        told.says(code, &[&format!("\"{server}\"")])?;
        // The locks are still held: what was not cancelled would wait.
        let others = scene.sources.nothing_runs_but_at(server);
        holders.clear();
        others.with_context(|| format!("{server} died"))?;
        scene.sources.proxy(server)?.set(Mode::Pass)?;
        scene.works()?;
    }
    Ok(())
}
