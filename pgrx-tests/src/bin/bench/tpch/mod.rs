//! Where joins are measured: the eight tables of TPC-H at one source, read through both wrappers.
//!
//! The data is that of `dbgen`, by the crate `tpchgen`; the queries are those of the specification
//! with its validation parameters.

mod load;

use std::time::Instant;

use anyhow::{Context, Result};
use postgres::Client;
use warehouse_tests::Cluster;

use crate::options::Options;
use crate::source::{self, Source, start_warehouse};

/// The database, there and here.
const DATABASE: &str = "tpch";

/// How long one query may take.
pub const LIMIT_SECONDS: u64 = 120;

/// The queries as they are written, in order.
const QUERIES: [&str; 22] = [
    include_str!("01.sql"),
    include_str!("02.sql"),
    include_str!("03.sql"),
    include_str!("04.sql"),
    include_str!("05.sql"),
    include_str!("06.sql"),
    include_str!("07.sql"),
    include_str!("08.sql"),
    include_str!("09.sql"),
    include_str!("10.sql"),
    include_str!("11.sql"),
    include_str!("12.sql"),
    include_str!("13.sql"),
    include_str!("14.sql"),
    include_str!("15.sql"),
    include_str!("16.sql"),
    include_str!("17.sql"),
    include_str!("18.sql"),
    include_str!("19.sql"),
    include_str!("20.sql"),
    include_str!("21.sql"),
    include_str!("22.sql"),
];

/// The clusters.
pub struct Tpch {
    /// The warehouse, with both extensions and all foreign tables.
    pub warehouse: Cluster,
    source: Source,
    scale: f64,
}

/// One of the queries.
pub struct Query {
    /// Its number in the specification, from 1.
    pub number: usize,
    /// Its text.
    pub sql: String,
    /// Whether the order of its rows is decided by its ORDER BY.
    pub is_ordered: bool,
}

impl Tpch {
    /// Starts the clusters, loads the tables and tells the warehouse of them.
    pub fn prepare(options: &Options) -> Result<Tpch> {
        let start = Instant::now();
        let tpch = Tpch {
            warehouse: start_warehouse(DATABASE)?,
            source: Source::start("tpch", options.delay)?,
            scale: options.scale,
        };
        tpch.source.primary.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        load::load(&mut tpch.source.primary.connect(DATABASE)?, tpch.scale)?;
        tpch.source.standby.wait_for_replay()?;
        println!(
            "TPC-H, scale factor {}, at the primary and its standby, {:.0} s",
            tpch.scale,
            start.elapsed().as_secs_f64()
        );
        tpch.declare().context("the warehouse")?;
        println!("both wrappers know the standby, {:.0} s", start.elapsed().as_secs_f64());
        Ok(tpch)
    }

    /// A session of the warehouse in which the tables are those of our wrapper.
    pub fn connect_ours(&self) -> Result<Client> {
        session(self.warehouse.connect(DATABASE)?, "ours")
    }

    /// A session of the warehouse in which the tables are those of postgres_fdw.
    pub fn connect_theirs(&self) -> Result<Client> {
        session(self.warehouse.connect(DATABASE)?, "theirs")
    }

    /// A session at the source.
    pub fn connect_source(&self) -> Result<Client> {
        session(self.source.connect(DATABASE)?, "tpch")
    }

    /// The queries.
    pub fn queries(&self) -> impl Iterator<Item = Query> {
        QUERIES.iter().enumerate().map(|(at, text)| Query {
            number: at + 1,
            sql: text.replace(":scale", &self.scale.to_string()),
            is_ordered: text.lines().next().is_some_and(|line| line.contains("order is total")),
        })
    }

    /// For whoever wants to look around after `--keep`.
    pub fn tell_how_to_connect(&self) {
        for cluster in [&self.warehouse, &*self.source.standby] {
            source::tell_how_to_connect(cluster, DATABASE);
        }
    }

    fn declare(&self) -> Result<()> {
        let mut client = self.warehouse.connect(DATABASE)?;
        for (schema, wrapper) in [("ours", "replica_fdw"), ("theirs", "postgres_fdw")] {
            self.source.declare(&mut client, schema, wrapper, DATABASE)?;
        }
        client.batch_execute(
            "ALTER SERVER theirs OPTIONS (ADD use_remote_estimate 'true', ADD fetch_size '10000')",
        )?;
        for schema in ["ours", "theirs"] {
            client.batch_execute(&format!(
                "CREATE SCHEMA {schema}; IMPORT FOREIGN SCHEMA tpch FROM SERVER {schema} INTO {schema}"
            ))?;
        }
        for table in load::TABLES {
            client.batch_execute(&format!("ANALYZE theirs.{table}"))?;
        }
        Ok(())
    }
}

fn session(mut client: Client, schema: &str) -> Result<Client> {
    client.batch_execute(&format!(
        "SET search_path = {schema}; SET statement_timeout = '{LIMIT_SECONDS}s'"
    ))?;
    Ok(client)
}
