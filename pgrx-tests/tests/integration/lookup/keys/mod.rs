//! Keys of many types: what is sent as text finds what Postgres would call equal.

mod numbers;
mod others;
mod texts;
mod times;

use anyhow::{Context, Result, ensure};

use super::{NODE, SIZES, Scene, sorted};
use crate::ask::{rows, run};

/// A pair of types: that of the source and its values, that of here and its values.
type Types<'a> = (&'a str, &'a [&'a str], &'a str, &'a [&'a str]);

/// The table `i<number>` at the source and `o<number>` here with the values given, two of them twice
/// and one NULL.
fn tables(number: usize, (of_i, i, of_o, o): Types<'_>) -> (String, String) {
    let values = |all: &[&str]| -> String {
        let mut out: Vec<String> = all.iter().map(|value| format!("({value})")).collect();
        out.push("(NULL)".to_owned());
        out.extend(all.iter().take(2).map(|value| format!("({value})")));
        out.join(", ")
    };
    let table = |name: &str, of: &str, all: &[&str]| {
        format!(
            "CREATE TABLE {name}{number} (id serial, k {of}); \
             INSERT INTO {name}{number} (k) VALUES {}; ANALYZE {name}{number}",
            values(all)
        )
    };
    (table("i", of_i, i), table("o", of_o, o))
}

const QUERIES: [&str; 4] = [
    "SELECT o.id, i.id, i.k, o.k FROM o JOIN $.i ON i.k = o.k",
    "SELECT o.id, i.id FROM o LEFT JOIN $.i ON o.k = i.k AND i.id > 1",
    "SELECT o.id FROM o WHERE EXISTS (SELECT FROM $.i WHERE i.k = o.k)",
    "SELECT o.id FROM o WHERE NOT EXISTS (SELECT FROM $.i WHERE i.k = o.k)",
];

/// The queries over the pair of tables with this number.
fn queries(number: usize) -> impl Iterator<Item = String> {
    QUERIES.iter().map(move |query| {
        query
            .replace("$.i", &format!("$.i{number} i"))
            .replace("FROM o ", &format!("FROM o{number} o "))
    })
}

/// A scene with a pair of tables for each pair of types. `before` makes types at both sides.
fn scene(test: &str, before: &str, all: &[Types<'_>]) -> Result<Scene> {
    let (mut there, mut here) = (before.to_owned(), before.to_owned());
    for (number, types) in all.iter().enumerate() {
        let (i, o) = tables(number, *types);
        there.push_str(&format!("; {i}"));
        here.push_str(&format!("; {o}"));
    }
    Scene::new(test, &there, &here)
}

/// Checks the joins of pairs of types.
fn agree(test: &str, before: &str, all: &[Types<'_>]) -> Result<()> {
    let mut scene = scene(test, before, all)?;
    for (number, (of_i, _, of_o, _)) in all.iter().enumerate() {
        for query in queries(number) {
            scene.agrees(&query).with_context(|| format!("{of_i} = {of_o}"))?;
            // It says something only if there are partners.
            let found = sorted(&mut scene.client, &query.replace('$', "app"))?;
            ensure!(!found.is_empty(), "{of_i} = {of_o}: {query}");
        }
    }
    Ok(())
}

/// As [`Scene::agrees`], where it is left to the wrapper whether it asks by such keys.
fn compare(scene: &mut Scene, query: &str) -> Result<()> {
    let expected = sorted(&mut scene.client, &query.replace('$', "plain"))?;
    let sql = query.replace('$', "app");
    for size in SIZES {
        run(&mut scene.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
        let plan = rows(&mut scene.client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
        let found = sorted(&mut scene.client, &sql).with_context(|| plan.clone())?;
        ensure!(found == expected, "{sql}\nexpected {expected:?}\nfound {found:?}\n{plan}");
    }
    let plan = rows(&mut scene.client, &format!("EXPLAIN {sql}"))?;
    println!("{}by keys: {sql}", if plan.contains(NODE) { "" } else { "not " });
    Ok(())
}
