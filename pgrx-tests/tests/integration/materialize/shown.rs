//! What people look at: freshness, runs, lineage, the data dictionary; and what survives a dump.

use anyhow::{Result, ensure};

use super::Ground;
use crate::ask::{expect, rows, run};
use crate::import::dump::pg_dump;

#[test]
fn freshness_and_runs_tell_what_happened() -> Result<()> {
    let mut ground = Ground::new("freshness")?;
    ground.people(
        "unique_key => '{id}', capture => 'xmin', warn_after => '1 hour', error_after => '1 day'",
    )?;
    let fresh = "SELECT relation_schema, relation_name, source, server, status, rows, age < '1 minute', data_as_of IS NOT NULL, last_error \
        FROM warehouse.freshness";
    expect(&mut ground.client, fresh, "mart|people|~|src|ok|1000|t|t|~")?;
    for (ago, status) in [("2 hours", "warn"), ("2 days", "error")] {
        run(
            &mut ground.client,
            &format!(
                "UPDATE warehouse.materialization_source SET data_as_of = now() - '{ago}'::interval"
            ),
        )?;
        expect(&mut ground.client, "SELECT status FROM warehouse.freshness", status)?;
    }
    ground.at_source("UPDATE people SET name = 'x' WHERE id < 4; INSERT INTO people (id, plan) VALUES (1001, 'free')")?;
    ground.refresh("'mart.people'")?;
    expect(
        &mut ground.client,
        "SELECT relation, cause, status, strategy, capture, fetched, inserted, updated, deleted, unchanged, bytes > 0, \
           phases ? 'fetch', duration > '0' FROM warehouse.runs ORDER BY id",
        "mart.people|hand|succeeded|full|none|1000|1000|0|0|0|t|t|t\n\
         mart.people|hand|succeeded|merge|xmin|4|1|3|0|0|t|t|t",
    )
}

#[test]
fn lineage_knows_columns_through_views_and_joins() -> Result<()> {
    let mut ground = Ground::new("lineage")?;
    run(
        &mut ground.client,
        "CREATE TABLE mart.rates (plan text, rate numeric); \
         CREATE VIEW app.v AS SELECT id AS person, upper(name) AS loud, plan FROM app.people; \
         SELECT warehouse.materialize('mart.l', $$WITH c AS (SELECT person, loud, plan FROM app.v) \
           SELECT c.person, c.loud || r.plan AS text, s.rate, (SELECT max(amount) FROM app.people) AS top \
           FROM c JOIN mart.rates r ON r.plan = c.plan LEFT JOIN (SELECT plan, rate FROM mart.rates) s ON s.plan = c.plan$$)",
    )?;
    expect(
        &mut ground.client,
        "SELECT column_name, source, source_column, is_plain FROM warehouse.lineage WHERE relation = 'mart.l'::regclass \
         ORDER BY column_name NULLS FIRST, source::text, source_column",
        "~|app.people|~|f\n~|mart.rates|~|f\nperson|app.people|id|t\nrate|mart.rates|rate|t\n\
         text|app.people|name|f\ntext|mart.rates|plan|f",
    )
}

#[test]
fn a_table_that_is_dropped_takes_its_definition_along() -> Result<()> {
    let mut ground = Ground::new("droppedmart")?;
    ground.people("unique_key => '{id}'")?;
    run(&mut ground.client, "BEGIN; DROP TABLE mart.people; ROLLBACK")?;
    expect(&mut ground.client, "SELECT count(*) FROM warehouse.materializations", "1")?;
    run(&mut ground.client, "DROP SCHEMA mart CASCADE")?;
    expect(
        &mut ground.client,
        "SELECT count(*) FROM warehouse.materializations; SELECT count(*) FROM warehouse.freshness",
        "0\n0",
    )
}

#[test]
fn a_renamed_table_is_still_refreshed() -> Result<()> {
    let mut ground = Ground::new("renamedmart")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    run(
        &mut ground.client,
        "ALTER TABLE mart.people RENAME TO persons; ALTER TABLE mart.persons SET SCHEMA public",
    )?;
    ground.at_source("UPDATE people SET name = 'x' WHERE id < 4")?;
    ensure!(ground.refresh("'persons'")?.ends_with("|0|3|0"));
    Ok(())
}

/// Definitions, watermarks and schedules come back with a dump, and the next refresh goes on from there.
#[test]
fn a_dump_brings_definitions_back() -> Result<()> {
    let mut ground = Ground::new("martdump")?;
    ground.people("unique_key => '{id}', capture => 'xmin', schedule => '1 hour', tests => '{\"not_null\": [\"id\"]}'")?;
    run(&mut ground.client, "SELECT warehouse.pause('mart.people')")?;
    let facts = "SELECT relation, query, strategy, capture, unique_key, schedule, state, options FROM warehouse.materializations; \
        SELECT source, snapshot_xmin, data_as_of FROM warehouse.materialization_source; SELECT count(*) FROM warehouse.lineage";
    let before = rows(&mut ground.client, facts)?;
    let cluster = ground.pair.warehouse_cluster;
    let other = cluster.create_database("martdump")?;
    let dump = pg_dump(cluster, &ground.pair.warehouse_database, &[])?;
    let file = cluster.socket_dir().join(format!("{other}.sql"));
    std::fs::write(&file, dump)?;
    cluster.psql(&other).arg("--quiet").file(&file)?.ok()?;
    let mut restored = cluster.connect(&other)?;
    ensure!(rows(&mut restored, facts)? == before);
    ground.at_source("UPDATE people SET name = 'x' WHERE id < 4")?;
    expect(
        &mut restored,
        "SELECT status, capture, fetched FROM warehouse.refresh('mart.people')",
        "succeeded|xmin|3",
    )
}
