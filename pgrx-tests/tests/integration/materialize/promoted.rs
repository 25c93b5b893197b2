//! Sources whose standby becomes the primary; the model test does it to a standby that the warehouse reads.

use anyhow::Result;
use warehouse_tests::{Standby, Stop};

use crate::ask::{declare, expect, own_source, run};
use crate::support::Pair;

/// What was committed at the primary, was seen at one standby and never came to the other one is gone when
/// that is promoted, and new transactions get the numbers of those that are lost.
#[test]
fn what_a_promoted_standby_never_received_goes() -> Result<()> {
    let primary = own_source("lost")?;
    primary.execute("postgres", "CREATE DATABASE app")?;
    primary.execute(
        "app",
        "CREATE TABLE account (id int PRIMARY KEY, balance int); \
         INSERT INTO account SELECT g, 0 FROM generate_series(1, 500) g",
    )?;
    let ahead = Standby::of(&primary, "lost_ahead").start()?;
    let behind = Standby::of(&primary, "lost_behind").start()?;
    // Much to write: the first checkpoint of its new life, which tells of that, takes its time.
    primary.execute(
        "app",
        "CREATE TABLE filler AS SELECT g, repeat('x', 500) FROM generate_series(1, 10000) g",
    )?;
    behind.wait_for_replay()?;
    let mut client = Pair::new("lost")?.warehouse()?;
    declare(&mut client, "life", ahead.port(), "app", "")?;
    run(
        &mut client,
        "CREATE SCHEMA app; CREATE SCHEMA mart; IMPORT FOREIGN SCHEMA public LIMIT TO (account) FROM SERVER life INTO app; \
         SELECT warehouse.materialize('mart.account', 'SELECT * FROM app.account', \
           unique_key => '{id}', strategy => 'merge', capture => 'xmin')",
    )?;
    behind.stop(Stop::Immediate)?;
    primary.execute("app", "UPDATE account SET balance = 10 WHERE id < 4")?;
    primary.execute("app", "INSERT INTO account VALUES (1001, 10)")?;
    ahead.wait_for_replay()?;
    let refresh = "SELECT status, strategy, capture FROM warehouse.refresh('mart.account')";
    expect(&mut client, refresh, "succeeded|merge|xmin")?;
    let look = "SELECT string_agg(id || ':' || balance, ' ' ORDER BY id) FROM mart.account WHERE balance <> 0";
    expect(&mut client, look, "1:10 2:10 3:10 1001:10")?;
    primary.kill9();
    ahead.stop(Stop::Immediate)?;
    behind.start()?;
    let survivor = behind.promote()?;
    for id in 11..=20 {
        survivor.execute("app", &format!("UPDATE account SET balance = 20 WHERE id = {id}"))?;
    }
    run(&mut client, &format!("ALTER SERVER life OPTIONS (SET port '{}')", survivor.port()))?;
    expect(&mut client, refresh, "succeeded|merge|xmin")?;
    expect(&mut client, look, "11:20 12:20 13:20 14:20 15:20 16:20 17:20 18:20 19:20 20:20")?;
    // From there on by what has changed.
    survivor.execute("app", "UPDATE account SET balance = 0 WHERE id BETWEEN 12 AND 20")?;
    expect(
        &mut client,
        "SELECT status, fetched < 500 FROM warehouse.refresh('mart.account')",
        "succeeded|t",
    )?;
    expect(&mut client, look, "11:20")
}
