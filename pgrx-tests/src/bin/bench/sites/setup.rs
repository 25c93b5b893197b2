//! The merged tables of the warehouse: ours by `merge_schema`, and those of postgres_fdw in every
//! way that could be its best.

use std::time::Duration;

use anyhow::{Context, Result};
use postgres::Client;
use serde_json::{Value, json};

use super::{APP, PEOPLE, SITES, Sites};
use crate::{plan, theirs};

/// The columns of users but for the site.
const USERS: &str = "id, kind, country, name, email, created_at";

/// The columns of events but for the site.
const EVENTS: &str = "id, user_id, kind, created_at, amount, payload";

/// Where a merged table is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// Merged by `merge_schema`.
    Ours,
    /// Merged over foreign tables of postgres_fdw.
    Theirs {
        /// By partitions; else by a view with `UNION ALL`.
        partitions: bool,
        /// `use_remote_estimate`.
        estimate: bool,
    },
    /// At one source, with a site column added.
    Source,
}

impl Merged {
    /// Every way for postgres_fdw.
    pub fn theirs() -> [Merged; 4] {
        let way = |partitions, estimate| Merged::Theirs { partitions, estimate };
        [way(true, false), way(true, true), way(false, false), way(false, true)]
    }

    /// How results call it.
    pub fn name(self) -> String {
        match self {
            Merged::Ours => "replica_fdw".to_owned(),
            Merged::Theirs { partitions, estimate } => format!(
                "postgres_fdw ({}{})",
                if partitions { "partitions" } else { "UNION ALL" },
                if estimate { ", remote estimates" } else { "" }
            ),
            Merged::Source => "the sources themselves, side by side".to_owned(),
        }
    }

    /// A query with the names of the tables here for `@users`, `@events` and `@people`, the users
    /// that are on another server than the events.
    pub fn sql(self, text: &str) -> String {
        let (tables, people) = match self {
            Merged::Ours => ("main".to_owned(), "people.users".to_owned()),
            Merged::Theirs { .. } => (self.schema(), format!("{}.people", self.schema())),
            Merged::Source => ("sited".to_owned(), "sited.users".to_owned()),
        };
        text.replace("@users", &format!("{tables}.users"))
            .replace("@events", &format!("{tables}.events"))
            .replace("@people", &people)
    }

    /// The schema of the merged tables of postgres_fdw.
    fn schema(self) -> String {
        match self {
            Merged::Theirs { partitions, estimate } => format!(
                "theirs_{}{}",
                if partitions { "partitions" } else { "union" },
                if estimate { "_estimate" } else { "" }
            ),
            Merged::Ours | Merged::Source => "main".to_owned(),
        }
    }
}

/// The way in which postgres_fdw does a job fastest.
pub fn fastest(run: impl FnMut(Merged) -> Result<Duration>) -> Result<Merged> {
    Ok(theirs::fastest(&Merged::theirs(), Merged::name, run)?.0)
}

/// Tells the warehouse of the sites, in every way.
pub fn declare(sites: &Sites) -> Result<()> {
    let mut client = sites.connect()?;
    for (source, site) in sites.sources.iter().zip(SITES) {
        source.declare(&mut client, site, "replica_fdw", APP)?;
        source.declare(&mut client, &format!("{site}_people"), "replica_fdw", PEOPLE)?;
        source.declare(&mut client, &format!("theirs_{site}"), "postgres_fdw", APP)?;
        source.declare(&mut client, &format!("theirs_{site}_people"), "postgres_fdw", PEOPLE)?;
    }
    for (schema, suffix) in [("main", ""), ("people", "_people")] {
        let sources =
            SITES.map(|site| (format!("{site}{suffix}"), "app".to_owned(), site.to_owned()));
        merge(&mut client, schema, sources)?;
    }
    // Their imports name the type as it is called at the source.
    client.batch_execute(
        "CREATE SCHEMA app; \
         CREATE TYPE app.user_kind AS ENUM ('student', 'parent', 'teacher')",
    )?;
    for way in Merged::theirs() {
        declare_theirs(&mut client, way)?;
    }
    Ok(())
}

/// Merges twelve small sites in both ways, in the schemas `dozen` and `theirs_dozen`.
pub fn declare_dozen(sites: &Sites) -> Result<()> {
    let mut client = sites.connect()?;
    let small: Vec<(String, u32)> =
        SITES.iter().flat_map(|site| (1..=4).map(|n| ((*site).to_owned(), n))).collect();
    merge(
        &mut client,
        "dozen",
        small.iter().map(|(site, n)| (site.clone(), format!("small{n}"), format!("{site}{n}"))),
    )?;
    client.batch_execute("CREATE SCHEMA theirs_dozen")?;
    for (site, n) in &small {
        let schema = format!("theirs_dozen_{site}{n}");
        import(&mut client, &format!("theirs_{site}"), &format!("sited_small{n}"), &schema, false)?;
    }
    let parts: Vec<String> = small.iter().map(|(site, n)| format!("{site}{n}")).collect();
    for table in ["users", "events"] {
        partition(&mut client, "theirs_dozen", table, table, &parts)?;
    }
    Ok(())
}

fn merge(
    client: &mut Client,
    schema: &str,
    sources: impl IntoIterator<Item = (String, String, String)>,
) -> Result<()> {
    let sources: Vec<Value> = sources
        .into_iter()
        .map(|(server, schema, site)| json!({"server": server, "schema": schema, "site": site}))
        .collect();
    let sources = Value::from(sources);
    let sql = format!("SELECT * FROM warehouse.merge_schema('{schema}', '{sources}')");
    client.batch_execute(&sql).with_context(|| format!("schema {schema}"))
}

fn declare_theirs(client: &mut Client, way: Merged) -> Result<()> {
    let Merged::Theirs { partitions, estimate } = way else { return Ok(()) };
    let schema = way.schema();
    client.batch_execute(&format!("CREATE SCHEMA {schema}"))?;
    // A view adds the site itself; a partition needs it at the source.
    let there = if partitions { "sited" } else { "app" };
    for site in SITES {
        import(client, &format!("theirs_{site}"), there, &format!("{schema}_{site}"), estimate)?;
        let people = format!("{schema}_{site}_people");
        import(client, &format!("theirs_{site}_people"), there, &people, estimate)?;
    }
    let plain = SITES.map(str::to_owned);
    for (name, table, suffix, columns) in [
        ("users", "users", "", USERS),
        ("events", "events", "", EVENTS),
        ("people", "users", "_people", USERS),
    ] {
        if partitions {
            let parts = plain.clone().map(|site| site + suffix);
            partition(client, &schema, name, table, &parts)?;
        } else {
            let selects = SITES.map(|site| {
                format!(
                    "SELECT '{site}'::text AS site, {columns} FROM {schema}_{site}{suffix}.{table}"
                )
            });
            client.batch_execute(&format!(
                "CREATE VIEW {schema}.{name} AS {}",
                selects.join(" UNION ALL ")
            ))?;
        }
    }
    Ok(())
}

/// Imports and analyzes the tables of a source's schema for postgres_fdw.
fn import(client: &mut Client, server: &str, from: &str, into: &str, estimate: bool) -> Result<()> {
    client.batch_execute(&format!(
        "CREATE SCHEMA {into}; IMPORT FOREIGN SCHEMA {from} FROM SERVER {server} INTO {into}"
    ))?;
    let tables = plan::rows(
        client,
        &format!("SELECT oid::regclass FROM pg_class WHERE relnamespace = '{into}'::regnamespace"),
    )?;
    for table in tables {
        client.batch_execute(&format!(
            "ALTER FOREIGN TABLE {table} OPTIONS (ADD fetch_size '10000', \
               ADD use_remote_estimate '{estimate}', ADD async_capable 'true'); \
             ANALYZE {table}"
        ))?;
    }
    Ok(())
}

/// Makes a partitioned table of the foreign tables `table` in the schemas `schema_PART`. The value of
/// a partition is PART, less what follows an underscore.
fn partition(
    client: &mut Client,
    schema: &str,
    name: &str,
    table: &str,
    parts: &[String],
) -> Result<()> {
    let first = parts.first().context("invariant: there are sites")?;
    client.batch_execute(&format!(
        "CREATE TABLE {schema}.{name} (LIKE {schema}_{first}.{table}) PARTITION BY LIST (site)"
    ))?;
    for part in parts {
        let site = part.split('_').next().unwrap_or(part);
        client.batch_execute(&format!(
            "ALTER TABLE {schema}.{name} ATTACH PARTITION {schema}_{part}.{table} \
               FOR VALUES IN ('{site}')"
        ))?;
    }
    client.batch_execute(&format!("ANALYZE {schema}.{name}"))?;
    Ok(())
}
