//! The bound on connections per server over all sessions, and the line of those who wait.
//!
//! `most` proves that a source never has more, `order` that the line is one, `idle` and `transactions`
//! who gives a connection back and when, `interrupted` that one who waits can be stopped, `endings`
//! what is left of sessions that end, `deadlocks` that nobody waits for ever, `changes` what a new
//! bound or another server does to those who wait, `declared` what is refused and what is without
//! preloading.

mod changes;
mod deadlocks;
mod declared;
mod endings;
mod idle;
mod interrupted;
mod most;
mod order;
mod transactions;

use std::ops::Deref;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::timing::eventually;

use crate::ask::{declare, rows, run};
use crate::support::{Pair, Shared};

/// How long something may take on a busy machine that takes moments.
const PATIENCE: Duration = Duration::from_secs(10);

/// Rows of `app.t`.
const ALL: &str = "SELECT count(*) FROM app.t";

/// The same by the second server.
const ALL_THERE: &str = "SELECT count(*) FROM there.t";

/// A warehouse database with the servers `s1` (schema `app`) and `s2` (schema `there`), which lead to
/// one source database.
struct Ground {
    source: &'static Cluster,
    source_database: String,
    warehouse: Warehouse,
    database: String,
}

/// The ground, and a session that looks at the book.
struct Scene {
    ground: Ground,
    observer: Client,
}

impl Deref for Scene {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

/// The cluster of a scene: one that the scenes share, or one of its own.
enum Warehouse {
    Shared(&'static Cluster),
    Own(Cluster),
}

impl Warehouse {
    fn cluster(&self) -> &Cluster {
        match self {
            Warehouse::Shared(cluster) => cluster,
            Warehouse::Own(cluster) => cluster,
        }
    }
}

fn start_warehouse(preload: bool) -> Result<Cluster> {
    let mut builder = Cluster::builder("bound").setting("deadlock_timeout", "400ms");
    if preload {
        builder = builder.preload("warehouse");
    }
    let cluster = builder.start()?;
    cluster.execute("template1", "CREATE EXTENSION warehouse")?;
    Ok(cluster)
}

impl Scene {
    /// Both servers have the bound `bound`.
    fn new(test: &str, bound: u32) -> Result<Scene> {
        static CLUSTER: Shared<Cluster> = Shared::new();
        let cluster = CLUSTER.get(|| start_warehouse(true))?;
        let bound = format!(", max_connections '{bound}'");
        Scene::at(Warehouse::Shared(cluster), test, &bound)
    }

    /// The same in a cluster of its own, which may be reconfigured or crash; `options` are those of the
    /// servers and begin with a comma.
    fn apart(test: &str, options: &str, preload: bool) -> Result<Scene> {
        Scene::at(Warehouse::Own(start_warehouse(preload)?), test, options)
    }

    fn at(warehouse: Warehouse, test: &str, options: &str) -> Result<Scene> {
        let pair = Pair::new(test)?;
        run(
            &mut pair.source()?,
            "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; \
             CREATE VIEW brief AS SELECT t.id FROM pg_sleep(0.01), t; \
             CREATE VIEW slow AS SELECT t.id FROM pg_sleep(20), t",
        )?;
        let cluster = warehouse.cluster();
        let database = cluster.create_database(test)?;
        let mut observer = cluster.connect(&database)?;
        for (server, schema) in [("s1", "app"), ("s2", "there")] {
            let name = application(&pair.source_database, server);
            let options = format!("{options}, application_name '{name}'");
            declare(
                &mut observer,
                server,
                pair.source_cluster.port(),
                &pair.source_database,
                &options,
            )?;
            run(
                &mut observer,
                &format!(
                    "CREATE SCHEMA {schema}; \
                     IMPORT FOREIGN SCHEMA public FROM SERVER {server} INTO {schema}"
                ),
            )?;
        }
        // What looks on has no connections of its own.
        run(&mut observer, "SELECT warehouse.disconnect()")?;
        let source_database = pair.source_database;
        let ground = Ground { source: pair.source_cluster, source_database, warehouse, database };
        Ok(Scene { ground, observer })
    }

    /// What the book says of a server: connections, in use, waiting.
    fn usage(&mut self, server: &str) -> Result<String> {
        rows(
            &mut self.observer,
            &format!(
                "SELECT connections, in_use, waiting FROM warehouse.replica_usage() \
                 WHERE server = '{server}'"
            ),
        )
    }

    /// Waits until the book says so.
    fn comes_to(&mut self, server: &str, wanted: &str) -> Result<()> {
        let mut found = String::new();
        eventually(PATIENCE, &format!("{server} comes to {wanted}"), || {
            found = self.usage(server)?;
            Ok(found == wanted)
        })
        .with_context(|| format!("connections|in use|waiting of {server} were {found}"))
    }

    /// Waits until so many sessions wait for a server.
    fn waiting(&mut self, server: &str, count: usize) -> Result<()> {
        let mut found = String::new();
        eventually(PATIENCE, &format!("{count} wait for {server}"), || {
            found = self.usage(server)?;
            Ok(found.ends_with(&format!("|{count}")))
        })
        .with_context(|| format!("connections|in use|waiting of {server} were {found}"))
    }

    /// Fails unless, soon, the book and the source agree that there is nothing.
    fn is_empty(&mut self) -> Result<()> {
        for server in ["s1", "s2"] {
            self.comes_to(server, "0|0|0")?;
            eventually(PATIENCE, "the source has no connections", || {
                Ok(self.at_source(server)? == 0)
            })?;
        }
        Ok(())
    }
}

impl Ground {
    /// Another session at the warehouse. A statement that hangs ends after ten seconds.
    fn session(&self) -> Result<Client> {
        let mut client = self.warehouse.cluster().connect(&self.database)?;
        run(&mut client, "SET statement_timeout = '10s'")?;
        Ok(client)
    }

    /// A session that has begun a transaction and read with it: it has a connection and keeps it.
    fn holder(&self, sql: &str) -> Result<Client> {
        let mut client = self.session()?;
        run(&mut client, &format!("BEGIN; {sql}"))?;
        Ok(client)
    }

    /// How many connections of a server the source has.
    fn at_source(&self, server: &str) -> Result<usize> {
        Ok(self.source.value("postgres", &self.count_at_source(server))?.parse()?)
    }

    fn count_at_source(&self, server: &str) -> String {
        format!(
            "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = '{}'",
            application(&self.source_database, server)
        )
    }
}

fn application(database: &str, server: &str) -> String {
    format!("{database} {server}")
}

/// What a session that was started aside came to: its answer, or its error as text.
type Aside = JoinHandle<(Client, std::result::Result<String, postgres::Error>)>;

/// Runs a query in a thread of its own.
fn aside(mut client: Client, sql: &str) -> Aside {
    let sql = sql.to_owned();
    thread::spawn(move || {
        let answer = client.simple_query(&sql).map(|messages| {
            let value = |message: &postgres::SimpleQueryMessage| match message {
                postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            };
            messages.iter().filter_map(value).collect::<Vec<_>>().join("\n")
        });
        (client, answer)
    })
}

/// Waits for a query that was started aside.
fn joined(aside: Aside) -> Result<(Client, std::result::Result<String, postgres::Error>)> {
    aside.join().map_err(|_| anyhow!("a session's thread panicked"))
}

/// Waits for a query that was started aside and has to have this answer; returns its session.
fn answers(aside: Aside, wanted: &str) -> Result<Client> {
    let (client, answer) = joined(aside)?;
    let answer = answer.context("a query that was started aside")?;
    anyhow::ensure!(answer == wanted, "expected {wanted}, found {answer}");
    Ok(client)
}
