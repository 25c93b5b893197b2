//! Answers that are used again, and limits over sessions.

use anyhow::{Result, ensure};
use std::thread;
use std::time::Duration;

use warehouse_tests::Cluster;

use super::Apis;
use crate::ask::{expect, refused, rows, run};

#[test]
fn an_answer_serves_what_it_contains() -> Result<()> {
    let (apis, mut client) = Apis::imported("cached", 200, "")?;
    let log = apis.braintree.log();
    let all = rows(&mut client, "SELECT count(*) FROM b.transactions")?;
    ensure!(!log.entries().is_empty());
    // Other columns than none are another answer.
    rows(&mut client, "SELECT id, amount, status FROM b.transactions")?;
    log.clear();
    expect(&mut client, "SELECT count(*) FROM b.transactions", &all)?;
    let plan = rows(
        &mut client,
        "EXPLAIN (ANALYZE) SELECT id, amount FROM b.transactions WHERE status = 'settled'",
    )?;
    ensure!(plan.contains("API Cache: hit") && plan.contains("API Requests: 0"), "{plan}");
    ensure!(log.entries().is_empty(), "{:?}", log.entries());
    // So it does for others, until it is cleared.
    let mut other = apis.client()?;
    expect(&mut other, "SELECT count(*) FROM b.transactions", &all)?;
    ensure!(log.entries().is_empty(), "{:?}", log.entries());
    ensure!(rows(&mut other, "SELECT warehouse.clear_cache('braintree')")? != "0");
    let plan = rows(
        &mut client,
        "EXPLAIN (ANALYZE) SELECT id, amount FROM b.transactions WHERE status = 'settled'",
    )?;
    ensure!(plan.contains("API Cache: miss"), "{plan}");
    let cleared = rows(&mut client, "SELECT warehouse.clear_cache('braintree')")?;
    ensure!(cleared == "1", "{cleared}");
    expect(&mut client, "SELECT warehouse.clear_cache('braintree')", "0")?;
    refused(&mut client, "SELECT warehouse.clear_cache('nothing')")?.says("42704", &["nothing"])?;
    // Too old.
    run(&mut client, "ALTER FOREIGN TABLE b.plans OPTIONS (ADD cache_ttl '300ms')")?;
    rows(&mut client, "SELECT * FROM b.plans")?;
    thread::sleep(Duration::from_millis(400));
    log.clear();
    rows(&mut client, "SELECT * FROM b.plans")?;
    ensure!(!log.entries().is_empty());
    Ok(())
}

#[test]
fn one_statement_is_one_crawl() -> Result<()> {
    let (apis, mut client) = Apis::imported("cached_arms", 200, ", cache_ttl '0'")?;
    let log = apis.braintree.log();
    rows(&mut client, "SELECT * FROM b.transactions")?;
    let once = log.entries().len();
    let arms: Vec<String> =
        (0..50).map(|n| format!("SELECT {n}, t.* FROM b.transactions t")).collect();
    log.clear();
    rows(
        &mut client,
        &format!("SELECT count(*) FROM ({}) q", arms.join(" UNION ALL ").replace("t.*", "t.id")),
    )?;
    ensure!(log.entries().len() <= once, "{} requests, {once} once", log.entries().len());
    // Nothing is kept for the next one.
    log.clear();
    rows(&mut client, "SELECT * FROM b.transactions")?;
    ensure!(log.entries().len() == once);
    // Both sides of a merge at once.
    log.clear();
    rows(
        &mut client,
        "SELECT count(*) FROM b.transactions x FULL JOIN b.transactions y ON x.id = y.id",
    )?;
    ensure!(log.entries().len() <= once, "{} requests, {once} once", log.entries().len());
    // A transaction that keeps its snapshot keeps its answers.
    run(&mut client, "BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    rows(&mut client, "SELECT * FROM b.plans")?;
    log.clear();
    rows(&mut client, "SELECT * FROM b.plans")?;
    ensure!(log.entries().is_empty());
    run(&mut client, "COMMIT")?;
    Ok(())
}

#[test]
fn what_does_not_fit_lies_in_a_file() -> Result<()> {
    let (apis, mut client) = Apis::imported("cached_large", 3_000, "")?;
    let log = apis.braintree.log();
    let first = rows(
        &mut client,
        "SELECT count(*), md5(string_agg(id || attrs::text, ',' ORDER BY id)) FROM b.transactions",
    )?;
    log.clear();
    expect(
        &mut client,
        "SELECT count(*), md5(string_agg(id || attrs::text, ',' ORDER BY id)) FROM b.transactions",
        &first,
    )?;
    ensure!(log.entries().is_empty());
    let files = rows(&mut client, "SELECT count(*) > 0 FROM pg_ls_tmpdir()")?;
    ensure!(files == "t", "everything was kept in memory");
    expect(
        &mut client,
        "SELECT count(*) FROM b.transactions x JOIN b.transactions y ON x.id = y.id AND x.amount IS NOT DISTINCT FROM y.amount",
        "3000",
    )
}

#[test]
fn without_room_nothing_is_kept() -> Result<()> {
    let apis = Apis::new("cached_room", 1_000, "")?;
    let small = Cluster::builder("apisroom").preload("warehouse");
    let small = small.setting("warehouse.api_cache_size", "64kB").start()?;
    let (mut client, keys) = (small.connect("postgres")?, apis.braintree.api().options());
    run(
        &mut client,
        &format!(
            "CREATE EXTENSION warehouse; CREATE SCHEMA b; \
             CREATE SERVER braintree FOREIGN DATA WRAPPER braintree_fdw OPTIONS ( \
               endpoint '{}', merchant_id '{}', unclassified 'clear'); \
             CREATE USER MAPPING FOR PUBLIC SERVER braintree OPTIONS ( \
               public_key '{}', private_key '{}'); \
             IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO b",
            apis.braintree.url(),
            keys.merchant_id,
            keys.public_key,
            keys.private_key,
        ),
    )?;
    super::open(&mut client)?;
    let log = apis.braintree.log();
    let first = rows(
        &mut client,
        "SELECT count(*), md5(string_agg(id || attrs::text, ',' ORDER BY id)) FROM b.transactions",
    )?;
    for _ in 0..2 {
        log.clear();
        expect(
            &mut client,
            "SELECT count(*), md5(string_agg(id || attrs::text, ',' ORDER BY id)) FROM b.transactions",
            &first,
        )?;
        ensure!(!log.entries().is_empty());
    }
    expect(
        &mut client,
        "SELECT count(*) FROM b.transactions x JOIN b.transactions y ON x.id = y.id AND x.amount IS NOT DISTINCT FROM y.amount",
        "1000",
    )
}

#[test]
fn sessions_share_the_limits() -> Result<()> {
    let more = ", cache_ttl '0', requests_per_second '10', concurrency '3'";
    let apis = Apis::new("cached_limits", 100, "")?;
    let mut client = apis.client()?;
    run(
        &mut client,
        &format!(
            "ALTER SERVER braintree OPTIONS ({}); IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO b",
            more.trim_start_matches(", ")
                .replace("cache_ttl", "ADD cache_ttl")
                .replace("requests", "ADD requests")
                .replace("concurrency", "ADD concurrency")
        ),
    )?;
    apis.braintree.set_delay(Duration::from_millis(50));
    apis.braintree.log().clear();
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut client = apis.client()?;
                    for table in ["plans", "add_ons", "discounts", "plans"] {
                        rows(&mut client, &format!("SELECT * FROM b.{table}"))?;
                    }
                    Ok(())
                })
            })
            .collect();
        sessions
            .into_iter()
            .try_for_each(|one| one.join().map_err(|_| anyhow::anyhow!("a session panicked"))?)
    })?;
    let log = apis.braintree.log();
    ensure!(log.entries().len() >= 32, "{}", log.figures(""));
    ensure!(log.most_in_a_second("") <= 10 && log.most_at_once("") <= 3, "{}", log.figures(""));
    Ok(())
}

#[test]
fn a_table_can_be_kept() -> Result<()> {
    let (apis, mut client) = Apis::imported("kept", 150, ", cache_ttl '0'")?;
    let query = "SELECT id, status, amount, created_at FROM b.transactions";
    run(
        &mut client,
        &format!(
            "CREATE SCHEMA m; SELECT warehouse.materialize('m.transactions', '{query}', unique_key => ARRAY['id'])"
        ),
    )?;
    let sum = |from: &str| format!("SELECT count(*), sum(amount), max(created_at) FROM {from}");
    let truth = rows(&mut client, &sum("b.transactions"))?;
    expect(&mut client, &sum("m.transactions"), &truth)?;
    let gone = apis.braintree.truth("transactions")?[3]["id"].clone();
    apis.braintree.change(&serde_json::json!({"remove": "transactions", "id": gone}))?;
    run(&mut client, "SELECT warehouse.refresh('m.transactions')")?;
    expect(&mut client, "SELECT count(*) FROM m.transactions", "149")?;
    // A refresh that fails in the middle leaves what was there.
    let fault = warehouse_tests::apis::What::Status(401, None);
    apis.braintree.arm(warehouse_tests::apis::Fault::new(fault).after(2).always());
    refused(&mut client, "SELECT warehouse.refresh('m.transactions')")?.says("28000", &[])?;
    expect(&mut client, "SELECT count(*) FROM m.transactions", "149")?;
    Ok(())
}

/// Memory of this session that Postgres does not know of, in MB.
fn resident(client: &mut postgres::Client) -> Result<f64> {
    let pid = crate::ask::pid_of(client)?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or("RssAnon: 0 kB");
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(kilobytes / 1024.0)
}

#[test]
fn memory_stays_flat() -> Result<()> {
    let (_apis, mut client) = Apis::imported("flat", 8_000, "")?;
    rows(&mut client, "SELECT count(*) FROM b.plans")?;
    rows(&mut client, "SELECT count(attrs) FROM (SELECT attrs FROM b.transactions LIMIT 500) q")?;
    let before = resident(&mut client)?;
    rows(&mut client, "SELECT count(attrs), count(id) FROM b.transactions")?;
    let grown = resident(&mut client)? - before;
    ensure!(grown < 30.0, "it grew by {grown} MB");
    Ok(())
}
