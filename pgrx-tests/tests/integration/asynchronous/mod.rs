//! Reading all sites at once: an Append over the sites of a merged table, which asks each of them and
//! takes what comes first.
//!
//! `together` proves that they run at the same time, `slow` and `random` that no row is lost or comes
//! twice, `sharing` is about sites on one server and statements that share connections, `rescans`
//! about an Append that starts again, `limits` about one that is left early. `dead`, `failing`,
//! `conflict`, `cancelled` and `savepoints` are about ends in mid-stream: nothing stays running at any
//! source. `figures` is about EXPLAIN ANALYZE, `prepared` about plans that are kept.

mod cancelled;
mod conflict;
mod dead;
mod failing;
mod figures;
mod ground;
mod limits;
mod prepared;
mod random;
mod rescans;
mod savepoints;
mod sharing;
mod slow;
mod together;

use std::time::Duration;

use anyhow::{Context, Result};
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::faults::{Mode, Proxy};
use warehouse_tests::timing::eventually;

use crate::ask::{declare, expect, run};
use ground::{Ground, SERVERS};

/// How long a source may go on after the statement that asked it has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// A test's own warehouse database with the sites merged into `main`, and a session there.
struct Scene {
    sources: Sources,
    client: Client,
}

/// The sources of a scene, as this test reaches them.
struct Sources {
    ground: &'static Ground,
    /// What the sources call this test's sessions.
    name: String,
    /// The warehouse database.
    database: String,
    /// One before each of [`SERVERS`].
    proxies: Vec<Proxy>,
}

impl Scene {
    /// A new warehouse database whose name begins with `test`. A statement that hangs ends after ten
    /// seconds.
    fn new(test: &str) -> Result<Scene> {
        let ground = Ground::get()?;
        let database = ground.warehouse(test)?;
        let name = database.clone();
        let mut client = ground.warehouse_cluster.connect(&database)?;
        let mut proxies = Vec::new();
        for server in SERVERS {
            let proxy = Proxy::to_cluster(ground.source_cluster)?;
            run(
                &mut client,
                &format!(
                    "ALTER SERVER {server} OPTIONS \
                       (SET port '{}', ADD application_name '{name}', ADD connect_timeout '2')",
                    proxy.port()
                ),
            )?;
            proxies.push(proxy);
        }
        let sources = Sources { ground, name, database, proxies };
        Ok(Scene { client: sources.session()?, sources })
    }

    /// The session gives the right rows of all sites, and no site is left running.
    fn works(&mut self) -> Result<()> {
        self.sources.nothing_runs()?;
        expect(&mut self.client, EVERYTHING, EVERYTHING_IS).context("the next query")
    }
}

/// All rows of all sites, which have to travel.
const EVERYTHING: &str = "SELECT site, count(*), count(DISTINCT id), sum(id) \
    FROM (SELECT site, id FROM main.t WHERE random() < 2 OFFSET 0) t GROUP BY site ORDER BY site";

/// The answer.
const EVERYTHING_IS: &str =
    "a|1000|1000|10500500\nb|1000|1000|20500500\nc|1000|1000|30500500\nd|1000|1000|40500500";

impl Sources {
    /// Another session at the warehouse.
    fn session(&self) -> Result<Client> {
        let mut client = self.ground.warehouse_cluster.connect(&self.database)?;
        run(&mut client, "SET statement_timeout = '10s'")?;
        Ok(client)
    }

    /// What stands before a server.
    fn proxy(&self, server: &str) -> Result<&Proxy> {
        let at = SERVERS.iter().position(|name| *name == server).context("no such server")?;
        Ok(&self.proxies[at])
    }

    /// The databases in which this test has something in a state, each once.
    fn where_is(&self, condition: &str) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT coalesce(string_agg(DISTINCT datname, ',' ORDER BY datname), '') \
             FROM pg_stat_activity WHERE application_name = '{}' AND {condition}",
            self.name
        );
        let found = self.ground.source_cluster.value("postgres", &sql)?;
        Ok(found.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Waits until this test has a query running at each of these servers at the same moment.
    fn all_run(&self, servers: &[&str]) -> Result<()> {
        self.all_are(servers, "state = 'active'")
    }

    /// Waits until this test has a query at each of these servers that waits for its lock.
    fn all_are_held(&self, servers: &[&str]) -> Result<()> {
        self.all_are(servers, "state = 'active' AND wait_event = 'advisory'")
    }

    fn all_are(&self, servers: &[&str], condition: &str) -> Result<()> {
        let wanted: Vec<String> =
            servers.iter().map(|server| self.ground.database(server)).collect();
        let mut found = Vec::new();
        eventually(Duration::from_secs(3), &format!("a query runs at {servers:?}"), || {
            found = self.where_is(condition)?;
            Ok(wanted.iter().all(|database| found.contains(database)))
        })
        .with_context(|| format!("at the same moment there were queries at {found:?}"))
    }

    /// Fails if, some seconds from now, this test still has something running anywhere.
    fn nothing_runs(&self) -> Result<()> {
        self.nothing_runs_but_at("")
    }

    /// The same, with one server that cannot be told to stop.
    fn nothing_runs_but_at(&self, server: &str) -> Result<()> {
        let but = if server.is_empty() { String::new() } else { self.ground.database(server) };
        let mut found = Vec::new();
        eventually(PATIENCE, "nothing runs at any source", || {
            found = self.where_is(&format!("state = 'active' AND datname <> '{but}'"))?;
            Ok(found.is_empty())
        })
        .with_context(|| format!("left running at {found:?}"))
    }

    /// Ends this test's sessions at a server.
    fn terminate(&self, server: &str) -> Result<()> {
        self.ground.source_cluster.execute(
            "postgres",
            &format!(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                 WHERE application_name = '{}' AND datname = '{}'",
                self.name,
                self.ground.database(server)
            ),
        )
    }

    /// Breaks this test's connections to a server; with `refuse` there will be no others.
    fn kill(&self, server: &str, refuse: bool) -> Result<()> {
        let proxy = self.proxy(server)?;
        if refuse {
            proxy.set(Mode::Refuse)?;
        }
        proxy.drop_connections()
    }

    /// Makes the rows of `held` wait at a server, until the session that is returned ends.
    fn hold(&self, server: &str) -> Result<Client> {
        let mut client = self.ground.source_cluster.connect(&self.ground.database(server))?;
        run(
            &mut client,
            &format!(
                "SET lock_timeout = '10s'; SELECT pg_advisory_lock(hashtext('{}'))",
                self.name
            ),
        )?;
        Ok(client)
    }

    /// Makes the rows of `held` wait everywhere.
    fn hold_all(&self) -> Result<Vec<Client>> {
        SERVERS.iter().map(|server| self.hold(server)).collect()
    }
}

/// Adds a site `z` at a cluster of the test's own to the merged tables `t` and others of its
/// database `postgres`, whose schema is `z`.
fn add_site(client: &mut Client, server: &str, cluster: &Cluster, tables: &str) -> Result<()> {
    declare(client, server, cluster.port(), "postgres", ", connect_timeout '2'")?;
    run(client, &format!("{}, tables => '{tables}')", Ground::merge(Some(server))))
}
