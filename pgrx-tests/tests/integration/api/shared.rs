//! Answers that all sessions share.

use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

use super::{Apis, cluster};
use crate::ask::{expect, refused, rows, run};

const QUESTION: &str =
    "SELECT count(*), md5(string_agg(id || status, ',' ORDER BY id)) FROM b.transactions";

/// Waits until a query gives what is expected.
fn until(client: &mut postgres::Client, query: &str, expected: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let found = rows(client, query)?;
        if found == expected {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{query} gives {found}, not {expected}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn fifteen_sessions_are_one_crawl() -> Result<()> {
    let (apis, mut client) = Apis::imported("shared", 400, "")?;
    let log = apis.braintree.log();
    let truth = rows(&mut client, QUESTION)?;
    let once = log.entries().len();
    expect(&mut client, "SELECT warehouse.clear_cache('braintree')", "1")?;
    log.clear();
    apis.braintree.set_delay(Duration::from_millis(500));
    let seen = thread::scope(|scope| -> Result<String> {
        let sessions: Vec<_> = (0..15)
            .map(|_| {
                scope.spawn(|| -> Result<()> { expect(&mut apis.client()?, QUESTION, &truth) })
            })
            .collect();
        let state = "SELECT count(*) > 0 FROM warehouse.api_activity \
                     WHERE relation = 'b.transactions'::regclass AND server = 'braintree' AND state = ";
        until(&mut client, &format!("{state} 'other session'"), "t")?;
        let seen = rows(
            &mut client,
            "SELECT string_agg(DISTINCT state, ',' ORDER BY state) FROM warehouse.api_activity",
        )?;
        for one in sessions {
            one.join().map_err(|_| anyhow::anyhow!("a session panicked"))??;
        }
        Ok(seen)
    })?;
    ensure!(seen.contains("other session"), "{seen}");
    ensure!(log.entries().len() == once, "{} requests, {once} once", log.entries().len());
    expect(&mut client, "SELECT count(*) FROM warehouse.api_activity", "0")
}

#[test]
fn who_stops_in_the_middle_holds_nobody_up() -> Result<()> {
    let (apis, mut client) = Apis::imported("shared_idle", 400, "")?;
    run(&mut client, "SET warehouse.clear = off")?;
    let truth = rows(&mut apis.client()?, QUESTION)?;
    rows(&mut client, "SELECT warehouse.clear_cache('braintree')")?;
    // A client that reads a few rows of a cursor and goes to lunch.
    run(
        &mut client,
        "BEGIN; DECLARE c CURSOR FOR SELECT id, status FROM b.transactions; FETCH 1 FROM c",
    )?;
    let mut other = apis.client()?;
    expect(&mut other, "SELECT state || ' ' || pages FROM warehouse.api_activity", "reading 1")?;
    let begun = Instant::now();
    expect(&mut other, QUESTION, &truth)?;
    ensure!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // The cursor goes on, with its own rows.
    let rest = rows(&mut client, "FETCH ALL FROM c")?;
    ensure!(rest.lines().count() == 399, "{}", rest.lines().count());
    run(&mut client, "COMMIT")
}

#[test]
fn who_fails_or_dies_leaves_it_to_others() -> Result<()> {
    let (apis, mut client) = Apis::imported("shared_dead", 400, "")?;
    let truth = rows(&mut client, QUESTION)?;
    for end in ["pg_cancel_backend", "pg_terminate_backend"] {
        rows(&mut client, "SELECT warehouse.clear_cache('braintree')")?;
        apis.braintree.set_delay(Duration::from_millis(100));
        thread::scope(|scope| -> Result<()> {
            let first = scope.spawn(|| -> Result<()> {
                let error = apis.client()?.simple_query(QUESTION).err().context("not ended")?;
                let state = error.code().map(|code| code.code().to_owned());
                ensure!(matches!(state.as_deref(), Some("57014" | "57P01")), "{error}");
                Ok(())
            });
            until(&mut client, "SELECT count(*) FROM warehouse.api_activity", "1")?;
            let second = scope.spawn(|| expect(&mut apis.client()?, QUESTION, &truth));
            let waits = "SELECT count(*) FROM warehouse.api_activity WHERE state = 'other session'";
            until(&mut client, waits, "1")?;
            rows(
                &mut client,
                &format!(
                    "SELECT {end}(pid) FROM warehouse.api_activity WHERE state <> 'other session'"
                ),
            )?;
            first.join().map_err(|_| anyhow::anyhow!("the first panicked"))??;
            second.join().map_err(|_| anyhow::anyhow!("the second panicked"))?
        })?;
        apis.braintree.set_delay(Duration::ZERO);
    }
    // One whose answer is an error gives it to nobody.
    rows(&mut client, "SELECT warehouse.clear_cache('braintree')")?;
    let fault = warehouse_tests::apis::What::Status(401, None);
    apis.braintree.arm(warehouse_tests::apis::Fault::new(fault).after(1));
    refused(&mut client, QUESTION)?.says("28000", &[])?;
    expect(&mut apis.client()?, QUESTION, &truth)
}

#[test]
fn other_credentials_have_other_answers() -> Result<()> {
    let (apis, mut client) = Apis::imported("shared_roles", 100, "")?;
    let keys = apis.braintree.api().options();
    run(
        &mut client,
        &format!(
            "CREATE ROLE shared_wrong LOGIN; GRANT USAGE ON SCHEMA b TO shared_wrong; \
             GRANT SELECT ON ALL TABLES IN SCHEMA b TO shared_wrong; \
             CREATE USER MAPPING FOR shared_wrong SERVER braintree OPTIONS ( \
               public_key '{}', private_key 'not the right one')",
            keys.public_key
        ),
    )?;
    let truth = rows(&mut client, QUESTION)?;
    run(&mut client, "SET ROLE shared_wrong")?;
    refused(&mut client, QUESTION)?.says("28000", &[])?;
    run(&mut client, "RESET ROLE")?;
    apis.braintree.log().clear();
    expect(&mut client, QUESTION, &truth)?;
    ensure!(apis.braintree.log().entries().is_empty());
    run(&mut client, "DROP OWNED BY shared_wrong; DROP ROLE shared_wrong")
}

#[test]
fn nothing_lies_in_a_file_as_it_is() -> Result<()> {
    let (apis, mut client) = Apis::imported("shared_sealed", 1_000, "")?;
    let truth = apis.braintree.truth("customers")?;
    let names: Vec<String> = truth
        .iter()
        .filter_map(|customer| customer["email"].as_str().map(str::to_owned))
        .filter(|email| email.len() > 8)
        .collect();
    ensure!(names.len() > 10, "{} addresses", names.len());
    rows(&mut client, "SELECT count(*), count(attrs) FROM b.customers")?;
    rows(&mut client, "SELECT count(*), count(attrs) FROM b.transactions")?;
    let folder = cluster()?.data_dir().join("base/pgsql_tmp");
    let mut read = 0;
    for file in std::fs::read_dir(&folder)? {
        // Other tests' files come and go.
        let Ok(bytes) = std::fs::read(file?.path()) else { continue };
        read += bytes.len();
        let text = String::from_utf8_lossy(&bytes);
        ensure!(!names.iter().any(|name| text.contains(name)), "an address lies in a file");
    }
    ensure!(read > 300_000, "only {read} bytes lie in files");
    Ok(())
}

#[test]
fn a_refresh_asks_anew_and_others_have_its_answer() -> Result<()> {
    let (apis, mut client) = Apis::imported("shared_anew", 150, ", cache_ttl '1h'")?;
    let log = apis.braintree.log();
    let query = "SELECT id, status, amount FROM b.transactions";
    run(
        &mut client,
        &format!(
            "CREATE SCHEMA m; SELECT warehouse.materialize('m.transactions', '{query}', unique_key => ARRAY['id'])"
        ),
    )?;
    let gone = apis.braintree.truth("transactions")?[3]["id"].clone();
    apis.braintree.change(&serde_json::json!({"remove": "transactions", "id": gone}))?;
    expect(&mut client, &format!("SELECT count(*) FROM ({query}) q"), "150")?;
    run(&mut client, "SELECT warehouse.refresh('m.transactions')")?;
    expect(&mut client, "SELECT count(*) FROM m.transactions", "149")?;
    log.clear();
    expect(&mut apis.client()?, &format!("SELECT count(*) FROM ({query}) q"), "149")?;
    ensure!(log.entries().is_empty(), "{:?}", log.entries());
    Ok(())
}
