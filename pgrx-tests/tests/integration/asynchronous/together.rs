//! All sites run at the same moment: each waits for a lock that is given up when all have been seen.

use std::thread;

use anyhow::{Context, Result, bail, ensure};
use postgres::Client;

use super::ground::SERVERS;
use super::{Scene, Sources};
use crate::ask::{rows, run};

/// Runs `sql`, whose rows are held everywhere, and gives them up when all servers hold some. Returns
/// its answer, and what was wrong with the moment, if anything was.
fn held(
    sources: &Sources,
    client: &mut Client,
    sql: &str,
) -> Result<(String, Option<anyhow::Error>)> {
    let holders = sources.hold_all()?;
    thread::scope(|scope| {
        let answer = scope.spawn(|| rows(client, sql));
        let seen = sources.all_are_held(&SERVERS);
        drop(holders);
        match answer.join() {
            Ok(answer) => Ok((answer?, seen.err())),
            Err(_) => bail!("the query panicked"),
        }
    })
}

/// Each query in the same session, from one that has connections to one that has none.
fn all_at_once(test: &str, setup: &str, queries: &[(&str, &str)]) -> Result<()> {
    let mut scene = Scene::new(test)?;
    run(&mut scene.client, setup)?;
    let mut wrong = Vec::new();
    for (sql, answer) in queries {
        let (mut found, alone) =
            held(&scene.sources, &mut scene.client, sql).with_context(|| sql.to_string())?;
        if !sql.contains("ORDER BY") {
            let mut lines: Vec<&str> = found.lines().collect();
            lines.sort_unstable();
            found = lines.join("\n");
        }
        ensure!(found == *answer, "{sql}\nexpected:\n{answer}\nfound:\n{found}");
        if let Some(error) = alone {
            let plan = match sql.starts_with("SELECT") {
                true => rows(&mut scene.client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?,
                false => String::new(),
            };
            wrong.push(format!("{sql}: {error:#}\n{plan}"));
        }
    }
    ensure!(wrong.is_empty(), "not at the same time:\n{}", wrong.join("\n"));
    scene.works()
}

#[test]
fn scans() -> Result<()> {
    all_at_once(
        "scans",
        "",
        &[
            (
                "SELECT count(id), sum(id) FROM (SELECT id FROM main.held WHERE random() < 2 OFFSET 0) x",
                "4000|102002000",
            ),
            ("SELECT count(*) FROM (SELECT id FROM main.held WHERE v = 3 OFFSET 0) t", "400"),
        ],
    )
}

#[test]
fn aggregates_in_two_steps() -> Result<()> {
    all_at_once(
        "partial",
        "",
        &[
            ("SELECT count(*) FROM main.held", "4000"),
            (
                "SELECT site, count(*), avg(v) FROM main.held GROUP BY site ORDER BY site",
                "a|1000|4.5000000000000000\nb|1000|4.5000000000000000\nc|1000|4.5000000000000000\nd|1000|4.5000000000000000",
            ),
            ("SELECT v, sum(id) FROM main.held WHERE v < 1 GROUP BY v", "0|10202000"),
        ],
    )
}

#[test]
fn joins_site_by_site() -> Result<()> {
    all_at_once(
        "sitejoins",
        "",
        &[
            (
                "SELECT count(*) FROM main.held h JOIN main.u USING (site) WHERE h.id = u.t_id",
                "800",
            ),
            (
                "SELECT h.site, count(*) FROM main.held h JOIN main.u ON h.site = u.site AND h.id = u.t_id \
                 GROUP BY h.site ORDER BY 1",
                "a|200\nb|200\nc|200\nd|200",
            ),
        ],
    )
}

#[test]
fn in_a_transaction_and_as_a_prepared_statement() -> Result<()> {
    all_at_once(
        "inblock",
        "SET plan_cache_mode = force_generic_plan; \
         PREPARE p(int) AS SELECT count(id) FROM (SELECT id FROM main.held WHERE v = $1 AND random() < 2 OFFSET 0) x; \
         BEGIN; SELECT count(*) FROM main.t",
        &[
            (
                "SELECT count(id) FROM (SELECT id FROM main.held WHERE random() < 2 OFFSET 0) x",
                "4000",
            ),
            ("EXECUTE p(3)", "400"),
        ],
    )
}

/// Drivers that fetch in portions, Metabase's among them, read every query so.
#[test]
fn cursors() -> Result<()> {
    all_at_once(
        "heldcursor",
        "BEGIN; DECLARE c CURSOR FOR SELECT id / 10000 FROM main.held WHERE id % 10000 = 1",
        &[("FETCH ALL FROM c", "1\n2\n3\n4")],
    )
}

/// Plans in which the parts of an Append cannot run at the same time take the sum of their times.
#[test]
fn what_stays_here_is_done_above_the_append() -> Result<()> {
    let mut scene = Scene::new("above")?;
    let mut alone = Vec::new();
    for sql in [
        "SELECT count(id) FROM main.wide WHERE random() < 2",
        "SELECT id % 3, count(*), max(pad) FROM main.wide WHERE random() < 2 GROUP BY 1",
        "SELECT site, count(*), max(pad) FROM main.wide WHERE random() < 2 GROUP BY site",
        "SELECT DISTINCT site, id % 7 FROM main.wide WHERE random() < 2",
        "SELECT string_agg(pad, ',') FROM main.wide",
        "SELECT site, id FROM main.wide WHERE random() < 2 ORDER BY pad || id",
    ] {
        let plan = rows(&mut scene.client, &format!("EXPLAIN (COSTS OFF) {sql}"))?;
        if plan.matches("Async Foreign Scan").count() != 4 {
            alone.push(format!("{sql}\n{plan}"));
        }
    }
    ensure!(alone.is_empty(), "one after the other:\n{}", alone.join("\n"));
    Ok(())
}
