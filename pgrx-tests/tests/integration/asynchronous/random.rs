//! Random sites, delays and limits, compared with the same rows in an ordinary table.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use warehouse_tests::faults::Mode;

use super::Scene;
use super::ground::SERVERS;
use crate::ask::{rows, run};

const SEEDS: u64 = 20;

/// SplitMix64, as in `differential::random`, which is that module's own.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// A site of this many rows: its SELECT at the source, which may be slow now and then, and what the
/// same is in `plain`.
fn part(random: &mut Random, site: usize, count: u64) -> String {
    let sleep =
        random.pick(&["", "", ", LATERAL pg_sleep(CASE WHEN g % 500 = 250 THEN 0.02 ELSE 0 END)"]);
    let pad = random.pick(&[1, 20, 1000]);
    format!(
        "SELECT {site}::int * 100000 + g::int AS id, (g % 7)::int AS v, repeat('x', {pad}) AS pad \
         FROM generate_series(1, {count}) g{sleep}"
    )
}

/// Everything of one seed: tables, delays, and some queries.
fn one(scene: &mut Scene, seed: u64) -> Result<()> {
    let mut random = Random(seed);
    let schema = format!("seed_{seed}");
    let sites = 1 + random.below(6) as usize;
    let mut plain = Vec::new();
    let mut declared = vec![format!(
        "CREATE SCHEMA {schema}; CREATE TABLE {schema}.m (site text, id int, v int, pad text) PARTITION BY LIST (site)"
    )];
    for site in 0..sites {
        let server = random.pick(&SERVERS);
        let count = match random.below(4) {
            0 => 0,
            1 => random.below(10),
            _ => random.below(2500),
        };
        let select = part(&mut random, site, count);
        let ground = scene.sources.ground;
        let view = format!("{}_{site}", scene.sources.name);
        ground.source_cluster.execute(
            &ground.database(server),
            &format!("CREATE OR REPLACE VIEW public.\"{view}\" AS {select}"),
        )?;
        declared.push(format!(
            "CREATE FOREIGN TABLE {schema}.m{site} (site text OPTIONS (constant 'm{site}'), id int, v int, pad text) \
               SERVER {server} OPTIONS (schema_name 'public', table_name '{view}'); \
             ALTER TABLE {schema}.m ATTACH PARTITION {schema}.m{site} FOR VALUES IN ('m{site}')"
        ));
        plain.push(format!(
            "SELECT 'm{site}'::text AS site, {site} * 100000 + g AS id, g % 7 AS v FROM generate_series(1, {count}) g"
        ));
    }
    declared.push(format!("CREATE TABLE {schema}.p AS {}", plain.join(" UNION ALL ")));
    run(&mut scene.client, &declared.join("; "))?;
    for proxy in &scene.sources.proxies {
        let mode = match random.below(3) {
            0 => Mode::Delay(Duration::from_millis(1 + random.below(6))),
            _ => Mode::Pass,
        };
        proxy.set(mode)?;
    }
    let block = random.below(2) == 0;
    if block {
        run(&mut scene.client, "BEGIN")?;
    }
    for _ in 0..2 {
        query(scene, &mut random, &schema).with_context(|| format!("seed {seed}"))?;
    }
    if block {
        run(&mut scene.client, "COMMIT")?;
    }
    for proxy in &scene.sources.proxies {
        proxy.set(Mode::Pass)?;
    }
    Ok(())
}

fn query(scene: &mut Scene, random: &mut Random, schema: &str) -> Result<()> {
    let pad = random.pick(&["", "AND length(pad) > random()", "AND random() < 2"]);
    let (condition, plain) = match random.below(4) {
        0 => ("true".to_owned(), "true".to_owned()),
        1 => {
            let v = random.below(7);
            (format!("v = {v}"), format!("v = {v}"))
        }
        2 => ("site > 'm1'".to_owned(), "site > 'm1'".to_owned()),
        _ => ("v + random() / 2 > 3".to_owned(), "v >= 3".to_owned()),
    };
    // The last condition lets 3 pass unless random() is 0.
    let all: HashSet<String> =
        rows(&mut scene.client, &format!("SELECT site, id FROM {schema}.p WHERE {plain}"))?
            .lines()
            .map(str::to_owned)
            .collect();
    let limit = (random.below(3) > 0).then(|| random.below(all.len() as u64 * 5 / 4 + 2));
    let sql = format!(
        "SELECT site, id FROM {schema}.m WHERE {condition} {pad}{}",
        limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default()
    );
    let found = rows(&mut scene.client, &sql).with_context(|| sql.clone())?;
    let count = found.lines().count();
    let expected = limit.map_or(all.len(), |limit| all.len().min(limit as usize));
    ensure!(count == expected, "{sql}: {count} rows instead of {expected}");
    let different: HashSet<String> = found.lines().map(str::to_owned).collect();
    ensure!(different.len() == count, "{sql}: rows came twice");
    ensure!(different.is_subset(&all), "{sql}: rows that do not exist");
    let (one, two) = ("count(*), count(DISTINCT id), coalesce(sum(id), 0)", "v, count(*), max(id)");
    for (what, group) in [(one, ""), (two, "GROUP BY v ORDER BY v")] {
        let found = rows(&mut scene.client, &format!("SELECT {what} FROM {schema}.m {group}"))?;
        let expected = rows(&mut scene.client, &format!("SELECT {what} FROM {schema}.p {group}"))?;
        ensure!(found == expected, "{what}: {found} instead of {expected}");
    }
    Ok(())
}

#[test]
fn the_same_rows_as_an_ordinary_table() -> Result<()> {
    let told: Option<u64> = std::env::var("WAREHOUSE_SEED").ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?.as_micros() as u64;
    let (first, count) = told.map_or((now, SEEDS), |seed| (seed, 1));
    println!("first seed {first}");
    let mut scene = Scene::new("random")?;
    for seed in first..first + count {
        one(&mut scene, seed)?;
    }
    scene.works()
}
