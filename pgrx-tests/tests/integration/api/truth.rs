//! `SELECT *` of every table against what the emulators generated.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::HashMap;
use warehouse_tests::apis::canonical::{canonical, difference};

use super::{Apis, objects};
use crate::ask::rows;

/// Tables whose `attrs` are the records of a kind.
const KINDS: [(&str, &str); 10] = [
    ("transactions", "transactions"),
    ("customers", "customers"),
    ("subscriptions", "subscriptions"),
    ("disputes", "disputes"),
    ("verifications", "verifications"),
    ("us_bank_account_verifications", "us_bank_account_verifications"),
    ("plans", "plans"),
    ("add_ons", "add_ons"),
    ("discounts", "discounts"),
    ("merchant_accounts", "merchant_accounts"),
];

/// The values of the truth's members where a column has their name and is no structure.
fn compare_members(table: &str, wanted: &Value, row: &Value) -> Result<usize> {
    let (Some(wanted), Some(row)) = (wanted.as_object(), row.as_object()) else { return Ok(0) };
    let mut compared = 0;
    for (name, value) in wanted {
        let Some(found) = row.get(name) else { continue };
        let same = match (value, found) {
            (Value::String(wanted), Value::Number(found)) => {
                // To the digit it is compared below.
                wanted.parse::<f64>().ok() == found.as_f64()
            }
            (Value::String(wanted), Value::String(found)) => {
                // Instants are written otherwise; attrs tell.
                wanted == found || wanted.ends_with('Z') || wanted.contains('T')
            }
            (Value::String(wanted), Value::Null) => wanted.is_empty(),
            (Value::Null, found) => found.is_null() || *found == Value::Bool(false),
            (Value::Number(wanted), Value::Number(found)) => {
                wanted.to_string() == found.to_string()
            }
            (Value::Bool(wanted), Value::Bool(found)) => wanted == found,
            _ => continue,
        };
        ensure!(same, "{table} {}: {name} is {found} instead of {value}", row["id"]);
        compared += 1;
    }
    Ok(compared)
}

#[test]
fn braintree_is_read_as_it_is() -> Result<()> {
    let (apis, mut client) = Apis::imported("truth_braintree", 400, "")?;
    let mut compared = 0;
    for (table, kind) in KINDS {
        let found = objects(&mut client, &format!("SELECT * FROM b.{table}"))?;
        let truth = apis.braintree.truth(kind)?;
        ensure!(found.len() == truth.len(), "{table}: {} instead of {}", found.len(), truth.len());
        let by_id = |row: &Value| row["id"].to_string();
        let rows: HashMap<String, &Value> = found.iter().map(|row| (by_id(row), row)).collect();
        for wanted in &truth {
            let row =
                rows.get(&by_id(wanted)).with_context(|| format!("{table} lacks {wanted}"))?;
            if let Some(path) = difference(&canonical(wanted), &canonical(&row["attrs"])) {
                anyhow::bail!("{table} {}: attrs{path}", wanted["id"]);
            }
            compared += compare_members(table, wanted, row)?;
        }
    }
    ensure!(compared > 5_000, "only {compared} members were compared");
    // Money to the digit.
    let exact = rows(
        &mut client,
        "SELECT bool_and(amount::text = attrs->>'amount'), count(*) > 100 FROM b.transactions",
    )?;
    ensure!(exact == "t|t", "{exact}");
    // Those that are derived of others, and those read by key.
    let derived = rows(
        &mut client,
        "SELECT (SELECT count(*) FROM b.transaction_status_events) > 400, \
           (SELECT count(*) FROM b.payment_methods) > 0, (SELECT count(*) FROM b.addresses) > 0, \
           (SELECT count(*) FROM b.subscription_status_events) > 0, (SELECT count(*) FROM b.refunds) > 0",
    )?;
    ensure!(derived == "t|t|t|t|t", "{derived}");
    Ok(())
}

#[test]
fn every_table_can_be_read() -> Result<()> {
    let (_apis, mut client) = Apis::imported("truth_all", 60, "")?;
    let tables =
        rows(&mut client, "SELECT c.oid::regclass FROM pg_class c WHERE relkind = 'f' ORDER BY 1")?;
    let mut refused = Vec::new();
    for table in tables.lines() {
        match client.simple_query(&format!("SELECT * FROM {table}")) {
            Ok(_) => {}
            Err(error) => refused.push((table, crate::ask::told(&error)?)),
        }
    }
    // Some APIs give rows by key alone, and say so.
    for (table, told) in &refused {
        told.says("HV00L", &["needs a condition"]).with_context(|| (*table).to_owned())?;
    }
    ensure!(refused.len() <= 4, "{refused:?}");
    Ok(())
}

#[test]
fn airtable_is_read_as_it_is() -> Result<()> {
    let (apis, mut client) = Apis::imported("truth_airtable", 40, "")?;
    let schema = apis.airtable.truth("schema")?;
    let mut compared = 0;
    for table in schema[0]["tables"].as_array().context("no tables")? {
        let (id, name) = (&table["id"], table["name"].as_str().context("no name")?);
        let local = rows(
            &mut client,
            &format!(
                "SELECT f.ftrelid::regclass FROM pg_foreign_table f, pg_options_to_table(f.ftoptions) o \
                 WHERE o.option_name = 'table_id' AND o.option_value = '{}'",
                id.as_str().context("no id")?
            ),
        )?;
        let columns = rows(
            &mut client,
            &format!(
                "SELECT o.option_value, a.attname, a.atttypid::regtype FROM pg_attribute a, pg_options_to_table(a.attfdwoptions) o \
                 WHERE a.attrelid = '{local}'::regclass AND o.option_name = 'field_id'"
            ),
        )?;
        let found = objects(&mut client, &format!("SELECT * FROM {local}"))?;
        let truth = apis.airtable.truth(&format!("{}/{name}", apis.airtable.api().base()))?;
        ensure!(found.len() == truth.len(), "{local}: {} instead of {}", found.len(), truth.len());
        let rows: HashMap<String, &Value> =
            found.iter().map(|row| (row["_id"].to_string(), row)).collect();
        for wanted in &truth {
            let row = rows.get(&wanted["id"].to_string()).context("a record is missing")?;
            for column in columns.lines() {
                let parts: Vec<&str> = column.split('|').collect();
                let (value, found) = (&wanted["fieldsById"][parts[0]], &row[parts[1]]);
                let same = match (parts[2], value) {
                    ("text", Value::String(text)) => found.as_str() == Some(text),
                    ("numeric" | "bigint" | "integer", Value::Number(number)) => {
                        found.as_f64() == number.as_f64()
                    }
                    ("text", Value::Null) => found.is_null(),
                    ("boolean", value) => {
                        found.as_bool().unwrap_or_default() == value.as_bool().unwrap_or_default()
                    }
                    ("text[]", Value::Array(items)) if items.iter().all(Value::is_string) => {
                        found.as_array() == Some(items)
                    }
                    ("jsonb", value) => found == value,
                    _ => continue,
                };
                ensure!(
                    same,
                    "{local}.{} of {}: {found} instead of {value}",
                    parts[1],
                    wanted["id"]
                );
                compared += 1;
            }
        }
    }
    ensure!(compared > 2_000, "only {compared} values were compared");
    Ok(())
}
