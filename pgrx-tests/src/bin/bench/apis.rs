//! Where APIs are measured: emulators of Braintree and Airtable that answer with some latency, and keep
//! Airtable's limit as the service does, but for its penalty, which no SDK waits for.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::apis::sdk::{Language, Sdk};
use warehouse_tests::apis::{Airtable, Braintree, Emulator, OPEN_POLICY, airtable, braintree};

use crate::options::Options;
use crate::source::start_warehouse;

/// The database.
const DATABASE: &str = "bench";

/// How long an SDK may take to read everything.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What decides the records.
const SEED: u64 = 7;

/// The emulators and a warehouse with their tables.
pub struct Apis {
    /// The warehouse. Braintree is in schema `b`, Airtable in schema `a`.
    pub warehouse: Cluster,
    /// Braintree.
    pub braintree: Emulator<Braintree>,
    /// Airtable.
    pub airtable: Emulator<Airtable>,
}

impl Apis {
    /// Starts everything and imports the tables.
    pub fn prepare(options: &Options) -> Result<Apis> {
        let start = Instant::now();
        let braintree = Braintree::new(braintree::Options::sized(options.transactions, SEED));
        let airtable = Airtable::new(airtable::Options::sized(options.records, SEED));
        airtable.set(airtable::Settings { penalty: Duration::ZERO, ..Default::default() });
        let apis = Apis {
            warehouse: start_warehouse(DATABASE)?,
            braintree: Emulator::start(braintree)?,
            airtable: Emulator::start(airtable)?,
        };
        apis.declare().context("the warehouse")?;
        apis.braintree.set_delay(options.latency);
        apis.airtable.set_delay(options.latency);
        println!(
            "{} transactions, {} records, {} ms a page; {:.0} s",
            options.transactions,
            options.records,
            options.latency.as_millis(),
            start.elapsed().as_secs_f64()
        );
        Ok(apis)
    }

    fn declare(&self) -> Result<()> {
        let keys = self.braintree.api().options();
        let token = &self.airtable.api().options().token;
        let more = "unclassified 'clear', cache_ttl '1 h'";
        self.connect()?.batch_execute(&format!(
            "CREATE SCHEMA b; CREATE SCHEMA a; \
             CREATE SERVER braintree FOREIGN DATA WRAPPER braintree_fdw OPTIONS ( \
               endpoint '{}', merchant_id '{}', {more}); \
             CREATE USER MAPPING FOR PUBLIC SERVER braintree OPTIONS ( \
               public_key '{}', private_key '{}'); \
             CREATE SERVER airtable FOREIGN DATA WRAPPER airtable_fdw OPTIONS (endpoint '{}', {more}); \
             CREATE USER MAPPING FOR PUBLIC SERVER airtable OPTIONS (token '{token}'); \
             IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO b; \
             IMPORT FOREIGN SCHEMA \"{}\" FROM SERVER airtable INTO a; {OPEN_POLICY}",
            self.braintree.url(),
            keys.merchant_id,
            keys.public_key,
            keys.private_key,
            self.airtable.url(),
            self.airtable.api().base(),
        ))?;
        Ok(())
    }

    /// A new session of the warehouse, for which nothing is in a cache.
    pub fn connect(&self) -> Result<Client> {
        let mut client = self.warehouse.connect(DATABASE)?;
        let servers = client.query("SELECT srvname::text FROM pg_foreign_server", &[])?;
        for row in servers {
            client.execute("SELECT warehouse.clear_cache($1)", &[&row.get::<_, String>(0)])?;
        }
        Ok(client)
    }

    /// Braintree's own SDK for Python.
    pub fn braintree_sdk(&self) -> Result<Sdk> {
        let (keys, port) = (self.braintree.api().options(), self.braintree.port().to_string());
        let variables = [
            ("EMULATOR_PORT", port.as_str()),
            ("MERCHANT_ID", &keys.merchant_id),
            ("PUBLIC_KEY", &keys.public_key),
            ("PRIVATE_KEY", &keys.private_key),
            ("TIMEOUT", "120"),
        ];
        Ok(Sdk::start(Language::Python, "braintree_reader", &variables)?.with_patience(PATIENCE))
    }

    /// pyairtable.
    pub fn airtable_sdk(&self) -> Result<Sdk> {
        let url = self.airtable.url();
        let token = self.airtable.api().options().token.clone();
        let variables = [("EMULATOR_URL", url.as_str()), ("TOKEN", &token), ("RETRY", "1")];
        Ok(Sdk::start(Language::Python, "airtable_reader", &variables)?.with_patience(PATIENCE))
    }
}
