//! `count(DISTINCT …)` beside other aggregates over merged tables: sites group by the values too, and what
//! is above that groups again.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{rows, run};
use crate::support::Pair;

/// Three sites whose groups and users overlap; NULLs everywhere, and numbers of several scales.
const SCRIPT: &str = "
    CREATE SCHEMA one; CREATE SCHEMA two; CREATE SCHEMA three;
    CREATE TABLE one.events AS SELECT g AS id, NULLIF(g % 5, 4) AS kind, NULLIF(g * 7 % 50, 13) AS user_id,
      (g % 90 / 8.0)::numeric AS amount, g % 77 AS points, (g % 9)::smallint AS few, g * 4000000000000::bigint AS many,
      CASE WHEN g % 3 > 0 THEN 'n' || g % 40 END AS name, g % 2 = 0 AS even, g / 4.0::float8 AS weight
      FROM generate_series(1, 3000) g;
    CREATE TABLE two.events AS SELECT id, kind + 1 AS kind, user_id + 10 AS user_id, amount * 1.25 AS amount, points,
      few, many, name, even, weight FROM one.events WHERE id % 2 = 0;
    CREATE TABLE three.events AS SELECT id, kind, user_id, NULLIF(amount, 5) AS amount, NULLIF(points, 3) AS points,
      few, many, upper(name) AS name, even, weight FROM one.events WHERE id % 3 = 0;
    ANALYZE";

/// Queries that are regrouped.
const REGROUPED: [&str; 19] = [
    "SELECT kind, count(DISTINCT user_id), sum(amount) FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT user_id), count(*), count(points), sum(few), sum(points), sum(many), avg(few), \
       avg(points), avg(many), avg(amount), min(name), max(amount), bool_and(even), bit_or(points) \
       FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT count(DISTINCT user_id), count(*), sum(amount), avg(points) FROM main.events",
    // No rows at all, and none for some.
    "SELECT count(DISTINCT user_id), count(*), count(points), sum(points), avg(points), max(name) FROM main.events WHERE id * 2 < 0",
    "SELECT kind, count(DISTINCT user_id), count(*) FROM main.events WHERE id * 2 < 0 GROUP BY kind",
    "SELECT few, count(DISTINCT user_id), sum(points) FILTER (WHERE even), count(*) FILTER (WHERE points > 1000), \
       avg(amount) FILTER (WHERE name IS NULL) FROM main.events GROUP BY few ORDER BY few",
    // Of the key itself, of expressions, of several.
    "SELECT kind, count(DISTINCT kind), sum(points) FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT kind + few AS k, count(DISTINCT user_id / 7), sum(points + 1) * 2 + max(kind + few) AS s FROM main.events \
       GROUP BY kind + few ORDER BY s, k",
    "SELECT few, count(DISTINCT user_id), count(DISTINCT kind), sum(DISTINCT user_id), avg(DISTINCT user_id), \
       count(*) FROM main.events GROUP BY few ORDER BY few",
    "SELECT kind, array_agg(DISTINCT user_id), sum(points) FROM main.events \
       GROUP BY kind ORDER BY kind",
    "SELECT kind FROM main.events GROUP BY kind HAVING count(DISTINCT user_id) > 10 AND sum(points) > 100 \
       ORDER BY count(*) DESC, kind LIMIT 3",
    "SELECT DISTINCT count(DISTINCT user_id), sum(few) > 10 FROM main.events GROUP BY few, kind ORDER BY 1, 2",
    "SELECT kind, 'x' AS label, count(DISTINCT name), sum(points) FROM main.events GROUP BY kind, label ORDER BY kind",
    "SELECT date_trunc('day', timestamp '2024-01-01' + few * interval '5 hours') AS day, count(DISTINCT user_id), \
       count(*) FROM main.events GROUP BY 1 ORDER BY 1",
    // Inside others.
    "SELECT max(users), sum(n) FROM (SELECT kind, count(DISTINCT user_id) AS users, count(*) AS n FROM main.events \
       GROUP BY kind) k",
    "WITH k AS (SELECT * FROM main.events WHERE even) SELECT kind, count(DISTINCT user_id), sum(points) FROM k \
       GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT user_id), sum(points) FROM seen GROUP BY kind ORDER BY kind",
    "SELECT a.kind, a.u, b.n FROM (SELECT kind, count(DISTINCT user_id) AS u, sum(points) AS s FROM main.events \
       GROUP BY kind) a JOIN (SELECT kind, count(*) AS n FROM main.events GROUP BY kind) b USING (kind) ORDER BY 1",
    "SELECT kind, count(DISTINCT user_id), sum(points) FROM main.events GROUP BY kind \
     UNION ALL SELECT 100, count(DISTINCT user_id), sum(points) FROM main.events ORDER BY 1",
];

/// Queries that stay as they are, because the answer might not, or because nothing is won.
const AS_THEY_ARE: [&str; 14] = [
    "SELECT kind, count(DISTINCT user_id), sum(weight) > 0 FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT user_id) FILTER (WHERE even), sum(points) FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT user_id), count(*), grouping(kind) FROM main.events GROUP BY ROLLUP (kind) ORDER BY 1, 2",
    "SELECT kind, count(DISTINCT user_id), sum(points), rank() OVER (ORDER BY count(*)) FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT user_id), string_agg(name, ',' ORDER BY id, name) FROM main.events WHERE id < 20 GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT (user_id, few)), percentile_disc(0.5) WITHIN GROUP (ORDER BY points) FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT user_id), sum(points) + (random() * 0)::int FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT kind, count(DISTINCT user_id), sum(points), (SELECT count(*) FROM labels) FROM main.events GROUP BY kind ORDER BY kind",
    "SELECT l.kind, (SELECT count(DISTINCT user_id) + sum(points) FROM main.events e WHERE e.kind = l.kind) FROM labels l ORDER BY 1",
    "SELECT l.kind, x.* FROM labels l, LATERAL (SELECT count(DISTINCT user_id), sum(points) FROM main.events e \
       WHERE e.kind = l.kind) x ORDER BY 1",
    // Each site has the whole answer.
    "SELECT site, kind, count(DISTINCT user_id) * 100.0 / count(*) FROM main.events GROUP BY site, kind ORDER BY 1, 2",
    // A table of here is joined to the rows.
    "SELECT e.kind, l.label, count(DISTINCT e.user_id), sum(e.points) FROM main.events e JOIN labels l USING (kind) \
       GROUP BY e.kind, l.label ORDER BY 1",
    "SELECT kind, count(DISTINCT user_id), sum(points) FROM main.events WHERE kind IN (SELECT kind FROM labels) \
       GROUP BY kind ORDER BY kind",
    // Every row has a value of its own: nothing would become less.
    "SELECT kind, count(DISTINCT id * 3 + few), sum(points) FROM main.events GROUP BY kind ORDER BY kind",
];

fn merged(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(&mut pair.source()?, SCRIPT)?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "SELECT FROM warehouse.merge_schema('main', '[{\"server\": \"src\", \"schema\": \"one\", \"site\": \"one\"}, \
           {\"server\": \"src\", \"schema\": \"two\", \"site\": \"two\"}, \
           {\"server\": \"src\", \"schema\": \"three\", \"site\": \"three\"}]'); \
         CREATE TABLE labels AS SELECT g AS kind, 'label ' || g AS label FROM generate_series(0, 3) g; ANALYZE labels; \
         CREATE VIEW seen AS SELECT kind, user_id, points FROM main.events WHERE points <> 5",
    )?;
    Ok((pair, client))
}

/// Whether a query is regrouped; its rows are the same as without that.
fn is_regrouped(client: &mut Client, sql: &str) -> Result<bool> {
    run(client, "SET warehouse.partitionwise = off")?;
    let expected = rows(client, sql)?;
    run(client, "SET warehouse.partitionwise = on")?;
    let found = rows(client, sql)?;
    ensure!(found == expected, "{sql}\nin two levels:\n{found}\nin one:\n{expected}");
    let plan = rows(client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
    let remote = plan.lines().filter(|line| line.contains("Remote SQL: "));
    let grouped =
        remote.filter(|line| line.contains(" GROUP BY ") || line.contains("count(")).count();
    Ok(grouped > 0 && plan.contains("PARTIAL") && plan.contains("(DISTINCT "))
}

#[test]
fn each_site_groups_by_the_values_too() -> Result<()> {
    let (_pair, mut client) = merged("levels")?;
    let mut not = Vec::new();
    for sql in REGROUPED {
        if !is_regrouped(&mut client, sql)? {
            not.push(sql);
        }
    }
    ensure!(not.is_empty(), "not in two levels:\n{}", not.join("\n"));
    Ok(())
}

#[test]
fn what_might_differ_is_grouped_once() -> Result<()> {
    let (_pair, mut client) = merged("one_level")?;
    for sql in AS_THEY_ARE {
        ensure!(!is_regrouped(&mut client, sql)?, "in two levels: {sql}");
    }
    Ok(())
}

/// Few rows come, and a plan that is kept serves other values.
#[test]
fn little_moves() -> Result<()> {
    let (_pair, mut client) = merged("levels_move")?;
    let sql = "SELECT kind, count(DISTINCT user_id), sum(amount) FROM main.events GROUP BY kind";
    let plan = rows(&mut client, &format!("EXPLAIN (ANALYZE, VERBOSE, TIMING OFF) {sql}"))?;
    let received = plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Received: "));
    let received: u32 = received.map(|number| number.parse().unwrap_or(u32::MAX)).sum();
    // Five kinds and fifty users a site, of 5,500 rows.
    ensure!((50..=750).contains(&received), "{received} rows came:\n{plan}");
    run(
        &mut client,
        "SET plan_cache_mode = force_generic_plan; \
         PREPARE q (int) AS SELECT kind, count(DISTINCT user_id), sum(points + $1) FROM main.events \
           WHERE few < $1 GROUP BY kind ORDER BY kind",
    )?;
    for few in [0, 3, 9, 3] {
        let found = rows(&mut client, &format!("EXECUTE q ({few})"))?;
        let expected = rows(
            &mut client,
            &format!(
                "SET warehouse.partitionwise = off; SELECT kind, count(DISTINCT user_id), sum(points + {few}) \
                   FROM main.events WHERE few < {few} GROUP BY kind ORDER BY kind; \
                 SET warehouse.partitionwise = on"
            ),
        )?;
        ensure!(found == expected, "{few}: {found}, not {expected}");
    }
    Ok(())
}
