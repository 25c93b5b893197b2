//! `braintree_fdw` and `airtable_fdw` over the emulators.
//!
//! `import` is about what IMPORT FOREIGN SCHEMA makes and what options are refused, `truth` compares all
//! rows with what the emulators generated, `oracle` random conditions with the same over plain tables,
//! `pushed` what is asked with conditions, `broken` and `faults` what goes wrong at the API, `limited`
//! many sessions at once, `interrupted` cancels and early stops, `cached` answers that are used again,
//! `shared` those of all sessions, `relayed` one session after another that fetches for all,
//! `kept` tables that follow an API, `masked` the policy, `analyzed` statistics, `explain_pushdown()` and `classify_schema()`.

mod analyzed;
mod broken;
mod cached;
mod faults;
mod import;
mod interrupted;
mod kept;
mod limited;
mod masked;
mod oracle;
mod predicates;
mod pushed;
mod relayed;
mod shared;
mod truth;

use anyhow::{Context, Result};
use postgres::{Client, SimpleQueryMessage};
use serde_json::Value;
use warehouse_tests::Cluster;
use warehouse_tests::apis::{Airtable, Braintree, Emulator, airtable, braintree};

use crate::ask::run;
use crate::support::Shared;

/// The secrets that nothing may show.
const SECRETS: [&str; 3] =
    ["private_key", "patEmulator.0123456789", "cHVibGljX2tleTpwcml2YXRlX2tleQ"];

/// A warehouse that all tests share, each with a database of its own.
fn cluster() -> Result<&'static Cluster> {
    static CLUSTER: Shared<Cluster> = Shared::new();
    CLUSTER.get(|| {
        let cluster = Cluster::builder("apis").preload("warehouse").start()?;
        let mut client = cluster.connect("postgres")?;
        let file = cluster.socket_dir().join("warehouse.key");
        run(&mut client, &format!("ALTER SYSTEM SET warehouse.key_file = '{}'", file.display()))?;
        run(&mut client, "SELECT pg_reload_conf()")?;
        run(&mut client, "CREATE EXTENSION warehouse")?;
        // The configuration is reloaded between statements.
        run(&mut client, "SELECT pg_sleep(0.1)")?;
        run(&mut client, "SELECT warehouse.create_key()")?;
        Ok(cluster)
    })
}

/// Emulators of both APIs, and a database with both servers.
struct Apis {
    braintree: Emulator<Braintree>,
    airtable: Emulator<Airtable>,
    database: String,
}

impl Apis {
    /// With so many transactions; `more` options of the servers begin with a comma. Nothing is cached
    /// and nothing is hidden unless they say so.
    fn new(test: &str, transactions: usize, more: &str) -> Result<Apis> {
        let sales = braintree::Options::sized(transactions, 7);
        Apis::sized(test, sales, airtable::Options::default(), more)
    }

    /// The same with other records.
    fn sized(
        test: &str,
        sales: braintree::Options,
        records: airtable::Options,
        more: &str,
    ) -> Result<Apis> {
        let airtable = Airtable::new(records);
        airtable.set(airtable::Settings::unlimited());
        let apis = Apis {
            braintree: Emulator::start(Braintree::new(sales))?,
            airtable: Emulator::start(airtable)?,
            database: cluster()?.create_database(test)?,
        };
        let mut client = apis.client()?;
        let (keys, token) = (apis.braintree.api().options(), &apis.airtable.api().options().token);
        run(
            &mut client,
            &format!(
                "CREATE EXTENSION warehouse; CREATE SCHEMA b; CREATE SCHEMA a; \
                 CREATE SERVER braintree FOREIGN DATA WRAPPER braintree_fdw OPTIONS ( \
                   endpoint '{}', merchant_id '{}'{more}); \
                 CREATE USER MAPPING FOR PUBLIC SERVER braintree OPTIONS ( \
                   public_key '{}', private_key '{}'); \
                 CREATE SERVER airtable FOREIGN DATA WRAPPER airtable_fdw OPTIONS ( \
                   endpoint '{}', rate_limit_penalty '100ms', requests_per_second '64'{more}); \
                 CREATE USER MAPPING FOR PUBLIC SERVER airtable OPTIONS (token '{token}')",
                apis.braintree.url(),
                keys.merchant_id,
                keys.public_key,
                keys.private_key,
                apis.airtable.url(),
            ),
        )?;
        Ok(apis)
    }

    /// The same with all tables imported, shown as they are.
    fn imported(test: &str, transactions: usize, more: &str) -> Result<(Apis, Client)> {
        let apis = Apis::new(test, transactions, &format!(", unclassified 'clear'{more}"))?;
        let client = apis.import()?;
        Ok((apis, client))
    }

    /// Imports all tables, shown as they are if the servers show what has no class.
    fn import(&self) -> Result<Client> {
        let mut client = self.client()?;
        run(
            &mut client,
            &format!(
                "IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO b; \
                 IMPORT FOREIGN SCHEMA \"{}\" FROM SERVER airtable INTO a OPTIONS (catalogue 'true')",
                self.airtable.api().base()
            ),
        )?;
        open(&mut client)?;
        // Its formula says number and gives lists.
        run(&mut client, "ALTER FOREIGN TABLE a.everything ALTER COLUMN pairs TYPE jsonb")?;
        self.braintree.log().clear();
        self.airtable.log().clear();
        Ok(client)
    }

    /// Connects as superuser.
    fn client(&self) -> Result<Client> {
        cluster()?.connect(&self.database)
    }
}

/// Takes the policy off every column.
fn open(client: &mut Client) -> Result<()> {
    run(client, warehouse_tests::apis::OPEN_POLICY)
}

/// The rows of a table as JSON objects, in the order of a column.
fn objects(client: &mut Client, query: &str) -> Result<Vec<Value>> {
    let sql = format!("SELECT to_jsonb(q)::text FROM ({query}) q");
    let mut out = Vec::new();
    for message in client.simple_query(&sql).with_context(|| sql.clone())? {
        if let SimpleQueryMessage::Row(row) = message {
            out.push(serde_json::from_str(row.get(0).context("NULL")?)?);
        }
    }
    Ok(out)
}
