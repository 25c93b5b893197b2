//! Three primaries with hot standbys, and a warehouse that knows the standbys alone: until one of them is
//! promoted, and then it, until that has a standby of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use postgres::Client;
use postgres::error::SqlState;
use warehouse_tests::{Cluster, Standby, Stop};

use crate::ask::{declare, run};
use crate::support::{READER, READER_PASSWORD};

use super::marts;

/// The sites; servers are called like them.
pub const SITES: [&str; 3] = ["a", "b", "c"];

/// The database of a site, and that of the warehouse.
pub const DATABASE: &str = "model";

/// How long the warehouse may take to recover.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often dropping the extension may meet a deadlock with those who use it.
const ATTEMPTS: usize = 10;

/// One site.
pub struct Site {
    /// Where it writes.
    pub primary: Cluster,
    /// Where it is read; without one, at the primary.
    pub standby: Option<Standby>,
    /// Standbys that it has had.
    standbys: usize,
}

impl Site {
    /// Where the warehouse reads it.
    fn port(&self) -> u16 {
        self.standby.as_ref().map_or(self.primary.port(), |standby| standby.port())
    }
}

/// All clusters.
pub struct Ground {
    /// In the order of [`SITES`].
    sites: Vec<Mutex<Site>>,
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
        let ground = Ground { sites: sites.into_iter().map(Mutex::new).collect(), warehouse };
        ground.warehouse.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        let mut client = ground.client()?;
        run(&mut client, "CREATE EXTENSION amcheck; CREATE SCHEMA mart")?;
        ground.declare(&mut client)?;
        for mart in marts::ALL {
            run(&mut client, &mart.call())?;
        }
        Ok(ground)
    }

    /// The extension, and the sites as tables.
    fn declare(&self, client: &mut Client) -> Result<()> {
        run(client, "CREATE EXTENSION warehouse")?;
        for (at, name) in SITES.iter().enumerate() {
            let port = self.site(at).port();
            declare(client, name, port, DATABASE, ", connect_timeout '2'")?;
        }
        run(client, merge())?;
        run(
            client,
            "CREATE SCHEMA plain; IMPORT FOREIGN SCHEMA app LIMIT TO (ledger) FROM SERVER a INTO plain; \
             CREATE TABLE plain.size (up_to numeric PRIMARY KEY, name text); \
             INSERT INTO plain.size VALUES (-1000000, 'small'), (0, 'middle'), (1000000, 'large')",
        )
    }

    /// A site, by its place in [`SITES`].
    pub fn site(&self, at: usize) -> MutexGuard<'_, Site> {
        self.sites[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The standby of a site becomes its primary. With `loses`, the former one crashes, and what the
    /// standby has not received is lost.
    pub fn promote(&self, at: usize, loses: bool) -> Result<()> {
        let mut site = self.site(at);
        let standby = site.standby.take().context("a site without a standby")?;
        if loses {
            site.primary.kill9();
        } else {
            site.primary.stop(Stop::Fast)?;
        }
        site.primary = standby.promote()?;
        Ok(())
    }

    /// A site that is read at its primary gets a standby, which is read from now on.
    pub fn follow(&self, at: usize) -> Result<()> {
        let mut site = self.site(at);
        site.standbys += 1;
        let name = format!("model_{}_standby_{}", SITES[at], site.standbys);
        let standby = standby_of(&site.primary, &name)?;
        let port = standby.port();
        site.standby = Some(standby);
        let address = format!("ALTER SERVER {} OPTIONS (SET port '{port}')", SITES[at]);
        run(&mut self.client()?, &address)
    }

    /// Drops the extension with all that hangs on it. The tables stay.
    pub fn drop_extension(&self) -> Result<()> {
        let mut client = self.client()?;
        run(&mut client, "SET statement_timeout = '60s'; SET client_min_messages = warning")?;
        for _ in 0..ATTEMPTS {
            match client.batch_execute("DROP EXTENSION warehouse CASCADE") {
                Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {}
                outcome => return outcome.context("DROP EXTENSION"),
            }
        }
        Err(anyhow!("the extension cannot be dropped because of deadlocks"))
    }

    /// Creates it again and defines everything anew. Readers find a table at every moment: the former one,
    /// or the one that has taken its name and is full.
    pub fn create_extension(&self) -> Result<()> {
        let mut client = self.client()?;
        run(
            &mut client,
            "SET statement_timeout = '60s'; SET client_min_messages = warning; \
             DROP SCHEMA main, main_sites, plain CASCADE",
        )?;
        self.declare(&mut client)?;
        for group in marts::groups() {
            // Those that follow others come first: so lock those who read both.
            let names: Vec<&str> = group.iter().rev().map(|mart| mart.name).collect();
            let names = names.join(", ");
            let calls: Vec<String> = group.iter().map(|mart| mart.call()).collect();
            let calls = calls.join("; ");
            run(
                &mut client,
                &format!("BEGIN; LOCK TABLE {names}; DROP TABLE {names}; {calls}; COMMIT"),
            )?;
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
        (0..SITES.len()).try_for_each(|at| match &self.site(at).standby {
            Some(standby) => standby.wait_for_replay(),
            None => Ok(()),
        })
    }
}

/// Merges the sites, or takes up what has changed there.
pub fn merge() -> &'static str {
    "SELECT FROM warehouse.merge_schema('main', '[ \
       {\"server\": \"a\", \"schema\": \"app\", \"site\": \"a\"}, \
       {\"server\": \"b\", \"schema\": \"app\", \"site\": \"b\"}, \
       {\"server\": \"c\", \"schema\": \"app\", \"site\": \"c\"}]', tables => '{account,event,member}')"
}

fn site(name: &str) -> Result<Site> {
    let primary = Cluster::builder(&format!("model_{name}")).start()?;
    primary.create_role(READER, READER_PASSWORD)?;
    primary.execute("postgres", &format!("GRANT pg_read_all_data TO {READER}"))?;
    primary.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
    primary.execute(DATABASE, include_str!("source.sql"))?;
    let standby = standby_of(&primary, &format!("model_{name}_standby"))?;
    standby.wait_for_replay()?;
    Ok(Site { primary, standby: Some(standby), standbys: 1 })
}

fn standby_of(primary: &Cluster, name: &str) -> Result<Standby> {
    Standby::of(primary, name)
        .setting("hot_standby_feedback", "on")
        .setting("max_standby_streaming_delay", "1s")
        .setting("wal_receiver_status_interval", "1s")
        .start()
}
