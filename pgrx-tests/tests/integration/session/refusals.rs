//! Nothing can be written, whichever way it is tried.

use anyhow::{Context, Result, ensure};
use postgres::Client;

use crate::ask::{expect, refused, run};
use crate::support::Pair;

fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(
        &mut pair.source()?,
        "CREATE TABLE t AS SELECT g AS id, 'x' || g AS name FROM generate_series(1, 10) g; \
         GRANT ALL ON t TO reader",
    )?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         SELECT FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"public\", \"site\": \"a\"}]'); \
         CREATE VIEW app.v AS SELECT * FROM app.t; CREATE VIEW main.v AS SELECT * FROM main.t; \
         CREATE TABLE own AS SELECT 1 AS id, 'y'::text AS name, 'a'::text AS site",
    )?;
    Ok((pair, client))
}

/// Tables and their further columns; of a view Postgres itself says that it cannot be changed.
const TARGETS: [(&str, &str); 5] = [
    ("app.t", ""),
    ("main.t", ", site"),
    ("main_sites.t_a", ", site"),
    ("app.v", ""),
    ("main.v", ", site"),
];

#[test]
fn insert_update_delete_merge() -> Result<()> {
    let (_pair, mut client) = start("writing")?;
    for (table, site) in TARGETS {
        let values = if site.is_empty() { "(11, 'x')" } else { "(11, 'x', 'a')" };
        for sql in [
            format!("INSERT INTO {table} (id, name{site}) VALUES {values}"),
            format!("INSERT INTO {table} (id, name{site}) SELECT id, name{site} FROM own"),
            format!("INSERT INTO {table} (id, name{site}) VALUES {values} RETURNING id"),
            format!("UPDATE {table} SET name = 'z'"),
            format!("UPDATE {table} SET name = 'z' WHERE id = 3"),
            format!("UPDATE {table} x SET name = own.name FROM own WHERE own.id = x.id"),
            format!("DELETE FROM {table}"),
            format!("DELETE FROM {table} WHERE id = 3"),
            format!("WITH gone AS (DELETE FROM {table} RETURNING *) SELECT count(*) FROM gone"),
            format!("EXPLAIN DELETE FROM {table}"),
        ] {
            let told = refused(&mut client, &sql)?;
            let by_us = told.says("0A000", &["replica_fdw only reads"]).is_ok();
            let by_postgres = told.code == "55000" && told.message.contains("cannot");
            ensure!(by_us || (by_postgres && table.ends_with(".v")), "{sql}: {told:?}");
            ensure!(!by_us || !told.hint.is_empty(), "{sql}: {told:?}");
        }
        // MERGE into a foreign table is refused by Postgres.
        let sql = format!(
            "MERGE INTO {table} x USING own ON own.id = x.id \
             WHEN MATCHED THEN UPDATE SET name = own.name"
        );
        refused(&mut client, &sql)?;
    }
    expect(&mut client, "SELECT count(*), max(name) FROM app.t", "10|x9")
}

#[test]
fn truncate_and_copy_from() -> Result<()> {
    let (_pair, mut client) = start("truncating")?;
    for table in ["app.t", "main_sites.t_a", "main.t"] {
        refused(&mut client, &format!("TRUNCATE {table}"))?
            .says("0A000", &["replica_fdw only reads"])
            .with_context(|| table.to_owned())?;
        refused(&mut client, &format!("TRUNCATE own, {table} CASCADE"))?.says("0A000", &[])?;
        let columns = if table == "app.t" { "id, name" } else { "id, name, site" };
        let line = if table == "app.t" { "11\\tx\\n" } else { "11\\tx\\ta\\n" };
        let sql = format!("COPY {table} ({columns}) FROM PROGRAM 'printf \"{line}\"'");
        // COPY asks Postgres before it asks the wrapper.
        refused(&mut client, &sql)?
            .says("0A000", &["cannot insert into foreign table"])
            .with_context(|| sql.clone())?;
    }
    expect(&mut client, "SELECT count(*) FROM own", "1")?;
    expect(&mut client, "SELECT count(*) FROM main.t", "10")?;
    // The other direction is reading.
    let mut out = String::new();
    std::io::Read::read_to_string(
        &mut client.copy_out("COPY (SELECT id FROM main.t ORDER BY id LIMIT 2) TO STDOUT")?,
        &mut out,
    )?;
    ensure!(out == "1\n2\n");
    Ok(())
}

#[test]
fn row_locks() -> Result<()> {
    let (_pair, mut client) = start("locking")?;
    for (table, _) in TARGETS {
        for strength in ["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"] {
            for sql in [
                format!("SELECT * FROM {table} FOR {strength}"),
                format!("SELECT * FROM {table} WHERE id = 3 FOR {strength} NOWAIT"),
                format!("SELECT * FROM {table} ORDER BY id LIMIT 1 FOR {strength} SKIP LOCKED"),
                format!("SELECT * FROM own JOIN {table} USING (id) FOR {strength}"),
            ] {
                refused(&mut client, &sql)?
                    .says("0A000", &["cannot be locked"])
                    .with_context(|| sql.clone())?
                    .hints(&["FOR UPDATE"])?;
            }
            // Rows of other tables may be locked beside it.
            expect(
                &mut client,
                &format!("SELECT own.id FROM own JOIN {table} x USING (id) FOR {strength} OF own"),
                "1",
            )?;
        }
    }
    Ok(())
}

/// Writing own tables from foreign ones is what a warehouse does.
#[test]
fn own_tables_are_written_from_foreign_ones() -> Result<()> {
    let (_pair, mut client) = start("owntables")?;
    run(
        &mut client,
        "CREATE TABLE copy AS TABLE main.t; \
         INSERT INTO copy SELECT * FROM main.t WHERE id > 5; \
         UPDATE copy SET name = t.name || '!' FROM main.t WHERE t.id = copy.id AND t.id = 1; \
         DELETE FROM copy USING app.t WHERE t.id = copy.id AND t.id > 8; \
         MERGE INTO copy c USING app.t s ON s.id = c.id WHEN NOT MATCHED THEN \
           INSERT (site, id, name) VALUES ('new', s.id, s.name) \
           WHEN MATCHED AND s.id = 2 THEN DELETE",
    )?;
    expect(&mut client, "SELECT count(*), count(*) FILTER (WHERE site = 'new') FROM copy", "12|2")?;
    expect(&mut client, "SELECT name FROM copy WHERE id = 1", "x1!")?;
    run(&mut client, "CREATE MATERIALIZED VIEW m AS TABLE main.t; REFRESH MATERIALIZED VIEW m")?;
    expect(&mut client, "SELECT count(*) FROM m", "10")
}
