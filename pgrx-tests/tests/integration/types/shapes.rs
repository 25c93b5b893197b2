//! Tables of unusual shapes.

use anyhow::{Result, ensure};

use super::{imported, same};
use crate::ask::{expect, pid_of, rows};

#[test]
fn no_column_at_all() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "no_columns",
        "CREATE TABLE none (); INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES; \
         CREATE TABLE little (a int, b text); INSERT INTO little VALUES (1, 'x'), (NULL, NULL), (3, 'z')",
    )?;
    for sql in [
        "SELECT FROM none",
        "SELECT count(*) FROM none",
        "SELECT * FROM none",
        "SELECT none FROM none",
        "SELECT FROM little",
        "SELECT count(*) FROM little",
        "SELECT 1 FROM little",
        "SELECT count(*) FROM little WHERE a > 1",
        "SELECT EXISTS (SELECT FROM little)",
        "SELECT count(*) FROM little, none",
        "SELECT (SELECT count(*) FROM none), count(b) FROM little",
    ] {
        same(&mut source, &mut warehouse, sql)?;
    }
    Ok(())
}

#[test]
fn as_many_columns_as_there_can_be() -> Result<()> {
    let columns: Vec<String> = (1..=1600).map(|n| format!("c{n} int2 DEFAULT {n}")).collect();
    let (mut source, mut warehouse) = imported(
        "wide",
        &format!("CREATE TABLE wide ({}); INSERT INTO wide DEFAULT VALUES", columns.join(", ")),
    )?;
    same(&mut source, &mut warehouse, "SELECT * FROM wide")?;
    same(&mut source, &mut warehouse, "SELECT c1600, c1 FROM wide WHERE c800 = 800")?;
    same(&mut source, &mut warehouse, "SELECT count(wide) FROM wide")
}

#[test]
fn columns_that_were_dropped_or_are_generated() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "dropped",
        "CREATE TABLE t (gone int, a int, also_gone text, b text, twice int GENERATED ALWAYS AS (a * 2) STORED, \
           n int GENERATED ALWAYS AS IDENTITY); \
         INSERT INTO t (gone, a, also_gone, b) VALUES (9, 1, 'x', 'one'), (9, 2, 'x', 'two'); \
         ALTER TABLE t DROP COLUMN gone, DROP COLUMN also_gone, ADD COLUMN late date DEFAULT '2021-01-31'",
    )?;
    same(
        &mut source,
        &mut warehouse,
        "SELECT * FROM t WHERE twice = 4 AND late > '2020-01-01' ORDER BY n",
    )?;
    same(&mut source, &mut warehouse, "SELECT t FROM t ORDER BY a")?;
    // Columns dropped and added here shift numbers, not values.
    warehouse.batch_execute(
        "ALTER FOREIGN TABLE t DROP COLUMN a; ALTER FOREIGN TABLE t ADD COLUMN again int OPTIONS (column_name 'a')",
    )?;
    expect(
        &mut warehouse,
        "SELECT t, again FROM t ORDER BY again DESC",
        "(two,4,2,2021-01-31,2)|2\n(one,2,1,2021-01-31,1)|1",
    )
}

#[test]
fn partitions_views_and_other_relations() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "relations",
        "CREATE TABLE p (id int, at date) PARTITION BY RANGE (at); \
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01'); \
         CREATE TABLE p2 (at date, extra_gone int, id int); ALTER TABLE p2 DROP COLUMN extra_gone; \
         ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01'); \
         INSERT INTO p SELECT i, '2020-01-01'::date + i FROM generate_series(1, 700) i; ANALYZE p; \
         CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent); \
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3); \
         CREATE VIEW v AS SELECT id, at, row_number() OVER (ORDER BY id) AS n FROM p; \
         CREATE MATERIALIZED VIEW m AS SELECT * FROM v WHERE n < 10",
    )?;
    for sql in [
        "SELECT count(*), min(id), max(at) FROM p WHERE at >= '2021-01-01'",
        "SELECT * FROM p ORDER BY id DESC LIMIT 3",
        "SELECT * FROM parent ORDER BY a",
        "SELECT * FROM child",
        "SELECT * FROM v WHERE n = 5",
        "SELECT * FROM m ORDER BY n",
    ] {
        same(&mut source, &mut warehouse, sql)?;
    }
    expect(
        &mut warehouse,
        "SELECT string_agg(relname, ' ' ORDER BY relname COLLATE \"C\") FROM pg_class WHERE relkind = 'f'",
        "child m p parent v",
    )
}

#[test]
fn very_large_values_pass_without_piling_up() -> Result<()> {
    let (_source, mut warehouse) = imported(
        "large",
        "CREATE TABLE large (id int, b bytea, t text); ALTER TABLE large ALTER b SET STORAGE EXTERNAL; \
         INSERT INTO large SELECT 1, decode(repeat('00ff5c27', 100 * 1024 * 1024 / 4), 'hex'), NULL; \
         INSERT INTO large SELECT i, NULL, repeat('日', 350000) FROM generate_series(2, 9) i",
    )?;
    let pid = pid_of(&mut warehouse)?;
    // The code and the catalog caches are there before it is measured.
    rows(&mut warehouse, "SELECT max(length(t)) FROM large WHERE id > 1")?;
    let before = resident(pid)?;
    expect(
        &mut warehouse,
        "SELECT length(b), md5(b) = md5(decode(repeat('00ff5c27', 100 * 1024 * 1024 / 4), 'hex')) FROM large WHERE id = 1",
        "104857600|t",
    )?;
    expect(
        &mut warehouse,
        "SELECT count(*), min(length(t)), max(octet_length(t)) FROM large WHERE t = repeat('日', 350000)",
        "8|350000|1050000",
    )?;
    // libpq keeps the buffer of the largest message as long as its connection; nothing else stays, and
    // nothing is added by more of the same.
    let all = "SELECT length(b), length(t) FROM large";
    rows(&mut warehouse, all)?;
    let once = resident(pid)?.saturating_sub(before);
    ensure!(once < 200 << 20, "the backend has grown by {} MB", once >> 20);
    for _ in 0..3 {
        rows(&mut warehouse, all)?;
    }
    let more = resident(pid)?.saturating_sub(before);
    ensure!(more < once + (20 << 20), "it has grown by {} MB, then {} MB", once >> 20, more >> 20);
    warehouse.batch_execute("SELECT warehouse.disconnect(NULL)")?;
    let left = resident(pid)?.saturating_sub(before);
    ensure!(left < 20 << 20, "{} MB stay without a connection", left >> 20);
    Ok(())
}

/// The private memory of a process in bytes.
fn resident(pid: i32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}
