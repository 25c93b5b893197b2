//! Three primaries with hot standbys, and a warehouse that knows the standbys alone.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use postgres::Client;
use warehouse_tests::{Cluster, Standby};

use crate::ask::{declare, run};
use crate::support::{READER, READER_PASSWORD};

use super::marts;

/// The sites; servers are called like them.
pub const SITES: [&str; 3] = ["a", "b", "c"];

/// The database of a site, and that of the warehouse.
pub const DATABASE: &str = "model";

/// How long the warehouse may take to recover.
const PATIENCE: Duration = Duration::from_secs(30);

/// One site.
pub struct Site {
    /// Where it writes.
    pub primary: Cluster,
    /// Where it is read.
    pub standby: Standby,
}

/// All clusters.
pub struct Ground {
    /// In the order of [`SITES`].
    pub sites: Vec<Site>,
    /// The warehouse.
    pub warehouse: Cluster,
}

impl Ground {
    /// Starts everything, and defines the materialized tables.
    pub fn new() -> Result<Ground> {
        let (sites, warehouse) = thread::scope(|scope| -> Result<_> {
            let sites: Vec<_> = SITES.iter().map(|name| scope.spawn(|| site(name))).collect();
            let warehouse = Cluster::builder("model_warehouse")
                .preload("warehouse")
                .setting("warehouse.request_interval", "1s")
                .setting("warehouse.max_running_refreshes", "3")
                .setting("warehouse.exchange_patience", "1s")
                .start()?;
            let sites = sites
                .into_iter()
                .map(|site| site.join().map_err(|_| anyhow!("a thread panicked"))?)
                .collect::<Result<Vec<Site>>>()?;
            Ok((sites, warehouse))
        })?;
        let ground = Ground { sites, warehouse };
        ground.declare()?;
        Ok(ground)
    }

    fn declare(&self) -> Result<()> {
        self.warehouse.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        let mut client = self.client()?;
        run(&mut client, "CREATE EXTENSION warehouse; CREATE EXTENSION amcheck")?;
        for (name, site) in SITES.iter().zip(&self.sites) {
            let port = site.standby.port();
            declare(&mut client, name, port, DATABASE, ", connect_timeout '2'")?;
        }
        run(&mut client, merge())?;
        run(
            &mut client,
            "CREATE SCHEMA plain; IMPORT FOREIGN SCHEMA app LIMIT TO (ledger) FROM SERVER a INTO plain; \
             CREATE TABLE plain.size (up_to numeric PRIMARY KEY, name text); \
             INSERT INTO plain.size VALUES (-1000000, 'small'), (0, 'middle'), (1000000, 'large'); \
             CREATE SCHEMA mart",
        )?;
        for mart in marts::ALL {
            run(&mut client, &mart.call())?;
        }
        Ok(())
    }

    /// A session of the superuser at the warehouse, as soon as it takes some.
    pub fn client(&self) -> Result<Client> {
        let began = Instant::now();
        loop {
            match self.warehouse.connect(DATABASE) {
                Err(_) if began.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(50)),
                outcome => return outcome,
            }
        }
    }

    /// What the warehouse's log says of crashes and of failures of the extension itself.
    pub fn complaints(&self) -> Result<String> {
        const GRAVE: [&str; 5] =
            ["terminated by signal", "PANIC", "TRAP", "panicked", "warehouse: "];
        const BEFORE: usize = 12;
        let log = self.warehouse.log()?;
        let lines: Vec<&str> = log.lines().collect();
        let is_grave = |line: &str| GRAVE.iter().any(|grave| line.contains(grave));
        let crash = lines.iter().position(|line| line.contains("terminated by signal"));
        let found: Vec<&str> = match crash {
            Some(at) => lines[at.saturating_sub(BEFORE)..=at].to_vec(),
            None => lines.iter().filter(|line| is_grave(line)).copied().collect(),
        };
        let last = &found[found.len().saturating_sub(25)..];
        Ok(format!("the log of the warehouse:\n{}", last.join("\n")))
    }

    /// Waits until every standby shows what its primary has committed.
    pub fn wait_for_replay(&self) -> Result<()> {
        self.sites.iter().try_for_each(|site| site.standby.wait_for_replay())
    }
}

/// Merges the sites, or takes up what has changed there.
pub fn merge() -> &'static str {
    "SELECT FROM warehouse.merge_schema('main', '[ \
       {\"server\": \"a\", \"schema\": \"app\", \"site\": \"a\"}, \
       {\"server\": \"b\", \"schema\": \"app\", \"site\": \"b\"}, \
       {\"server\": \"c\", \"schema\": \"app\", \"site\": \"c\"}]', tables => '{account,event}')"
}

fn site(name: &str) -> Result<Site> {
    let primary = Cluster::builder(&format!("model_{name}")).start()?;
    primary.create_role(READER, READER_PASSWORD)?;
    primary.execute("postgres", &format!("GRANT pg_read_all_data TO {READER}"))?;
    primary.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
    primary.execute(DATABASE, include_str!("source.sql"))?;
    let standby = Standby::of(&primary, &format!("model_{name}_standby"))
        .setting("hot_standby_feedback", "on")
        .setting("max_standby_streaming_delay", "1s")
        .setting("wal_receiver_status_interval", "1s")
        .start()?;
    standby.wait_for_replay()?;
    Ok(Site { primary, standby })
}
