//! The same random query over a foreign table and at its source gives the same rows, or the same error.
//!
//! [`kinds`] and [`pools`] know types and hostile values, [`rules`] what can be made of them,
//! [`expression`] and [`query`] put queries together, [`session`] runs them, [`report`] makes a failure
//! small. `WAREHOUSE_CASES` sets how many queries are tried, `WAREHOUSE_SEED` repeats one table with its
//! queries: the number a failure is printed with. [`whole`] does the same with whole statements over
//! merged tables.
//!
//! Where the databases collate text differently, the source's own answer is not the right one: what is
//! sorted or compared here follows the collation of this database. There a copy of the table in a
//! database collated like the warehouse is asked.

mod expression;
mod kinds;
mod pools;
mod query;
mod random;
mod report;
mod rules;
mod session;
mod strings;
mod table;
mod whole;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::cluster::unique_name;

use crate::support::Pair;
use expression::{Allowed, Maker};
use query::Query;
pub use random::Random;
use report::{Case, Sides};
use rules::Rule;
use session::Way;
use table::Table;

/// Queries over the same tables.
const QUERIES_PER_TABLE: usize = 20;

/// Rules whose arguments a table has columns for.
const RULES_PER_TABLE: usize = 8;

/// Queries in all, unless told otherwise.
const CASES: usize = 1000;

/// Failures that are made small and told before a test gives up.
const TOLD: usize = 5;

/// What was seen, to tell a test that tests nothing.
#[derive(Debug, Default)]
struct Tally {
    queries: usize,
    /// A condition, an order or a limit went to the source.
    pushed: usize,
    conditions: usize,
    orders: usize,
    limits: usize,
    with_rows: usize,
    errors: usize,
}

#[test]
fn over_one_collation() -> Result<()> {
    let tally = compare("same", share(70), None)?;
    // About half of the conditions of these tables can be sent, and nearly all orders and limits.
    ensure!(tally.pushed * 100 >= tally.queries * 50, "too little was pushed: {tally:?}");
    ensure!(tally.orders > 0 && tally.limits > 0 && tally.conditions > 0, "{tally:?}");
    ensure!(tally.with_rows * 100 >= tally.queries * 40, "too few queries find rows: {tally:?}");
    ensure!(tally.errors * 100 <= tally.queries * 25, "too many queries are errors: {tally:?}");
    Ok(())
}

#[test]
fn over_a_source_with_linguistic_order() -> Result<()> {
    compare("icu", share(20), Some("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")).map(|_| ())
}

#[test]
fn over_a_source_with_bytewise_order() -> Result<()> {
    compare("bytewise", share(10), Some("LC_COLLATE 'C' LC_CTYPE 'C'")).map(|_| ())
}

/// So many of a hundred of all cases.
fn share(percent: usize) -> usize {
    let cases = std::env::var("WAREHOUSE_CASES").ok().and_then(|text| text.parse().ok());
    cases.unwrap_or(CASES) * percent / 100
}

/// Tries `cases` queries. With `collation` the source's database is created with it and a copy of the
/// tables knows the answers.
fn compare(name: &str, cases: usize, collation: Option<&str>) -> Result<Tally> {
    let pair = Pair::new(&format!("differential_{name}"))?;
    let mut warehouse = pair.warehouse()?;
    let (mut source, mut oracle) = match collation {
        None => (pair.source()?, None),
        Some(collation) => {
            let database = unique_name("differential_collated");
            pair.source_cluster.execute(
                "postgres",
                &format!("CREATE DATABASE {database} TEMPLATE template0 {collation}"),
            )?;
            warehouse
                .batch_execute(&format!("ALTER SERVER src OPTIONS (SET dbname '{database}')"))?;
            let copy = pair.warehouse_cluster.create_database("differential_copy")?;
            (pair.source_cluster.connect(&database)?, Some(pair.warehouse_cluster.connect(&copy)?))
        }
    };
    let repeated: Option<u64> =
        std::env::var("WAREHOUSE_SEED").ok().and_then(|text| text.parse().ok());
    let first = repeated.unwrap_or(
        SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?.as_micros() as u64,
    );
    println!("differential {name}: {cases} queries, first seed {first}");
    let (rules, listed) = rules::all();
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    let told = std::env::var("WAREHOUSE_TOLD").ok().and_then(|t| t.parse().ok()).unwrap_or(TOLD);
    let tables = if repeated.is_some() { 1 } else { cases.div_ceil(QUERIES_PER_TABLE) };
    for seed in first..first + tables as u64 {
        let sides =
            Sides { warehouse: &mut warehouse, source: &mut source, oracle: oracle.as_mut() };
        let failure = try_tables(seed, &rules, listed, sides, &mut tally)
            .with_context(|| format!("seed {seed}"))?;
        failures.extend(failure);
        if failures.len() == told {
            break;
        }
    }
    println!("differential {name}: {tally:?}");
    ensure!(failures.is_empty(), "the warehouse answers otherwise:\n\n{}", failures.join("\n\n"));
    Ok(tally)
}

/// One pair of random tables and its queries, up to the first failure, which is described.
fn try_tables(
    seed: u64,
    rules: &[Rule],
    listed: usize,
    mut sides: Sides<'_>,
    tally: &mut Tally,
) -> Result<Option<String>> {
    let mut random = Random::new(seed);
    let bytewise = random.percent(15);
    let (rows, others) = (random.between(0, 40), random.between(3, 20));
    // There are many more rules for all types than for single ones.
    let focus: Vec<&Rule> = (0..RULES_PER_TABLE)
        .map(|at| &rules[random.below(if at == 0 { rules.len() } else { listed })])
        .collect();
    let tables = [
        Table::random("tab", &focus, &mut random, rows, bytewise),
        Table::random("other", &focus[..1], &mut random, others, bytewise),
    ];
    fill(&mut sides, &tables)?;
    for _ in 0..QUERIES_PER_TABLE {
        let way = match random.below(10) {
            0..=3 => Way::Plain,
            4 => Way::Prepared("auto"),
            5 => Way::Prepared("force_generic_plan"),
            6 => Way::Prepared("force_custom_plan"),
            7 => Way::Cursor,
            _ => Way::Stored,
        };
        let allowed = Allowed {
            failing: !matches!(way, Way::Cursor | Way::Stored) && random.percent(25),
            styled: way != Way::Stored,
            params: matches!(way, Way::Prepared(_)),
        };
        let settings = session::strange(&mut random);
        let planning = session::planning(&mut random);
        let maker = Maker::new(rules, &focus, &mut random, allowed);
        let query = Query::random(maker, &tables[0], &tables[1], allowed.failing);
        let case = Case { seed, tables: tables.clone(), query, way, settings, planning };
        let failure = try_case(case, &mut sides, tally)?;
        if failure.is_some() {
            return Ok(failure);
        }
    }
    Ok(None)
}

fn fill(sides: &mut Sides<'_>, tables: &[Table]) -> Result<()> {
    let settings = session::USUAL;
    table::prepare(sides.warehouse, false)?;
    let all: [Option<&mut Client>; 2] = [Some(sides.source), sides.oracle.as_deref_mut()];
    for client in all.into_iter().flatten() {
        client.batch_execute(settings)?;
        table::prepare(client, true)?;
        for table in tables {
            table.fill(client)?;
        }
    }
    table::import(sides.source, sides.warehouse)
}

fn try_case(case: Case, sides: &mut Sides<'_>, tally: &mut Tally) -> Result<Option<String>> {
    let (found, expected) = sides.run(&case)?;
    tally.queries += 1;
    match &expected {
        session::Outcome::Rows(rows) if !rows.is_empty() => tally.with_rows += 1,
        session::Outcome::Rows(_) => {}
        session::Outcome::Failed(..) => tally.errors += 1,
    }
    if !found.agrees(&expected, case.query.ordered) {
        return report::shrunk(case, sides).map(Some);
    }
    let plan = session::explain(sides.warehouse, &case.query)?;
    let remote: Vec<&str> = plan.lines().filter(|line| line.contains("Remote SQL: ")).collect();
    let sent = |word: &str| remote.iter().any(|line| line.contains(word));
    tally.conditions += usize::from(sent(" WHERE "));
    tally.orders += usize::from(sent(" ORDER BY "));
    tally.limits += usize::from(sent(" LIMIT ") || sent(" OFFSET "));
    tally.pushed +=
        usize::from(sent(" WHERE ") || sent(" ORDER BY ") || sent(" LIMIT ") || sent(" OFFSET "));
    Ok(None)
}
