//! Reads in clear come into `warehouse.audit` by a worker, whatever becomes of their transaction.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::timing::eventually;

use super::keys::warehouse;
use super::protect;
use crate::ask::{expect, pid_of, refused, rows, run};
use crate::support::Pair;

const PATIENCE: Duration = Duration::from_secs(30);

const READS: &str = "SELECT role, session_role, action, relation, columns, rows FROM warehouse.audit \
    WHERE action LIKE '%in clear' ORDER BY at, action DESC";

/// A warehouse of its own with the role `officer`, and a session of it that wishes to see clear text.
fn ground(test: &str) -> Result<(Pair, Cluster, Client)> {
    let (pair, warehouse, mut client) = warehouse(test)?;
    protect(&mut client)?;
    run(
        &mut client,
        "CREATE ROLE officer; GRANT warehouse_clear TO officer; GRANT USAGE ON SCHEMA d TO officer; \
         GRANT SELECT ON d.people TO officer",
    )?;
    Ok((pair, warehouse, client))
}

fn officer(warehouse: &Cluster) -> Result<Client> {
    let mut officer = warehouse.connect("postgres")?;
    run(&mut officer, "SET SESSION AUTHORIZATION officer; SET warehouse.clear = on")?;
    Ok(officer)
}

/// Waits until a query has this answer.
fn becomes(client: &mut Client, sql: &str, answer: &str) -> Result<()> {
    let mut found = String::new();
    let outcome = eventually(PATIENCE, sql, || {
        found = rows(client, sql)?;
        Ok(found == answer)
    });
    outcome.map_err(|error| error.context(format!("expected {answer}, found {found}")))
}

#[test]
fn transactions_that_leave_nothing_are_recorded() -> Result<()> {
    let (_pair, warehouse, mut client) = ground("recorded")?;
    let mut officer = officer(&warehouse)?;
    run(&mut officer, "BEGIN READ ONLY")?;
    expect(&mut officer, "SELECT name FROM d.people WHERE id = 7", "CANARYname7 Surname")?;
    // Nothing of the transaction is of a writer.
    expect(&mut officer, "SELECT pg_current_xact_id_if_assigned() IS NULL", "t")?;
    run(&mut officer, "COMMIT; BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE")?;
    run(&mut officer, "SELECT email, ip FROM d.people WHERE id < 10; ROLLBACK")?;
    refused(&mut officer, "SELECT 1 / (id - 8), born FROM d.people WHERE id IN (7, 8)")?
        .says("22012", &[])?;
    becomes(
        &mut client,
        READS,
        "officer|officer|reads in clear|d.people|{name}|~\n\
         officer|officer|has read in clear|d.people|{name}|1\n\
         officer|officer|reads in clear|d.people|{email,ip}|~\n\
         officer|officer|has read in clear|d.people|{email,ip}|10\n\
         officer|officer|reads in clear|d.people|{born}|~",
    )?;
    // Whoever sees nothing in clear is not recorded, and neither are literals.
    expect(&mut client, "SELECT count(*) FROM d.people", "501")?;
    run(&mut officer, "SET warehouse.clear = off; SELECT name FROM d.people")?;
    run(
        &mut officer,
        "RESET SESSION AUTHORIZATION; SET compute_query_id = on; SET SESSION AUTHORIZATION officer",
    )?;
    run(&mut officer, "SET warehouse.clear = on")?;
    run(&mut officer, "SELECT count(*) FROM d.people WHERE name = 'CANARYname9 Surname'")?;
    becomes(&mut client, "SELECT count(*) FROM warehouse.audit WHERE query_id IS NOT NULL", "2")?;
    let audit = rows(&mut client, "SELECT * FROM warehouse.audit")?;
    ensure!(!audit.contains("CANARY"), "{audit}");
    // When it was read, not when it was written down.
    expect(
        &mut client,
        "SELECT bool_and(at > pg_postmaster_start_time() AND at < clock_timestamp()) FROM warehouse.audit",
        "t",
    )?;
    // The server log has the same.
    let log = fs::read_to_string(warehouse.socket_dir().join("log"))?;
    ensure!(log.lines().filter(|line| line.contains("in clear: d.people")).count() == 7, "{log}");
    Ok(())
}

/// Jobs that are switched off, names that are gone, and a worker that was idle.
#[test]
fn it_does_not_depend_on_jobs() -> Result<()> {
    let (_pair, warehouse, mut client) = ground("recordedidle")?;
    let mut reader = officer(&warehouse)?;
    for round in 1..=3 {
        run(&mut reader, "SELECT name FROM d.people WHERE id = 7")?;
        becomes(
            &mut client,
            "SELECT count(*) FROM warehouse.audit WHERE action = 'has read in clear'",
            &round.to_string(),
        )?;
        match round {
            // The worker ends when there is nothing to do.
            1 => becomes(
                &mut client,
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'warehouse scheduler'",
                "0",
            )?,
            2 => {
                run(&mut client, "ALTER SYSTEM SET warehouse.jobs = off")?;
                run(&mut client, "SELECT pg_reload_conf()")?;
            }
            _ => {}
        }
    }
    // What was read is gone before it is written down.
    run(&mut client, "BEGIN; LOCK TABLE warehouse.audit IN ACCESS EXCLUSIVE MODE")?;
    run(&mut reader, "SELECT notes FROM d.people WHERE id = 7")?;
    drop(reader);
    run(
        &mut client,
        "DROP FOREIGN TABLE d.people; DROP OWNED BY officer; DROP ROLE officer; COMMIT",
    )?;
    let mut again = warehouse.connect("postgres")?;
    becomes(
        &mut again,
        "SELECT count(*) FROM warehouse.audit WHERE role ~ '^[0-9]+$' AND relation ~ '^table [0-9]+$'",
        "2",
    )
}

#[test]
fn what_does_not_fit_is_told() -> Result<()> {
    let (_pair, warehouse, mut client) = ground("recordedlost")?;
    let mut reader = officer(&warehouse)?;
    let mut other = warehouse.connect("postgres")?;
    run(&mut other, "BEGIN; LOCK TABLE warehouse.audit IN ACCESS EXCLUSIVE MODE")?;
    for _ in 0..700 {
        reader.simple_query("SELECT name FROM d.people WHERE id = 7")?;
    }
    run(&mut other, "COMMIT")?;
    // Two records a read; 1024 wait.
    becomes(&mut client, "SELECT count(*) >= 1000 FROM warehouse.audit", "t")?;
    let log = || -> Result<String> { Ok(fs::read_to_string(warehouse.socket_dir().join("log"))?) };
    let lost = |log: &str| -> i64 {
        let lines =
            log.lines().filter(|line| line.contains("did not come into warehouse.audit in time"));
        lines
            .filter_map(|line| {
                line.split("warehouse: ").nth(1)?.split(' ').next()?.parse::<i64>().ok()
            })
            .sum()
    };
    // None is missing that nobody was told of.
    eventually(PATIENCE, "all are written or counted", || {
        let written: i64 = rows(&mut client, "SELECT count(*) FROM warehouse.audit")?.parse()?;
        Ok(written + lost(&log()?) == 1400)
    })?;
    ensure!(lost(&log()?) > 0);
    ensure!(log()?.lines().filter(|line| line.contains("in clear: d.people.name")).count() == 1400);
    Ok(())
}

/// After a crash of the server's processes the records that waited are gone, with the log as their witness,
/// and reading goes on.
#[test]
fn a_crash_leaves_nothing_behind() -> Result<()> {
    let (_pair, warehouse, mut client) = ground("recordedcrash")?;
    let mut reader = officer(&warehouse)?;
    run(&mut reader, "SELECT name FROM d.people WHERE id = 7")?;
    becomes(&mut client, "SELECT count(*) FROM warehouse.audit", "2")?;
    let pid = pid_of(&mut reader)?;
    ensure!(Command::new("kill").args(["-9", &pid.to_string()]).status()?.success());
    // The session that was there ends with the server's processes.
    eventually(PATIENCE, "the former session ends", || {
        Ok(client.simple_query("SELECT 1").is_err())
    })?;
    let mut client = None;
    eventually(PATIENCE, "the warehouse answers", || {
        client = warehouse.connect("postgres").ok();
        Ok(client.as_mut().is_some_and(|client| client.simple_query("SELECT 1").is_ok()))
    })?;
    let Some(mut client) = client else { anyhow::bail!("no client") };
    let mut reader = officer(&warehouse)?;
    run(&mut reader, "SELECT name FROM d.people WHERE id = 7")?;
    becomes(&mut client, "SELECT count(*) FROM warehouse.audit", "4")
}

#[test]
fn the_extension_is_dropped_meanwhile() -> Result<()> {
    let (_pair, warehouse, mut client) = ground("recordeddrop")?;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let reading = scope.spawn(|| -> Result<u32> {
            let mut reader = officer(&warehouse)?;
            let mut reads = 0;
            while !ended.load(Ordering::Relaxed) {
                // The table goes with the extension.
                reads += u32::from(
                    reader.simple_query("SELECT name FROM d.people WHERE id = 7").is_ok(),
                );
            }
            Ok(reads)
        });
        thread::sleep(Duration::from_millis(700));
        let began = Instant::now();
        // Whoever reads a table while it is planned has locked it, and waits for what is dropped with it:
        // one of both is told to try again.
        let dropped = loop {
            let dropped = run(
                &mut client,
                "BEGIN; DROP EXTENSION warehouse CASCADE; ROLLBACK; DROP EXTENSION warehouse CASCADE",
            );
            match &dropped {
                Err(error) if format!("{error:?}").contains("deadlock detected") => {
                    run(&mut client, "ROLLBACK")?;
                }
                _ => break dropped,
            }
        };
        ended.store(true, Ordering::Relaxed);
        let reads = reading.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        dropped?;
        ensure!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
        ensure!(reads > 10, "only {reads} reads");
        Ok(())
    })?;
    // Made anew, it works anew.
    run(&mut client, "CREATE EXTENSION warehouse")?;
    becomes(
        &mut client,
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        "0",
    )?;
    expect(&mut client, "SELECT count(*) >= 0 FROM warehouse.audit", "t")
}
