//! Tables that are kept by the API's own rule of what has changed.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Apis;
use crate::ask::{expect, refused, rows, run};

/// The time that long ago, as the APIs write it.
fn ago(client: &mut postgres::Client, interval: &str) -> Result<String> {
    rows(
        client,
        &format!(
            "SELECT to_char((clock_timestamp() - interval '{interval}') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        ),
    )
}

fn sum(of: &str) -> String {
    format!(
        "SELECT count(*), sum(amount), md5(string_agg(id || status, ',' ORDER BY id)) FROM {of}"
    )
}

#[test]
fn transactions_by_their_times() -> Result<()> {
    let (apis, mut client) = Apis::imported("kept_braintree", 400, "")?;
    let log = apis.braintree.log();
    run(
        &mut client,
        "CREATE SCHEMA m; SELECT warehouse.materialize('m.t', \
           'SELECT id, status, amount FROM b.transactions', unique_key => '{id}', capture => 'cursor')",
    )?;
    expect(
        &mut client,
        "SELECT strategy || ' ' || capture FROM warehouse.materializations",
        "merge cursor",
    )?;
    expect(&mut client, &sum("m.t"), &rows(&mut client_of(&apis)?, &sum("b.transactions"))?)?;
    // Nothing has changed: only windows are asked for.
    log.clear();
    expect(&mut client, "SELECT fetched, updated FROM warehouse.refresh('m.t')", "0|0")?;
    ensure!(!log.entries().is_empty(), "nothing was asked");
    // One was settled in the window, one was changed without a time, one is gone.
    let settled: Vec<serde_json::Value> = apis
        .braintree
        .truth("transactions")?
        .into_iter()
        .filter(|one| one["status"] == "settled")
        .collect();
    let (moved, silent, gone) = (&settled[0], &settled[1], &settled[2]);
    let mut history = moved["status_history"].as_array().context("no history")?.clone();
    let last = history
        .iter_mut()
        .rev()
        .find(|event| event["status"] == "settled")
        .context("never settled")?;
    last["timestamp"] = json!(ago(&mut client, "15 minutes 30 seconds")?);
    apis.braintree.change(&json!({"update": "transactions", "id": moved["id"],
        "members": {"amount": "77.77", "status_history": history}}))?;
    apis.braintree.change(&json!({"update": "transactions", "id": silent["id"],
        "members": {"amount": "88.88"}}))?;
    apis.braintree.change(&json!({"remove": "transactions", "id": gone["id"]}))?;
    expect(
        &mut client,
        "SELECT capture, fetched, updated, deleted FROM warehouse.refresh('m.t')",
        "cursor|1|1|0",
    )?;
    let id = moved["id"].as_str().context("no id")?;
    expect(&mut client, &format!("SELECT amount FROM m.t WHERE id = '{id}'"), "77.77")?;
    expect(&mut client, "SELECT count(*) FROM m.t", "400")?;
    // What has no time in the window is found by comparing all.
    expect(
        &mut client,
        "SELECT capture, updated, deleted FROM warehouse.refresh('m.t', reconcile => true)",
        "diff|1|1",
    )?;
    let truth = rows(&mut client_of(&apis)?, &sum("b.transactions"))?;
    expect(&mut client, &sum("m.t"), &truth)?;
    // A run that fails leaves the window open.
    last_settled(&apis, &mut client, "99.99")?;
    let fault = warehouse_tests::apis::What::Status(401, None);
    apis.braintree.arm(warehouse_tests::apis::Fault::new(fault).after(3));
    refused(&mut client, "SELECT warehouse.refresh('m.t')")?.says("28000", &["transactions"])?;
    expect(&mut client, "SELECT updated FROM warehouse.refresh('m.t')", "1")?;
    expect(
        &mut client,
        "SELECT data_as_of > now() - interval '1 minute' FROM warehouse.freshness WHERE relation_schema = 'm' AND relation_name = 't'",
        "t",
    )
}

fn client_of(apis: &Apis) -> Result<postgres::Client> {
    let mut client = apis.client()?;
    run(&mut client, "SELECT warehouse.clear_cache('braintree')")?;
    Ok(client)
}

/// Settles one in the window.
fn last_settled(apis: &Apis, client: &mut postgres::Client, amount: &str) -> Result<()> {
    let all = apis.braintree.truth("transactions")?;
    let one = all.iter().rev().find(|one| one["status"] == "settled").context("none")?;
    let mut history = one["status_history"].as_array().context("no history")?.clone();
    let event = history.iter_mut().rev().find(|event| event["status"] == "settled");
    event.context("never settled")?["timestamp"] = json!(ago(client, "15 minutes 20 seconds")?);
    apis.braintree.change(&json!({"update": "transactions", "id": one["id"],
        "members": {"amount": amount, "status_history": history}}))
}

#[test]
fn records_by_their_last_change() -> Result<()> {
    let (apis, mut client) = Apis::imported("kept_airtable", 10, "")?;
    run(
        &mut client,
        "CREATE SCHEMA m; SELECT warehouse.materialize('m.contacts', \
           'SELECT * FROM a.contacts', unique_key => '{_id}', capture => 'cursor')",
    )?;
    let differences = "SELECT count(*) FROM ((TABLE m.contacts EXCEPT TABLE c) UNION ALL (TABLE c EXCEPT TABLE m.contacts)) d";
    let columns = rows(
        &mut client,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'm.contacts'::regclass AND attnum > 0 \
         AND atttypid = 'text'::regtype AND attname !~ '^_' LIMIT 1",
    )?;
    let ids = rows(&mut client, "SELECT _id FROM m.contacts ORDER BY _id LIMIT 2")?;
    let (changed, gone) = ids.split_once('\n').context("two records")?;
    let field = rows(
        &mut client,
        &format!(
            "SELECT o.option_value FROM information_schema.column_options o \
             WHERE o.table_schema = 'a' AND o.table_name = 'contacts' AND o.column_name = '{columns}' \
             AND o.option_name = 'field_id'"
        ),
    )?;
    let table = rows(
        &mut client,
        "SELECT o.option_value FROM information_schema.foreign_table_options o \
         WHERE o.foreign_table_schema = 'a' AND o.foreign_table_name = 'contacts' AND o.option_name = 'table_id'",
    )?;
    // Within the look-back of the next window, which ends half a minute ago.
    let when = ago(&mut client, "40 seconds")?;
    apis.airtable.change(&json!({"update": table, "id": changed, "modified": when,
        "fields": {field: "changed"}}))?;
    apis.airtable.change(&json!({"remove": table, "id": gone}))?;
    apis.airtable.log().clear();
    expect(
        &mut client,
        "SELECT capture, fetched, updated, deleted FROM warehouse.refresh('m.contacts')",
        "cursor|1|1|0",
    )?;
    expect(
        &mut client,
        &format!("SELECT \"{columns}\" FROM m.contacts WHERE _id = '{changed}'"),
        "changed",
    )?;
    run(
        &mut client,
        "SELECT warehouse.refresh('m.contacts', reconcile => true); \
         SELECT warehouse.clear_cache('airtable'); CREATE TEMP TABLE c AS SELECT * FROM a.contacts",
    )?;
    expect(&mut client, differences, "0")
}

#[test]
fn tables_that_tell_nothing_are_refused() -> Result<()> {
    let (_apis, mut client) = Apis::imported("kept_refused", 10, "")?;
    run(&mut client, "CREATE SCHEMA m")?;
    for (query, more) in [
        ("SELECT id FROM b.plans", "unique_key => '{id}'"),
        ("SELECT max(id) AS id FROM b.transactions", "unique_key => '{id}'"),
        ("SELECT id FROM b.transactions", "strategy => 'append'"),
    ] {
        refused(
            &mut client,
            &format!("SELECT warehouse.materialize('m.t', '{query}', {more}, capture => 'cursor')"),
        )?
        .says("22023", &["cursor_column"])?;
    }
    Ok(())
}
