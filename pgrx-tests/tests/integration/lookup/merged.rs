//! Merged tables: by a key alone every site is asked, by site and key each only for its own.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::faults::{Mode, Proxy};

use super::{FORCED, NODE, SIZES, sorted};
use crate::ask::{declare, expect, refused, rows, run};
use crate::support::Pair;

/// Three sites whose ids are the same, each behind a proxy of its own, merged into `app` and copied
/// into `plain`. Site c lacks the column `extra` and has `k` as another type.
struct Merged {
    pair: Pair,
    client: Client,
    proxies: Vec<(&'static str, Proxy)>,
}

/// Orders of all sites, of one that there is not and of none.
const HERE: &str = "CREATE TABLE o AS SELECT g AS id, \
      CASE g % 6 WHEN 0 THEN 'a' WHEN 1 THEN 'b' WHEN 2 THEN 'c' WHEN 3 THEN 'zz' WHEN 4 THEN 'A' END AS site, \
      CASE WHEN g % 7 <> 0 THEN g % 30 END AS k, g % 5 AS v FROM generate_series(1, 90) g; \
    CREATE TABLE ab AS SELECT * FROM o WHERE site IN ('a', 'b'); \
    CREATE TABLE none (LIKE o)";

impl Merged {
    fn new(test: &str) -> Result<Merged> {
        let pair = Pair::new(test)?;
        let mut client = pair.warehouse()?;
        let mut proxies = Vec::new();
        let mut sources = Vec::new();
        for site in ["a", "b", "c"] {
            let database = pair.source_cluster.create_database(test)?;
            let (of, extra) =
                if site == "c" { ("bigint", "") } else { ("int", ", g % 4 AS extra") };
            pair.source_cluster.execute(
                &database,
                &format!(
                    "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT g AS id, (g % 20)::{of} AS k, \
                       g % 3 AS v, '{site}' || g AS name{extra} FROM generate_series(1, 100) g; \
                     ALTER TABLE s.t ADD PRIMARY KEY (id); \
                     CREATE TABLE s.u AS SELECT g AS id, g * 3 % 100 AS t_id FROM generate_series(1, 50) g; \
                     ANALYZE"
                ),
            )?;
            let proxy = Proxy::to_cluster(pair.source_cluster)?;
            let server = format!("server_{site}");
            declare(&mut client, &server, proxy.port(), &database, ", connect_timeout '2'")?;
            sources.push(format!(r#"{{"server": "{server}", "schema": "s", "site": "{site}"}}"#));
            proxies.push((site, proxy));
        }
        run(
            &mut client,
            &format!(
                "SELECT FROM warehouse.merge_schema('app', '[{}]'); CREATE SCHEMA plain; \
                 CREATE TABLE plain.t AS TABLE app.t; CREATE TABLE plain.u AS TABLE app.u; {HERE}; \
                 ANALYZE o, ab, plain.t, plain.u; SET statement_timeout = '20s'",
                sources.join(", ")
            ),
        )?;
        run(&mut client, FORCED)?;
        Ok(Merged { pair, client, proxies })
    }

    fn set(&self, site: &str, mode: Mode) -> Result<()> {
        for (_, proxy) in self.proxies.iter().filter(|(name, _)| *name == site) {
            proxy.set(mode)?;
            proxy.drop_connections()?;
        }
        Ok(())
    }

    fn agrees(&mut self, query: &str) -> Result<()> {
        let expected = sorted(&mut self.client, &query.replace('$', "plain"))?;
        let sql = query.replace('$', "app");
        for size in SIZES {
            run(&mut self.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
            let plan = rows(&mut self.client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
            ensure!(plan.contains(NODE), "not joined by keys: {sql}\n{plan}");
            for setting in ["on", "off"] {
                run(&mut self.client, &format!("SET enable_async_append = {setting}"))?;
                let found = sorted(&mut self.client, &sql).with_context(|| {
                    format!("batches of {size}, async {setting}: {sql}\n{plan}")
                })?;
                ensure!(
                    found == expected,
                    "batches of {size}, async {setting}: {sql}\nexpected {expected:?}\nfound {found:?}\n{plan}"
                );
            }
        }
        run(&mut self.client, "RESET warehouse.lookup_batch_size; RESET enable_async_append")
    }
}

const QUERIES: [&str; 22] = [
    "SELECT o.id, t.* FROM o JOIN $.t ON t.k = o.k",
    "SELECT o.id, t.* FROM o JOIN $.t ON t.k = o.k AND t.site = o.site",
    "SELECT o.id, t.site, t.id FROM o JOIN $.t ON t.id = o.k AND t.site = o.site AND t.v <> o.v",
    "SELECT o.id, t.site, t.id FROM o LEFT JOIN $.t ON t.id = o.k",
    "SELECT o.id, t.site, t.id FROM o LEFT JOIN $.t USING (site, k)",
    "SELECT o.id, t.site, t.name FROM o LEFT JOIN $.t ON t.id = o.k AND t.site = o.site AND o.v < 3",
    "SELECT o.id FROM o WHERE EXISTS (SELECT FROM $.t WHERE t.id = o.k AND t.site = o.site)",
    "SELECT o.id FROM o WHERE NOT EXISTS (SELECT FROM $.t WHERE t.id = o.k AND t.site = o.site)",
    "SELECT o.id FROM o WHERE (site, k) IN (SELECT site, id FROM $.t WHERE v = 1)",
    "SELECT o.id FROM o WHERE k IN (SELECT k FROM $.t WHERE v = 2)",
    "SELECT o.id, t.id FROM o JOIN $.t ON t.k = o.k WHERE t.site = 'b'",
    "SELECT o.id, t.id FROM o JOIN $.t ON t.k = o.k AND t.site = o.site WHERE o.site = 'a'",
    "SELECT o.id, t.site, t.id FROM o JOIN $.t ON t.k = o.k AND t.site = o.site WHERE t.site IN ('a', 'c')",
    "SELECT o.id, t.id FROM o JOIN $.t ON t.k = o.k AND t.site = o.site WHERE t.site <> 'b' AND t.v > 0",
    "SELECT o.id, t.site, t.id FROM o JOIN $.t ON t.extra = o.v AND t.site = o.site",
    "SELECT o.id, t.site, t.id FROM o LEFT JOIN $.t ON t.extra = o.v AND t.k = o.k",
    "SELECT o.id, t.site, t.id FROM o JOIN $.t ON t.site || '' = o.site AND t.id = o.k",
    "SELECT o.id, t.site, t.id FROM o JOIN $.t ON t.k = o.k AND t.site > o.site",
    "SELECT o.id, t.site, t.id, u.id FROM o JOIN $.t ON t.id = o.k AND t.site = o.site \
       JOIN $.u ON u.site = t.site AND u.t_id = t.id",
    "SELECT o.site, count(*), sum(t.v) FROM o JOIN $.t ON t.id = o.k AND t.site = o.site GROUP BY 1",
    "SELECT none.id, t.id FROM none JOIN $.t ON t.k = none.k AND t.site = none.site",
    "SELECT o.id, t, t.site IS NULL FROM o LEFT JOIN $.t ON t.site = o.site AND t.name = o.site || o.k",
];

#[test]
fn joins_of_merged_tables() -> Result<()> {
    let mut merged = Merged::new("merged")?;
    for query in QUERIES {
        merged.agrees(query)?;
    }
    Ok(())
}

/// A site that is written otherwise, or in a type of its own.
#[test]
fn sites_of_other_types() -> Result<()> {
    let mut merged = Merged::new("sitetypes")?;
    run(
        &mut merged.client,
        "CREATE DOMAIN site_name AS text; CREATE TABLE odd AS SELECT id, site::char(4) AS sc, site::varchar(9) AS sv, \
           site::name AS sn, site::site_name AS sd, k FROM o; ANALYZE odd",
    )?;
    for column in ["sc", "sv", "sn", "sd", "sc::text", "sv || ''", "lower(sv)", "nullif(sd, 'b')"] {
        merged.agrees(&format!(
            "SELECT odd.id, t.site, t.id FROM odd JOIN $.t ON t.site = {column} AND t.id = odd.k"
        ))?;
        merged.agrees(&format!(
            "SELECT odd.id FROM odd WHERE NOT EXISTS \
               (SELECT FROM $.t WHERE t.site = {column} AND t.id = odd.k)"
        ))?;
    }
    Ok(())
}

/// `ab` has rows of the sites a and b alone.
#[test]
fn a_site_without_keys_is_not_asked() -> Result<()> {
    let mut merged = Merged::new("notasked")?;
    let by_both = "FROM ab JOIN $.t ON t.id = ab.k AND t.site = ab.site";
    let by_key = "FROM ab JOIN $.t ON t.id = ab.k";
    let count = |from: &str, schema: &str| {
        format!("SELECT count(*), sum(t.id) {}", from.replace('$', schema))
    };
    let expected = rows(&mut merged.client, &count(by_both, "plain"))?;
    for mode in [Mode::Refuse, Mode::Stall] {
        merged.set("c", mode)?;
        run(&mut merged.client, "SELECT warehouse.disconnect()")?;
        for size in SIZES {
            run(&mut merged.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
            expect(&mut merged.client, &count(by_both, "app"), &expected)?;
        }
        refused(&mut merged.client, &count(by_key, "app"))
            .context("by the key alone every site has to be asked")?
            .says("08001", &["\"server_c\""])?;
        expect(&mut merged.client, &count(by_both, "app"), &expected)?;
    }
    merged.set("c", Mode::Pass)?;
    let expected = rows(&mut merged.client, &count(by_key, "plain"))?;
    expect(&mut merged.client, &count(by_key, "app"), &expected)
}

/// The ids of the sites are the same: what is asked for at the wrong site would come from there.
#[test]
fn each_site_is_asked_for_its_own_keys() -> Result<()> {
    let mut merged = Merged::new("ownkeys")?;
    run(
        &mut merged.client,
        "CREATE TABLE mine (site text, k int); \
         INSERT INTO mine SELECT 'a', g FROM generate_series(1, 8) g; \
         INSERT INTO mine SELECT 'b', g FROM generate_series(20, 22) g; ANALYZE mine",
    )?;
    let plan = rows(
        &mut merged.client,
        "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) \
         SELECT * FROM mine JOIN app.t ON t.site = mine.site AND t.id = mine.k",
    )?;
    let received: Vec<&str> =
        plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Received: ")).collect();
    ensure!(received == ["8", "3"], "{plan}");
    Ok(())
}

/// Two merged tables on servers of their own, as with people and what they do.
#[test]
fn merged_tables_of_different_servers() -> Result<()> {
    let mut merged = Merged::new("apart")?;
    let port = merged.pair.source_cluster.port();
    let mut sources = Vec::new();
    for site in ["a", "b", "c"] {
        let database = rows(
            &mut merged.client,
            &format!(
                "SELECT option_value FROM pg_foreign_server, pg_options_to_table(srvoptions) \
                 WHERE srvname = 'server_{site}' AND option_name = 'dbname'"
            ),
        )?;
        declare(&mut merged.client, &format!("also_{site}"), port, &database, "")?;
        sources.push(format!(r#"{{"server": "also_{site}", "schema": "s", "site": "{site}"}}"#));
    }
    run(
        &mut merged.client,
        &format!(
            "SELECT FROM warehouse.merge_schema('also', '[{}]'); \
             CREATE VIEW app.u2 AS TABLE also.u; CREATE VIEW plain.u2 AS TABLE plain.u",
            sources.join(", ")
        ),
    )?;
    for query in [
        "SELECT t.site, t.id, u.id FROM $.t JOIN $.u2 u ON u.site = t.site AND u.t_id = t.id WHERE t.k < 4",
        "SELECT t.site, t.id, u.id FROM $.t LEFT JOIN $.u2 u ON u.site = t.site AND u.t_id = t.id AND t.v = 1",
        "SELECT t.site, t.id, u.site, u.id FROM $.t JOIN $.u2 u ON u.t_id = t.id WHERE t.name > 'b2'",
        "SELECT t.site, t.id FROM $.t WHERE EXISTS (SELECT FROM $.u2 u WHERE u.site = t.site AND u.t_id = t.id)",
        "SELECT t.site, t.id FROM $.t WHERE NOT EXISTS (SELECT FROM $.u2 u WHERE u.t_id = t.id)",
        "SELECT t.site, count(*), max(u.id) FROM $.t JOIN $.u2 u ON u.site = t.site AND u.t_id = t.id GROUP BY 1",
        "SELECT t.site, t.id, u.id FROM $.t JOIN $.u2 u ON u.site = t.site AND u.t_id = t.id WHERE t.site = 'b'",
        "SELECT o.id, t.site, u.id FROM o JOIN $.t USING (site, k) LEFT JOIN $.u2 u ON u.site = t.site AND u.t_id = t.id",
    ] {
        merged.agrees(query)?;
        run(&mut merged.client, "SET warehouse.partitionwise = off")?;
        merged.agrees(query).context("not site by site")?;
        run(&mut merged.client, "RESET warehouse.partitionwise")?;
    }
    Ok(())
}

/// A part that is a table here, or one that lies at another wrapper, joins in other ways.
#[test]
fn parts_that_are_no_sources() -> Result<()> {
    let mut merged = Merged::new("localpart")?;
    run(
        &mut merged.client,
        "CREATE TABLE local_part (LIKE app.t); ALTER TABLE app.t ATTACH PARTITION local_part FOR VALUES IN ('d'); \
         INSERT INTO local_part (site, id, k) VALUES ('d', 1, 1), ('d', 2, 5); \
         INSERT INTO plain.t (site, id, k) VALUES ('d', 1, 1), ('d', 2, 5); \
         INSERT INTO o VALUES (900, 'd', 1, 1), (901, 'd', 5, 1)",
    )?;
    for query in QUERIES {
        let expected = sorted(&mut merged.client, &query.replace('$', "plain"))?;
        let found = sorted(&mut merged.client, &query.replace('$', "app"))?;
        ensure!(found == expected, "{query}\nexpected {expected:?}\nfound {found:?}");
    }
    Ok(())
}
