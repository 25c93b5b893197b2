//! The policy: masks before a row exists, and nothing asked of a masked value.

use anyhow::{Result, ensure};

use super::Apis;
use crate::ask::{expect, refused, rows, run};

#[test]
fn masked_columns() -> Result<()> {
    let apis = Apis::new("masked", 80, "")?;
    let mut client = apis.client()?;
    run(&mut client, "IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO b")?;
    // Closed by default.
    expect(
        &mut client,
        "SELECT count(website), count(custom_fields), count(attrs), count(*) > 0 FROM b.customers",
        "0|0|0|t",
    )?;
    run(
        &mut client,
        "SELECT warehouse.classify('b.customers', 'email', 'identifier', 'partial_email'); \
         SELECT warehouse.classify('b.customers', 'first_name', 'identifier', 'initial'); \
         SELECT warehouse.classify('b.customers', 'company', 'identifier', 'constant(''somewhere'')'); \
         SELECT warehouse.classify('b.transactions', 'amount', 'quasi', 'generalize(100)')",
    )?;
    let truth = apis.braintree.truth("customers")?;
    let emails: Vec<&str> =
        truth.iter().filter_map(|one| one["email"].as_str()).filter(|e| e.contains('@')).collect();
    let shown = rows(&mut client, "SELECT email, first_name, company FROM b.customers")?;
    ensure!(shown.contains('@') && shown.contains("somewhere"), "{shown}");
    for email in &emails {
        ensure!(!shown.contains(email), "{email} is shown");
    }
    // Nothing is asked about the raw value, and it is no way to guess it.
    apis.braintree.log().clear();
    expect(
        &mut client,
        &format!("SELECT count(*) FROM b.customers WHERE email = '{}'", emails[0]),
        "0",
    )?;
    ensure!(apis.braintree.log().entries().iter().all(|entry| !entry.body.contains(emails[0])));
    expect(
        &mut client,
        "SELECT count(*) > 0, bool_and(amount % 100 = 0) FROM b.transactions",
        "t|t",
    )?;
    // In clear for who may.
    run(
        &mut client,
        "CREATE ROLE api_seer; GRANT warehouse_clear TO api_seer; GRANT USAGE ON SCHEMA b TO api_seer; \
        GRANT SELECT ON ALL TABLES IN SCHEMA b TO api_seer",
    )?;
    let mut seer = apis.client()?;
    run(&mut seer, "SET SESSION AUTHORIZATION api_seer")?;
    expect(
        &mut seer,
        &format!("SELECT count(*) FROM b.customers WHERE email = '{}'", emails[0]),
        "0",
    )?;
    run(&mut seer, "SET warehouse.clear = on")?;
    let clear = rows(
        &mut seer,
        &format!("SELECT count(*) > 0 FROM b.customers WHERE email = '{}'", emails[0]),
    )?;
    ensure!(clear == "t");
    run(&mut client, "DROP OWNED BY api_seer")?;
    drop(seer);
    run(&mut client, "DROP ROLE api_seer")?;
    Ok(())
}

#[test]
fn unclassified_columns_read_as_the_server_says() -> Result<()> {
    let apis = Apis::new("unclassified", 40, "")?;
    let mut client = apis.client()?;
    run(
        &mut client,
        "CREATE FOREIGN TABLE plans (id text, name text, price numeric) SERVER braintree OPTIONS (table_name 'plans')",
    )?;
    expect(&mut client, "SELECT count(name), count(price) > 0 FROM plans", "0|t")?;
    run(&mut client, "ALTER SERVER braintree OPTIONS (ADD unclassified 'error')")?;
    refused(&mut client, "SELECT name FROM plans")?.says("42501", &["name"])?;
    run(&mut client, "ALTER SERVER braintree OPTIONS (SET unclassified 'clear')")?;
    expect(&mut client, "SELECT count(name) > 0 FROM plans", "t")?;
    expect(
        &mut client,
        "SELECT count(*) FROM warehouse.unclassified WHERE relation_name = 'plans'",
        "2",
    )?;
    Ok(())
}
