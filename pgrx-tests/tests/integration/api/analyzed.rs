//! ANALYZE, `explain_pushdown()` and `classify_schema()` of tables of APIs.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::apis::{Fault, What, airtable, braintree};

use super::Apis;
use crate::ask::{expect, refused, rows, run};

/// The rows that the planner takes a table to have.
fn tuples(client: &mut Client, table: &str) -> Result<f64> {
    Ok(rows(client, &format!("SELECT reltuples FROM pg_class WHERE oid = '{table}'::regclass"))?
        .parse()?)
}

fn estimate(client: &mut Client, query: &str) -> Result<f64> {
    let plan = rows(client, &format!("EXPLAIN {query}"))?;
    let rows = plan.split("rows=").nth(1).and_then(|rest| rest.split(' ').next());
    Ok(rows.context("no estimate")?.parse()?)
}

#[test]
fn estimates_come_of_a_sample() -> Result<()> {
    let records = airtable::Options::sized(3_600, 7);
    let more = ", unclassified 'clear', cache_ttl '0'";
    let apis = Apis::sized("analyzed", braintree::Options::sized(1_800, 7), records, more)?;
    let mut client = apis.import()?;
    let (braintree, airtable) = (apis.braintree.log(), apis.airtable.log());
    ensure!(tuples(&mut client, "b.transactions")? < 0.0);
    // Samples of 1200.
    run(&mut client, "SET default_statistics_target = 4")?;
    run(&mut client, "ANALYZE b.transactions")?;
    // All ids, and some of the records in lots of fifty.
    let requests = braintree.entries().len();
    ensure!((24..=28).contains(&requests), "{requests} requests");
    ensure!(tuples(&mut client, "b.transactions")? == 1_800.0);
    for condition in ["status = 'settled'", "amount > 300", "created_at < '2024-02-01'"] {
        let query = format!("SELECT * FROM b.transactions WHERE {condition}");
        let found: f64 =
            rows(&mut client, &format!("SELECT count(*) FROM ({query}) q"))?.parse()?;
        let guessed = estimate(&mut client, &query)?;
        ensure!(
            guessed > found * 0.6 && guessed < found * 1.6,
            "{condition}: {guessed} estimated, {found} found"
        );
    }
    // Several rows of a record, pages with a total, whole lists.
    for table in ["transaction_status_events", "disputes", "plans", "merchant_accounts"] {
        run(&mut client, &format!("ANALYZE b.{table}"))?;
        let all: f64 = rows(&mut client, &format!("SELECT count(*) FROM b.{table}"))?.parse()?;
        let known = tuples(&mut client, &format!("b.{table}"))?;
        ensure!((known - all).abs() <= all * 0.05, "{table}: {known} of {all}");
    }
    // Airtable tells no total: what some endings of ids find says how many there are.
    airtable.clear();
    run(&mut client, "ANALYZE a.contacts, a.everything, a.empty")?;
    let requests = airtable.count("/listRecords");
    ensure!(requests < 28, "{requests} requests, 40 read everything");
    let known = tuples(&mut client, "a.contacts")?;
    ensure!((known - 3_600.0).abs() < 900.0, "contacts: {known}");
    ensure!(tuples(&mut client, "a.everything")? == 260.0);
    ensure!(tuples(&mut client, "a.empty")? == 0.0);
    // A formula that is not taken: everything is read.
    apis.airtable.arm(Fault::new(What::Named("INVALID_FILTER_BY_FORMULA".to_owned())));
    run(&mut client, "ANALYZE a.contacts")?;
    ensure!(tuples(&mut client, "a.contacts")? == 3_600.0);
    // A table that is read by key has no statistics, which is no error.
    run(&mut client, "ANALYZE b.transaction_line_items")?;
    apis.braintree.arm(Fault::new(What::Status(401, None)));
    refused(&mut client, "ANALYZE b.customers")?.says("28000", &["customers", "braintree"])?;
    Ok(())
}

#[test]
fn statistics_hold_nothing_raw() -> Result<()> {
    let apis = Apis::new("analyzed_masked", 300, "")?;
    let mut client = apis.client()?;
    let base = apis.airtable.api().base();
    run(
        &mut client,
        &format!(
            "IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO b; \
             IMPORT FOREIGN SCHEMA \"{base}\" LIMIT TO (contacts) FROM SERVER airtable INTO a; \
             ANALYZE b.customers, b.transactions, a.contacts"
        ),
    )?;
    let kept = rows(
        &mut client,
        "SELECT COALESCE(string_agg(concat_ws(' ', most_common_vals::text, histogram_bounds::text, \
           most_common_elems::text), ' '), '') FROM pg_stats WHERE schemaname IN ('a', 'b')",
    )?;
    ensure!(kept.contains("settled") && kept.len() > 1_000, "statistics of {} bytes", kept.len());
    for record in apis.braintree.truth("customers")? {
        for member in ["email", "company", "phone"] {
            let raw = record[member].as_str().filter(|raw| !raw.is_empty());
            ensure!(raw.is_none_or(|raw| !kept.contains(raw)), "{raw:?} is kept");
        }
    }
    for raw in ["person1", "buyer1", "O'Brien", "Müller", "Acme Inc"] {
        ensure!(!kept.contains(raw), "{raw} is kept");
    }
    // Pseudonyms are.
    expect(
        &mut client,
        "SELECT n_distinct <> 0 FROM pg_stats WHERE schemaname = 'b' AND tablename = 'customers' AND attname = 'email'",
        "t",
    )?;
    Ok(())
}

#[test]
fn what_is_pushed_is_explained() -> Result<()> {
    let (apis, mut client) = Apis::imported("explained", 60, "")?;
    run(
        &mut client,
        "SELECT warehouse.classify('b.customers', 'email', 'identifier', 'partial_email')",
    )?;
    let mut explained = |query: &str| {
        let query = query.replace('\'', "''");
        rows(
            &mut client,
            &format!(
                "SELECT relation, clause, pushed, COALESCE(reason, '') FROM warehouse.explain_pushdown('{query}')"
            ),
        )
    };
    let found = explained(
        "SELECT status, count(*) FROM b.transactions WHERE status = 'settled' AND amount > 5 AND channel <> 'x' GROUP BY 1",
    )?;
    let line = |part: &str| found.lines().find(|line| line.contains(part)).unwrap_or_default();
    ensure!(line("'settled'").ends_with("|t|"), "{found}");
    ensure!(line("(wider)").contains("amount") && line("amount").ends_with("|t|"), "{found}");
    ensure!(line("channel").ends_with("|f|not taken by the API"), "{found}");
    ensure!(line("GROUP BY").ends_with("|f|Braintree only gives records"), "{found}");
    let found = explained("SELECT * FROM b.customers WHERE email = 'a@b.example'")?;
    ensure!(found.contains("|f|") && found.contains("mask"), "{found}");
    let found = explained("SELECT * FROM b.transactions LIMIT 3")?;
    ensure!(found.ends_with("LIMIT 3|t|") && found.lines().count() == 1, "{found}");
    let found = explained("SELECT * FROM a.contacts ORDER BY name LIMIT 3")?;
    ensure!(found.contains("|f|Airtable may order otherwise"), "{found}");
    let found =
        explained("SELECT * FROM b.transactions t JOIN b.customers c ON c.id = t.customer_id")?;
    ensure!(found.contains("JOIN") && found.contains("Braintree only gives records"), "{found}");
    ensure!(apis.braintree.log().entries().is_empty(), "something was asked");
    Ok(())
}

#[test]
fn samples_say_what_a_column_holds() -> Result<()> {
    let apis = Apis::new("classified", 60, "")?;
    let mut client = apis.client()?;
    let schema = apis.airtable.truth("schema")?;
    let tables = schema[0]["tables"].as_array().context("no tables")?;
    let contacts = tables.iter().find(|it| it["name"] == "Contacts").context("no contacts")?;
    let id = |name: &str| {
        let fields = contacts["fields"].as_array().into_iter().flatten();
        let mut found = fields.filter(|field| field["name"] == name);
        found.next().and_then(|field| field["id"].as_str()).map(str::to_owned)
    };
    let (email, age) = (id("Email").context("no field")?, id("Age").context("no field")?);
    run(
        &mut client,
        &format!(
            "CREATE SCHEMA s; CREATE FOREIGN TABLE s.things (_id text OPTIONS (class 'public'), \
               x text OPTIONS (field_id '{email}', field_type 'singleLineText', field_name 'x'), \
               y numeric OPTIONS (field_id '{age}', field_type 'number', field_name 'y')) \
             SERVER airtable OPTIONS (base_id '{}', table_id '{}')",
            apis.airtable.api().base(),
            contacts["id"].as_str().context("no id")?
        ),
    )?;
    // By its name nobody can tell.
    let found = |client: &mut Client, more: &str| {
        rows(
            client,
            &format!(
                "SELECT class, mask, applied FROM warehouse.classify_schema('s'{more}) WHERE column_name = 'x'"
            ),
        )
    };
    let told = found(&mut client, ", sample => 0, apply => false")?;
    ensure!(told == "~|~|f", "{told}");
    ensure!(apis.airtable.log().count("/listRecords") == 0, "nothing was to be read");
    let told = found(&mut client, "")?;
    ensure!(told.starts_with("identifier|pseudonym(person)|"), "{told}");
    ensure!(apis.airtable.log().count("/listRecords") == 1, "one page of the table is enough");
    // Where nobody answers, names and types have to do.
    run(
        &mut client,
        "ALTER SERVER airtable OPTIONS (ADD retry_timeout '1s'); \
         ALTER FOREIGN TABLE s.things ALTER COLUMN x OPTIONS (DROP class, DROP mask)",
    )
    .or_else(|_| run(&mut client, "ALTER SERVER airtable OPTIONS (ADD retry_timeout '1s')"))?;
    apis.airtable.arm(Fault::new(What::Status(401, None)).always());
    rows(&mut client, "SELECT count(*) FROM warehouse.classify_schema('s')")?;
    Ok(())
}
