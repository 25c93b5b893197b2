//! What is asked of the API finds the same rows as what is checked here, with fewer records moved.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::apis::random::Random;

use super::Apis;
use crate::ask::{expect, rows, run};

/// Random predicates of a table, tried with pushdown (on the foreign table) and without (on a copy).
fn same_rows(
    client: &mut Client,
    table: &str,
    copy: &str,
    key: &str,
    predicates: &[String],
) -> Result<usize> {
    let mut found = 0;
    for predicate in predicates {
        let ask = |from: &str| {
            format!(
                "SELECT count(*), md5(string_agg({key}, ',' ORDER BY {key})) FROM {from} WHERE {predicate}"
            )
        };
        let pushed = rows(client, &ask(table)).with_context(|| predicate.clone())?;
        let plain = rows(client, &ask(copy))?;
        ensure!(pushed == plain, "{predicate}: {pushed} with pushdown, {plain} without");
        found += usize::from(!plain.starts_with("0|"));
    }
    Ok(found)
}

/// A value of a column, as a literal.
fn values(client: &mut Client, copy: &str, column: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT quote_literal(v::text) FROM (SELECT DISTINCT {column} AS v FROM {copy} WHERE {column} IS NOT NULL \
         AND {column}::text !~ '[\n\\\\]' \
         ORDER BY 1 LIMIT 40) q"
    );
    Ok(rows(client, &sql)?.lines().map(str::to_owned).collect())
}

/// Columns of a table, how they are compared, and values of each.
struct Pool {
    columns: Vec<(String, Vec<String>, bool)>,
}

impl Pool {
    fn new(client: &mut Client, copy: &str, columns: &[(&str, bool)]) -> Result<Pool> {
        let mut out = Vec::new();
        for (column, ordered) in columns {
            let values = values(client, copy, column)?;
            if !values.is_empty() {
                out.push(((*column).to_owned(), values, *ordered));
            }
        }
        ensure!(out.len() > 1, "there are no values");
        Ok(Pool { columns: out })
    }

    fn term(&self, random: &mut Random) -> String {
        let (column, values, ordered) =
            &self.columns[random.below(self.columns.len() as u64) as usize];
        let picked: Vec<&String> =
            (0..3).map(|_| &values[random.below(values.len() as u64) as usize]).collect();
        let (one, other, third) = (picked[0], picked[1], picked[2]);
        match (random.below(9), ordered) {
            (0, _) => format!("{column} IN ({one}, {other}, {third})"),
            (1, _) => format!("{column} IS NULL"),
            (2, _) => format!("{column} IS NOT NULL"),
            (3, _) => format!("{column} <> {one}"),
            (4, true) => format!("{column} >= {one}"),
            (5, true) => format!("{column} < {one}"),
            (6, true) => format!("{column} BETWEEN {one} AND {other}"),
            (4, false) => format!("{column} LIKE left({one}, 3) || '%'"),
            (5, false) => format!("{column} LIKE '%' || right({one}, 3) || '%'"),
            (6, false) => format!("{column} ILIKE {one}"),
            _ => format!("{column} = {one}"),
        }
    }

    fn predicates(&self, seed: u64, count: usize) -> Vec<String> {
        let mut random = Random::new(seed);
        (0..count)
            .map(|_| match random.below(6) {
                0 => format!("{} AND {}", self.term(&mut random), self.term(&mut random)),
                1 => format!("({} OR {})", self.term(&mut random), self.term(&mut random)),
                2 => format!(
                    "{} AND ({} OR {})",
                    self.term(&mut random),
                    self.term(&mut random),
                    self.term(&mut random)
                ),
                3 => format!("NOT ({})", self.term(&mut random)),
                _ => self.term(&mut random),
            })
            .collect()
    }
}

#[test]
fn braintree_with_and_without() -> Result<()> {
    let (_apis, mut client) = Apis::imported("pushed_braintree", 250, ", cache_ttl '0'")?;
    run(&mut client, "SET TimeZone = 'America/New_York'")?;
    for (table, columns) in [
        (
            "transactions",
            vec![
                ("id", false),
                ("status", false),
                ("type", false),
                ("amount", true),
                ("created_at", true),
                ("updated_at", true),
                ("order_id", false),
                ("customer_id", false),
                ("card_type", false),
                ("merchant_account_id", false),
                ("is_refund", true),
            ],
        ),
        ("customers", vec![("id", false), ("created_at", true), ("email", false)]),
        (
            "subscriptions",
            vec![("id", false), ("status", false), ("price", true), ("plan_id", false)],
        ),
        ("disputes", vec![("id", false), ("status", false), ("received_date", true)]),
    ] {
        let copy = format!("public.{table}_copy");
        run(&mut client, &format!("CREATE TABLE {copy} AS SELECT * FROM b.{table}"))?;
        let pool = Pool::new(&mut client, &copy, &columns)?;
        let predicates = pool.predicates(11, if table == "transactions" { 200 } else { 80 });
        let mut predicates = predicates;
        if table == "transactions" {
            // A day begins where the session is.
            let days = rows(
                &mut client,
                &format!("SELECT DISTINCT created_at::date FROM {copy} ORDER BY 1 LIMIT 12"),
            )?;
            for day in days.lines() {
                predicates.push(format!("created_at >= date '{day}'"));
                predicates.push(format!("created_at < date '{day}'"));
                predicates.push(format!("created_at::date = '{day}'"));
                predicates.push(format!("created_at <= timestamp '{day} 12:00'"));
            }
        }
        let found = same_rows(&mut client, &format!("b.{table}"), &copy, "id", &predicates)?;
        ensure!(found > 20, "{table}: only {found} predicates find anything");
    }
    Ok(())
}

#[test]
fn airtable_with_and_without() -> Result<()> {
    let (_apis, mut client) = Apis::imported("pushed_airtable", 30, ", cache_ttl '0'")?;
    run(&mut client, "SET TimeZone = 'Asia/Kolkata'")?;
    let columns = rows(
        &mut client,
        "SELECT quote_ident(a.attname), a.atttypid::regtype FROM pg_attribute a WHERE a.attrelid = 'a.contacts'::regclass \
         AND a.attnum > 0 AND a.atttypid::regtype::text IN ('text', 'numeric', 'bigint', 'boolean', 'date', 'timestamp with time zone')",
    )?;
    run(&mut client, "CREATE TABLE contacts_copy AS SELECT * FROM a.contacts")?;
    let columns: Vec<(&str, bool)> = columns
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, of)| (name, of != "text"))
        .collect();
    let pool = Pool::new(&mut client, "contacts_copy", &columns)?;
    let predicates = pool.predicates(5, 200);
    let found = same_rows(&mut client, "a.contacts", "contacts_copy", "_id", &predicates)?;
    ensure!(found > 60, "only {found} predicates find anything");
    Ok(())
}

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
