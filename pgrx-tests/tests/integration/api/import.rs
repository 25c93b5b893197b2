//! What is imported, and which options are refused.

use anyhow::{Result, ensure};

use super::{Apis, SECRETS};
use crate::ask::{expect, refused, rows, run};

#[test]
fn all_tables_come_with_comments_and_policy() -> Result<()> {
    let apis = Apis::new("import", 40, "")?;
    let mut client = apis.client()?;
    let base = apis.airtable.api().base();
    run(
        &mut client,
        &format!(
            "IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO b; \
             IMPORT FOREIGN SCHEMA \"{base}\" FROM SERVER airtable INTO a"
        ),
    )?;
    let tables = rows(
        &mut client,
        "SELECT n.nspname, count(*), count(*) FILTER (WHERE obj_description(c.oid) IS NOT NULL) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'f' GROUP BY 1 ORDER BY 1",
    )?;
    ensure!(tables.starts_with("a|") && tables.contains("\nb|"), "{tables}");
    for line in tables.lines() {
        let parts: Vec<&str> = line.split('|').collect();
        ensure!(parts[1] == parts[2] && parts[1] != "0", "tables without a comment: {line}");
    }
    // Who somebody is stays closed; what the dictionary says is there.
    expect(
        &mut client,
        "SELECT class, mask FROM warehouse.columns \
         WHERE relation_schema = 'b' AND relation_name = 'customers' AND column_name = 'email'",
        "identifier|pseudonym(person)",
    )?;
    expect(
        &mut client,
        "SELECT count(*) FROM b.customers c JOIN b.customers d ON c.email = d.email AND c.email LIKE '%person%example%'",
        "0",
    )?;
    expect(
        &mut client,
        "SELECT count(*) FROM b.customers WHERE website IS NOT NULL OR custom_fields IS NOT NULL OR attrs IS NOT NULL",
        "0",
    )?;
    expect(&mut client, "SELECT count(*) > 0 AND count(id) = count(*) FROM b.customers", "t")?;
    let fields = rows(
        &mut client,
        "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid, \
           pg_options_to_table(a.attfdwoptions) o WHERE c.relkind = 'f' AND o.option_name = 'field_id'",
    )?;
    ensure!(fields.parse::<u32>()? > 30, "{fields} fields");
    Ok(())
}

#[test]
fn some_tables_and_bases_by_name() -> Result<()> {
    let apis = Apis::new("import_some", 40, "")?;
    let mut client = apis.client()?;
    run(
        &mut client,
        "IMPORT FOREIGN SCHEMA braintree LIMIT TO (plans, customers) FROM SERVER braintree INTO b",
    )?;
    expect(
        &mut client,
        "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'f'",
        "customers,plans",
    )?;
    refused(&mut client, "IMPORT FOREIGN SCHEMA other FROM SERVER braintree INTO b")?
        .says("HV00Q", &["other"])?;
    refused(&mut client, "IMPORT FOREIGN SCHEMA nowhere FROM SERVER airtable INTO a")?
        .says("HV00R", &["airtable", "nowhere"])?;
    Ok(())
}

#[test]
fn options_are_checked_when_they_are_declared() -> Result<()> {
    let apis = Apis::new("options", 40, "")?;
    let mut client = apis.client()?;
    let server = "CREATE SERVER s FOREIGN DATA WRAPPER braintree_fdw OPTIONS";
    refused(&mut client, &format!("{server} (merchant_id 'm')"))?
        .says("HV00J", &["environment"])?;
    refused(&mut client, &format!("{server} (merchant_id 'm', environment 'moon')"))?
        .says("HV024", &["environment"])?;
    refused(
        &mut client,
        &format!("{server} (merchant_id 'm', environment 'sandbox', private_key 'hush')"),
    )?
    .says("HV00D", &["private_key"])?
    .hints(&["user mapping"])?
    .hides("hush")?;
    refused(&mut client, &format!("{server} (merchant_id 'm', endpoint 'http://example.org')"))?
        .says("HV024", &["endpoint"])?;
    refused(
        &mut client,
        &format!("{server} (merchant_id 'm', environment 'sandbox', unclassified 'open')"),
    )?
    .says("HV024", &["unclassified"])?;
    refused(&mut client, "ALTER USER MAPPING FOR PUBLIC SERVER airtable OPTIONS (DROP token)")?
        .says("HV00J", &["token"])?;
    refused(&mut client, "ALTER SERVER airtable OPTIONS (ADD cache_ttl 'never')")?
        .says("HV024", &["cache_ttl"])?;
    refused(
        &mut client,
        "CREATE FOREIGN TABLE t (id text) SERVER braintree OPTIONS (table_name 'x')",
    )?
    .says("HV024", &["table_name"])?;
    refused(
        &mut client,
        "CREATE FOREIGN TABLE t (id text OPTIONS (mask 'blur')) SERVER braintree",
    )?
    .says("HV024", &["mask"])?;
    // What does not fit is told when the table is read.
    run(
        &mut client,
        "CREATE FOREIGN TABLE plans (id text, nothing text) SERVER braintree; \
         CREATE FOREIGN TABLE p2 (id text, price text) SERVER braintree OPTIONS (table_name 'plans')",
    )?;
    refused(&mut client, "SELECT * FROM plans")?.says("HV005", &["nothing"])?;
    refused(&mut client, "SELECT * FROM p2")?.says("HV004", &["price"])?.hints(&["numeric"])?;
    run(&mut client, "CREATE FOREIGN TABLE add_ons (id text) SERVER braintree")?;
    refused(&mut client, "DELETE FROM add_ons")?.says("0A000", &["add_ons"])?;
    refused(&mut client, "SELECT * FROM add_ons FOR UPDATE")?.says("0A000", &["add_ons"])?;
    refused(&mut client, "TRUNCATE add_ons")?.says("0A000", &["add_ons"])?;
    Ok(())
}

#[test]
fn no_secret_is_shown() -> Result<()> {
    let (apis, mut client) = Apis::imported("secrets", 60, "")?;
    let mut shown = String::new();
    for query in ["b.transactions WHERE id = 'x'", "b.customers", "a.contacts", "a.everything"] {
        for what in ["VERBOSE", "ANALYZE, VERBOSE"] {
            shown.push_str(&rows(&mut client, &format!("EXPLAIN ({what}) SELECT * FROM {query}"))?);
        }
    }
    ensure!(shown.contains("API Request"), "{shown}");
    run(
        &mut client,
        "CREATE ROLE nosy_api_reader; GRANT USAGE ON SCHEMA b TO nosy_api_reader; \
        GRANT SELECT ON ALL TABLES IN SCHEMA b TO nosy_api_reader; SET ROLE nosy_api_reader",
    )?;
    shown.push_str(&rows(&mut client, "SELECT * FROM pg_user_mappings")?);
    shown.push_str(&rows(&mut client, "SELECT * FROM warehouse.columns")?);
    run(&mut client, "RESET ROLE; DROP OWNED BY nosy_api_reader; DROP ROLE nosy_api_reader")?;
    run(
        &mut client,
        "ALTER USER MAPPING FOR PUBLIC SERVER braintree OPTIONS (SET private_key 'wrong_key')",
    )?;
    let told = refused(&mut client, "SELECT * FROM b.plans")?;
    told.says("28000", &["plans", "braintree"])?.hides("wrong_key")?.hints(&["user mapping"])?;
    for secret in SECRETS {
        ensure!(!shown.contains(secret), "{secret} is in {shown}");
    }
    // What a client sent is logged with its error, as Postgres does; what we say is not it. The emulator's
    // private key is also the name of the option, which errors may tell.
    let log = super::cluster()?.log()?;
    for secret in &SECRETS[1..] {
        let told = log.lines().find(|line| {
            line.contains(secret) && !line.contains("CREATE") && !line.contains("STATEMENT")
        });
        ensure!(told.is_none(), "{secret} is in the log: {told:?}");
    }
    drop(apis);
    Ok(())
}

#[test]
fn drift_of_airtable_is_followed() -> Result<()> {
    let (apis, mut client) = Apis::imported("drift", 20, ", cache_ttl '0'")?;
    // `pairs` was declared otherwise by hand, which is no drift.
    expect(&mut client, "SELECT count(*) FROM warehouse.airtable_drift('a', 'airtable')", "0")?;
    let schema = apis.airtable.truth("schema")?;
    let contacts = schema[0]["tables"]
        .as_array()
        .and_then(|tables| tables.iter().find(|table| table["name"] == "Contacts"))
        .cloned()
        .ok_or_else(|| anyhow::anyhow!("no contacts"))?;
    let field = |n: usize| contacts["fields"][n]["name"].as_str().unwrap_or_default().to_owned();
    let local = |client: &mut postgres::Client, name: &str| {
        rows(
            client,
            &format!(
                "SELECT a.attname FROM pg_attribute a, pg_options_to_table(a.attfdwoptions) o \
                 WHERE a.attrelid = 'a.contacts'::regclass AND o.option_name = 'field_name' AND o.option_value = '{name}'"
            ),
        )
    };
    let (kept, added, retyped) = (
        local(&mut client, &field(0))?,
        local(&mut client, &field(1))?,
        local(&mut client, &field(2))?,
    );
    let before =
        rows(&mut client, &format!("SELECT count({kept}), count({added}) FROM a.contacts"))?;
    apis.airtable.change(
        &serde_json::json!({"rename_field": "Contacts", "field": field(0), "name": "Other name"}),
    )?;
    run(
        &mut client,
        &format!(
            "ALTER FOREIGN TABLE a.contacts DROP COLUMN {added}; \
             ALTER FOREIGN TABLE a.contacts ALTER COLUMN {retyped} TYPE date, ALTER COLUMN {retyped} OPTIONS (SET field_type 'date'); \
             DROP FOREIGN TABLE a.everything"
        ),
    )?;
    let found = rows(
        &mut client,
        "SELECT change, done FROM warehouse.airtable_drift('a', 'airtable', apply => false)",
    )?;
    ensure!(
        found.lines().count() == 4 && found.lines().all(|line| line.ends_with("|~")),
        "{found}"
    );
    let found = rows(
        &mut client,
        "SELECT done, count(*) FROM warehouse.airtable_drift('a', 'airtable') GROUP BY 1 ORDER BY 1",
    )?;
    ensure!(found == "added|1\nchanged|1\ncreated|1\nnoted|1", "{found}");
    expect(&mut client, "SELECT count(*) FROM warehouse.airtable_drift('a', 'airtable')", "0")?;
    run(
        &mut client,
        "ALTER SERVER airtable OPTIONS (SET unclassified 'clear'); SELECT * FROM a.contacts LIMIT 1",
    )?;
    super::open(&mut client)?;
    expect(&mut client, &format!("SELECT count({kept}), count({added}) FROM a.contacts"), &before)?;
    let comment = rows(&mut client, "SELECT obj_description('a.everything'::regclass)")?;
    ensure!(!comment.is_empty() && comment != "~", "no comment");
    // What is gone is told.
    apis.airtable.change(&serde_json::json!({"drop_field": "Contacts", "field": field(3)}))?;
    let found = rows(
        &mut client,
        "SELECT relation, change, done FROM warehouse.airtable_drift('a', 'airtable')",
    )?;
    ensure!(found.starts_with("contacts|") && found.contains("gone|~"), "{found}");
    refused(&mut client, "SELECT * FROM warehouse.airtable_drift('b', 'braintree')")?
        .says("42809", &["braintree"])?;
    Ok(())
}
