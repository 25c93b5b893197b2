//! Whoever is waited for, a cancel and a termination are obeyed at once.
//!
//! Each stage of a statement is held up for 20 seconds, so that a request that is ignored shows. The
//! times are printed; the limit is generous, since tests share a machine.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::faults::{Mode, SilentHost};
use warehouse_tests::timing::eventually;

use crate::ask::{
    FOREVER, Proxied, SOON, cancel, declare, expect, nothing_runs, pid_of, refused, rows, run, told,
};
use crate::support::Pair;

/// Where a statement is held up.
struct Stage {
    proxied: Proxied,
    silent: SilentHost,
    client: Client,
}

const NAMES: [&str; 7] = [
    "connecting",
    "waiting",
    "scanning slowly",
    "scanning fast",
    "draining",
    "fetching",
    "stalled",
];

impl Stage {
    fn new(test: &str) -> Result<Stage> {
        let proxied = Proxied::new(
            test,
            &format!(
                "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; \
                 CREATE VIEW slow AS SELECT 1 AS id FROM pg_sleep({FOREVER}); \
                 CREATE VIEW trickle AS SELECT g AS id, repeat('x', 20000) AS pad \
                   FROM generate_series(1, 2000) g, LATERAL pg_sleep(0.01 + g * 0); \
                 CREATE VIEW flood AS SELECT generate_series(1, 500000000) AS id"
            ),
        )?;
        let silent = SilentHost::start()?;
        let mut client = proxied.pair.warehouse()?;
        declare(
            &mut client,
            "silent",
            silent.port(),
            "d",
            &format!(", connect_timeout '{FOREVER}'"),
        )?;
        run(
            &mut client,
            "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
             CREATE FOREIGN TABLE app.silent (id int) SERVER silent; \
             CREATE FUNCTION app.another(int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS \
               'BEGIN RETURN (SELECT count(*) FROM app.t); END'",
        )?;
        Ok(Stage { proxied, silent, client })
    }

    /// The statement that is held up at this stage.
    fn sql(name: &str) -> &'static str {
        match name {
            "connecting" => "TABLE app.silent",
            "waiting" => "TABLE app.slow",
            "scanning slowly" | "stalled" => {
                "SELECT sum(length(pad)) FROM app.trickle WHERE random() < 2"
            }
            "scanning fast" => "SELECT sum(id) FROM app.flood WHERE random() < 2",
            // The function needs the connection that the rows come on: the rest has to be read first.
            "draining" => "SELECT app.another(id) FROM app.trickle WHERE length(pad) > 0",
            // Two tables of one server are read through cursors, in turns.
            _ => {
                "SELECT sum(length(a.pad)) FROM (SELECT * FROM app.trickle WHERE random() < 2) a \
                 JOIN (SELECT * FROM app.trickle WHERE random() < 2) b \
                 ON a.id = b.id AND length(a.pad) = length(b.pad)"
            }
        }
    }

    /// Holds the proxy up where that is the stage.
    fn prepare(&self, name: &str) -> Result<()> {
        if name == "stalled" {
            thread::sleep(Duration::from_millis(200));
            self.proxied.proxy.set(Mode::Stall)?;
        }
        Ok(())
    }

    fn source_is_quiet(&self) -> Result<()> {
        self.proxied.proxy.set(Mode::Pass)?;
        let pair = &self.proxied.pair;
        nothing_runs(pair.source_cluster, &pair.source_database)
    }
}

/// Cancels at every stage and then uses the session again.
#[test]
fn a_cancel_is_obeyed_at_every_stage() -> Result<()> {
    let mut stage = Stage::new("cancels")?;
    let pid = pid_of(&mut stage.client)?;
    for name in NAMES {
        // The second time finds a connection that was given up, or kept.
        for round in 1..=2 {
            let Stage { proxied, client, .. } = &mut stage;
            let took = thread::scope(|scope| {
                if name == "stalled" {
                    scope.spawn(|| {
                        thread::sleep(Duration::from_millis(200));
                        proxied.proxy.set(Mode::Stall)
                    });
                }
                cancel(&proxied.pair, client, Duration::from_millis(500), Stage::sql(name))
            })
            .with_context(|| format!("{name}, round {round}"))?;
            println!("{name}, round {round}: cancelled in {took:?}");
            stage.source_is_quiet().with_context(|| name.to_owned())?;
            expect(&mut stage.client, "SELECT count(*) FROM app.t", "100")?;
        }
    }
    ensure!(pid_of(&mut stage.client)? == pid);
    ensure!(stage.silent.accepted() == 2);
    Ok(())
}

/// The same inside a transaction, of which the rest can go on from a savepoint.
#[test]
fn a_cancel_leaves_the_transaction_its_savepoint() -> Result<()> {
    let mut stage = Stage::new("savepoint")?;
    for name in NAMES.iter().filter(|name| **name != "stalled") {
        run(&mut stage.client, "BEGIN")?;
        expect(&mut stage.client, "SELECT count(*) FROM app.t", "100")?;
        run(&mut stage.proxied.pair.source()?, "INSERT INTO t VALUES (0)")?;
        run(&mut stage.client, "SAVEPOINT s")?;
        let Stage { proxied, client, .. } = &mut stage;
        cancel(&proxied.pair, client, Duration::from_millis(400), Stage::sql(name))
            .with_context(|| name.to_string())?;
        run(&mut stage.client, "ROLLBACK TO s")?;
        // Either the snapshot is still the same one, or the transaction is told that it is lost.
        match rows(&mut stage.client, "SELECT count(*) FROM app.t") {
            Ok(found) => ensure!(found == "100", "{name}: another snapshot, {found}"),
            Err(error) => {
                println!("{name}: the transaction is lost: {error:#}");
                run(&mut stage.client, "ROLLBACK TO s")?;
                refused(&mut stage.client, "TABLE app.t")
                    .and_then(|told| told.says("08006", &[]).map(|_| ()))
                    .with_context(|| format!("{name}, after {error:#}"))?;
            }
        }
        run(&mut stage.client, "ROLLBACK")?;
        run(&mut stage.proxied.pair.source()?, "DELETE FROM t WHERE id = 0")?;
        expect(&mut stage.client, "SELECT count(*) FROM app.t", "100")?;
    }
    Ok(())
}

#[test]
fn a_termination_is_obeyed_at_every_stage() -> Result<()> {
    let mut stage = Stage::new("terminates")?;
    let mut left_running = Vec::new();
    for name in NAMES {
        stage.client = stage.proxied.pair.warehouse()?;
        let warehouse = stage.proxied.pair.warehouse_cluster;
        let pid = pid_of(&mut stage.client)?;
        let Stage { client, .. } = &mut stage;
        let mut client = std::mem::replace(client, warehouse.connect("postgres")?);
        let statement = thread::spawn(move || client.simple_query(Stage::sql(name)).err());
        thread::sleep(Duration::from_millis(400));
        stage.prepare(name)?;
        let at = Instant::now();
        warehouse.execute("postgres", &format!("SELECT pg_terminate_backend({pid})"))?;
        eventually(Duration::from_secs(5), &format!("{name}: the backend has gone"), || {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Ok(state.is_empty() || state.contains(") Z "))
        })?;
        println!("{name}: gone in {:?}", at.elapsed());
        ensure!(at.elapsed() < SOON, "{name}: gone in {:?}", at.elapsed());
        ensure!(statement.join().is_ok_and(|error| error.is_some()), "{name}");
        if stage.source_is_quiet().is_err() {
            left_running.push(name);
            end_sessions(&stage)?;
        }
    }
    ensure!(left_running.is_empty(), "left running at the source: {left_running:?}");
    Ok(())
}

/// Ends what a failed stage has left at the source, so that the next one is judged for itself.
fn end_sessions(stage: &Stage) -> Result<()> {
    let pair = &stage.proxied.pair;
    let sql = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE application_name = 'warehouse' AND datname = '{}'",
        pair.source_database
    );
    pair.source_cluster.execute("postgres", &sql)
}

/// A statement that is done with its rows has to stop the source, and that can be cancelled as well.
#[test]
fn giving_rows_up_does_not_wait_for_a_stalled_source() -> Result<()> {
    let mut stage = Stage::new("giveup")?;
    let proxy = &stage.proxied.proxy;
    run(&mut stage.client, "BEGIN; DECLARE c CURSOR FOR SELECT pad FROM app.trickle")?;
    ensure!(rows(&mut stage.client, "FETCH 1 FROM c")?.len() == 20_000);
    proxy.set(Mode::Stall)?;
    let at = Instant::now();
    run(&mut stage.client, "CLOSE c; COMMIT")?;
    println!("a cursor closed and committed in {:?}", at.elapsed());
    ensure!(at.elapsed() < Duration::from_secs(4), "{:?}", at.elapsed());
    proxy.set(Mode::Pass)?;
    expect(&mut stage.client, "SELECT count(*) FROM app.t", "100")?;
    stage.source_is_quiet()
}

/// An error in the middle of the search for the order of many joins is an error, and the server lives on.
#[test]
fn planning_of_many_joins_is_cancelled() -> Result<()> {
    let pair = Pair::new("manyjoins")?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "SELECT FROM warehouse.replica_usage(); SET geqo = off; SET join_collapse_limit = 20; \
         SET from_collapse_limit = 20; SET statement_timeout = '100ms'",
    )?;
    let tables: Vec<String> = (0..13).map(|i| format!("pg_class t{i}")).collect();
    let joins: Vec<String> = (1..13).map(|i| format!("t0.oid = t{i}.oid")).collect();
    let sql = format!("EXPLAIN SELECT FROM {} WHERE {}", tables.join(", "), joins.join(" AND "));
    let mut ended = 0;
    for _ in 0..3 {
        if let Err(error) = client.simple_query(&sql) {
            told(&error)?.says("57014", &["statement timeout"])?;
            ended += 1;
        }
    }
    ensure!(ended > 0, "planning was never too long");
    run(&mut client, "RESET statement_timeout; SELECT 1")
}
