//! Where everything is measured: a production cluster, its hot standby, and a warehouse that reads
//! the standby through both wrappers.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use postgres::Client;
use warehouse_tests::{Cluster, Standby};

use crate::options::Options;
use crate::theirs::Setup;

/// The role as which both wrappers read the standby.
pub const READER: &str = "reader";

/// Its password.
pub const READER_PASSWORD: &str = "reader password";

/// The database, there and here.
pub const DATABASE: &str = "bench";

/// The table at the source.
pub const SOURCE_TABLE: &str = "app.events";

/// The foreign table of our wrapper.
pub const OUR_TABLE: &str = "ours.events";

/// What all three clusters have in common.
const SETTINGS: [(&str, &str); 9] = [
    ("shared_buffers", "512MB"),
    ("work_mem", "64MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "1h"),
    ("max_parallel_workers_per_gather", "2"),
    ("jit", "off"),
    // It would run in the middle of some round, and its VACUUM would cancel reads at the standby.
    ("autovacuum", "off"),
    ("bgwriter_lru_maxpages", "0"),
    ("wal_compression", "off"),
];

/// Rows inserted by one statement.
const BATCH: u64 = 500_000;

/// The three clusters.
pub struct Ground {
    /// The warehouse, with both extensions and all foreign tables.
    pub warehouse: Cluster,
    /// The standby that is read.
    pub standby: Standby,
    /// Where the table was filled.
    pub primary: Cluster,
    /// Rows of the table.
    pub rows: u64,
}

impl Ground {
    /// Starts the clusters, fills the table and tells the warehouse of it.
    pub fn prepare(options: &Options) -> Result<Ground> {
        let start = Instant::now();
        let mut primary = Cluster::builder("primary");
        let mut warehouse = Cluster::builder("warehouse").preload("warehouse");
        for (name, value) in SETTINGS {
            primary = primary.setting(name, value);
            warehouse = warehouse.setting(name, value);
        }
        let primary = primary.start()?;
        let mut standby = Standby::of(&primary, "standby").setting("hot_standby_feedback", "on");
        for (name, value) in SETTINGS {
            standby = standby.setting(name, value);
        }
        let ground = Ground {
            warehouse: warehouse.start()?,
            standby: standby.start()?,
            rows: options.rows,
            primary,
        };
        ground.fill(options)?;
        println!(
            "{} rows in {SOURCE_TABLE} at the primary and its standby, {:.0} s",
            options.rows,
            start.elapsed().as_secs_f64()
        );
        ground.connect_sources().context("the warehouse")?;
        println!("both wrappers know the standby, {:.0} s", start.elapsed().as_secs_f64());
        Ok(ground)
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
        for (what, cluster) in [
            ("warehouse", &self.warehouse),
            ("standby", &*self.standby),
            ("primary", &self.primary),
        ] {
            let (dir, port) = (cluster.socket_dir().display(), cluster.port());
            println!("{what}: psql -h {dir} -p {port} -U postgres {DATABASE}");
        }
    }

    fn fill(&self, options: &Options) -> Result<()> {
        let primary = &self.primary;
        primary.create_role(READER, READER_PASSWORD)?;
        primary.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        let mut client = primary.connect(DATABASE)?;
        client.batch_execute(&format!(
            "CREATE SCHEMA app; \
             CREATE TABLE {SOURCE_TABLE} (id bigint NOT NULL, name text NOT NULL, \
               created_at timestamptz NOT NULL, amount numeric(10,2) NOT NULL, quantity int, \
               active boolean NOT NULL, details {})",
            options.details.type_name()
        ))?;
        for first in (1..=options.rows).step_by(usize::try_from(BATCH)?) {
            let last = (first + BATCH - 1).min(options.rows);
            client.batch_execute(&format!(
                "INSERT INTO {SOURCE_TABLE} SELECT i, md5(i::text), \
                   timestamptz '2020-01-01' + i * interval '17 seconds', \
                   (i * 7919 % 10000000) / 100.0, \
                   CASE WHEN i % 10 <> 0 THEN (i * 31 % 1000)::int END, i % 3 = 0, \
                   ('{{\"user\": ' || i % 77777 || ', \"plan\": \"yearly\"}}')::{} \
                 FROM generate_series({first}::bigint, {last}) i",
                options.details.type_name()
            ))?;
            self.standby.wait_for_replay()?;
        }
        for statement in [
            format!("ALTER TABLE {SOURCE_TABLE} ADD PRIMARY KEY (id)"),
            // So that no read has to set hint bits.
            format!("VACUUM (FREEZE, ANALYZE) {SOURCE_TABLE}"),
            format!("GRANT USAGE ON SCHEMA app TO {READER}"),
            format!("GRANT SELECT ON {SOURCE_TABLE} TO {READER}"),
            "CHECKPOINT".to_owned(),
        ] {
            client.batch_execute(&statement)?;
        }
        self.standby.wait_for_replay()
    }

    fn connect_sources(&self) -> Result<()> {
        self.warehouse.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        let mut client = self.connect()?;
        client.batch_execute("CREATE EXTENSION warehouse; CREATE EXTENSION postgres_fdw")?;
        let server_options = self.standby.server_options(DATABASE);
        for (server, wrapper) in [("ours", "replica_fdw"), ("theirs", "postgres_fdw")] {
            client.batch_execute(&format!(
                "CREATE SERVER {server} FOREIGN DATA WRAPPER {wrapper} OPTIONS ({server_options}); \
                 CREATE USER MAPPING FOR PUBLIC SERVER {server} \
                   OPTIONS (user '{READER}', password '{READER_PASSWORD}')"
            ))?;
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

/// The load of the machine over the last minute, five and fifteen, as the kernel tells it.
pub fn machine_load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
