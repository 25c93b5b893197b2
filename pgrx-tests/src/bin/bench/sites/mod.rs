//! Where merged tables are measured: three sites, each a production cluster with its hot standby,
//! and a warehouse that merges them in both ways.
//!
//! A site has two databases: `app` with users and events, and `people` with the users again, which
//! stands for the main database of a site whose events are elsewhere.

mod asked;
mod fleet;
mod question;
mod setup;

use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use postgres::Client;
use warehouse_tests::Cluster;

use crate::options::Options;
use crate::source::{self, Source, start_warehouse};

pub use asked::Raw;
pub use fleet::Fleet;
pub use question::{Question, measure};
pub use setup::{Merged, declare_dozen, fastest};

/// The sites.
pub const SITES: [&str; 3] = ["north", "south", "west"];

/// The database of users and events.
pub const APP: &str = "app";

/// The database of users alone.
pub const PEOPLE: &str = "people";

/// The database of the warehouse.
const DATABASE: &str = "merged";

/// Events a site has unless told otherwise.
const EVENTS: u64 = 2_000_000;

/// Events a user has, on average.
const EVENTS_PER_USER: u64 = 20;

/// The clusters.
pub struct Sites {
    /// The warehouse, with both extensions and all merged tables.
    pub warehouse: Cluster,
    /// The sites, in the order of [`SITES`].
    pub sources: Vec<Source>,
    /// Users a site has.
    pub users: u64,
}

impl Sites {
    /// Starts the clusters, fills the sites and merges them in both ways.
    pub fn prepare(options: &Options) -> Result<Sites> {
        let start = Instant::now();
        let events = options.rows.unwrap_or(EVENTS);
        let users = events / EVENTS_PER_USER;
        // One moment for all sites.
        let warehouse = start_warehouse(DATABASE)?;
        let until: String = warehouse.value("postgres", "SELECT now()::text")?;
        let sources = thread::scope(|scope| -> Result<Vec<Source>> {
            let threads: Vec<_> = (0..SITES.len())
                .map(|number| {
                    let until = &until;
                    scope.spawn(move || {
                        let source = Source::start(SITES[number], options.delay)?;
                        fill(&source, number, users, events, until)
                            .with_context(|| format!("site {}", SITES[number]))?;
                        Ok(source)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
                .collect()
        })?;
        let sites = Sites { warehouse, sources, users };
        println!(
            "{} sites with {users} users and {events} events each, {:.0} s",
            SITES.len(),
            start.elapsed().as_secs_f64()
        );
        setup::declare(&sites).context("the warehouse")?;
        println!("merged in both ways, {:.0} s", start.elapsed().as_secs_f64());
        Ok(sites)
    }

    /// A session of the warehouse.
    pub fn connect(&self) -> Result<Client> {
        self.warehouse.connect(DATABASE)
    }

    /// A session of the warehouse set up for postgres_fdw at its best.
    pub fn connect_theirs(&self) -> Result<Client> {
        let mut client = self.connect()?;
        client.batch_execute(
            "SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on",
        )?;
        Ok(client)
    }

    /// For whoever wants to look around after `--keep`.
    pub fn tell_how_to_connect(&self) {
        source::tell_how_to_connect(&self.warehouse, DATABASE);
        for source in &self.sources {
            source::tell_how_to_connect(&source.standby, APP);
        }
    }
}

fn fill(source: &Source, number: usize, users: u64, events: u64, until: &str) -> Result<()> {
    let primary = &source.primary;
    for (database, scripts) in [(APP, &["users.sql", "events.sql"][..]), (PEOPLE, &["users.sql"])] {
        primary.execute("postgres", &format!("CREATE DATABASE {database}"))?;
        for script in scripts {
            let psql = primary
                .psql(database)
                .arg("--quiet")
                .var("site", SITES[number])
                .var("number", &number.to_string())
                .var("users", &users.to_string())
                .var("rows", &events.to_string())
                .var("until", until);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/bench/sites");
            psql.file(&folder.join(script))?.ok().with_context(|| (*script).to_owned())?;
        }
    }
    source.standby.wait_for_replay()
}
