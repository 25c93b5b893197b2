//! What the model test has found, in its smallest form.

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::Cluster;

use crate::ask::{expect, refused, run};
use crate::support::Pair;

/// A source with five rows whose `balance` has the sum 0, merged by cursor and by xmin.
fn balances(test: &str) -> Result<(Pair, Client, Client)> {
    let pair = Pair::new(test)?;
    let (mut source, mut client) = (pair.source()?, pair.warehouse()?);
    run(
        &mut source,
        "CREATE TABLE account (id int PRIMARY KEY, balance int, updated_at timestamptz); \
         INSERT INTO account SELECT g, 0, now() - interval '1 hour' FROM generate_series(1, 5) g",
    )?;
    run(
        &mut client,
        "CREATE SCHEMA app; CREATE SCHEMA mart; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         SELECT warehouse.materialize('mart.by_xmin', 'SELECT * FROM app.account', \
           unique_key => '{id}', strategy => 'merge', capture => 'xmin'); \
         SELECT warehouse.materialize('mart.by_cursor', 'SELECT * FROM app.account', \
           unique_key => '{id}', cursor_column => 'updated_at', lookback => '1 minute')",
    )?;
    Ok((pair, source, client))
}

/// A transaction that has read the source before others refreshed the table sees an older moment of it.
/// Whatever its own refresh says, the table shows one moment.
#[test]
fn an_older_moment_of_a_source_does_not_spoil_rows() -> Result<()> {
    for mart in ["mart.by_xmin", "mart.by_cursor"] {
        let (pair, mut source, mut client) = balances("older_moment")?;
        let refresh = format!("SELECT FROM warehouse.refresh('{mart}')");
        // Keeps the xmin of snapshots back.
        let mut open = pair.source()?;
        run(&mut open, "BEGIN; SELECT txid_current()")?;
        run(&mut source, "UPDATE account SET updated_at = now() WHERE id = 1")?;
        let mut early = pair.warehouse()?;
        run(&mut early, "BEGIN; SELECT sum(balance) FROM app.account")?;
        run(
            &mut source,
            "UPDATE account SET balance = CASE id WHEN 1 THEN 10 ELSE -10 END, updated_at = now() \
             WHERE id IN (1, 2)",
        )?;
        run(&mut client, &refresh)?;
        // It may refuse.
        if early.batch_execute(&refresh).is_ok() {
            run(&mut early, "COMMIT")?;
        }
        expect(&mut client, &format!("SELECT sum(balance) FROM {mart}"), "0")?;
        drop(early);
        run(&mut client, &refresh)?;
        expect(&mut client, &format!("SELECT sum(abs(balance)) FROM {mart}"), "20")?;
    }
    Ok(())
}

/// Another key of a table makes its rows anew; aggregates of it learn that groups are gone.
#[test]
fn groups_go_when_their_table_gets_another_key() -> Result<()> {
    let pair = Pair::new("another_key")?;
    let mut client = pair.warehouse()?;
    let define = |condition: &str, key: &str| {
        format!(
            "SELECT warehouse.materialize('mart.rows', 'SELECT a, b, kind FROM plain WHERE {condition}', \
               unique_key => '{key}', capture => 'diff')"
        )
    };
    run(
        &mut client,
        "CREATE SCHEMA mart; CREATE TABLE plain (a int, b int, kind text); \
         INSERT INTO plain SELECT g, g, (ARRAY['x', 'y'])[1 + g % 2] FROM generate_series(1, 10) g",
    )?;
    run(&mut client, &define("true", "{a,b}"))?;
    run(
        &mut client,
        "SELECT warehouse.materialize('mart.kinds', 'SELECT kind, count(*) AS n FROM mart.rows GROUP BY kind', \
           capture => 'change')",
    )?;
    run(&mut client, &define("kind = $$x$$", "{b,a}"))?;
    expect(&mut client, "SELECT * FROM mart.kinds", "x|5")
}

/// A cancel while the order of many joins is searched for ends the statement, not the server.
#[test]
fn a_cancel_while_joins_are_ordered() -> Result<()> {
    let cluster = Cluster::builder("join_order").preload("warehouse").start()?;
    let mut client = cluster.connect("postgres")?;
    run(
        &mut client,
        "SET geqo = off; SET join_collapse_limit = 20; SET from_collapse_limit = 20; \
         SET statement_timeout = '50ms'",
    )?;
    let tables: Vec<String> = (1..=12).map(|n| format!("pg_class t{n}")).collect();
    let joins: Vec<String> = (2..=12).map(|n| format!("t{}.oid = t{n}.oid", n - 1)).collect();
    let sql = format!("EXPLAIN SELECT FROM {} WHERE {}", tables.join(", "), joins.join(" AND "));
    refused(&mut client, &sql)?.says("57014", &["statement timeout"])?;
    ensure!(!client.is_closed(), "the session is gone");
    expect(&mut client, "SELECT 1", "1")
}
