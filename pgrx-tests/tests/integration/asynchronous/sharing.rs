//! Sites that share a connection, and statements that share the sites.

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::{EVERYTHING, EVERYTHING_IS, Scene};
use crate::ask::{expect, rows, run};

/// Queries over several scans of the merged tables, to compare with ordinary tables.
const QUERIES: [&str; 14] = [
    "SELECT count(*), sum(t.id), sum(u.id) FROM $.t JOIN $.u ON t.id = u.t_id",
    "SELECT t.site, count(*) FROM $.t JOIN $.u ON t.id = u.t_id AND t.site = u.site GROUP BY 1 ORDER BY 1",
    "SELECT count(*), sum(y.id) FROM $.t x JOIN $.t y ON x.txt = y.txt AND x.v = 3 WHERE random() < 2",
    "SELECT count(*) FROM (SELECT id FROM $.t WHERE random() < 2) x LEFT JOIN $.u ON u.t_id = x.id",
    "SELECT count(*), sum(id) FROM (SELECT id FROM $.t WHERE random() < 2 UNION ALL SELECT id FROM $.u \
       WHERE random() < 2 UNION ALL SELECT t_id FROM $.u) x",
    "SELECT count(*) FROM $.t WHERE id IN (SELECT t_id FROM $.u WHERE random() < 2) AND random() < 2",
    "SELECT count(*) FROM $.t WHERE id % 500 = 7 AND NOT EXISTS (SELECT FROM $.u WHERE u.t_id = t.id AND random() < 2)",
    "SELECT (SELECT count(*) FROM $.t WHERE random() < 2), (SELECT sum(id) FROM $.u WHERE random() < 2)",
    "WITH x AS MATERIALIZED (SELECT * FROM $.t WHERE random() < 2) \
       SELECT count(*) FROM x a JOIN x b USING (id) JOIN $.u ON u.t_id = b.id",
    "SELECT site, id FROM $.t WHERE v = 3 AND random() < 2 ORDER BY id LIMIT 20 OFFSET 95",
    "SELECT count(*) FROM (SELECT id FROM $.t WHERE random() < 2 EXCEPT SELECT t_id FROM $.u) x",
    "SELECT site, max(n) FROM (SELECT site, v, count(*) AS n FROM $.t WHERE random() < 2 GROUP BY 1, 2) x \
       GROUP BY 1 ORDER BY 1",
    "SELECT sum(f.n) FROM (SELECT public.of_$(id) AS n FROM $.t WHERE id % 100 = 1 AND random() < 2) f",
    "SELECT count(*) FROM $.t WHERE site IN ('a', 'b') AND id % 40 = 1 AND public.of_$(id) > 0 AND random() < 2",
];

/// Functions that read the merged table again for every row.
fn functions(client: &mut Client) -> Result<()> {
    for schema in ["main", "plain"] {
        run(
            client,
            &format!(
                "CREATE FUNCTION public.of_{schema}(int) RETURNS bigint LANGUAGE plpgsql STABLE AS \
                 'BEGIN RETURN (SELECT count(*) FROM {schema}.u WHERE t_id = $1); END'"
            ),
        )?;
    }
    Ok(())
}

#[test]
fn several_scans_in_one_query() -> Result<()> {
    let mut scene = Scene::new("several")?;
    functions(&mut scene.client)?;
    for setting in ["", "SET enable_hashjoin = off"] {
        run(&mut scene.client, setting)?;
        for query in QUERIES {
            let expected = rows(&mut scene.client, &query.replace('$', "plain"))?;
            expect(&mut scene.client, &query.replace('$', "main"), &expected)
                .with_context(|| setting.to_owned())?;
        }
    }
    scene.works()
}

#[test]
fn statements_of_one_transaction() -> Result<()> {
    let mut scene = Scene::new("statements")?;
    functions(&mut scene.client)?;
    run(&mut scene.client, "BEGIN")?;
    for query in QUERIES {
        let expected = rows(&mut scene.client, &query.replace('$', "plain"))?;
        expect(&mut scene.client, &query.replace('$', "main"), &expected)?;
        expect(&mut scene.client, EVERYTHING, EVERYTHING_IS)?;
    }
    run(&mut scene.client, "COMMIT")?;
    let open = rows(&mut scene.client, "SELECT count(*) FROM warehouse.replica_connections()")?;
    ensure!(open.parse::<u32>()? <= 3, "{open} connections");
    scene.works()
}

/// Two sites of one server, read alone and next to others, wide and narrow.
#[test]
fn two_sites_on_one_connection() -> Result<()> {
    let mut scene = Scene::new("turns")?;
    for sites in ["'a', 'b'", "'a', 'b', 'c'", "'b', 'd'"] {
        let count = sites.split(',').count();
        expect(
            &mut scene.client,
            &format!(
                "SELECT count(*), count(DISTINCT id), sum(length(pad)) \
                 FROM (SELECT * FROM main.wide WHERE site IN ({sites}) AND random() < 2 OFFSET 0) x"
            ),
            &format!("{0}|{0}|{1}", count * 1000, count * 3_000_000),
        )?;
    }
    let open = rows(&mut scene.client, "SELECT count(*) FROM warehouse.replica_connections()")?;
    ensure!(open.parse::<u32>()? <= 3, "{open} connections");
    scene.works()
}

#[test]
fn cursors_and_other_statements_take_turns() -> Result<()> {
    let mut scene = Scene::new("cursors")?;
    let client = &mut scene.client;
    run(
        client,
        "BEGIN; DECLARE x CURSOR FOR SELECT id FROM main.t WHERE random() < 2; \
         DECLARE y CURSOR FOR SELECT id FROM main.wide WHERE length(pad) > random(); \
         DECLARE z CURSOR FOR SELECT t.id FROM main.t JOIN main.u ON t.id = u.t_id WHERE random() < 2; \
         CREATE TEMP TABLE got (of text, id int)",
    )?;
    let fetch = |client: &mut Client, cursor: &str, count: &str| -> Result<Vec<String>> {
        let found = rows(client, &format!("FETCH {count} FROM {cursor}"))?;
        Ok(found.lines().map(str::to_owned).collect())
    };
    let mut got: [Vec<String>; 3] = Default::default();
    for count in ["10", "1", "600", "1000"] {
        for (at, cursor) in ["x", "y", "z"].iter().enumerate() {
            got[at].extend(fetch(client, cursor, count)?);
            expect(client, EVERYTHING, EVERYTHING_IS)?;
        }
    }
    for (at, cursor) in ["x", "y", "z"].iter().enumerate() {
        got[at].extend(fetch(client, cursor, "ALL")?);
    }
    for (all, expected) in got.iter_mut().zip([4000, 4000, 800]) {
        ensure!(all.len() == expected, "{} rows instead of {expected}", all.len());
        all.sort_unstable();
        all.dedup();
        ensure!(all.len() == expected, "rows came twice: {} of {expected}", all.len());
    }
    run(client, "COMMIT")?;
    scene.works()
}

/// A loop over the rows of all sites with queries over all sites in it.
#[test]
fn loops() -> Result<()> {
    let mut scene = Scene::new("loops")?;
    run(
        &mut scene.client,
        "CREATE FUNCTION walk() RETURNS text LANGUAGE plpgsql AS $$
         DECLARE r record; n bigint := 0; m bigint := 0;
         BEGIN
           FOR r IN SELECT id FROM main.t WHERE random() < 2 LOOP
             n := n + r.id;
             IF r.id % 500 = 0 THEN m := m + (SELECT sum(id) FROM main.u WHERE random() < 2); END IF;
             IF r.id % 250 = 0 THEN PERFORM id FROM main.t WHERE random() < 2 LIMIT 2; END IF;
           END LOOP;
           RETURN n || ' ' || m;
         END $$",
    )?;
    let sum = rows(&mut scene.client, "SELECT sum(id) * 8 FROM plain.u")?;
    expect(&mut scene.client, "SELECT walk()", &format!("102002000 {sum}"))?;
    run(&mut scene.client, "BEGIN")?;
    expect(&mut scene.client, "SELECT walk()", &format!("102002000 {sum}"))?;
    run(&mut scene.client, "COMMIT")?;
    scene.works()
}
