//! What EXPLAIN ANALYZE says of sites that run at the same time.

use anyhow::{Context, Result, ensure};

use super::Scene;
use crate::ask::{expect, rows, run};

/// The figures with this label, in the order of the plan.
fn figures(plan: &str, label: &str) -> Vec<u64> {
    plan.lines()
        .filter_map(|line| line.trim().strip_prefix(label)?.strip_prefix(": "))
        .filter_map(|text| text.split('.').next()?.split(' ').next()?.parse().ok())
        .collect()
}

#[test]
fn each_site_has_its_own() -> Result<()> {
    let mut scene = Scene::new("figures")?;
    let plan = rows(
        &mut scene.client,
        "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) SELECT id FROM main.t WHERE v + random() >= 5",
    )?;
    ensure!(plan.matches("Async Foreign Scan").count() == 4, "{plan}");
    ensure!(figures(&plan, "Rows Received") == [1000; 4], "{plan}");
    ensure!(figures(&plan, "Bytes Received").iter().all(|bytes| *bytes > 10_000), "{plan}");
    // A value below 1 is added, so that 4.x may pass; what passed and what did not is all there was.
    let removed = figures(&plan, "Rows Removed by Filter");
    ensure!(removed.len() == 4, "{plan}");
    let passed: Vec<u64> = plan
        .lines()
        .filter(|line| line.contains("Async Foreign Scan"))
        .filter_map(|line| line.split("rows=").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    for (passed, removed) in passed.iter().zip(&removed) {
        ensure!(passed + removed == 1000, "{plan}");
    }
    for option in ["TIMING OFF", "FORMAT json", "BUFFERS", "SUMMARY OFF"] {
        run(
            &mut scene.client,
            &format!("EXPLAIN (ANALYZE, {option}) SELECT id FROM main.wide WHERE random() < 2"),
        )?;
    }
    scene.works()
}

/// Sites that were left early, and one that has nothing.
#[test]
fn sites_that_were_left() -> Result<()> {
    let mut scene = Scene::new("leftfigures")?;
    let plan = rows(
        &mut scene.client,
        "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) SELECT id FROM main.trickle WHERE length(pad) > random() LIMIT 4",
    )?;
    let received = figures(&plan, "Rows Received");
    ensure!(received.iter().sum::<u64>() >= 4, "{plan}");
    scene.works()
}

#[test]
fn aggregates_with_one_slow_site() -> Result<()> {
    let mut scene = Scene::new("slowaggregate")?;
    for slow in ["a", "b", "c", "d"] {
        // The view of the slow site in place of its table: a merged table of other parts.
        run(
            &mut scene.client,
            &format!(
                "CREATE SCHEMA x_{slow}; CREATE TABLE x_{slow}.t (site text, id int, v int) PARTITION BY LIST (site)"
            ),
        )?;
        for (site, server) in [("a", "s1"), ("b", "s1"), ("c", "s2"), ("d", "s3")] {
            let table = if site == slow { "late" } else { "t" };
            run(
                &mut scene.client,
                &format!(
                    "CREATE FOREIGN TABLE x_{slow}.{site} (site text OPTIONS (constant '{site}'), id int, v int) \
                       SERVER {server} OPTIONS (schema_name '{site}', table_name '{table}'); \
                     ALTER TABLE x_{slow}.t ATTACH PARTITION x_{slow}.{site} FOR VALUES IN ('{site}')"
                ),
            )?;
        }
        let sql =
            format!("SELECT v, count(*), sum(id), avg(id) FROM x_{slow}.t GROUP BY v ORDER BY v");
        let expected = rows(
            &mut scene.client,
            "SELECT v, count(*), sum(id), avg(id) FROM plain.t GROUP BY v ORDER BY v",
        )?;
        expect(&mut scene.client, &sql, &expected).with_context(|| format!("{slow} is slow"))?;
        let plan =
            rows(&mut scene.client, &format!("EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) {sql}"))?;
        ensure!(plan.contains("Finalize"), "{plan}");
        ensure!(figures(&plan, "Rows Received") == [10; 4], "{plan}");
        let first = figures(&plan, "Time to First Row");
        ensure!(first.iter().any(|millis| *millis >= 290), "{plan}");
    }
    scene.works()
}
