//! Merged sites: `warehouse.merge_schema()`, what a second run finds, and which sites a query asks.
//!
//! `aggregates` is about what sites compute for themselves, `alike` about sites whose tables are and are
//! not alike, `columns` about the union of columns and types, `drift` about running it again, `pruning`
//! about the sites that are left alone, `levels` about groupings with DISTINCT aggregates, `names` about
//! hostile ones, `status` about `replica_status()`, and `arguments` about what is refused.

mod aggregates;
mod alike;
mod arguments;
mod columns;
mod drift;
mod levels;
mod names;
mod pruning;
mod status;

use anyhow::Result;
use postgres::Client;
use warehouse_tests::faults::{Mode, Proxy};

use crate::ask::{declare, rows, run};
use crate::support::Pair;

/// One site: a database of its own, reached through a proxy and a server, both named like the site.
struct Site {
    name: String,
    database: String,
    proxy: Proxy,
}

/// Several sites and a session at the warehouse.
struct Sites {
    pair: Pair,
    all: Vec<Site>,
    client: Client,
}

impl Sites {
    /// Creates the sites, each with what its script sets up in its database. Tables are expected in
    /// the schema `app`, which exists.
    fn new(test: &str, scripts: &[(&str, &str)]) -> Result<Sites> {
        let pair = Pair::new(test)?;
        let mut client = pair.warehouse()?;
        let mut all = Vec::new();
        for (name, script) in scripts {
            let database = pair.source_cluster.create_database(test)?;
            pair.source_cluster.execute(&database, &format!("CREATE SCHEMA app; {script}"))?;
            let proxy = Proxy::to_cluster(pair.source_cluster)?;
            declare(&mut client, name, proxy.port(), &database, ", connect_timeout '2'")?;
            all.push(Site { name: (*name).to_owned(), database, proxy });
        }
        Ok(Sites { pair, all, client })
    }

    fn site(&self, name: &str) -> Result<&Site> {
        let found = self.all.iter().find(|site| site.name == name);
        found.ok_or_else(|| anyhow::anyhow!("no site {name}"))
    }

    /// Runs statements in a site's database.
    fn at(&self, site: &str, sql: &str) -> Result<()> {
        self.pair.source_cluster.execute(&self.site(site)?.database, sql)
    }

    /// The call that merges these sites (server, site) into `main`.
    fn call(sites: &[(&str, &str)]) -> String {
        let list: Vec<String> = sites
            .iter()
            .map(|(server, site)| {
                format!(r#"{{"server": "{server}", "schema": "app", "site": "{site}"}}"#)
            })
            .collect();
        format!("warehouse.merge_schema('main', '[{}]')", list.join(", "))
    }

    /// Merges all sites and returns the report, a line a change:
    /// relation, site, column, change, detail.
    fn merge(&mut self) -> Result<String> {
        let names: Vec<(&str, &str)> =
            self.all.iter().map(|site| (site.name.as_str(), site.name.as_str())).collect();
        let call = Sites::call(&names);
        rows(&mut self.client, &format!("SELECT * FROM {call}"))
    }

    /// Makes a site unreachable, also for connections that are open.
    fn kill(&self, site: &str) -> Result<()> {
        let proxy = &self.site(site)?.proxy;
        proxy.set(Mode::Refuse)?;
        proxy.drop_connections()
    }

    /// Makes it reachable again.
    fn revive(&self, site: &str) -> Result<()> {
        self.site(site)?.proxy.set(Mode::Pass)
    }

    /// A new session, which has no connections yet.
    fn reconnect(&mut self) -> Result<()> {
        self.client = self.pair.warehouse()?;
        Ok(())
    }
}

/// Fails unless `report` has exactly these lines, in any order.
fn reports(report: &str, lines: &[&str]) -> Result<()> {
    let mut found: Vec<&str> = report.lines().collect();
    let mut expected = lines.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    anyhow::ensure!(found == expected, "expected:\n{}\nfound:\n{report}", lines.join("\n"));
    Ok(())
}

/// Creates what several tests merge: two sites that agree.
fn two(test: &str) -> Result<Sites> {
    const SCRIPT: &str = "CREATE TABLE app.users (id int PRIMARY KEY, name text NOT NULL, at timestamptz); \
        INSERT INTO app.users SELECT g, 'u' || g, '2024-01-01 00:00+00' FROM generate_series(1, 3) g; \
        CREATE TABLE app.logins (id int, user_id int); INSERT INTO app.logins VALUES (1, 1), (2, 1), (3, 2)";
    let mut sites = Sites::new(test, &[("ai", SCRIPT), ("cd", SCRIPT)])?;
    run(&mut sites.client, "SET TimeZone = 'UTC'")?;
    sites.merge()?;
    Ok(sites)
}
