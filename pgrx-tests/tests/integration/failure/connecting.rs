//! Sources that cannot be reached.

use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::faults::{Mode, SilentHost};
use warehouse_tests::timing::{timed, within};

use crate::ask::{Proxied, SOON, declare, expect, refused, run};

const SETUP: &str = "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g";

fn import(client: &mut Client) -> Result<()> {
    run(client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")
}

#[test]
fn a_source_that_refuses_connections() -> Result<()> {
    let proxied = Proxied::new("refusing", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    import(&mut client)?;
    proxied.proxy.set(Mode::Refuse)?;
    proxied.proxy.drop_connections()?;
    let told = within(SOON, "a refused connection", || refused(&mut client, "TABLE app.t"))?;
    told.says("08001", &["\"src\"", "app.t", "refused"])?.hints(&["host, port and dbname"])?;
    proxied.proxy.set(Mode::Pass)?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}

#[test]
fn a_source_that_accepts_and_never_answers() -> Result<()> {
    let proxied = Proxied::new("stalled", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    import(&mut client)?;
    let silent = SilentHost::start()?;
    declare(&mut client, "silent", silent.port(), "d", ", connect_timeout '1'")?;
    run(&mut client, "CREATE FOREIGN TABLE app.s (id int) SERVER silent")?;
    let (told, took) = timed(|| refused(&mut client, "TABLE app.s"));
    println!("gave up after {took:?}");
    told?.says("08001", &["\"silent\"", "app.s", "connect_timeout"])?;
    ensure!(took >= Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}

#[test]
fn a_dead_server_costs_one_connect_timeout_however_many_partitions_it_has() -> Result<()> {
    let proxied = Proxied::new("once", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    let silent = SilentHost::start()?;
    declare(&mut client, "silent", silent.port(), "d", ", connect_timeout '1'")?;
    run(
        &mut client,
        "CREATE SCHEMA app; CREATE TABLE app.m (site text, id int) PARTITION BY LIST (site)",
    )?;
    for site in ["a", "b", "c", "d"] {
        run(
            &mut client,
            &format!(
                "CREATE FOREIGN TABLE app.m_{site} (site text OPTIONS (constant '{site}'), id int) \
                   SERVER silent; \
                 ALTER TABLE app.m ATTACH PARTITION app.m_{site} FOR VALUES IN ('{site}')"
            ),
        )?;
    }
    let told = within(Duration::from_secs(3), "four partitions of a dead server", || {
        refused(&mut client, "SELECT * FROM app.m ORDER BY id")
    })?;
    told.says("08001", &["\"silent\"", "site "])?;
    ensure!(silent.accepted() <= 1, "{} connections were tried", silent.accepted());
    Ok(())
}

#[test]
fn the_default_connect_timeout_is_five_seconds() -> Result<()> {
    let proxied = Proxied::new("default", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    let silent = SilentHost::start()?;
    declare(&mut client, "silent", silent.port(), "d", "")?;
    run(&mut client, "CREATE FOREIGN TABLE s (id int) SERVER silent")?;
    let (told, took) = timed(|| refused(&mut client, "TABLE s"));
    told?.says("08001", &["5 s"])?;
    ensure!(took > Duration::from_secs(4) && took < Duration::from_secs(9), "{took:?}");
    Ok(())
}

/// A host that goes silent after the start-up packet went through is no better than one before.
#[test]
fn a_source_that_stalls_while_authenticating() -> Result<()> {
    let proxied = Proxied::new("auth", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    import(&mut client)?;
    run(&mut client, "SELECT warehouse.disconnect()")?;
    // The request for SCRAM comes through, what follows it does not.
    let before = proxied.proxy.bytes_to_client();
    for allowed in [1, 60, 200] {
        proxied.proxy.set(Mode::CutAfter(allowed))?;
        refused(&mut client, "TABLE app.t")?.says("08001", &["\"src\"", "app.t"])?;
    }
    ensure!(proxied.proxy.bytes_to_client() > before);
    proxied.proxy.set(Mode::Stall)?;
    let told =
        within(Duration::from_secs(4), "a stalled start", || refused(&mut client, "TABLE app.t"))?;
    told.says("08001", &["\"src\"", "app.t"])?;
    proxied.proxy.set(Mode::Pass)?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}

#[test]
fn a_host_name_that_does_not_resolve() -> Result<()> {
    let proxied = Proxied::new("resolve", SETUP)?;
    let mut client = proxied.pair.warehouse()?;
    import(&mut client)?;
    run(
        &mut client,
        "CREATE SERVER lost FOREIGN DATA WRAPPER replica_fdw \
           OPTIONS (host 'no-such-host.invalid', dbname 'd', connect_timeout '1'); \
         CREATE USER MAPPING FOR PUBLIC SERVER lost OPTIONS (user 'u', password 'p'); \
         CREATE FOREIGN TABLE app.l (id int) SERVER lost",
    )?;
    refused(&mut client, "TABLE app.l")?.says("08001", &["\"lost\"", "app.l", "no-such-host"])?;
    expect(&mut client, "SELECT count(*) FROM app.t", "100")
}
