//! What the tests of this module read: four sites on three servers, made once and never changed.
//!
//! Two sites are on the first server, in schemas of one database. Ids tell where a row is from.

use anyhow::Result;
use warehouse_tests::Cluster;
use warehouse_tests::cluster::unique_name;

use crate::ask::{declare, run};
use crate::support::{Pair, Shared};

/// The servers of a scene; each is a database of the shared source cluster.
pub const SERVERS: [&str; 3] = ["s1", "s2", "s3"];

/// The sites: name, server, and the id before its first.
const SITES: [(&str, &str, u32); 4] =
    [("a", "s1", 10_000), ("b", "s1", 20_000), ("c", "s2", 30_000), ("d", "s3", 40_000)];

/// The row of site c whose `d` is 0.
const ZERO: u32 = 30_700;

/// The clusters, the sources, and the warehouse database that tests copy.
pub struct Ground {
    /// Holds the sources.
    pub source_cluster: &'static Cluster,
    /// Holds the warehouses.
    pub warehouse_cluster: &'static Cluster,
    databases: Vec<String>,
    template: String,
}

impl Ground {
    /// The one ground.
    pub fn get() -> Result<&'static Ground> {
        static GROUND: Shared<Ground> = Shared::new();
        GROUND.get(make)
    }

    /// The source database of a server.
    pub fn database(&self, server: &str) -> String {
        let at = SERVERS.iter().position(|name| *name == server).unwrap_or(0);
        self.databases[at].clone()
    }

    /// A new warehouse database with the sites merged into `main`, and `plain`, the same rows in
    /// ordinary tables.
    pub fn warehouse(&self, test: &str) -> Result<String> {
        let name = unique_name(&format!("async_{test}"));
        self.warehouse_cluster
            .execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", self.template))?;
        Ok(name)
    }

    /// The call that merges the sites, and site `z` on another server if there is one, without its
    /// last parenthesis.
    pub fn merge(another: Option<&str>) -> String {
        let mut list: Vec<String> = SITES
            .iter()
            .map(|(site, server, _)| {
                format!(r#"{{"server": "{server}", "schema": "{site}", "site": "{site}"}}"#)
            })
            .collect();
        list.extend(
            another
                .map(|server| format!(r#"{{"server": "{server}", "schema": "z", "site": "z"}}"#)),
        );
        format!("SELECT FROM warehouse.merge_schema('main', '[{}]'", list.join(", "))
    }
}

/// The tables and views of a site, in a schema of its name; ids begin behind `base`.
///
/// `held` waits for a lock that is the test's own, `trickle` sends a large row now and then for 20
/// seconds, `drip` the same for a moment, `flood` never ends, `broken` fails at site c.
pub fn site(name: &str, base: u32) -> String {
    format!(
        "CREATE SCHEMA {name}; SET search_path = {name}; \
         CREATE TABLE t AS SELECT {base} + g AS id, g % 10 AS v, 't' || g AS txt, \
           ({base} + g <> {ZERO})::int AS d FROM generate_series(1, 1000) g; \
         CREATE TABLE u AS SELECT {base} + g AS id, {base} + g * 7 % 1000 + 1 AS t_id \
           FROM generate_series(1, 200) g; \
         CREATE TABLE wide AS SELECT {base} + g AS id, repeat('x', 3000) AS pad \
           FROM generate_series(1, 1000) g; \
         CREATE VIEW held AS SELECT t.* FROM \
           (SELECT pg_advisory_lock_shared(k), pg_advisory_unlock_shared(k) \
            FROM hashtext(current_setting('application_name')) k OFFSET 0) gate, t; \
         CREATE VIEW trickle AS SELECT {base} + g AS id, repeat('x', 20000) AS pad \
           FROM generate_series(1, 2000) g, LATERAL pg_sleep(0.01 + g * 0); \
         CREATE VIEW drip AS SELECT {base} + g AS id, repeat('x', 9000) AS pad \
           FROM generate_series(1, 20) g, LATERAL pg_sleep(0.004 + g * 0); \
         CREATE VIEW late AS SELECT t.* FROM pg_sleep(0.3), t; \
         CREATE VIEW flood AS SELECT g AS id, repeat('x', 500) AS pad \
           FROM (SELECT generate_series(1, 500000000) AS g) x; \
         CREATE VIEW broken AS SELECT id, 1 / d AS q, repeat('x', 9000) AS pad FROM t; \
         ANALYZE t, u, wide"
    )
}

fn make() -> Result<Ground> {
    let pair = Pair::new("async_ground")?;
    let (source_cluster, warehouse_cluster) = (pair.source_cluster, pair.warehouse_cluster);
    let mut client = pair.warehouse()?;
    let mut databases = Vec::new();
    for server in SERVERS {
        let database = source_cluster.create_database("async")?;
        for (name, _, base) in SITES.iter().filter(|(_, at, _)| *at == server) {
            source_cluster.execute(&database, &site(name, *base))?;
        }
        declare(&mut client, server, source_cluster.port(), &database, "")?;
        databases.push(database);
    }
    run(&mut client, &format!("{})", Ground::merge(None)))?;
    run(
        &mut client,
        "CREATE SCHEMA plain; \
         CREATE TABLE plain.t AS SELECT site, base + g AS id, g % 10 AS v, 't' || g AS txt, \
           (base + g <> 30700)::int AS d FROM (VALUES ('a', 10000), ('b', 20000), ('c', 30000), \
           ('d', 40000)) s (site, base), generate_series(1, 1000) g; \
         CREATE TABLE plain.u AS SELECT site, base + g AS id, base + g * 7 % 1000 + 1 AS t_id \
           FROM (VALUES ('a', 10000), ('b', 20000), ('c', 30000), ('d', 40000)) s (site, base), \
           generate_series(1, 200) g; ANALYZE plain.t, plain.u",
    )?;
    Ok(Ground { source_cluster, warehouse_cluster, databases, template: pair.warehouse_database })
}
