//! Random conditions on the main tables: the rows with pushdown are those without, and those of a plain
//! table made of the generators' own JSON by SQL; and where EXPLAIN says that the API is told a
//! condition, the API's log shows that fewer records moved.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use serde_json::Value;
use warehouse_tests::apis::log::RequestLog;
use warehouse_tests::apis::{airtable, braintree};

use super::Apis;
use super::predicates::{Kind, Pool};
use crate::ask::{expect, rows, run};

/// How many conditions are tried on each table.
const PREDICATES: usize = 200;

/// A column of an oracle: its name, how its value is found in the record `j`, how it is compared.
type Told = (String, String, Kind);

/// A table that is held against its oracle.
struct Trial<'a> {
    /// The foreign table, of which nothing is cached.
    pushed: String,
    /// The same, of which a session reads everything once.
    kept: String,
    /// The plain table.
    oracle: String,
    key: &'a str,
    columns: Vec<Told>,
    log: &'a RequestLog,
    /// What is counted as moved. Braintree gives whole records, Airtable the fields that are needed.
    moved: fn(&RequestLog) -> usize,
}

fn bytes(log: &RequestLog) -> usize {
    log.entries().iter().map(|entry| entry.bytes).sum()
}

fn pages(log: &RequestLog) -> usize {
    log.count("/listRecords")
}

/// What was seen of one condition.
struct Seen {
    /// Whether EXPLAIN says that the API is told all of it, exactly; or something wider.
    exactly: bool,
    wider: bool,
    /// How many rows the condition has, by the oracle.
    found: usize,
    /// What moved, by the API's log.
    moved: usize,
}

/// Makes the oracle of records.
fn make_oracle(client: &mut Client, trial: &Trial<'_>, records: &[Value]) -> Result<()> {
    let raw = format!("{}_raw", trial.oracle);
    run(client, &format!("CREATE TABLE {raw} (j jsonb)"))?;
    let mut sink = client.copy_in(&format!("COPY {raw} FROM STDIN"))?;
    for record in records {
        let line = record.to_string().replace('\\', "\\\\");
        writeln!(sink, "{line}")?;
    }
    sink.finish()?;
    let list: Vec<String> =
        trial.columns.iter().map(|(name, value, _)| format!("{value} AS {name}")).collect();
    run(client, &format!("CREATE TABLE {} AS SELECT {} FROM {raw}", trial.oracle, list.join(", ")))
}

impl Trial<'_> {
    fn question(&self, from: &str, predicate: &str) -> String {
        let key = self.key;
        format!(
            "SELECT count(*), md5(string_agg({key}, ',' ORDER BY {key} COLLATE \"C\")) FROM {from} WHERE {predicate}"
        )
    }

    /// Tries a condition in all ways. One of which the API is told nothing reads everything, as without
    /// pushdown: unless `fully`, that is not done once more.
    fn try_out(&self, client: &mut Client, predicate: &str, fully: bool) -> Result<Seen> {
        let names: Vec<&str> = self.columns.iter().map(|(name, ..)| name.as_str()).collect();
        let fenced = format!("(SELECT {} FROM {} OFFSET 0) q", names.join(", "), self.kept);
        let truth = rows(client, &self.question(&self.oracle, predicate))?;
        let kept = rows(client, &self.question(&fenced, predicate))?;
        ensure!(kept == truth, "{predicate}: {kept} without pushdown, {truth} by the oracle");
        let question = self.question(&self.pushed, predicate);
        let plan = rows(client, &format!("EXPLAIN (VERBOSE) {question}"))?;
        self.log.clear();
        let filter = plan.lines().find(|line| line.contains("API Filter:"));
        if fully || filter.is_some() {
            let pushed = rows(client, &question)?;
            ensure!(
                pushed == truth,
                "{predicate}: {pushed} with pushdown, {truth} by the oracle\n{plan}"
            );
        }
        let found = truth.split_once('|').and_then(|(count, _)| count.parse().ok());
        Ok(Seen {
            exactly: filter.is_some_and(|line| !line.contains("(wider)"))
                && !plan.contains("Local Filter Reason:"),
            wider: filter.is_some_and(|line| line.contains("(wider)")),
            found: found.context("a count")?,
            moved: (self.moved)(self.log),
        })
    }

    /// Tries conditions, and looks at what moved.
    fn run(&self, client: &mut Client, predicates: &[String]) -> Result<()> {
        let all: usize = rows(client, &format!("SELECT count(*) FROM {}", self.oracle))?.parse()?;
        // Reads what is kept, and how much everything is.
        let whole = self.try_out(client, &format!("{} IS NOT NULL", self.key), true)?.moved;
        ensure!(whole > 0, "{}: nothing moved", self.pushed);
        let (mut told, mut moved, mut finds) = (0, 0, 0);
        for (number, predicate) in predicates.iter().enumerate() {
            let seen = self.try_out(client, predicate, number % 8 == 0)?;
            ensure!(
                seen.moved <= whole + whole / 4,
                "{predicate}: {} moved, {whole} is everything",
                seen.moved
            );
            // The API is told all that there is to say of a few rows.
            if seen.exactly && seen.found * 10 <= all {
                ensure!(
                    seen.moved * 2 <= whole,
                    "{predicate}: {} of {all} rows, {} of {whole} moved",
                    seen.found,
                    seen.moved
                );
            }
            if seen.exactly || seen.wider {
                told += 1;
                moved += seen.moved;
            }
            finds += usize::from(seen.found > 0);
        }
        ensure!(finds * 4 > predicates.len(), "{}: only {finds} find anything", self.pushed);
        ensure!(told * 10 > predicates.len(), "{}: only {told} are told", self.pushed);
        ensure!(
            moved * 10 < told * whole * 9,
            "{}: {moved} moved for {told} conditions, {whole} is everything",
            self.pushed
        );
        Ok(())
    }
}

fn text(name: &str) -> Told {
    (name.to_owned(), format!("j->>'{name}'"), Kind::Text)
}

fn at(name: &str, path: &str) -> Told {
    (name.to_owned(), format!("j #>> '{{{path}}}'"), Kind::Text)
}

fn of(name: &str, cast: &str) -> Told {
    (name.to_owned(), format!("NULLIF(j->>'{name}', '')::{cast}"), Kind::Ordered)
}

/// The time of the last event of a status.
fn when(name: &str, status: &str) -> Told {
    let value = format!(
        "(SELECT (h->>'timestamp')::timestamptz FROM jsonb_array_elements(j->'status_history') WITH ORDINALITY e(h, n) \
          WHERE h->>'status' = '{status}' ORDER BY n DESC LIMIT 1)"
    );
    (name.to_owned(), value, Kind::Ordered)
}

/// The main tables of Braintree with their columns.
fn braintree_tables() -> Vec<(&'static str, Vec<Told>)> {
    let refund = "(j->>'type' = 'credit' AND j->>'refunded_transaction_id' IS NOT NULL)";
    let disbursed = "(j #>> '{disbursement_details,disbursement_date}')::date";
    vec![
        (
            "transactions",
            vec![
                text("id"),
                text("status"),
                text("type"),
                of("amount", "numeric"),
                of("created_at", "timestamptz"),
                of("updated_at", "timestamptz"),
                text("order_id"),
                text("currency_iso_code"),
                at("customer_id", "customer,id"),
                at("customer_email", "customer,email"),
                at("card_type", "credit_card,card_type"),
                text("merchant_account_id"),
                text("settlement_batch_id"),
                text("processor_authorization_code"),
                text("refunded_transaction_id"),
                ("is_refund".to_owned(), refund.to_owned(), Kind::Ordered),
                ("disbursement_date".to_owned(), disbursed.to_owned(), Kind::Ordered),
                when("authorized_at", "authorized"),
                when("settled_at", "settled"),
                when("voided_at", "voided"),
            ],
        ),
        (
            "customers",
            vec![
                text("id"),
                of("created_at", "timestamptz"),
                of("updated_at", "timestamptz"),
                text("email"),
                text("first_name"),
                text("last_name"),
                text("company"),
                text("phone"),
                text("fax"),
                text("website"),
            ],
        ),
        (
            "subscriptions",
            vec![
                text("id"),
                text("status"),
                text("plan_id"),
                text("merchant_account_id"),
                of("price", "numeric"),
                of("balance", "numeric"),
                of("days_past_due", "integer"),
                of("next_billing_date", "date"),
                of("never_expires", "boolean"),
                of("created_at", "timestamptz"),
            ],
        ),
        (
            "disputes",
            vec![
                text("id"),
                text("status"),
                text("kind"),
                text("reason"),
                text("reason_code"),
                text("case_number"),
                text("reference_number"),
                text("merchant_account_id"),
                at("transaction_id", "transaction,id"),
                of("amount_disputed", "numeric"),
                of("amount_won", "numeric"),
                of("received_date", "date"),
                of("reply_by_date", "date"),
                of("created_at", "timestamptz"),
            ],
        ),
    ]
}

#[test]
fn braintree_is_filtered_as_a_plain_table() -> Result<()> {
    // Two pages of everything.
    let sales = braintree::Options {
        customers: 52,
        subscriptions: 52,
        disputes: 52,
        ..braintree::Options::sized(60, 7)
    };
    let more = ", unclassified 'clear', cache_ttl '0'";
    let apis = Apis::sized("oracle_braintree", sales, airtable::Options::default(), more)?;
    let mut client = apis.import()?;
    run(
        &mut client,
        "SET TimeZone = 'America/New_York'; CREATE SCHEMA w; CREATE SCHEMA o; \
         IMPORT FOREIGN SCHEMA braintree LIMIT TO (transactions, customers, subscriptions, disputes) \
           FROM SERVER braintree INTO w",
    )?;
    super::open(&mut client)?;
    for (number, (table, columns)) in braintree_tables().into_iter().enumerate() {
        run(&mut client, &format!("ALTER FOREIGN TABLE w.{table} OPTIONS (ADD cache_ttl '1 h')"))?;
        let trial = Trial {
            pushed: format!("b.{table}"),
            kept: format!("w.{table}"),
            oracle: format!("o.{table}"),
            key: "id",
            columns,
            log: apis.braintree.log(),
            moved: bytes,
        };
        make_oracle(&mut client, &trial, &apis.braintree.truth(table)?)?;
        let pool: Vec<(String, Kind)> =
            trial.columns.iter().map(|(name, _, kind)| (name.clone(), *kind)).collect();
        let pool = Pool::new(&mut client, &trial.oracle, &pool)?;
        let mut predicates = pool.predicates(11 + number as u64, PREDICATES);
        if table == "transactions" {
            // A day begins where the session is.
            let days = format!(
                "SELECT DISTINCT created_at::date FROM {} ORDER BY 1 LIMIT 6",
                trial.oracle
            );
            for day in rows(&mut client, &days)?.lines() {
                predicates.push(format!("created_at >= date '{day}'"));
                predicates.push(format!("created_at < date '{day}'"));
                predicates.push(format!("created_at::date = '{day}'"));
                predicates.push(format!("created_at <= timestamp '{day} 12:00'"));
            }
        }
        trial.run(&mut client, &predicates)?;
    }
    Ok(())
}

/// How the value of a field is found in the record `j`, by its type here.
fn field(field_name: &str, field_type: &str, of: &str) -> (String, Kind) {
    let value = format!("(j->'fields'->{})", literal(field_name));
    // What is computed may be an error, or a list of one.
    let scalar = format!(
        "CASE jsonb_typeof({value}) WHEN 'object' THEN NULL \
           WHEN 'array' THEN CASE WHEN jsonb_array_length({value}) = 1 AND jsonb_typeof({value}->0) <> 'object' THEN {value}->>0 END \
           ELSE {value} #>> '{{}}' END"
    );
    match (field_type, of) {
        ("aiText", _) => (format!("{value}->>'value'"), Kind::Text),
        (_, "text") => (scalar, Kind::Text),
        (_, "boolean") => (format!("COALESCE(({scalar})::boolean, false)"), Kind::Ordered),
        (_, "text[]") if field_type != "multipleLookupValues" => {
            let list = format!("SELECT array_agg(e) FROM jsonb_array_elements_text({value}) e");
            (format!("({list})"), Kind::List)
        }
        (_, "numeric" | "bigint" | "date" | "timestamp with time zone") => {
            (format!("({scalar})::{of}"), Kind::Ordered)
        }
        _ => (value, Kind::Presence),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn airtable_is_filtered_as_a_plain_table() -> Result<()> {
    let (apis, mut client) = Apis::imported("oracle_airtable", 30, ", cache_ttl '0'")?;
    let base = apis.airtable.api().base();
    run(
        &mut client,
        &format!(
            "SET TimeZone = 'Asia/Kolkata'; CREATE SCHEMA w; CREATE SCHEMA o; \
             IMPORT FOREIGN SCHEMA \"{base}\" LIMIT TO (everything, contacts) FROM SERVER airtable INTO w"
        ),
    )?;
    super::open(&mut client)?;
    run(&mut client, "ALTER FOREIGN TABLE w.everything ALTER COLUMN pairs TYPE jsonb")?;
    let mut types = 0;
    for (number, (table, name)) in
        [("everything", "Everything"), ("contacts", "Contacts")].into_iter().enumerate()
    {
        run(&mut client, &format!("ALTER FOREIGN TABLE w.{table} OPTIONS (ADD cache_ttl '1 h')"))?;
        let declared = rows(
            &mut client,
            &format!(
                "SELECT quote_ident(a.attname), format_type(a.atttypid, -1), \
                   (SELECT option_value FROM pg_options_to_table(a.attfdwoptions) WHERE option_name = 'field_type'), \
                   (SELECT option_value FROM pg_options_to_table(a.attfdwoptions) WHERE option_name = 'field_name') \
                 FROM pg_attribute a WHERE a.attrelid = 'a.{table}'::regclass AND a.attnum > 2 ORDER BY a.attnum"
            ),
        )?;
        let mut columns: Vec<Told> = vec![
            ("_id".to_owned(), "j->>'id'".to_owned(), Kind::Text),
            (
                "_created_time".to_owned(),
                "(j->>'createdTime')::timestamptz".to_owned(),
                Kind::Ordered,
            ),
        ];
        for line in declared.lines() {
            let parts: Vec<&str> = line.split('|').collect();
            ensure!(parts.len() == 4, "{line}");
            let (value, kind) = field(parts[3], parts[2], parts[1]);
            columns.push((parts[0].to_owned(), value, kind));
            types += 1;
        }
        let trial = Trial {
            pushed: format!("a.{table}"),
            kept: format!("w.{table}"),
            oracle: format!("o.{table}"),
            key: "_id",
            columns,
            log: apis.airtable.log(),
            moved: pages,
        };
        make_oracle(&mut client, &trial, &apis.airtable.truth(&format!("{base}/{name}"))?)?;
        let pool: Vec<(String, Kind)> =
            trial.columns.iter().map(|(name, _, kind)| (name.clone(), *kind)).collect();
        let pool = Pool::new(&mut client, &trial.oracle, &pool)?;
        let count = if number == 0 { PREDICATES } else { PREDICATES / 4 };
        trial.run(&mut client, &pool.predicates(5 + number as u64, count))?;
    }
    ensure!(types > 45, "{types} fields");
    expect(&mut client, "SELECT count(*) > 200 FROM o.everything", "t")?;
    Ok(())
}
