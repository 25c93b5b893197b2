//! What follows from a condition that joins tables is not sent beside it, where it would mislead the
//! source's planner.

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::Scene;
use crate::ask::{expect, rows, run};

const SOURCE: &str = "CREATE TABLE nation AS SELECT g AS id, \
      (ARRAY['FRANCE', 'GERMANY', 'ITALY', 'SPAIN'])[1 + g % 4] AS name FROM generate_series(1, 20) g; \
    CREATE TABLE supplier AS SELECT g AS id, 1 + g % 20 AS nation FROM generate_series(1, 60) g; \
    CREATE TABLE customer AS SELECT g AS id, NULLIF(1 + g * 7 % 23, 21) AS nation, 1 + g * 11 % 60 AS supplier \
      FROM generate_series(1, 400) g; ANALYZE";

/// France to Germany or Germany to France.
const BETWEEN: &str =
    "(n1.name = 'FRANCE' AND n2.name = 'GERMANY' OR n1.name = 'GERMANY' AND n2.name = 'FRANCE')";

fn remote_sql(client: &mut Client, sql: &str) -> Result<String> {
    let plan =
        rows(client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {}", sql.replace("$.", "app.")))?;
    let mut lines = plan.lines().filter(|line| line.contains("Remote SQL: "));
    let line = lines.next().with_context(|| plan.clone())?.to_owned();
    ensure!(lines.next().is_none(), "not one statement:\n{plan}");
    Ok(line)
}

/// Fails unless the query over the source has the rows that it has over local copies, and some.
fn agrees(client: &mut Client, sql: &str) -> Result<()> {
    let expected = rows(client, &sql.replace("$.", "plain."))?;
    ensure!(!expected.is_empty(), "no rows: {sql}");
    expect(client, &sql.replace("$.", "app."), &expected)
}

#[test]
fn of_two_conditions_that_say_the_same_one_is_sent() -> Result<()> {
    let mut scene = Scene::new("implied", SOURCE, "SELECT 1")?;
    let client = &mut scene.client;
    let from = "FROM $.supplier s JOIN $.customer c ON c.supplier = s.id \
        JOIN $.nation n1 ON n1.id = s.nation JOIN $.nation n2 ON n2.id = c.nation";
    for (condition, ors) in [
        (BETWEEN.to_owned(), 1),
        // Said by the query as well.
        (format!("{BETWEEN} AND (n1.name = 'GERMANY' OR n1.name = 'FRANCE')"), 1),
        // Something else.
        (format!("{BETWEEN} AND (n1.name = 'GERMANY' OR n1.id = 4)"), 2),
    ] {
        let sql =
            format!("SELECT s.id, c.id, n1.name, n2.name {from} WHERE {condition} ORDER BY 1, 2");
        agrees(client, &sql)?;
        let text = remote_sql(client, &sql)?;
        ensure!(text.matches(" OR ").count() == ors, "{text}");
        let sql = format!(
            "SELECT n1.name, n2.name, count(*) {from} WHERE {condition} GROUP BY 1, 2 ORDER BY 1, 2"
        );
        agrees(client, &sql)?;
    }
    Ok(())
}

#[test]
fn what_is_not_sent_as_a_whole_is_sent_in_part() -> Result<()> {
    let mut scene = Scene::new(
        "implied_part",
        SOURCE,
        "CREATE FUNCTION mine(text) RETURNS text \
        LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'",
    )?;
    let client = &mut scene.client;
    let sql = "SELECT s.id, c.id FROM $.supplier s JOIN $.customer c ON c.supplier = s.id \
        JOIN $.nation n1 ON n1.id = s.nation JOIN $.nation n2 ON n2.id = c.nation \
        WHERE (n1.name = 'FRANCE' AND mine(n2.name) = 'GERMANY' \
          OR n1.name = 'GERMANY' AND mine(n2.name) = 'FRANCE') ORDER BY 1, 2";
    agrees(client, sql)?;
    let plan =
        rows(client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {}", sql.replace("$.", "app.")))?;
    let sent = |line: &str| line.contains("Remote SQL: ") && line.contains(" OR ");
    ensure!(plan.lines().any(sent), "{plan}");
    Ok(())
}

#[test]
fn of_an_outer_join_nothing_is_left_out_that_matters() -> Result<()> {
    let mut scene = Scene::new("implied_outer", SOURCE, "SELECT 1")?;
    let client = &mut scene.client;
    run(client, "SET enable_hashjoin = on; SET enable_mergejoin = on; SET enable_nestloop = on")?;
    for kind in ["LEFT", "RIGHT", "FULL"] {
        for on in ["true", BETWEEN] {
            for condition in ["true", BETWEEN, "(n1.name = 'FRANCE' OR n1.name = 'GERMANY')"] {
                if kind == "FULL" && on != "true" {
                    continue;
                }
                agrees(
                    client,
                    &format!(
                        "SELECT n1.id, n2.id, n1.name, n2.name FROM $.nation n1 {kind} JOIN $.nation n2 \
                           ON n2.id = n1.id + 1 AND {on} WHERE {condition} ORDER BY 1, 2"
                    ),
                )?;
            }
        }
    }
    Ok(())
}
