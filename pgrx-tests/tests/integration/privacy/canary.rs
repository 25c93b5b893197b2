//! Every way in is tried; then all that the warehouse keeps is searched for raw values.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use postgres::SimpleQueryMessage;
use warehouse_tests::Cluster;

use super::{PEOPLE, protect};
use crate::ask::run;
use crate::support::{Pair, READER, READER_PASSWORD};

/// Ways in, as whoever.
const WAYS: &[&str] = &[
    "SELECT * FROM d.people",
    "TABLE d.people",
    "SELECT people FROM d.people",
    "SELECT to_jsonb(people) FROM d.people",
    "SELECT name, email, notes, data, tags FROM d.people ORDER BY notes, name",
    "COPY (SELECT * FROM d.people) TO STDOUT",
    "SELECT * FROM d.people p JOIN d.people q USING (id)",
    "SELECT * FROM d.people p LEFT JOIN d.people q ON q.name = p.name LIMIT 2000",
    "SELECT name, count(*), max(email), string_agg(notes, ',') FROM d.people GROUP BY name",
    "SELECT DISTINCT data, tags FROM d.people",
    "SELECT first_value(name) OVER (ORDER BY email) FROM d.people",
    "SELECT * FROM v",
    "SELECT * FROM f()",
    "SELECT * FROM merged",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM d.people WHERE name LIKE 'C%'",
    "EXECUTE p",
    "FETCH ALL FROM c",
    "CREATE TABLE t1 AS SELECT * FROM d.people; SELECT * FROM t1",
    "INSERT INTO t2 SELECT * FROM d.people; SELECT * FROM t2",
    "CREATE TEMP TABLE t3 AS SELECT people FROM d.people",
    "CREATE MATERIALIZED VIEW m AS SELECT * FROM d.people; SELECT * FROM m",
    "ANALYZE d.people; SELECT * FROM pg_stats WHERE tablename = 'people'",
    "ANALYZE t1; SELECT * FROM pg_stats WHERE tablename = 't1'",
    "SELECT query FROM pg_stat_activity",
    "DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM d.people LOOP RAISE LOG '%', r; END LOOP; END $$",
    "SELECT name::int FROM d.people",
    "SELECT 1 / length(data->>'secret') FROM d.people",
    "SELECT (email || name)::date FROM d.people",
    "INSERT INTO strict SELECT id, notes FROM d.people",
];

#[test]
fn nothing_raw_is_kept() -> Result<()> {
    let pair = Pair::new("canary")?;
    run(&mut pair.source()?, PEOPLE)?;
    let warehouse = Cluster::builder("canary")
        .preload("warehouse")
        .setting("log_statement", "all")
        .setting("log_min_messages", "debug1")
        .setting("log_temp_files", "0")
        .setting("work_mem", "64kB")
        .start()?;
    let mut client = warehouse.connect("postgres")?;
    run(
        &mut client,
        &format!(
            "CREATE EXTENSION warehouse; CREATE SERVER src FOREIGN DATA WRAPPER replica_fdw \
               OPTIONS (host '127.0.0.1', port '{}', dbname '{}'); \
             CREATE USER MAPPING FOR PUBLIC SERVER src OPTIONS (user '{READER}', password '{READER_PASSWORD}'); \
             CREATE SCHEMA d; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO d; \
             SELECT warehouse.merge_schema('main', '[{{\"server\": \"src\", \"schema\": \"public\", \"site\": \"one\"}}]')",
            pair.source_cluster.port(),
            pair.source_database
        ),
    )?;
    protect(&mut client)?;
    run(
        &mut client,
        "CREATE VIEW v AS SELECT * FROM d.people; CREATE VIEW merged AS SELECT * FROM main.people; \
         CREATE FUNCTION f() RETURNS SETOF d.people LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM d.people'; \
         CREATE TABLE t2 (LIKE d.people); CREATE TABLE strict (id bigint, notes text CHECK (notes IS NULL)); \
         CREATE ROLE reader_here; GRANT USAGE, CREATE ON SCHEMA public TO reader_here; \
         GRANT USAGE ON SCHEMA d, main TO reader_here; GRANT SELECT ON d.people, main.people, v, merged TO reader_here; \
         GRANT SELECT, INSERT ON t2, strict TO reader_here; GRANT TEMP ON DATABASE postgres TO reader_here",
    )?;
    for who in ["RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION reader_here"] {
        run(&mut client, who)?;
        run(&mut client, "SET warehouse.clear = on; DISCARD PLANS")?;
        for way in WAYS {
            let (before, after) = match *way {
                "EXECUTE p" => ("PREPARE p AS SELECT * FROM d.people", "DEALLOCATE p"),
                "FETCH ALL FROM c" => (
                    "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM d.people; COMMIT",
                    "CLOSE c",
                ),
                _ => ("", ""),
            };
            run(&mut client, before)?;
            let told = if way.starts_with("COPY") {
                let mut text = String::new();
                std::io::Read::read_to_string(&mut client.copy_out(*way)?, &mut text)?;
                text
            } else {
                match client.simple_query(way) {
                    Ok(messages) => format!("{:?}", messages.iter().map(shown).collect::<Vec<_>>()),
                    Err(error) => format!("{error:?}"),
                }
            };
            ensure!(
                !is_raw(told.as_bytes()),
                "{who}: {way}\n{}",
                told.chars().take(2000).collect::<String>()
            );
            run(&mut client, after)?;
        }
        run(
            &mut client,
            "RESET SESSION AUTHORIZATION; DROP TABLE IF EXISTS t1, t3; DROP MATERIALIZED VIEW IF EXISTS m",
        )?;
    }
    run(&mut client, "CHECKPOINT")?;
    let mut searched = 0;
    search(warehouse.socket_dir(), &mut searched)?;
    ensure!(searched > 900, "only {searched} files were searched");
    Ok(())
}

fn shown(message: &SimpleQueryMessage) -> String {
    match message {
        SimpleQueryMessage::Row(row) => {
            (0..row.len()).map(|at| row.get(at).unwrap_or("~")).collect::<Vec<_>>().join("|")
        }
        _ => String::new(),
    }
}

/// `CANARY` is in every raw value; the tests' own words for it are in lower case or split.
fn is_raw(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|part| part == b"CANARY")
}

/// Fails if a file below a folder holds a raw value; counts the files.
pub(super) fn search(folder: &Path, searched: &mut usize) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            search(&path, searched)?;
        } else if kind.is_file() {
            // A file may go while we look.
            let Ok(bytes) = fs::read(&path) else { continue };
            *searched += 1;
            ensure!(!is_raw(&bytes), "raw values in {}", path.display());
        }
    }
    Ok(())
}
