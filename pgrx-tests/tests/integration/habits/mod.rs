//! What drivers and BI tools do all day, as a reader without rights: bound parameters, sync queries,
//! many sessions, read-only transactions, results read in pieces.
//!
//! The sources write down every statement, so tests see what they were asked. `driver` is about bound
//! parameters, `bins` about groups of numbers and days, `arms` about UNION ALL of many, `sessions` about
//! a pool of them, `sync` about what a tool asks of the catalogs, `pieces` about cursors and portals.

mod arms;
mod bins;
mod driver;
mod pieces;
mod sessions;
mod sync;

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::PathBuf;

use anyhow::{Context, Result};
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::cluster::unique_name;
use warehouse_tests::faults::{Mode, Proxy};

use crate::ask::{declare, run};
use crate::support::{Pair, READER, READER_PASSWORD, Shared};

/// The sites and how many orders each has.
const SITES: [(&str, u32); 3] = [("a", 2000), ("b", 1000), ("c", 200)];

/// The password of a scene's tool.
const TOOL_PASSWORD: &str = "tool password";

/// The cluster of the sources and the databases of the sites, made once and never changed.
struct Source {
    cluster: Cluster,
    databases: Vec<String>,
}

/// One site: the name under which its source knows a scene's connections, and the proxy through which
/// they are made.
struct Site {
    name: &'static str,
    application: String,
    proxy: Proxy,
}

/// Three sites, merged into `main` and copied into `plain`, and a role that may read `main`.
struct Ground {
    pair: Pair,
    source: &'static Cluster,
    sites: Vec<Site>,
    role: String,
}

/// The ground, and the superuser's session.
struct Scene {
    ground: Ground,
    admin: Client,
}

impl Deref for Scene {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

fn start_source() -> Result<Source> {
    let cluster = Cluster::builder("habits")
        .setting("log_statement", "all")
        .setting("log_line_prefix", "%a|")
        .start()?;
    cluster.create_role(READER, READER_PASSWORD)?;
    cluster.execute("postgres", &format!("GRANT pg_read_all_data TO {READER}"))?;
    let mut databases = Vec::new();
    for (name, orders) in SITES {
        let database = cluster.create_database("site")?;
        cluster.execute(&database, &site_tables(name, orders))?;
        databases.push(database);
    }
    cluster.execute(&databases[0], &arms::wide_table())?;
    Ok(Source { cluster, databases })
}

/// The tables of a site with so many orders.
fn site_tables(site: &str, orders: u32) -> String {
    format!(
        "CREATE TYPE kind AS ENUM ('open', 'paid', 'sent'); \
         CREATE TABLE users (id int PRIMARY KEY, email text, active bool); \
         COMMENT ON TABLE users IS 'people'; COMMENT ON COLUMN users.email IS 'where to write'; \
         CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, kind kind, name text, \
           amount numeric(12,2), score float8, at timestamptz, note jsonb); \
         INSERT INTO users SELECT g, '{site}' || g || '@example.org', g % 3 > 0 \
           FROM generate_series(1, 40) g; \
         INSERT INTO orders SELECT g, 1 + g % 40, (enum_range(NULL::kind))[1 + g % 3], \
           'Order ' || g || ' of {site}', (g * 7 % 1000) / 4.0, g % 100 / 4.0, \
           '2024-01-01 00:30+00'::timestamptz + g * interval '5 hours', \
           jsonb_build_object('n', g % 10, 'by', 'u' || g % 5) FROM generate_series(1, {orders}) g; \
         CREATE INDEX ON orders (at); ANALYZE"
    )
}

impl Scene {
    fn new(test: &str) -> Result<Scene> {
        Scene::with(test, "")
    }

    /// `more` options of the servers begin with a comma.
    fn with(test: &str, more: &str) -> Result<Scene> {
        static SOURCE: Shared<Source> = Shared::new();
        let Source { cluster: source, databases } = SOURCE.get(start_source)?;
        let pair = Pair::new(test)?;
        let mut admin = pair.warehouse()?;
        let mut sites = Vec::new();
        let mut parts = Vec::new();
        for ((name, _), database) in SITES.into_iter().zip(databases) {
            let application = unique_name(test);
            let proxy = Proxy::to_cluster(source)?;
            let server = format!("server_{name}");
            let more = format!(", connect_timeout '2', application_name '{application}'{more}");
            declare(&mut admin, &server, proxy.port(), database, &more)?;
            parts
                .push(format!(r#"{{"server": "{server}", "schema": "public", "site": "{name}"}}"#));
            sites.push(Site { name, application, proxy });
        }
        let role = unique_name("tool");
        run(
            &mut admin,
            &format!(
                "SELECT FROM warehouse.merge_schema('main', '[{}]', tables => '{{users,orders}}'); \
                 CREATE SCHEMA plain; CREATE TABLE plain.orders AS TABLE main.orders; \
                 CREATE TABLE plain.users AS TABLE main.users; ANALYZE plain.orders, plain.users; \
                 CREATE ROLE {role} LOGIN PASSWORD '{TOOL_PASSWORD}'; \
                 GRANT USAGE ON SCHEMA main, plain TO {role}; \
                 GRANT SELECT ON ALL TABLES IN SCHEMA main, plain TO {role}; \
                 SELECT warehouse.disconnect()",
                parts.join(", ")
            ),
        )?;
        Ok(Scene { ground: Ground { pair, source, sites, role }, admin })
    }
}

impl Ground {
    /// A session of the tool, as it begins at every checkout.
    fn tool(&self) -> Result<Client> {
        let cluster = self.pair.warehouse_cluster;
        let database = &self.pair.warehouse_database;
        let mut client = cluster.connect_as(&self.role, TOOL_PASSWORD, database)?;
        run(
            &mut client,
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; \
             SET SESSION TIMEZONE TO 'America/New_York'; SET statement_timeout = '20s'",
        )?;
        Ok(client)
    }

    fn site(&self, name: &str) -> Result<&Site> {
        self.sites.iter().find(|site| site.name == name).context("no such site")
    }

    /// Makes all sources unreachable, also over connections that are open.
    fn kill(&self) -> Result<()> {
        for site in &self.sites {
            site.proxy.set(Mode::Refuse)?;
            site.proxy.drop_connections()?;
        }
        Ok(())
    }

    /// How much the sources have written down; for [`Ground::asked`].
    fn now(&self) -> Result<u64> {
        Ok(fs::metadata(self.log())?.len())
    }

    fn log(&self) -> PathBuf {
        self.source.data_dir().with_file_name("log")
    }

    /// What a site was asked since then, a line a message.
    fn asked(&self, site: &str, since: u64) -> Result<Vec<String>> {
        let prefix = format!("{}|", self.site(site)?.application);
        let mut file = fs::File::open(self.log())?;
        file.seek(SeekFrom::Start(since))?;
        let mut log = Vec::new();
        file.read_to_end(&mut log)?;
        let log = String::from_utf8_lossy(&log);
        let mut out: Vec<String> = Vec::new();
        let mut ours = false;
        for line in log.lines() {
            if let Some(more) = line.strip_prefix('\t') {
                if let Some(last) = out.last_mut().filter(|_| ours) {
                    last.push('\n');
                    last.push_str(more);
                }
                continue;
            }
            ours = line.starts_with(&prefix);
            // What a new connection sets is not of interest.
            if ours && line.contains("statement: ") && !line.contains("SET search_path") {
                out.push(line.to_owned());
            }
        }
        Ok(out)
    }

    /// The same of all sites, in one text.
    fn asked_anywhere(&self, since: u64) -> Result<String> {
        let mut all = Vec::new();
        for site in &self.sites {
            all.extend(self.asked(site.name, since)?);
        }
        Ok(all.join("\n"))
    }
}
