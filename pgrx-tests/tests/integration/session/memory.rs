//! A scan of any size runs in constant memory.

use std::fs;

use anyhow::{Context, Result, ensure};
use postgres::Client;

use crate::ask::{expect, pid_of, run};
use crate::support::Pair;

/// How much a backend may grow over a scan, in kilobytes.
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
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = before;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                most = most.max(anonymous(pid).unwrap_or(0));
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            most
        });
        let result = work();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        let most = watcher.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
        result.map(|()| most.max(anonymous(pid).unwrap_or(0)) - before)
    })
}

/// Rows of the large scan; `WAREHOUSE_ROWS` asks for more.
fn row_count() -> u64 {
    let asked = std::env::var("WAREHOUSE_ROWS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(2_000_000)
}

fn start(test: &str) -> Result<(Pair, Client, i32)> {
    let pair = Pair::new(test)?;
    run(
        &mut pair.source()?,
        &format!(
            "CREATE VIEW many AS SELECT g AS id, g * 3 AS v, 'some text of a row' AS t, \
           g * 1.5 AS n, now() AS at, ARRAY[1, 2] AS a \
         FROM (SELECT generate_series(1, {}) AS g) x; \
         CREATE VIEW wide AS SELECT g AS id, repeat('x', 100000) AS pad, jsonb_build_object('a', g) AS j \
         FROM (SELECT generate_series(1, 5000) AS g) x; \
         CREATE TABLE few AS SELECT g AS id FROM generate_series(1, 20000) g",
            row_count()
        ),
    )?;
    let mut client = pair.warehouse()?;
    run(&mut client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")?;
    run(
        &mut client,
        "SELECT count(a) FROM app.many WHERE id < 10; SET work_mem = '4MB'; SET jit = off",
    )?;
    let pid = pid_of(&mut client)?;
    Ok((pair, client, pid))
}

#[test]
fn scans_of_millions_of_rows() -> Result<()> {
    let (_pair, mut client, pid) = start("memory")?;
    let rows = row_count();
    // random() keeps the aggregate here, so that the rows travel.
    for (what, sql, answer) in [
        (
            "a scan",
            "SELECT count(id), sum(v), max(t), max(at) - min(at), max(n) FROM app.many WHERE random() < 2".to_owned(),
            format!(
                "{rows}|{}|some text of a row|00:00:00|{}.{}",
                3 * rows * (rows + 1) / 2,
                rows * 3 / 2,
                rows * 3 % 2 * 5
            ),
        ),
        (
            "arrays",
            format!("SELECT sum(a[2]) FROM app.many WHERE id <= {} AND random() < 2", rows / 2),
            (rows / 2 * 2).to_string(),
        ),
        (
            "wide rows",
            "SELECT sum(length(pad)), count(j) FROM app.wide WHERE random() < 2".to_owned(),
            "500000000|5000".to_owned(),
        ),
    ] {
        let grown = growth(pid, || expect(&mut client, &sql, &answer))?;
        println!("{what}: {grown} kB");
        ensure!(grown < LIMIT, "{what}: {grown} kB");
    }
    Ok(())
}

#[test]
fn cursors_and_loops() -> Result<()> {
    let (_pair, mut client, pid) = start("memorycursor")?;
    let grown = growth(pid, || {
        run(&mut client, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM app.many; MOVE 500000 IN c")?;
        expect(&mut client, "SELECT count(*) FROM app.few", "20000")?;
        run(&mut client, "MOVE 500000 IN c; COMMIT")
    })?;
    println!("a cursor: {grown} kB");
    ensure!(grown < LIMIT, "a cursor: {grown} kB");
    let grown = growth(pid, || {
        run(
            &mut client,
            "DO $$ DECLARE r record; n int := 0; BEGIN \
               FOR r IN SELECT * FROM app.many WHERE id <= 300000 LOOP n := n + 1; END LOOP; END $$",
        )
    })?;
    println!("a loop: {grown} kB");
    ensure!(grown < LIMIT, "a loop: {grown} kB");
    Ok(())
}

/// What each read or rescan leaves behind would show here.
#[test]
fn many_small_reads() -> Result<()> {
    let (_pair, mut client, pid) = start("memorysmall")?;
    run(
        &mut client,
        "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off",
    )?;
    run(
        &mut client,
        "SELECT (SELECT id FROM app.few f WHERE f.id = g) FROM generate_series(1, 100) g",
    )?;
    let grown = growth(pid, || {
        run(
            &mut client,
            "SELECT (SELECT id FROM app.few f WHERE f.id = g) FROM generate_series(1, 4000) g",
        )
    })?;
    println!("4,000 rescans: {grown} kB");
    ensure!(grown < LIMIT, "4,000 rescans: {grown} kB");
    let grown = growth(pid, || {
        for i in 0..1000 {
            expect(
                &mut client,
                &format!("SELECT id FROM app.few WHERE id = {}", i + 1),
                &(i + 1).to_string(),
            )?;
        }
        Ok(())
    })?;
    println!("1,000 statements: {grown} kB");
    ensure!(grown < LIMIT, "1,000 statements: {grown} kB");
    let grown = growth(pid, || {
        run(
            &mut client,
            "DO $$ BEGIN FOR i IN 1..2000 LOOP BEGIN \
               PERFORM 1 / (id - i) FROM app.few WHERE id = i; \
             EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$",
        )
    })?;
    println!("2,000 failures in one transaction: {grown} kB");
    ensure!(grown < LIMIT, "2,000 failures: {grown} kB");
    Ok(())
}

/// Rows that have to make room for another statement go to a file beyond work_mem.
#[test]
fn rows_that_step_aside() -> Result<()> {
    let (_pair, mut client, pid) = start("memoryspool")?;
    run(
        &mut client,
        "CREATE FUNCTION once(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN \
           IF $1 = 1 THEN PERFORM count(*) FROM app.few; END IF; RETURN $1; END $$",
    )?;
    let grown = growth(pid, || {
        expect(
            &mut client,
            "SELECT count(once(id)), sum(v), max(t) FROM app.many WHERE id <= 500000",
            "500000|375000750000|some text of a row",
        )
    })?;
    println!("a spooled scan: {grown} kB");
    ensure!(grown < LIMIT, "a spooled scan: {grown} kB");
    Ok(())
}
