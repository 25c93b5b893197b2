//! `warehouse.replica_status()`: every server at once.

use std::time::Duration;

use anyhow::{Result, ensure};
use warehouse_tests::Standby;
use warehouse_tests::faults::SilentHost;
use warehouse_tests::timing::timed;

use super::two;
use crate::ask::{declare, expect, own_source, rows, run};

#[test]
fn dead_servers_cost_one_connect_timeout() -> Result<()> {
    let mut sites = two("status")?;
    let silent: Vec<SilentHost> = (0..4).map(|_| SilentHost::start()).collect::<Result<_>>()?;
    for (i, host) in silent.iter().enumerate() {
        declare(
            &mut sites.client,
            &format!("silent_{i}"),
            host.port(),
            "d",
            ", connect_timeout '1'",
        )?;
    }
    for i in 0..4 {
        declare(&mut sites.client, &format!("refused_{i}"), 1, "d", ", connect_timeout '1'")?;
    }
    run(
        &mut sites.client,
        "CREATE SERVER unmapped FOREIGN DATA WRAPPER replica_fdw OPTIONS (host '127.0.0.1'); \
         CREATE SERVER badpw FOREIGN DATA WRAPPER replica_fdw OPTIONS (host '127.0.0.1', dbname 'postgres'); \
         CREATE USER MAPPING FOR PUBLIC SERVER badpw OPTIONS (user 'reader', password 'hush hush')",
    )?;
    let port = sites.pair.source_cluster.port();
    run(&mut sites.client, &format!("ALTER SERVER badpw OPTIONS (ADD port '{port}')"))?;
    let (status, took) = timed(|| {
        rows(
            &mut sites.client,
            "SELECT server, reachable, in_recovery, replay_lag_seconds, version LIKE '15%', latency_ms > 0, error \
             FROM warehouse.replica_status() ORDER BY server",
        )
    });
    let status = status?;
    println!("14 servers, 10 of them dead, in {took:?}\n{status}");
    ensure!(took < Duration::from_millis(2500), "{took:?}");
    for server in ["ai", "cd", "src"] {
        ensure!(status.contains(&format!("{server}|t|f|~|t|t|~")), "{status}");
    }
    for i in 0..4 {
        ensure!(status.contains(&format!("silent_{i}|f|~|~|~|~|no answer")), "{status}");
        ensure!(
            status
                .lines()
                .any(|l| l.starts_with(&format!("refused_{i}|f|")) && l.contains("refused"))
        );
    }
    ensure!(status.lines().any(|l| l.starts_with("unmapped|f|") && l.contains("user mapping")));
    ensure!(
        status.lines().any(|l| l.starts_with("badpw|f|") && l.contains("authentication failed"))
    );
    ensure!(!status.contains("hush"), "{status}");
    // It opens nothing that stays.
    expect(&mut sites.client, "SELECT count(*) FROM main.users", "6")?;
    let open = rows(&mut sites.client, "SELECT count(*) FROM warehouse.replica_connections()")?;
    ensure!(open == "2", "{open}");
    Ok(())
}

#[test]
fn a_standby_and_its_lag() -> Result<()> {
    let mut sites = two("lag")?;
    let primary = own_source("lagprimary")?;
    let standby =
        Standby::of(&primary, "lagstandby").setting("recovery_min_apply_delay", "3s").start()?;
    declare(&mut sites.client, "standby", standby.port(), "postgres", "")?;
    let ask = "SELECT reachable, in_recovery, replay_lag_seconds > 0, replay_lag_seconds < 60 \
               FROM warehouse.replica_status() WHERE server = 'standby'";
    ensure!(rows(&mut sites.client, ask)?.starts_with("t|t|"));
    primary.execute("postgres", "CREATE TABLE a (id int)")?;
    primary.execute("postgres", "CREATE TABLE b (id int)")?;
    std::thread::sleep(Duration::from_millis(3500));
    primary.execute("postgres", "CREATE TABLE c (id int)")?;
    std::thread::sleep(Duration::from_millis(500));
    expect(&mut sites.client, ask, "t|t|t|t")
}
