//! Whole statements: the same rows over foreign tables, planned however the planner likes, as over the
//! same rows in ordinary tables.
//!
//! [`ground`] has the sites and their rows, [`sources`] their tables, [`columns`] what the tables hold,
//! [`scope`] what a statement reads. [`maker`] and [`aggregates`] make expressions, [`plain`] and
//! [`grouped`] statements, [`changed`] those that change something. [`run`] runs them, [`report`] makes a
//! failure small, [`found`] keeps what was found. `WAREHOUSE_CASES` and `WAREHOUSE_SEED` are those of the
//! parent.
//!
//! Nothing is compared loosely: what may have more than one right answer is not asked.

mod aggregates;
mod changed;
mod columns;
mod found;
mod ground;
mod grouped;
mod maker;
mod plain;
mod report;
mod run;
mod scope;
mod sources;
mod statement;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::kinds::{KINDS, find};
use super::random::Random;
use super::rules::{self, Rule};
use super::session::{self, Outcome};
use ground::Ground;
use maker::Maker;
use run::{Case, Way};
use statement::{Param, Statement};

/// Statements over the same rows.
const STATEMENTS_PER_FILLING: usize = 25;

/// Statements in all, unless told otherwise.
const CASES: usize = 1000;

/// Failures that are made small and told before the test gives up.
const TOLD: usize = 4;

/// Executions of a prepared statement until its plan may be a generic one, and once more.
const UNTIL_GENERIC: usize = 7;

/// What was seen, to tell a test that tests nothing. Plans are looked at now and then.
#[derive(Debug, Default)]
struct Tally {
    statements: usize,
    with_rows: usize,
    /// By SQLSTATE.
    errors: BTreeMap<String, usize>,
    plans: usize,
    grouped: usize,
    partial: usize,
    joined: usize,
    looked_up: usize,
    limited: usize,
    sorted: usize,
    distinct: usize,
}

impl Tally {
    fn look_at(&mut self, plan: &str) {
        let remote: Vec<&str> = plan.lines().filter(|line| line.contains("Remote SQL: ")).collect();
        let sent = |word: &str| usize::from(remote.iter().any(|line| line.contains(word)));
        self.plans += 1;
        self.grouped += sent(" GROUP BY ");
        self.joined += sent(" JOIN ");
        self.limited += sent(" LIMIT ");
        self.sorted += sent(" ORDER BY ");
        self.distinct += sent("DISTINCT");
        self.partial += usize::from(plan.contains("PARTIAL"));
        self.looked_up += usize::from(plan.contains("Batched Lookup"));
    }
}

#[test]
fn over_one_collation() -> Result<()> {
    let tally = compare("whole", 70, None)?;
    if std::env::var("WAREHOUSE_SEED").is_ok() {
        return Ok(());
    }
    for seen in [tally.grouped, tally.partial, tally.joined, tally.looked_up, tally.limited] {
        ensure!(seen * 100 >= tally.plans, "too little is done at the source: {tally:?}");
    }
    Ok(())
}

#[test]
fn over_sites_with_linguistic_order() -> Result<()> {
    compare("whole_icu", 20, Some("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")).map(|_| ())
}

#[test]
fn over_sites_with_bytewise_order() -> Result<()> {
    compare("whole_bytes", 10, Some("LC_COLLATE 'C' LC_CTYPE 'C'")).map(|_| ())
}

/// Compares so many of a hundred of all statements.
fn compare(name: &str, percent: u64, collation: Option<&str>) -> Result<Tally> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let repeated = number("WAREHOUSE_SEED");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?.as_micros() as u64;
    let first = repeated.unwrap_or(now);
    let cases = number("WAREHOUSE_CASES").unwrap_or(CASES as u64) * percent / 100;
    let fillings =
        if repeated.is_some() { 1 } else { cases.div_ceil(STATEMENTS_PER_FILLING as u64) };
    let told = number("WAREHOUSE_TOLD").map_or(TOLD, |told| told as usize);
    println!("{name}: {cases} statements, first seed {first}");
    let (rules, _) = rules::all();
    let mut ground = Ground::new(name, collation)?;
    ground.client.batch_execute("SET jit = off; SET statement_timeout = '20s'")?;
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for seed in first..first + fillings {
        let failure = one_filling(seed, &rules, &mut ground, &mut tally)
            .with_context(|| format!("seed {seed}"))?;
        failures.extend(failure);
        if failures.len() == told {
            break;
        }
    }
    println!("{name}: {tally:?}");
    ensure!(failures.is_empty(), "the warehouse answers otherwise:\n\n{}", failures.join("\n\n"));
    if repeated.is_none() {
        tested_something(&tally)?;
    }
    Ok(tally)
}

fn tested_something(tally: &Tally) -> Result<()> {
    // Of a few fillings, most may be empty.
    let many = tally.statements > 20 * STATEMENTS_PER_FILLING;
    ensure!(
        !many || tally.with_rows * 100 >= tally.statements * 50,
        "too few find rows: {tally:?}"
    );
    let errors: usize = tally.errors.values().sum();
    ensure!(errors * 100 <= tally.statements * 5, "too many errors: {tally:?}");
    Ok(())
}

/// New rows and statements over them, up to the first failure, which is described.
fn one_filling(
    seed: u64,
    rules: &[Rule],
    ground: &mut Ground,
    tally: &mut Tally,
) -> Result<Option<String>> {
    let mut random = Random::new(seed);
    ground.fill(&mut random)?;
    for _ in 0..STATEMENTS_PER_FILLING {
        let case = case(seed, rules, &mut random);
        let sql = case.statement.sql();
        let (found, expected) = case.run(&mut ground.client).with_context(|| sql.clone())?;
        tally.statements += 1;
        match &expected[0] {
            Outcome::Rows(rows) => tally.with_rows += usize::from(!rows.is_empty()),
            Outcome::Failed(code, _) => *tally.errors.entry(code.clone()).or_default() += 1,
        }
        if !case.agrees(&found, &expected) {
            return report::shrunk(case, ground).map(Some);
        }
        if random.percent(25) {
            let plan = case.explain(&mut ground.client)?;
            ensure!(
                found::sorts_by_keys(&plan),
                "a sort without keys: {}\n{plan}",
                case.statement.sql()
            );
            tally.look_at(&plan);
        }
    }
    Ok(None)
}

fn case(seed: u64, rules: &[Rule], random: &mut Random) -> Case {
    let way = match random.below(12) {
        0..=5 => Way::Plain,
        6 => Way::Prepared("auto", UNTIL_GENERIC),
        7 => Way::Prepared("force_generic_plan", 3),
        8 => Way::Prepared("force_custom_plan", 3),
        9 => Way::Cursor,
        10 if random.percent(30) => Way::Undone,
        11 if random.percent(50) => Way::Loop,
        10 => Way::Stored,
        _ => Way::Beside,
    };
    let settings = session::strange(random);
    let planning = run::planning(random);
    let styles = run::styles(random, UNTIL_GENERIC);
    let mut maker = Maker::new(rules, random, matches!(way, Way::Prepared(..)));
    let mut statement = match way {
        Way::Undone => changed::changed(&mut maker),
        _ => statement(&mut maker),
    };
    let chosen = maker.params().to_vec();
    statement.params = chosen.into_iter().map(|(of, value)| param(of, value, random)).collect();
    Case { seed, statement, way, settings, styles, planning }
}

fn statement(maker: &mut Maker<'_>) -> Statement {
    match maker.below(20) {
        0..=4 => plain::rows(maker),
        5 => plain::distinct(maker),
        6 => plain::windows(maker),
        7..=15 => grouped::grouped(maker),
        16 if maker.percent(35) => grouped::failing(maker),
        16 => grouped::twice(maker),
        17 if maker.percent(40) => grouped::walk(maker),
        17 => grouped::several(maker),
        _ => grouped::beside(maker),
    }
}

/// Values for further executions, where any value of the type will do: a text may be a pattern.
fn param(of: String, value: String, random: &mut Random) -> Param {
    let mut values = vec![value.clone()];
    let kind = KINDS.iter().find(|kind| kind.name == of && kind.name != "text");
    for _ in 0..2 {
        values.push(match kind {
            // LIMIT and OFFSET.
            Some(kind) if kind.name == "int8" && value.parse::<u32>().is_ok() => {
                random.below(12).to_string()
            }
            Some(_) if random.percent(10) => format!("NULL::{of}"),
            Some(kind) => find(kind.name).literal(random),
            None => value.clone(),
        });
    }
    Param { of, values }
}
