//! Rows that a condition here drops are counted before it: each of them asks its sub-query.

use anyhow::{Context, Result, ensure};

use super::Scene;
use crate::ask::{expect, rows, run};

/// The tables of the second query of TPC-H, a fifth of whose suppliers are in Europe.
const SOURCE: &str = "CREATE TABLE region AS SELECT g AS id, \
      (ARRAY['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST'])[g] AS name FROM generate_series(1, 5) g; \
    CREATE TABLE nation AS SELECT g AS id, 1 + g % 5 AS region, 'nation ' || g AS name FROM generate_series(1, 25) g; \
    CREATE TABLE supplier AS SELECT g AS id, 1 + g * 7 % 25 AS nation, 'supplier ' || g AS name \
      FROM generate_series(1, 500) g; \
    CREATE TABLE part AS SELECT g AS id, 1 + g % 50 AS size, \
      'type ' || (ARRAY['TIN', 'NICKEL', 'BRASS', 'STEEL', 'COPPER'])[1 + g / 50 % 5] AS type \
      FROM generate_series(1, 10000) g; \
    CREATE TABLE offer AS SELECT p AS part, 1 + (p + n * 125 + p / 500) % 500 AS supplier, \
      p * 37 % 1000 + n * 191 % 1000 AS cost FROM generate_series(1, 10000) p, generate_series(0, 3) n; \
    ALTER TABLE region ADD PRIMARY KEY (id); ALTER TABLE nation ADD PRIMARY KEY (id); \
    ALTER TABLE supplier ADD PRIMARY KEY (id); ALTER TABLE part ADD PRIMARY KEY (id); \
    ALTER TABLE offer ADD PRIMARY KEY (part, supplier); ANALYZE";

const FROM: &str = "$.part p, $.supplier s, $.offer o, $.nation n, $.region r \
    WHERE p.id = o.part AND s.id = o.supplier AND p.size = 15 AND p.type LIKE '%BRASS' \
      AND s.nation = n.id AND n.region = r.id AND r.name = 'EUROPE'";

/// What the cheapest offer of a part costs in Europe.
const CHEAPEST: &str = "(SELECT min(o.cost) FROM $.offer o, $.supplier s, $.nation n, $.region r \
    WHERE p.id = o.part AND s.id = o.supplier AND s.nation = n.id AND n.region = r.id AND r.name = 'EUROPE')";

#[test]
fn a_sub_query_is_asked_for_as_few_rows_as_there_are() -> Result<()> {
    let mut scene = Scene::new("counted", SOURCE, "SELECT 1")?;
    let client = &mut scene.client;
    run(client, "RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_nestloop")?;
    // All joins leave a fifth of the rows that part and offer alone have.
    let joined = rows(client, &format!("SELECT count(*) FROM {FROM}").replace("$.", "plain."))?;
    let narrow = "$.part p, $.offer o WHERE p.id = o.part AND p.size = 15 AND p.type LIKE '%BRASS'";
    let before = rows(client, &format!("SELECT count(*) FROM {narrow}").replace("$.", "plain."))?;
    ensure!(joined == "32" && before == "160", "{joined} of {before}");
    // Every row is checked: where the joins are done, 32 are. Or an equality is hashed: every part asks, the
    // 40 there are and those of 8 that have a partner once more.
    for (condition, most) in [("o.cost - $ = 0", 32), ("o.cost = $", 48)] {
        let condition = condition.replace('$', CHEAPEST);
        let sql = format!(
            "SELECT s.name, n.name, p.id, o.cost FROM {FROM} AND {condition} ORDER BY 3, 1"
        );
        let expected = rows(client, &sql.replace("$.", "plain."))?;
        ensure!(expected.lines().count() == 8, "{expected}");
        expect(client, &sql.replace("$.", "app."), &expected)?;
        let explain = "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF)";
        let plan = rows(client, &format!("{explain} {}", sql.replace("$.", "app.")))?;
        let (_, below) = plan.split_once("SubPlan 1\n").with_context(|| plan.clone())?;
        let reads = below.lines().find_map(|line| line.trim().strip_prefix("Remote Reads: "));
        let reads: u32 = reads.with_context(|| plan.clone())?.parse()?;
        ensure!(reads <= most, "{reads} questions, not {most}:\n{plan}");
    }
    Ok(())
}
