//! How much is asked of the API with conditions, parameters and joins. `oracle` says that the rows are
//! right.

use anyhow::{Result, ensure};

use super::Apis;
use crate::ask::{expect, rows, run};

#[test]
fn fewer_records_move() -> Result<()> {
    let (apis, mut client) = Apis::imported("pushed_fewer", 600, ", cache_ttl '0'")?;
    let log = apis.braintree.log();
    let all = rows(&mut client, "SELECT count(*) FROM b.transactions")?;
    let whole: usize = log.entries().iter().map(|entry| entry.bytes).sum();
    log.clear();
    let id = rows(&mut client, "SELECT id FROM b.transactions LIMIT 1")?;
    log.clear();
    expect(&mut client, &format!("SELECT count(*) FROM b.transactions WHERE id = '{id}'"), "1")?;
    let one: usize = log.entries().iter().map(|entry| entry.bytes).sum();
    ensure!(
        log.entries().len() <= 2 && one * 20 < whole,
        "{one} of {whole} bytes: {:?}",
        log.entries()
    );
    log.clear();
    let plan = rows(
        &mut client,
        "EXPLAIN (VERBOSE) SELECT id FROM b.transactions WHERE status = 'voided' AND amount > 10",
    )?;
    ensure!(log.entries().is_empty(), "EXPLAIN asked: {:?}", log.entries());
    ensure!(plan.contains("voided") && plan.contains("API Request: POST"), "{plan}");
    let some = rows(
        &mut client,
        "SELECT count(*) FROM b.transactions WHERE status = 'voided' AND amount > 10",
    )?;
    let part: usize = log.entries().iter().map(|entry| entry.bytes).sum();
    ensure!(some != all && part * 2 < whole, "{some} of {all}: {part} of {whole} bytes");
    Ok(())
}

#[test]
fn values_come_with_the_execution() -> Result<()> {
    let (apis, mut client) = Apis::imported("pushed_params", 200, ", cache_ttl '0'")?;
    run(
        &mut client,
        "CREATE TABLE wanted AS SELECT id FROM b.transactions ORDER BY id LIMIT 7; ANALYZE wanted; \
         PREPARE one(text) AS SELECT count(*) FROM b.transactions WHERE id = $1; \
         PREPARE many(text[]) AS SELECT count(*) FROM b.transactions WHERE id = ANY ($1)",
    )?;
    let ids = rows(&mut client, "SELECT id FROM wanted")?;
    let log = apis.braintree.log();
    log.clear();
    for _ in 0..2 {
        for id in ids.lines() {
            expect(&mut client, &format!("EXECUTE one('{id}')"), "1")?;
        }
    }
    ensure!(log.entries().len() <= 28, "{} requests", log.entries().len());
    let list: Vec<&str> = ids.lines().collect();
    expect(&mut client, &format!("EXECUTE many('{{{}}}')", list.join(",")), "7")?;
    expect(&mut client, "EXECUTE many(NULL)", "0")?;
    // A join looks its few keys up.
    log.clear();
    expect(
        &mut client,
        "SELECT count(*), count(t.amount) FROM wanted w JOIN b.transactions t USING (id)",
        "7|7",
    )?;
    ensure!(log.entries().len() <= 2, "{} requests", log.entries().len());
    let plan =
        rows(&mut client, "EXPLAIN SELECT * FROM wanted w JOIN b.transactions t USING (id)")?;
    ensure!(plan.contains("Batched Lookup"), "{plan}");
    expect(
        &mut client,
        "SELECT count(*), count(t.id) FROM (SELECT id FROM wanted UNION ALL SELECT 'none') w LEFT JOIN b.transactions t USING (id)",
        "8|7",
    )?;
    let events = "SELECT count(*) FROM wanted w JOIN b.transaction_status_events e ON e.transaction_id = w.id";
    let found = rows(&mut client, events)?;
    run(&mut client, "SET warehouse.lookup_batch_size = 0; SET enable_nestloop = off")?;
    expect(&mut client, events, &found)?;
    run(&mut client, "RESET warehouse.lookup_batch_size; RESET enable_nestloop")?;
    expect(
        &mut client,
        "SELECT count(*) FROM wanted w WHERE EXISTS (SELECT FROM b.transactions t WHERE t.id = w.id AND t.amount IS NOT NULL)",
        "7",
    )?;
    expect(
        &mut client,
        "SELECT count(*) FROM wanted w, LATERAL (SELECT amount FROM b.transactions t WHERE t.id = w.id) x",
        "7",
    )?;
    let lines = "SELECT count(*) > 0 FROM b.transaction_line_items l WHERE l.transaction_id IN (SELECT id FROM b.transactions)";
    expect(&mut client, lines, "t")?;
    Ok(())
}
