//! The tables of the four sites copied into ordinary ones, and with them what Braintree has to say of
//! their payments: what a query over the merged tables has to answer.

use anyhow::{Context, Result};
use warehouse_tests::Cluster;
use warehouse_tests::sites::{ANALYTICS_PASSWORD, SITES, Sites, demo_file};

/// A database with plain tables `main.users`, `main.payments`, `activity.logins` and
/// `braintree.transactions`, with the columns the demo's question needs.
pub struct PlainCopy {
    /// Its name.
    pub database: String,
}

impl PlainCopy {
    /// Copies from the standbys of `sites` into a new database of `to`.
    pub fn of(sites: &Sites, to: &Cluster) -> Result<PlainCopy> {
        let database = to.create_database("plain")?;
        to.execute(
            &database,
            "CREATE SCHEMA main; CREATE SCHEMA activity; \
             CREATE TABLE main.users (site text, id bigint, kind text, created_at timestamptz); \
             CREATE TABLE main.payments (site text, user_id bigint, purpose text, status text, \
               braintree_id text, created_at timestamptz); \
             CREATE TABLE activity.logins (site text, user_id bigint)",
        )?;
        for site in &SITES {
            let standby = &sites.production(site)?.standby;
            for (source, table, columns) in [
                (site.main_database, "main.users", "id, kind, created_at"),
                (
                    site.main_database,
                    "main.payments",
                    "user_id, purpose, status, braintree_id, created_at",
                ),
                (site.writemostly_database, "activity.logins", "user_id"),
            ] {
                let (_, name) = table.split_once('.').context("a qualified name")?;
                let mut from = standby.connect_as("analytics", ANALYTICS_PASSWORD, source)?;
                let mut rows = from.copy_out(&format!(
                    "COPY (SELECT '{}', {columns} FROM {}.{name}) TO STDOUT",
                    site.name, site.schema
                ))?;
                let mut client = to.connect(&database)?;
                let mut sink = client.copy_in(&format!("COPY {table} FROM STDIN"))?;
                std::io::copy(&mut rows, &mut sink)?;
                sink.finish()?;
            }
        }
        // Said by the sites' own books, which the emulated Braintree does not see.
        to.execute(
            &database,
            "CREATE SCHEMA braintree; CREATE TABLE braintree.transactions AS \
             SELECT braintree_id AS id, CASE WHEN status IN ('incomplete', 'failed') THEN 'failed' \
               ELSE 'settled' END AS status, created_at FROM main.payments",
        )?;
        Ok(PlainCopy { database })
    }

    /// The answer to the demo's question for so many weeks, unaligned and without headings.
    pub fn answer(&self, sites: &Sites, weeks: u32) -> Result<String> {
        sites
            .warehouse_psql(&self.database)
            .arg("--no-align")
            .arg("--tuples-only")
            .var("weeks", &weeks.to_string())
            .file(&demo_file("warehouse/03-question.sql"))?
            .ok()
    }
}
