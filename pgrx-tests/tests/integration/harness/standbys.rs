//! Standbys really replicate.

use std::time::Duration;

use anyhow::{Result, ensure};
use warehouse_tests::faults::{Mode, Proxy};
use warehouse_tests::timing::eventually;
use warehouse_tests::{Cluster, Standby};

#[test]
fn a_standby_follows_is_read_only_and_comes_back() -> Result<()> {
    let primary = Cluster::builder("primary").start()?;
    primary.execute("postgres", "CREATE TABLE t (a int)")?;
    let standby = Standby::of(&primary, "standby")
        .setting("max_standby_streaming_delay", "250ms")
        .setting("hot_standby_feedback", "on")
        .start()?;
    ensure!(standby.value("postgres", "SHOW max_standby_streaming_delay")? == "250ms");
    ensure!(standby.value("postgres", "SELECT pg_is_in_recovery()::text")? == "true");
    ensure!(standby.execute("postgres", "INSERT INTO t VALUES (0)").is_err());

    primary.execute("postgres", "INSERT INTO t SELECT generate_series(1, 1000)")?;
    standby.wait_for_replay()?;
    let count = "SELECT count(*)::text FROM t";
    ensure!(standby.value("postgres", count)? == "1000");

    standby.kill9();
    primary.execute("postgres", "INSERT INTO t VALUES (1001)")?;
    standby.start()?;
    standby.wait_for_replay()?;
    ensure!(standby.value("postgres", count)? == "1001");
    let slot = format!(
        "SELECT active::text FROM pg_replication_slots WHERE slot_name = '{}'",
        standby.slot()
    );
    eventually(Duration::from_secs(10), "the slot is in use", || {
        Ok(primary.value("postgres", &slot)? == "true")
    })
}

#[test]
fn a_stalled_stream_makes_the_standby_lag() -> Result<()> {
    let primary = Cluster::builder("lag").start()?;
    let proxy = Proxy::to_cluster(&primary)?;
    let standby = Standby::of(&primary, "lagging").upstream_port(proxy.port()).start()?;
    primary.execute("postgres", "CREATE TABLE before (a int)")?;
    standby.wait_for_replay()?;
    proxy.set(Mode::Stall)?;
    primary.execute("postgres", "CREATE TABLE after (a int)")?;
    std::thread::sleep(Duration::from_millis(200));
    ensure!(standby.execute("postgres", "TABLE before").is_ok());
    ensure!(standby.execute("postgres", "TABLE after").is_err());
    proxy.set(Mode::Pass)?;
    standby.wait_for_replay()?;
    standby.execute("postgres", "TABLE after")
}
