//! What may be declared, and what there is without preloading.

use anyhow::{Result, ensure};
use warehouse_tests::Standby;

use super::{ALL, Scene};
use crate::ask::{expect, refused, rows, run};

#[test]
fn values_that_cannot_be_are_refused_with_a_hint() -> Result<()> {
    let mut scene = Scene::new("declared", 2)?;
    for value in ["0", "-1", "4097", "many", "", "1.5", "99999999999", "0x10", "1e3", "1 2"] {
        let sql = format!("ALTER SERVER s1 OPTIONS (SET max_connections '{value}')");
        refused(&mut scene.observer, &sql)?
            .says("HV024", &["max_connections", "from 1 to 4096"])?
            .hints(&["warehouse.max_connections_per_server"])?;
    }
    for value in ["1", "4096"] {
        let sql = format!("ALTER SERVER s1 OPTIONS (SET max_connections '{value}')");
        run(&mut scene.observer, &sql)?;
        expect(
            &mut scene.observer,
            "SELECT max_connections FROM warehouse.replica_usage() WHERE server = 's1'",
            value,
        )?;
    }
    refused(&mut scene.observer, "ALTER SERVER s1 OPTIONS (ADD max_connection '1')")?
        .says("HV00D", &["max_connection"])?
        .hints(&["max_connections"])?;
    for value in ["-1", "4097", "'many'"] {
        let sql = format!("ALTER SYSTEM SET warehouse.max_connections_per_server = {value}");
        refused(&mut scene.observer, &sql)?.says("22023", &["max_connections_per_server"])?;
    }
    Ok(())
}

/// Every role sees the servers that it may use, and only those.
#[test]
fn usage_is_for_who_may_use_the_server() -> Result<()> {
    let mut scene = Scene::new("usage", 2)?;
    let role = format!("{}_role", scene.database);
    run(
        &mut scene.observer,
        &format!("CREATE ROLE {role}; GRANT USAGE ON FOREIGN SERVER s2 TO {role}"),
    )?;
    let mut client = scene.holder(ALL)?;
    run(&mut client, &format!("SET ROLE {role}"))?;
    expect(
        &mut client,
        "SELECT server, connections, in_use, waiting, max_connections FROM warehouse.replica_usage()",
        "s2|0|0|0|2",
    )?;
    run(&mut client, "RESET ROLE")?;
    expect(
        &mut client,
        "SELECT server, connections, in_use, waiting, max_connections FROM warehouse.replica_usage() \
         ORDER BY server",
        "s1|1|1|0|2\ns2|0|0|0|2",
    )
}

#[test]
fn without_preloading_there_is_no_bound() -> Result<()> {
    let mut scene = Scene::apart("unloaded", ", max_connections '1'", false)?;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(scene.holder(ALL)?);
    }
    ensure!(scene.at_source("s1")? == 4);
    ensure!(rows(&mut scene.observer, "SELECT * FROM warehouse.replica_usage()")?.is_empty());
    for client in &mut held {
        expect(client, ALL, "100")?;
    }
    drop(held);
    Ok(())
}

/// A standby of the warehouse has a book of its own, and nothing on it asks for a transaction id.
#[test]
fn on_a_standby_of_the_warehouse() -> Result<()> {
    let scene = Scene::apart("standby", ", max_connections '1'", true)?;
    let standby = Standby::of(scene.warehouse.cluster(), "warehouse-standby")
        .setting("deadlock_timeout", "400ms")
        .start()?;
    standby.wait_for_replay()?;
    let mut failed = Vec::new();
    for (sql, answer) in [
        (ALL, "100"),
        ("SELECT count(*) FROM app.t WHERE id::text LIKE '1%' AND id::text < '5'", "12"),
        (
            "SELECT server, connections, max_connections FROM warehouse.replica_usage() ORDER BY 1",
            "s1|1|1\ns2|0|1",
        ),
        ("SELECT server, reachable FROM warehouse.replica_status() ORDER BY 1", "s1|t\ns2|t"),
        ("SELECT pushed FROM warehouse.explain_pushdown('SELECT * FROM app.t WHERE id = 1')", "t"),
        ("SELECT warehouse.disconnect()", "1"),
    ] {
        let mut client = standby.connect(&scene.database)?;
        let found = rows(&mut client, ALL).and_then(|_| rows(&mut client, sql));
        match found {
            Ok(found) => ensure!(found == answer, "{sql}: {found}"),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    // One who waits looks for deadlocks.
    let mut holder = standby.connect(&scene.database)?;
    run(&mut holder, &format!("BEGIN; {ALL}"))?;
    let waiting = super::aside(standby.connect(&scene.database)?, ALL);
    std::thread::sleep(std::time::Duration::from_millis(1200));
    run(&mut holder, "COMMIT")?;
    if let Err(error) = super::answers(waiting, "100") {
        failed.push(format!("waiting: {error:#}"));
    }
    ensure!(failed.is_empty(), "{failed:#?}");
    Ok(())
}
