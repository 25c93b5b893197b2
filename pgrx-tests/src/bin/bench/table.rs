//! Where single tables are measured: one table of a source, read through both wrappers.

use std::time::Instant;

use anyhow::{Context, Result};
use postgres::Client;
use warehouse_tests::Cluster;

use crate::options::Options;
use crate::source::{self, Source, start_warehouse};
use crate::theirs::Setup;

/// The database, there and here.
pub const DATABASE: &str = "bench";

/// The table at the source.
pub const SOURCE_TABLE: &str = "app.events";

/// The foreign table of our wrapper.
pub const OUR_TABLE: &str = "ours.events";

/// Rows unless told otherwise.
const ROWS: u64 = 5_000_000;

/// Rows inserted by one statement.
const BATCH: u64 = 500_000;

/// The clusters.
pub struct Table {
    /// The warehouse, with both extensions and all foreign tables.
    pub warehouse: Cluster,
    /// Where the table is.
    pub source: Source,
    /// Rows of the table.
    pub rows: u64,
}

impl Table {
    /// Starts the clusters, fills the table and tells the warehouse of it.
    pub fn prepare(options: &Options) -> Result<Table> {
        let start = Instant::now();
        let table = Table {
            warehouse: start_warehouse(DATABASE)?,
            source: Source::start("primary", options.delay)?,
            rows: options.rows.unwrap_or(ROWS),
        };
        table.fill(options)?;
        println!(
            "{} rows in {SOURCE_TABLE} at the primary and its standby, {:.0} s",
            table.rows,
            start.elapsed().as_secs_f64()
        );
        table.connect_sources().context("the warehouse")?;
        println!("both wrappers know the standby, {:.0} s", start.elapsed().as_secs_f64());
        Ok(table)
    }

    /// Gives the warehouse a key, unless it has one.
    pub fn with_key(&self) -> Result<()> {
        let file = self.warehouse.socket_dir().join("warehouse.key");
        if file.exists() {
            return Ok(());
        }
        let mut client = self.connect()?;
        client.batch_execute(&format!(
            "ALTER SYSTEM SET warehouse.key_file = '{}'",
            file.display()
        ))?;
        client.batch_execute("SELECT pg_reload_conf()")?;
        warehouse_tests::timing::eventually(
            std::time::Duration::from_secs(10),
            "the key file is known",
            || {
                let rows = client.query("SHOW warehouse.key_file", &[])?;
                Ok(!rows[0].get::<_, String>(0).is_empty())
            },
        )?;
        client.batch_execute("SELECT warehouse.create_key()")?;
        Ok(())
    }

    /// A session of the warehouse.
    pub fn connect(&self) -> Result<Client> {
        self.warehouse.connect(DATABASE)
    }

    /// The foreign table of postgres_fdw in one of its setups.
    pub fn their_table(&self, setup: Setup) -> String {
        format!("{}.events", setup.schema())
    }

    /// For whoever wants to look around after `--keep`.
    pub fn tell_how_to_connect(&self) {
        for cluster in [&self.warehouse, &*self.source.standby, &self.source.primary] {
            source::tell_how_to_connect(cluster, DATABASE);
        }
    }

    fn fill(&self, options: &Options) -> Result<()> {
        let Source { primary, standby, .. } = &self.source;
        primary.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        let mut client = primary.connect(DATABASE)?;
        client.batch_execute(&format!(
            "CREATE SCHEMA app; \
             CREATE TABLE {SOURCE_TABLE} (id bigint NOT NULL, name text NOT NULL, \
               created_at timestamptz NOT NULL, amount numeric(10,2) NOT NULL, quantity int, \
               active boolean NOT NULL, details {})",
            options.details.type_name()
        ))?;
        for first in (1..=self.rows).step_by(usize::try_from(BATCH)?) {
            let last = (first + BATCH - 1).min(self.rows);
            client.batch_execute(&format!(
                "INSERT INTO {SOURCE_TABLE} SELECT i, md5(i::text), \
                   timestamptz '2020-01-01' + i * interval '17 seconds', \
                   (i * 7919 % 10000000) / 100.0, \
                   CASE WHEN i % 10 <> 0 THEN (i * 31 % 1000)::int END, i % 3 = 0, \
                   ('{{\"user\": ' || i % 77777 || ', \"plan\": \"yearly\"}}')::{} \
                 FROM generate_series({first}::bigint, {last}) i",
                options.details.type_name()
            ))?;
            standby.wait_for_replay()?;
        }
        for statement in [
            format!("ALTER TABLE {SOURCE_TABLE} ADD PRIMARY KEY (id)"),
            // So that no read has to set hint bits.
            format!("VACUUM (FREEZE, ANALYZE) {SOURCE_TABLE}"),
            "CHECKPOINT".to_owned(),
        ] {
            client.batch_execute(&statement)?;
        }
        standby.wait_for_replay()
    }

    fn connect_sources(&self) -> Result<()> {
        let mut client = self.connect()?;
        for (server, wrapper) in [("ours", "replica_fdw"), ("theirs", "postgres_fdw")] {
            self.source.declare(&mut client, server, wrapper, DATABASE)?;
        }
        let import = |schema: &str, server: &str| {
            format!(
                "CREATE SCHEMA {schema}; \
                 IMPORT FOREIGN SCHEMA app LIMIT TO (events) FROM SERVER {server} INTO {schema}"
            )
        };
        client.batch_execute(&import("ours", "ours"))?;
        client.batch_execute(&format!("ANALYZE {OUR_TABLE}"))?;
        for setup in Setup::all() {
            let table = self.their_table(setup);
            client.batch_execute(&import(&setup.schema(), "theirs"))?;
            client.batch_execute(&format!(
                "ALTER FOREIGN TABLE {table} OPTIONS (ADD {})",
                setup.table_options().replace(", ", ", ADD ")
            ))?;
            if setup.needs_statistics() {
                client.batch_execute(&format!("ANALYZE {table}"))?;
            }
        }
        Ok(())
    }
}
