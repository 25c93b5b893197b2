//! An Append that starts again, with other values and other sites.

use anyhow::{Context, Result};
use postgres::Client;

use super::Scene;
use crate::ask::{expect, rows, run};

/// Inner sides that are read to the end.
const WHOLE: [&str; 5] = [
    "SELECT k.n, l.* FROM public.asked k, LATERAL (SELECT count(*), sum(id) FROM $.t \
       WHERE t.v = k.n AND random() < 2) l ORDER BY 1",
    "SELECT k.n, l.* FROM public.asked k, LATERAL (SELECT count(*), min(id) FROM $.t \
       WHERE t.site = k.site AND random() < 2) l ORDER BY 1",
    "SELECT k.n, l.* FROM public.asked k, LATERAL (SELECT count(*), max(id) FROM $.t \
       WHERE t.site >= k.site AND t.v = k.n AND random() < 2) l ORDER BY 1",
    "SELECT k.n, (SELECT sum(id) FROM $.u WHERE u.site <> k.site AND random() < 2) FROM public.asked k ORDER BY 1",
    "SELECT k.n, count(l.id) FROM public.asked k LEFT JOIN LATERAL (SELECT id FROM $.t \
       WHERE t.site = k.site AND t.v = k.n AND random() < 2 OFFSET 0) l ON true GROUP BY 1 ORDER BY 1",
];

/// Inner sides that are left before their end, and what holds whatever rows they gave.
const PARTS: [(&str, &str); 7] = [
    (
        "SELECT count(*), bool_and(l.site = k.site) FROM public.asked k, LATERAL \
         (SELECT site, id FROM main.t WHERE t.site = k.site AND random() < 2 LIMIT 3) l",
        "24|t",
    ),
    // What was left has no end that could be waited for.
    (
        "SELECT count(*), bool_and(l.site = k.site) FROM public.asked k, LATERAL \
         (SELECT site, id FROM main.flood WHERE flood.site = k.site AND random() < 2 LIMIT 3) l",
        "24|t",
    ),
    (
        "SELECT count(*), bool_and(l.site >= k.site) FROM public.asked k, LATERAL \
         (SELECT site, id FROM main.t WHERE t.site >= k.site AND random() < 2 LIMIT 700) l",
        "5600|t",
    ),
    (
        "SELECT count(*), bool_and(l.v = k.n) FROM public.asked k, LATERAL \
         (SELECT v, id FROM main.t WHERE t.v = k.n AND random() < 2 LIMIT 150) l",
        "1200|t",
    ),
    (
        "SELECT count(*), bool_and(l.site = k.site) FROM public.asked k, LATERAL \
         (SELECT site, pad FROM main.wide WHERE wide.site = k.site AND length(pad) > random() LIMIT 2) l",
        "16|t",
    ),
    (
        "SELECT count(*) FROM public.asked k WHERE EXISTS \
         (SELECT FROM main.wide WHERE wide.site = k.site AND length(pad) > random() OFFSET k.n)",
        "8",
    ),
    // Of one site or of two, which have 1,000 rows each.
    (
        "SELECT count(*), count(l.site) FROM public.asked k, LATERAL \
         (SELECT site, id FROM main.wide WHERE wide.site IN (k.site, k.other) AND random() < 2 LIMIT k.n * 400) l",
        "12000|12000",
    ),
];

/// Sites in an order in which the one that was left comes after the one that is next, and before.
fn asked(client: &mut Client) -> Result<()> {
    run(
        client,
        "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; \
         SET enable_memoize = off; \
         CREATE TABLE public.asked AS SELECT * FROM (VALUES (1, 'b', 'd'), (2, 'a', 'a'), (3, 'c', 'a'), \
           (4, 'a', 'b'), (5, 'b', 'a'), (6, 'd', 'c'), (7, 'b', 'd'), (8, 'a', 'c')) k (n, site, other); \
         ANALYZE public.asked",
    )
}

#[test]
fn read_to_the_end() -> Result<()> {
    let mut scene = Scene::new("rescans")?;
    asked(&mut scene.client)?;
    for query in WHOLE {
        let expected = rows(&mut scene.client, &query.replace('$', "plain"))?;
        expect(&mut scene.client, &query.replace('$', "main"), &expected)?;
    }
    scene.works()
}

#[test]
fn left_before_the_end() -> Result<()> {
    let mut scene = Scene::new("partrescans")?;
    asked(&mut scene.client)?;
    for block in [false, true] {
        for (sql, answer) in PARTS {
            if block {
                run(&mut scene.client, "BEGIN; SELECT count(*) FROM main.u")?;
            }
            expect(&mut scene.client, sql, answer).with_context(|| format!("block: {block}"))?;
            scene.works().with_context(|| sql.to_owned())?;
            if block {
                run(&mut scene.client, "COMMIT")?;
            }
        }
    }
    Ok(())
}

/// The same as a prepared statement whose plan is kept.
#[test]
fn in_a_kept_plan() -> Result<()> {
    let mut scene = Scene::new("keptrescans")?;
    asked(&mut scene.client)?;
    run(
        &mut scene.client,
        "SET plan_cache_mode = force_generic_plan; PREPARE p(int) AS \
         SELECT count(*), bool_and(l.site = k.site) FROM public.asked k, LATERAL \
         (SELECT site, id FROM main.t WHERE t.site = k.site AND random() < 2 LIMIT $1) l",
    )?;
    for limit in [1, 999, 1, 1000, 2000, 3] {
        expect(
            &mut scene.client,
            &format!("EXECUTE p({limit})"),
            &format!("{}|t", 8 * limit.min(1000)),
        )?;
    }
    scene.works()
}
