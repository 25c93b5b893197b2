//! Materialized tables, refreshed by hand; `model` by everything at once, compared with their queries.
//!
//! `strategies` is about finding and applying changes, `exchange` about what readers see of a full
//! refresh, `sites` about merged sources and dead ones, `definition` about what a definition makes and
//! how it changes, `verified` about data tests and gates, `groups` about aggregates that follow changes,
//! `batches` about microbatches, `shown` about what people look at, `found` about what `model` has found,
//! `promoted` about sources whose standby becomes the primary.

mod batches;
mod definition;
mod exchange;
mod found;
mod groups;
mod model;
mod promoted;
mod shown;
mod sites;
mod strategies;
mod verified;

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{rows, run};
use crate::support::Pair;

/// A source with a table `people` of 1000 rows, imported into `app`; a schema `mart`.
struct Ground {
    pair: Pair,
    source: Client,
    client: Client,
}

impl Ground {
    fn new(test: &str) -> Result<Ground> {
        let pair = Pair::new(test)?;
        let mut source = pair.source()?;
        run(
            &mut source,
            "CREATE TABLE people (id bigint PRIMARY KEY, name text, plan text NOT NULL, amount numeric(12,2), \
               changed timestamptz NOT NULL DEFAULT clock_timestamp()); \
             COMMENT ON COLUMN people.plan IS 'What they pay for'; \
             INSERT INTO people (id, name, plan, amount) \
               SELECT i, 'name ' || i, CASE WHEN i % 3 = 0 THEN 'paid' ELSE 'free' END, i * 1.25 \
               FROM generate_series(1, 1000) i; \
             ANALYZE people",
        )?;
        let mut client = pair.warehouse()?;
        run(
            &mut client,
            "CREATE SCHEMA app; CREATE SCHEMA mart; \
             IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
             SET statement_timeout = '60s'; SET client_min_messages = warning",
        )?;
        Ok(Ground { pair, source, client })
    }

    /// Materializes `mart.people` with these further arguments.
    fn people(&mut self, arguments: &str) -> Result<()> {
        run(
            &mut self.client,
            &format!(
                "SELECT warehouse.materialize('mart.people', 'SELECT * FROM app.people', {arguments})"
            ),
        )
    }

    /// Refreshes a table; status, strategy, capture, fetched, inserted, updated, deleted.
    fn refresh(&mut self, call: &str) -> Result<String> {
        rows(
            &mut self.client,
            &format!(
                "SELECT status, strategy, capture, fetched, inserted, updated, deleted FROM warehouse.refresh({call})"
            ),
        )
    }

    /// Fails unless a table holds exactly what a query gives.
    fn agrees(&mut self, table: &str, query: &str) -> Result<()> {
        let difference = rows(
            &mut self.client,
            &format!(
                "SELECT count(*) FROM ((TABLE {table} EXCEPT ALL ({query})) UNION ALL (({query}) EXCEPT ALL TABLE {table})) d"
            ),
        )?;
        ensure!(difference == "0", "{difference} rows of {table} differ from {query}");
        Ok(())
    }

    fn at_source(&mut self, sql: &str) -> Result<()> {
        run(&mut self.source, sql)
    }
}
