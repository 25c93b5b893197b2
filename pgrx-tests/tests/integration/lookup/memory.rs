//! Memory stays flat, however many rows belong to a key and however many batches there are.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::{FORCED, NODE};
use crate::ask::{expect, pid_of, rows, run};
use crate::support::Pair;

/// How much a backend may grow over a join, in kilobytes.
const LIMIT: i64 = 20 * 1024;

/// Memory of a process that is its own, in kilobytes.
fn anonymous(pid: i32) -> Result<i64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).context("no RssAnon")?;
    line.split_whitespace().nth(1).context("no number")?.parse().context("no number")
}

/// The most that `pid` has had over the run of `work`, above what it had before.
fn growth(pid: i32, work: impl FnOnce() -> Result<()>) -> Result<i64> {
    let before = anonymous(pid)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = before;
            while !done.load(Ordering::SeqCst) {
                most = most.max(anonymous(pid).unwrap_or(0));
                thread::sleep(Duration::from_millis(5));
            }
            most
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        let most = watcher.join().map_err(|_| anyhow!("the watcher panicked"))?;
        result.map(|()| most.max(anonymous(pid).unwrap_or(0)) - before)
    })
}

#[test]
fn keys_with_many_rows_and_many_keys() -> Result<()> {
    let pair = Pair::new("lookupmemory")?;
    run(
        &mut pair.source()?,
        "CREATE VIEW i AS SELECT g AS id, CASE WHEN g <= 300000 THEN 7 ELSE g END AS k, 'some text' || g AS t \
           FROM (SELECT generate_series(1, 300100) AS g) x; \
         CREATE TABLE small AS SELECT g AS id, repeat('x', 500) AS pad FROM generate_series(1, 60000) g; \
         ALTER TABLE small ADD PRIMARY KEY (id); ANALYZE",
    )?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         CREATE TABLE o AS SELECT 7 AS k UNION ALL SELECT 300050 UNION ALL SELECT 8 UNION ALL SELECT 7; \
         CREATE TABLE many AS SELECT g AS id, 'key ' || g AS t FROM generate_series(1, 60000) g; \
         ANALYZE o, many; SET work_mem = '4MB'",
    )?;
    run(&mut client, FORCED)?;
    let pid = pid_of(&mut client)?;
    for (what, sql, answer, size) in [
        (
            "a key with 300,000 rows",
            "SELECT count(i.id), count(i.t), max(o.k) FROM o JOIN app.i ON i.k = o.k",
            "600001|600001|300050",
            500,
        ),
        (
            "the same as a left join",
            "SELECT count(i.id), count(i.t), max(o.k) FROM o LEFT JOIN app.i ON i.k = o.k AND i.id > 0",
            "600001|600001|300050",
            2,
        ),
        (
            "the same as a semi-join",
            "SELECT count(*) FROM o WHERE EXISTS (SELECT FROM app.i WHERE i.k = o.k AND i.id + o.k > 0)",
            "3",
            500,
        ),
        (
            "a semi-join that has to see all rows",
            "SELECT count(*) FROM o WHERE NOT EXISTS (SELECT FROM app.i WHERE i.k = o.k AND i.id < o.k - 7)",
            "4",
            500,
        ),
        (
            "60,000 keys in 120 batches",
            "SELECT count(*), sum(length(s.pad)) FROM many JOIN app.small s ON s.id = many.id",
            "60000|30000000",
            500,
        ),
        (
            "8,000 keys in 800 batches",
            "SELECT count(*), sum(length(s.pad)) FROM many JOIN app.small s USING (id) WHERE id <= 8000",
            "8000|4000000",
            10,
        ),
        (
            "large batches",
            "SELECT count(*), sum(length(s.pad)) FROM many JOIN app.small s USING (id)",
            "60000|30000000",
            10_000,
        ),
    ] {
        run(&mut client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        let plan = rows(&mut client, &format!("EXPLAIN {sql}"))?;
        ensure!(plan.contains(NODE), "{plan}");
        let grown = growth(pid, || expect(&mut client, sql, answer))?;
        println!("{what}: {grown} kB");
        ensure!(grown < LIMIT, "{what}: {grown} kB");
    }
    // What a join leaves behind when it starts again would show here.
    run(&mut client, "SET warehouse.lookup_batch_size = 20")?;
    let grown = growth(pid, || {
        expect(
            &mut client,
            "SELECT sum((SELECT count(*) FROM many JOIN app.small s USING (id) WHERE id BETWEEN g AND g + 30)) \
             FROM generate_series(1, 300) g",
            "9300",
        )
    })?;
    println!("300 rescans: {grown} kB");
    ensure!(grown < LIMIT, "300 rescans: {grown} kB");
    Ok(())
}
