//! Refreshes that run by themselves. Each test has a warehouse cluster of its own, because a scheduler and
//! workers belong to a cluster and are killed with it.
//!
//! `scheduled` is about schedules, requests and orders; `failing` about failures, retries, limits and what
//! people are told; `endings` about workers, schedulers and servers that end; `standby` about standbys and
//! promotion; `idle` about what many jobs cost.

mod endings;
mod failing;
mod idle;
mod scheduled;
mod standby;

use std::time::Duration;

use anyhow::Result;
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::timing::eventually;

use crate::ask::{declare, rows, run};
use crate::support::Pair;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A source with a table `people` of 100 rows, and a warehouse of its own with the schema `mart`.
struct Ground {
    /// Keeps the source.
    _pair: Pair,
    source: Client,
    warehouse: Cluster,
    client: Client,
}

impl Ground {
    fn new(test: &str) -> Result<Ground> {
        Ground::with(test, &[])
    }

    fn with(test: &str, settings: &[(&str, &str)]) -> Result<Ground> {
        let pair = Pair::new(test)?;
        let mut source = pair.source()?;
        run(
            &mut source,
            "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL); \
             INSERT INTO people SELECT i, 'name ' || i FROM generate_series(1, 100) i; \
             CREATE VIEW slow AS SELECT id, name, pg_sleep(0.2)::text AS s FROM people",
        )?;
        let mut builder =
            Cluster::builder(test).preload("warehouse").setting("wal_level", "replica");
        for (name, value) in settings {
            builder = builder.setting(name, value);
        }
        let warehouse = builder.start()?;
        warehouse.execute("postgres", "CREATE DATABASE mart")?;
        let mut client = warehouse.connect("mart")?;
        run(
            &mut client,
            "CREATE EXTENSION warehouse; CREATE SCHEMA app; CREATE SCHEMA mart; SET client_min_messages = warning",
        )?;
        declare(&mut client, "src", pair.source_cluster.port(), &pair.source_database, "")?;
        run(&mut client, "IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")?;
        Ok(Ground { _pair: pair, source, warehouse, client })
    }

    /// Materializes a table of `app` with these further arguments.
    fn materialize(&mut self, name: &str, query: &str, arguments: &str) -> Result<()> {
        run(
            &mut self.client,
            &format!("SELECT warehouse.materialize('mart.{name}', $q${query}$q$, {arguments})"),
        )
    }

    fn rows(&mut self, sql: &str) -> Result<String> {
        rows(&mut self.client, sql)
    }

    /// Waits until a query has this answer.
    fn becomes(&mut self, sql: &str, answer: &str) -> Result<()> {
        let mut found = String::new();
        let client = &mut self.client;
        let outcome = eventually(PATIENCE, sql, || {
            found = rows(client, sql)?;
            Ok(found == answer)
        });
        outcome.map_err(|error| error.context(format!("expected {answer}, found {found}")))
    }

    /// Connects anew, after the server has ended: the session that was there has to have ended with it.
    fn reconnect(&mut self) -> Result<()> {
        let former = &mut self.client;
        eventually(PATIENCE, "the former session ends", || {
            Ok(former.simple_query("SELECT 1").is_err())
        })?;
        let warehouse = &self.warehouse;
        let mut client = None;
        eventually(PATIENCE, "the warehouse answers", || {
            client = warehouse.connect("mart").ok().filter(|client| !client.is_closed());
            if let Some(answering) = client.as_mut()
                && answering.simple_query("SELECT 1").is_err()
            {
                client = None;
            }
            Ok(client.is_some())
        })?;
        if let Some(client) = client {
            self.client = client;
        }
        run(&mut self.client, "SET client_min_messages = warning")
    }
}
