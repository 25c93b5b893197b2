//! `warehouse.explain_pushdown()`: why a part stays here.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{declare, rows, run};
use crate::support::Pair;

fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(
        &mut pair.source()?,
        "CREATE TABLE a AS SELECT g AS id, g % 10 AS v, 'x' || g AS t FROM generate_series(1, 100) g; \
         CREATE TABLE b AS SELECT g AS id, g % 20 AS a_id FROM generate_series(1, 60) g; ANALYZE",
    )?;
    let mut client = pair.warehouse()?;
    declare(&mut client, "other", pair.source_cluster.port(), &pair.source_database, "")?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         CREATE SCHEMA there; IMPORT FOREIGN SCHEMA public FROM SERVER other INTO there; \
         CREATE TABLE o AS SELECT g AS id FROM generate_series(1, 20) g; ANALYZE o; \
         CREATE FUNCTION mine(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 0 * length(version())'; \
         CREATE COLLATION odd (provider = icu, locale = 'de-u-kf-upper')",
    )?;
    Ok((pair, client))
}

/// Fails unless a part of the query that begins so stays here for a reason that contains this.
fn because(client: &mut Client, query: &str, clause: &str, reason: &str) -> Result<()> {
    let found = rows(
        client,
        &format!(
            "SELECT clause, reason FROM warehouse.explain_pushdown($q${query}$q$) WHERE NOT pushed"
        ),
    )?;
    let told = found.lines().any(|line| {
        line.split_once('|').is_some_and(|(c, r)| c.starts_with(clause) && r.contains(reason))
    });
    ensure!(told, "{clause} … {reason} is not told of {query}:\n{found}");
    Ok(())
}

#[test]
fn conditions() -> Result<()> {
    let (_pair, mut client) = start("conditions")?;
    for (query, clause, reason) in [
        ("SELECT id FROM app.a WHERE t < 'b' COLLATE odd", "(a.t < 'b'", "collation"),
        ("SELECT id FROM app.a WHERE v > random()", "((a.v)::double", "volatile"),
        ("SELECT id FROM app.a WHERE mine(v) = 1", "(", "not built in"),
        ("SELECT id FROM app.a WHERE id NOT IN (SELECT id FROM o)", "(NOT", "sub-query"),
        ("SELECT id FROM app.a WHERE a::text > ''", "((a.*)::text", "not built in"),
    ] {
        because(&mut client, query, clause, reason)
            .or_else(|_| because(&mut client, query, &clause.replace("a.", ""), reason))?;
    }
    Ok(())
}

#[test]
fn joins() -> Result<()> {
    let (_pair, mut client) = start("whyjoins")?;
    for (query, clause, reason) in [
        ("SELECT * FROM app.a JOIN there.b ON b.a_id = a.id", "", "different servers"),
        ("SELECT * FROM app.a JOIN o USING (id)", "", "not at the source"),
        ("SELECT * FROM app.a LEFT JOIN o ON o.id = a.v", "", "not at the source"),
        (
            "SELECT * FROM app.a JOIN app.b ON a.id = b.a_id AND a.v > random() * b.id",
            "((a.v)::double",
            "volatile",
        ),
        ("SELECT * FROM app.a JOIN app.b ON mine(a.id) = b.a_id", "", "not built in"),
        ("SELECT * FROM app.a JOIN app.b ON a.t < b.a_id::text COLLATE odd", "", "collation"),
    ] {
        because(&mut client, query, clause, reason)?;
    }
    Ok(())
}

#[test]
fn grouping_order_and_limit() -> Result<()> {
    let (_pair, mut client) = start("whygroups")?;
    for (query, clause, reason) in [
        ("SELECT v, count(*) FROM app.a GROUP BY GROUPING SETS ((v), ())", "", "GROUPING SETS"),
        ("SELECT v, count(*) FROM app.a GROUP BY CUBE (v, id)", "", "GROUPING SETS"),
        (
            "SELECT v, count(*) FROM app.a WHERE random() < 2 GROUP BY v",
            "GROUP BY",
            "a condition below it",
        ),
        ("SELECT count(*) FROM app.a WHERE random() < 2", "aggregation", "a condition below it"),
        ("SELECT mine(v), count(*) FROM app.a GROUP BY 1", "GROUP BY", "not built in"),
        ("SELECT DISTINCT v FROM app.a WHERE random() < 2", "", "a condition below it"),
        (
            "SELECT id FROM app.a WHERE random() < 2 LIMIT 3",
            "LIMIT",
            "a condition below it is checked here",
        ),
        (
            "SELECT id FROM app.a WHERE random() < 2 ORDER BY id LIMIT 3",
            "LIMIT",
            "a condition below it is checked here",
        ),
        ("SELECT id FROM app.a ORDER BY t COLLATE odd", "ORDER BY", "collation"),
        ("SELECT id FROM app.a ORDER BY mine(v)", "ORDER BY", "not built in"),
        ("SELECT id, sum(v) OVER (ORDER BY id) FROM app.a", "window functions", "computed here"),
        ("SELECT id, generate_series(1, 2) FROM app.a", "set-returning", "run here"),
        (
            "SELECT * FROM app.a JOIN there.b ON b.a_id = a.id ORDER BY a.v",
            "ORDER BY",
            "put together here",
        ),
        (
            "SELECT a.v, count(*) FROM app.a JOIN o USING (id) GROUP BY 1",
            "GROUP BY",
            "put together here",
        ),
        ("SELECT v, count(*) FROM app.a GROUP BY v HAVING count(*) > random()", "(", "volatile"),
    ] {
        because(&mut client, query, clause, reason)?;
    }
    Ok(())
}

/// A sub-query that runs before or beside a join is none of its sides.
#[test]
fn sub_queries_are_no_sides_of_a_join() -> Result<()> {
    let (_pair, mut client) = start("nosides")?;
    for condition in [
        "a.v = (SELECT max(id) FROM o WHERE id < 5)",
        "a.v + b.id > (SELECT count(*) FROM o)",
        "a.v + b.id IN (SELECT id FROM o)",
    ] {
        let sql = format!(
            "SELECT * FROM app.a JOIN there.b ON b.a_id = a.id AND ({condition} OR a.id = b.id)"
        );
        because(&mut client, &sql, "", "different servers")?;
    }
    Ok(())
}

/// A plan may sort for a join of its own: that is no ORDER BY of the query.
#[test]
fn what_the_query_does_not_have_is_not_told() -> Result<()> {
    let (_pair, mut client) = start("nottold")?;
    for settings in [
        "SET enable_hashjoin = off; SET enable_nestloop = off; SET warehouse.lookup_batch_size = 0",
        "SET enable_hashagg = off",
    ] {
        run(&mut client, settings)?;
        for query in [
            "SELECT * FROM app.a JOIN there.b ON b.a_id = a.id",
            "SELECT a.v, count(*) FROM app.a JOIN there.b ON b.a_id = a.id GROUP BY 1",
        ] {
            let found = rows(
                &mut client,
                &format!(
                    "SELECT clause, reason FROM warehouse.explain_pushdown('{query}') WHERE NOT pushed"
                ),
            )?;
            ensure!(!found.contains("ORDER BY"), "{query}\n{found}");
        }
    }
    Ok(())
}

/// Merged tables: each site is told, and what combines them.
#[test]
fn sites() -> Result<()> {
    let (_pair, mut client) = start("whysites")?;
    run(
        &mut client,
        "SELECT FROM warehouse.merge_schema('main', '[{\"server\": \"src\", \"schema\": \"public\", \"site\": \"x\"}, \
           {\"server\": \"other\", \"schema\": \"public\", \"site\": \"y\"}]')",
    )?;
    because(
        &mut client,
        "SELECT v, count(*) FROM main.a GROUP BY v",
        "GROUP BY",
        "sites' results are combined here",
    )?;
    because(
        &mut client,
        "SELECT count(*) FROM main.a",
        "aggregation",
        "sites' results are combined here",
    )?;
    because(&mut client, "SELECT * FROM main.a JOIN o USING (id)", "", "not at the source")?;
    let found = rows(
        &mut client,
        "SELECT count(DISTINCT relation), bool_and(pushed) FROM warehouse.explain_pushdown('SELECT id FROM main.a WHERE v = 3')",
    )?;
    ensure!(found == "2|t", "{found}");
    let found = rows(
        &mut client,
        "SELECT count(DISTINCT relation) FROM warehouse.explain_pushdown($$SELECT id FROM main.a WHERE v = 3 AND site = 'x'$$)",
    )?;
    ensure!(found == "1", "{found}");
    Ok(())
}
