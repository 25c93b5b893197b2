//! What readers see while a table's contents are made anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Ground;
use crate::ask::{expect, rows, run};

const FULL: &str = "SELECT status FROM warehouse.refresh('mart.people', full_refresh => true)";

#[test]
fn everything_but_the_rows_stays() -> Result<()> {
    let mut ground = Ground::new("stays")?;
    ground.people("unique_key => '{id}', indexes => '{plan}'")?;
    run(
        &mut ground.client,
        "CREATE VIEW mart.names AS SELECT name FROM mart.people; GRANT SELECT ON mart.people TO PUBLIC; \
         COMMENT ON TABLE mart.people IS 'People'; \
         CREATE UNIQUE INDEX people_amount ON mart.people (amount) INCLUDE (name) WHERE amount > 5; \
         CREATE INDEX ON mart.people (lower(name))",
    )?;
    let facts = "SELECT c.oid, c.relacl, obj_description(c.oid), \
        (SELECT string_agg(pg_get_indexdef(i.indexrelid) || i.indisvalid, ';' ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid), \
        (SELECT string_agg(attname || attnotnull, ',' ORDER BY attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0) \
        FROM pg_class c WHERE c.oid = 'mart.people'::regclass";
    let before = rows(&mut ground.client, facts)?;
    let storage = rows(&mut ground.client, "SELECT pg_relation_filenode('mart.people')")?;
    ground.at_source("UPDATE people SET name = repeat(md5(id::text), 300) WHERE id < 50; DELETE FROM people WHERE id > 900")?;
    expect(&mut ground.client, FULL, "succeeded")?;
    ensure!(rows(&mut ground.client, facts)? == before);
    ensure!(rows(&mut ground.client, "SELECT pg_relation_filenode('mart.people')")? != storage);
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    // Values that are stored out of line, read through an index, and the view.
    expect(
        &mut ground.client,
        "SET enable_seqscan = off; SELECT length(name) FROM mart.people WHERE id = 7; \
         SELECT count(*) FROM mart.people WHERE amount = 1000.00; SELECT count(*) FROM mart.names; RESET enable_seqscan",
        "9600\n1\n900",
    )?;
    // What came with it is as if it had always been there.
    expect(
        &mut ground.client,
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'pg_temp%' AND relkind IN ('r', 'i') OR relname LIKE 'warehouse_new%'; \
         SELECT t.relname = 'pg_toast_' || c.oid FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid \
           WHERE c.oid = 'mart.people'::regclass; \
         SELECT reltuples FROM pg_class WHERE oid = 'mart.people'::regclass; \
         SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'mart' AND tablename = 'people'",
        "0\nt\n900\nt",
    )?;
    run(&mut ground.client, "VACUUM (ANALYZE, FULL) mart.people")?;
    run(&mut ground.client, "REINDEX TABLE mart.people")?;
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    run(
        &mut ground.client,
        "DROP VIEW mart.names; SELECT warehouse.drop_materialization('mart.people')",
    )?;
    expect(
        &mut ground.client,
        "SELECT count(*) FROM pg_class WHERE relname LIKE '%people%' AND relnamespace = 'mart'::regnamespace",
        "0",
    )
}

#[test]
fn a_refresh_that_is_rolled_back_leaves_the_old_rows() -> Result<()> {
    let mut ground = Ground::new("rolledback")?;
    ground.people("unique_key => '{id}'")?;
    ground.at_source("DELETE FROM people WHERE id > 10")?;
    run(&mut ground.client, &format!("BEGIN; {FULL}; SELECT count(*) FROM mart.people; ROLLBACK"))?;
    expect(&mut ground.client, "SELECT count(*) FROM mart.people", "1000")?;
    run(&mut ground.client, &format!("BEGIN; SAVEPOINT s; {FULL}; ROLLBACK TO s; {FULL}; COMMIT"))?;
    ground.agrees("mart.people", "SELECT * FROM app.people")
}

#[test]
fn columns_that_were_dropped_do_not_matter() -> Result<()> {
    let mut ground = Ground::new("droppedcols")?;
    ground.people("unique_key => '{id}'")?;
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.people', 'SELECT id, plan, changed, amount FROM app.people', \
           unique_key => '{id}', on_schema_change => 'sync_all_columns')",
    )?;
    expect(&mut ground.client, FULL, "succeeded")?;
    ground.agrees("mart.people", "SELECT id, plan, amount, changed FROM app.people")
}

/// Readers see old or new rows, never none or some of both, and do not wait.
#[test]
fn readers_see_old_or_new_rows() -> Result<()> {
    let mut ground = Ground::new("oldornew")?;
    ground.people("unique_key => '{id}'")?;
    ground.at_source("UPDATE people SET plan = 'round'")?;
    expect(&mut ground.client, FULL, "succeeded")?;
    let done = AtomicBool::new(false);
    let pair = &ground.pair;
    let (client, source) = (&mut ground.client, &mut ground.source);
    let worst = thread::scope(|scope| -> Result<Duration> {
        let readers: Vec<_> = (0..4)
            .map(|at| {
                let done = &done;
                scope.spawn(move || -> Result<Duration> {
                    let mut reader = pair.warehouse()?;
                    let prepared = reader.prepare("SELECT count(*), min(amount), max(amount), min(plan), max(plan) FROM mart.people")?;
                    let mut worst = Duration::ZERO;
                    while !done.load(Ordering::SeqCst) {
                        if at == 0 {
                            // A snapshot from before the exchange.
                            run(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")?;
                            thread::sleep(Duration::from_millis(30));
                        }
                        let began = Instant::now();
                        let row = reader.query_one(&prepared, &[])?;
                        worst = worst.max(began.elapsed());
                        let (count, low, high): (i64, Option<String>, Option<String>) = (row.get(0), row.get(3), row.get(4));
                        ensure!(count == 1000, "{count} rows");
                        ensure!(low == high, "rows of two rounds: {low:?} {high:?}");
                        if at == 0 {
                            run(&mut reader, "COMMIT")?;
                        }
                    }
                    Ok(worst)
                })
            })
            .collect();
        let work = (|| -> Result<()> {
            for round in 0..25 {
                run(source, &format!("UPDATE people SET plan = 'round {round}'"))?;
                expect(client, FULL, "succeeded")?;
            }
            Ok(())
        })();
        done.store(true, Ordering::SeqCst);
        let mut worst = Duration::ZERO;
        for reader in readers {
            worst = worst.max(reader.join().map_err(|_| anyhow!("a reader panicked"))??);
        }
        work.map(|()| worst)
    })?;
    ensure!(worst < Duration::from_secs(5), "a reader waited {worst:?}");
    Ok(())
}

/// A reader who never leaves a gap keeps nobody waiting: the difference is applied instead.
#[test]
fn a_long_reader_does_not_stop_it() -> Result<()> {
    let mut ground = Ground::new("longreader")?;
    ground.people("unique_key => '{id}'")?;
    let mut keyless = ground.pair.warehouse()?;
    run(
        &mut keyless,
        "SET client_min_messages = warning; SELECT warehouse.materialize('mart.plans', 'SELECT plan, name FROM app.people')",
    )?;
    let mut long = ground.pair.warehouse()?;
    run(&mut long, "BEGIN; SELECT count(*) FROM mart.people, mart.plans WHERE false")?;
    ground.at_source(
        "UPDATE people SET plan = 'gold' WHERE id < 100; DELETE FROM people WHERE id > 900",
    )?;
    run(&mut ground.client, "SET warehouse.exchange_patience = '300ms'")?;
    let storage = rows(
        &mut ground.client,
        "SELECT pg_relation_filenode('mart.people'), pg_relation_filenode('mart.plans')",
    )?;
    ensure!(
        ground.refresh("'mart.people', full_refresh => true")?
            == "succeeded|full|none|900|0|99|100"
    );
    ground.refresh("'mart.plans'")?;
    let after = rows(
        &mut ground.client,
        "SELECT pg_relation_filenode('mart.people'), pg_relation_filenode('mart.plans')",
    )?;
    ensure!(after == storage);
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    ground.agrees("mart.plans", "SELECT plan, name FROM app.people")?;
    // The long reader may go on, and others come meanwhile.
    expect(&mut long, "SELECT count(*) FROM mart.people; COMMIT", "900")
}

/// A refresh that waits for its source or its lock is cancelled at once, and leaves nothing.
#[test]
fn a_refresh_is_cancelled_at_once() -> Result<()> {
    let mut ground = Ground::new("cancelrefresh")?;
    ground.at_source("CREATE VIEW slow AS SELECT id, pg_sleep(0.05)::text AS s FROM people")?;
    run(
        &mut ground.client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (slow) FROM SERVER src INTO app",
    )?;
    let pair = &ground.pair;
    crate::ask::cancel(
        pair,
        &mut ground.client,
        Duration::from_millis(400),
        "SELECT warehouse.materialize('mart.slow', 'SELECT * FROM app.slow')",
    )?;
    expect(&mut ground.client, "SELECT to_regclass('mart.slow') IS NULL", "t")?;
    expect(
        &mut ground.client,
        "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database()",
        "0",
    )
    .context("progress")
}

/// What is cancelled within a step that may fail ends the statement and nothing else.
#[test]
fn a_timeout_leaves_the_session_usable() -> Result<()> {
    let mut ground = Ground::new("usable")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.slow', 'SELECT id, pg_sleep(0.5)::text AS s FROM generate_series(1, 9) id', \
           unique_key => '{id}', with_data => false); SET statement_timeout = '300ms'",
    )?;
    crate::ask::refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.slow')")?
        .says("57014", &["statement timeout"])?;
    expect(&mut ground.client, "SELECT count(*) FROM mart.people", "1000")?;
    run(&mut ground.client, "RESET statement_timeout")?;
    expect(&mut ground.client, FULL, "succeeded")
}
