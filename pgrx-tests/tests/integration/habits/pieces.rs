//! Results in pieces: a driver's fetch size, cursors, and transactions that only read.

use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::Client;
use postgres::types::Type;
use warehouse_tests::timing::eventually;

use super::Scene;
use crate::ask::{expect, refused, rows, run};

const BY_SITE: &str =
    "SELECT site, id::text, name FROM main.orders WHERE id > $1 ORDER BY site, id";

fn expected(client: &mut Client, above: i32) -> Result<Vec<String>> {
    let sql = BY_SITE.replace("main.", "plain.").replace("$1", &above.to_string());
    Ok(rows(client, &sql)?.lines().map(str::to_owned).collect())
}

fn line(row: &postgres::Row) -> String {
    [0, 1, 2].map(|at| row.get::<_, String>(at)).join("|")
}

/// Autocommit off and a fetch size: the driver binds a portal and executes it piece by piece.
#[test]
fn a_fetch_size() -> Result<()> {
    let scene = Scene::new("fetchsize")?;
    let mut tool = scene.tool()?;
    for size in [1, 50, 333, 1000] {
        for above in [900, 1990] {
            let expected = expected(&mut tool, above)?;
            let statement = tool.prepare_typed(BY_SITE, &[Type::INT4])?;
            let mut transaction = tool.build_transaction().read_only(true).start()?;
            let portal = transaction.bind(&statement, &[&above])?;
            let mut found = Vec::new();
            loop {
                let piece = transaction.query_portal(&portal, size)?;
                ensure!(piece.len() <= size as usize, "{} rows", piece.len());
                found.extend(piece.iter().map(line));
                // Others read between the pieces.
                let sum: i64 =
                    transaction.query_one("SELECT count(*) FROM main.users", &[])?.get(0);
                ensure!(sum == 120);
                if piece.len() < size as usize {
                    break;
                }
            }
            transaction.commit()?;
            ensure!(found == expected, "pieces of {size}: {found:?}");
        }
    }
    Ok(())
}

#[test]
fn a_result_that_is_left_half_read() -> Result<()> {
    let scene = Scene::new("halfread")?;
    let mut tool = scene.tool()?;
    for _ in 0..3 {
        let statement = tool.prepare_typed(BY_SITE, &[Type::INT4])?;
        let mut transaction = tool.transaction()?;
        let portal = transaction.bind(&statement, &[&0])?;
        ensure!(transaction.query_portal(&portal, 10)?.len() == 10);
        transaction.rollback()?;
        expect(&mut tool, "SELECT count(*) FROM main.orders", "3200")?;
    }
    for site in &scene.sites {
        let sql = format!(
            "SELECT count(*)::text FROM pg_stat_activity \
             WHERE application_name = '{}' AND state <> 'idle'",
            site.application
        );
        eventually(Duration::from_secs(3), "all is idle", || {
            Ok(scene.source.value("postgres", &sql)? == "0")
        })?;
    }
    Ok(())
}

#[test]
fn cursors_side_by_side() -> Result<()> {
    let scene = Scene::new("sidebyside")?;
    let mut tool = scene.tool()?;
    let expected = expected(&mut tool, 0)?;
    run(
        &mut tool,
        "BEGIN READ ONLY; \
         DECLARE one NO SCROLL CURSOR FOR SELECT site, id::text, name FROM main.orders ORDER BY site, id; \
         DECLARE two CURSOR FOR SELECT site, id::text, name FROM main.orders ORDER BY site, id",
    )?;
    let mut one = Vec::new();
    let mut two = Vec::new();
    for _ in 0..17 {
        one.extend(rows(&mut tool, "FETCH FORWARD 200 FROM one")?.lines().map(str::to_owned));
        two.extend(rows(&mut tool, "FETCH FORWARD 190 FROM two")?.lines().map(str::to_owned));
    }
    ensure!(one == expected && two == expected, "{} and {} rows", one.len(), two.len());
    run(&mut tool, "CLOSE one; COMMIT")?;
    // What was asked for with HOLD outlives the transaction.
    run(
        &mut tool,
        "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT site, id::text, name FROM main.orders ORDER BY site, id; \
         FETCH 10 FROM held; COMMIT",
    )?;
    let rest = rows(&mut tool, "FETCH ALL FROM held")?;
    ensure!(rest.lines().eq(expected[10..].iter().map(String::as_str)), "{}", rest.lines().count());
    run(&mut tool, "CLOSE held")
}

#[test]
fn transactions_that_only_read() -> Result<()> {
    let scene = Scene::new("onlyread")?;
    let mut tool = scene.tool()?;
    for level in ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        for more in ["READ ONLY", "READ ONLY DEFERRABLE", "READ WRITE"] {
            run(&mut tool, &format!("BEGIN ISOLATION LEVEL {level} {more}"))?;
            expect(&mut tool, "SELECT count(*), sum(id) FROM main.orders", "3200|2521600")?;
            expect(
                &mut tool,
                "SELECT count(*) FROM main.orders o JOIN main.users u USING (site) WHERE u.id = o.user_id",
                "3200",
            )?;
            run(&mut tool, "COMMIT")?;
        }
    }
    run(&mut tool, "SET default_transaction_read_only = on")?;
    expect(&mut tool, "SELECT count(*) FROM main.users WHERE active", "81")?;
    refused(&mut tool, "DELETE FROM main.users")?;
    expect(&mut tool, "SELECT count(*) FROM main.users", "120")
}
