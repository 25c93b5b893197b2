//! Running a query at one side: with which settings, by which way, and what came of it.

use anyhow::{Context, Result};
use postgres::{Client, SimpleQueryMessage};

use super::pools;
use super::query::Query;
use super::random::Random;
use super::strings::quote;

/// How a query is run, the same way on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it stands.
    Plain,
    /// PREPARE and EXECUTE with `plan_cache_mode`; under `auto` so often that it becomes generic.
    Prepared(&'static str),
    /// DECLARE CURSOR and some FETCHes.
    Cursor,
    /// At the warehouse, stored in a table under the strange settings and shown under the usual ones;
    /// at the source, run under the usual ones. No condition may depend on settings.
    Stored,
}

/// What came of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its rows as text.
    Rows(Vec<Vec<Option<String>>>),
    /// SQLSTATE and message.
    Failed(String, String),
}

/// The settings under which values are compared.
pub const USUAL: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; \
    SET extra_float_digits = 1; SET bytea_output = 'hex'; SET quote_all_identifiers = off";

/// Random settings that change how values look and what some conditions mean.
pub fn strange(random: &mut Random) -> String {
    format!(
        "SET TimeZone = {}; SET DateStyle = {}; SET IntervalStyle = {}; SET extra_float_digits = {}; \
         SET bytea_output = '{}'; SET quote_all_identifiers = {}",
        quote(random.pick(pools::TIME_ZONES)),
        quote(random.pick(pools::DATE_STYLES)),
        quote(random.pick(pools::INTERVAL_STYLES)),
        random.pick(&["0", "1", "3", "-5"]),
        random.pick(&["hex", "escape"]),
        random.pick(&["on", "off", "off"]),
    )
}

/// Random settings of the planner, for the warehouse.
pub fn planning(random: &mut Random) -> String {
    ["hashjoin", "mergejoin", "nestloop", "sort", "hashagg", "material", "memoize"]
        .iter()
        .map(|method| {
            let on = if random.percent(75) { "on" } else { "off" };
            format!("SET enable_{method} = {on}; ")
        })
        .collect()
}

impl Outcome {
    /// Whether the other side gave the same.
    pub fn agrees(&self, other: &Outcome, ordered: bool) -> bool {
        match (self, other) {
            (Outcome::Failed(one, _), Outcome::Failed(two, _)) => one == two,
            (Outcome::Rows(one), Outcome::Rows(two)) if ordered => one == two,
            (Outcome::Rows(one), Outcome::Rows(two)) => {
                let (mut one, mut two) = (one.clone(), two.clone());
                one.sort();
                two.sort();
                one == two
            }
            _ => false,
        }
    }
}

/// The statements that run a query; the last results with rows are the outcome.
pub fn statements(query: &Query, way: Way) -> Vec<String> {
    let sql = query.sql();
    match way {
        Way::Plain => vec![sql],
        Way::Prepared(mode) => {
            let types: Vec<&str> = query.params.iter().map(|(of, _)| of.as_str()).collect();
            let values: Vec<&str> = query.params.iter().map(|(_, value)| value.as_str()).collect();
            let list = |items: Vec<&str>| match items.is_empty() {
                true => String::new(),
                false => format!("({})", items.join(", ")),
            };
            let execute = format!("EXECUTE q{}", list(values));
            let times = if mode == "auto" { 7 } else { 2 };
            let mut out = vec![
                format!("SET plan_cache_mode = {mode}"),
                format!("PREPARE q{} AS {sql}", list(types)),
            ];
            out.extend(std::iter::repeat_n(execute, times));
            out
        }
        Way::Cursor => vec![
            "BEGIN".to_owned(),
            format!("DECLARE q CURSOR FOR {sql}"),
            "FETCH 1 FROM q; FETCH 3 FROM q; FETCH ALL FROM q".to_owned(),
            "COMMIT".to_owned(),
        ],
        Way::Stored => vec![
            format!("CREATE TEMP TABLE q AS {sql}"),
            USUAL.to_owned(),
            "TABLE q".to_owned(),
            "DROP TABLE q".to_owned(),
        ],
    }
}

/// Runs a query under the settings.
pub fn run(client: &mut Client, settings: &str, query: &Query, way: Way) -> Result<Outcome> {
    client.batch_execute(settings).with_context(|| settings.to_owned())?;
    let mut rows = Vec::new();
    let mut outcome = None;
    for (at, statement) in statements(query, way).iter().enumerate() {
        // Every execution of a prepared statement has to give the same; the last one counts.
        if at > 0 && matches!(way, Way::Prepared(_)) {
            rows.clear();
        }
        match client.simple_query(statement) {
            Ok(messages) => rows.extend(messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
                }
                _ => None,
            })),
            Err(error) => {
                let db = error.as_db_error().with_context(|| format!("{error:?}: {statement}"))?;
                outcome =
                    Some(Outcome::Failed(db.code().code().to_owned(), db.message().to_owned()));
                break;
            }
        }
    }
    // Whatever happened, nothing of it is left.
    client.batch_execute("ROLLBACK; DEALLOCATE ALL; DROP TABLE IF EXISTS q")?;
    Ok(outcome.unwrap_or(Outcome::Rows(rows)))
}

/// What EXPLAIN (VERBOSE) says of a query. Parameters are shown as NULL of their type.
pub fn explain(client: &mut Client, query: &Query) -> Result<String> {
    let mut sql = query.sql();
    for (at, (_, value)) in query.params.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", at + 1), value);
    }
    let sql = format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}");
    let mut text = String::new();
    // What fails here fails in the run as well, and is compared there.
    if let Ok(messages) = client.simple_query(&sql) {
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                text.push_str(row.get(0).unwrap_or_default());
                text.push('\n');
            }
        }
    }
    Ok(text)
}
