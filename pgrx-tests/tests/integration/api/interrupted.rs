//! Cancels, early ends and what is around a scan.

use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use warehouse_tests::apis::{Fault, What};
use warehouse_tests::timing::eventually;

use super::{Apis, cluster};
use crate::ask::{disturb, expect, rows, run, told};

/// A cancel is obeyed within this, on a busy machine too.
const PROMPT: Duration = Duration::from_millis(400);

#[test]
fn a_cancel_is_obeyed_at_once() -> Result<()> {
    let (apis, mut client) = Apis::imported("cancel", 60, ", cache_ttl '0'")?;
    for (what, statement) in [
        (What::Stall, "SELECT * FROM b.transactions"),
        (What::Status(500, None), "SELECT * FROM b.plans"),
        (What::Delay(Duration::from_secs(9)), "SELECT count(*) FROM b.customers"),
    ] {
        apis.braintree.arm(Fault::new(what).always());
        let mut other = apis.client()?;
        let (error, took) = disturb(&mut client, Duration::from_millis(700), statement, |pid| {
            other.execute("SELECT pg_cancel_backend($1)", &[&pid])?;
            Ok(())
        })?;
        told(&error.context("it ended by itself")?)?.says("57014", &[])?;
        ensure!(took < PROMPT, "{statement}: {took:?}");
        apis.braintree.faults().clear();
    }
    expect(&mut client, "SELECT count(*) > 0 FROM b.plans", "t")?;
    // The limits of the API's waiting requests are free again.
    let start = Instant::now();
    expect(&mut client, "SELECT count(*) > 0 FROM b.transactions", "t")?;
    ensure!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    Ok(())
}

#[test]
fn a_terminated_session_ends() -> Result<()> {
    let (apis, mut client) = Apis::imported("terminate", 60, ", cache_ttl '0'")?;
    apis.braintree.arm(Fault::new(What::Stall).always());
    let mut other = apis.client()?;
    let (error, took) =
        disturb(&mut client, Duration::from_millis(300), "SELECT * FROM b.plans", |pid| {
            other.execute("SELECT pg_terminate_backend($1)", &[&pid])?;
            Ok(())
        })?;
    crate::ask::terminated(&error.context("it ended by itself")?)?;
    ensure!(took < Duration::from_secs(2), "{took:?}");
    eventually(Duration::from_secs(5), "the server is up", || Ok(apis.client().is_ok()))?;
    ensure!(!cluster()?.log()?.contains("was terminated by signal"), "a backend crashed");
    Ok(())
}

#[test]
fn a_limit_stops_paging() -> Result<()> {
    let (apis, mut client) = Apis::imported("limit", 40, ", cache_ttl '0'")?;
    let all = {
        rows(&mut client, "SELECT count(*) FROM a.contacts")?;
        let count = apis.airtable.log().entries().len();
        apis.airtable.log().clear();
        count
    };
    ensure!(all >= 4, "{all} pages");
    rows(&mut client, "SELECT * FROM a.contacts LIMIT 5")?;
    ensure!(apis.airtable.log().entries().len() == 1, "{:?}", apis.airtable.log().entries().len());
    apis.airtable.log().clear();
    run(&mut client, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM a.contacts; FETCH 3 FROM c")?;
    ensure!(apis.airtable.log().entries().len() == 1);
    run(&mut client, "CLOSE c; COMMIT")?;
    std::thread::sleep(Duration::from_millis(300));
    ensure!(apis.airtable.log().entries().len() == 1);
    // With an order everything is needed.
    apis.airtable.log().clear();
    rows(&mut client, "SELECT * FROM a.contacts ORDER BY _created_time DESC, _id LIMIT 5")?;
    ensure!(apis.airtable.log().entries().len() == all);
    Ok(())
}

#[test]
fn everywhere_a_table_can_stand() -> Result<()> {
    let (_apis, mut client) = Apis::imported("places", 120, "")?;
    let all = rows(&mut client, "SELECT count(*) FROM b.transactions")?;
    // Rescans.
    run(
        &mut client,
        "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off",
    )?;
    expect(
        &mut client,
        "SELECT count(*) FROM generate_series(1, 3) g, LATERAL (SELECT * FROM b.transactions t OFFSET 0) x",
        &(3 * all.parse::<u32>()?).to_string(),
    )?;
    let pairs =
        rows(&mut client, "SELECT n * (n + 1) / 2 FROM (SELECT count(*) AS n FROM b.plans) x")?;
    expect(&mut client, "SELECT count(*) FROM b.plans p, b.plans q WHERE p.id <= q.id", &pairs)?;
    run(&mut client, "RESET ALL")?;
    expect(
        &mut client,
        "SELECT count(*) FROM b.transactions x JOIN b.transactions y USING (id)",
        &all,
    )?;
    // PL/pgSQL, cursors back and forth, savepoints, CTEs.
    run(
        &mut client,
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint := 0; r record; BEGIN \
           FOR r IN SELECT * FROM b.transactions LOOP n := n + 1; \
             BEGIN PERFORM 1 / (n % 7); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; RETURN n; END $$",
    )?;
    expect(&mut client, "SELECT f()", &all)?;
    run(
        &mut client,
        "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM b.transactions; MOVE 40 IN c; MOVE BACKWARD ALL IN c",
    )?;
    let first = rows(&mut client, "FETCH 1 FROM c")?;
    run(&mut client, "COMMIT")?;
    expect(&mut client, "SELECT id FROM b.transactions LIMIT 1", &first)?;
    run(
        &mut client,
        "BEGIN; DECLARE d CURSOR WITH HOLD FOR SELECT id FROM b.transactions; FETCH 1 FROM d; COMMIT",
    )?;
    expect(&mut client, "SELECT count(*) FROM b.transactions", &all)?;
    run(&mut client, "CLOSE d; CREATE TABLE t AS SELECT * FROM b.transactions")?;
    expect(
        &mut client,
        "WITH x AS MATERIALIZED (SELECT * FROM b.transactions) SELECT count(*) FROM x, (SELECT 1) y",
        &all,
    )?;
    Ok(())
}
