//! The clusters that everything is measured on: a production cluster, its hot standby, the way to
//! the standby, and a warehouse.

use std::time::Duration;

use anyhow::{Context, Result};
use postgres::{Client, NoTls};
use warehouse_tests::faults::{Mode, Proxy};
use warehouse_tests::{Cluster, Standby};

/// The role as which the standbys are read.
pub const READER: &str = "reader";

/// Its password.
pub const READER_PASSWORD: &str = "reader password";

/// What all clusters have in common.
const SETTINGS: [(&str, &str); 10] = [
    ("shared_buffers", "512MB"),
    ("work_mem", "64MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "1h"),
    ("max_connections", "150"),
    ("max_parallel_workers_per_gather", "2"),
    ("jit", "off"),
    // It would run in the middle of some round, and its VACUUM would cancel reads at the standby.
    ("autovacuum", "off"),
    ("bgwriter_lru_maxpages", "0"),
    ("wal_compression", "off"),
];

/// A production cluster and its hot standby, which is what is read.
pub struct Source {
    /// Where tables are filled.
    pub primary: Cluster,
    /// Where they are read.
    pub standby: Standby,
    /// What stands between the standby and its readers, if the network is to be slow.
    proxy: Option<Proxy>,
}

impl Source {
    /// Starts both. What the standby's readers send and receive arrives `delay` later.
    pub fn start(name: &str, delay: Option<Duration>) -> Result<Source> {
        let mut primary = Cluster::builder(name);
        for (setting, value) in SETTINGS {
            primary = primary.setting(setting, value);
        }
        let primary = primary.start()?;
        let mut standby =
            Standby::of(&primary, &format!("{name}-standby")).setting("hot_standby_feedback", "on");
        for (setting, value) in SETTINGS {
            standby = standby.setting(setting, value);
        }
        let standby = standby.start()?;
        let proxy = match delay {
            Some(delay) => {
                let proxy = Proxy::to_cluster(&standby)?;
                proxy.set(Mode::Delay(delay))?;
                Some(proxy)
            }
            None => None,
        };
        primary.create_role(READER, READER_PASSWORD)?;
        primary.execute("postgres", &format!("GRANT pg_read_all_data TO {READER}"))?;
        Ok(Source { primary, standby, proxy })
    }

    /// The port of the standby, or of what stands in front of it.
    pub fn port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.standby.port(), Proxy::port)
    }

    /// Declares the standby's database as a server of the warehouse that `client` is connected to.
    pub fn declare(
        &self,
        client: &mut Client,
        server: &str,
        wrapper: &str,
        database: &str,
    ) -> Result<()> {
        let shown = if wrapper == "replica_fdw" { ", unclassified 'clear'" } else { "" };
        client
            .batch_execute(&format!(
                "CREATE SERVER {server} FOREIGN DATA WRAPPER {wrapper} \
                   OPTIONS (host '{}', port '{}', dbname '{database}'{shown}); \
                 CREATE USER MAPPING FOR PUBLIC SERVER {server} \
                   OPTIONS (user '{READER}', password '{READER_PASSWORD}')",
                self.standby.host(),
                self.port()
            ))
            .with_context(|| format!("server {server}"))
    }

    /// A session at the standby by the way the wrappers take: as their role, through the same
    /// network.
    pub fn connect(&self, database: &str) -> Result<Client> {
        let mut config = Client::configure();
        config.host(self.standby.host()).port(self.port()).dbname(database);
        config.user(READER).password(READER_PASSWORD);
        config.connect(NoTls).with_context(|| format!("{database} of {}", self.standby.name()))
    }
}

/// Starts a warehouse with a database that has both wrappers.
pub fn start_warehouse(database: &str) -> Result<Cluster> {
    let mut warehouse = Cluster::builder("warehouse").preload("warehouse");
    for (name, value) in SETTINGS {
        warehouse = warehouse.setting(name, value);
    }
    let warehouse = warehouse.start()?;
    warehouse.execute("postgres", &format!("CREATE DATABASE {database}"))?;
    warehouse.execute(database, "CREATE EXTENSION warehouse; CREATE EXTENSION postgres_fdw")?;
    Ok(warehouse)
}

/// Says how to look around in a database of a cluster.
pub fn tell_how_to_connect(cluster: &Cluster, database: &str) {
    let (dir, port) = (cluster.socket_dir().display(), cluster.port());
    println!("{}: psql -h {dir} -p {port} -U postgres {database}", cluster.name());
}
