//! Running a statement over foreign tables and over ordinary ones, and what came of it.

use anyhow::{Context, Result};
use postgres::{Client, SimpleQueryMessage};

use super::super::pools;
use super::super::random::Random;
use super::super::session::{self, Outcome};
use super::super::strings::quote;
use super::statement::{Rows, Statement};

/// How a statement is run over the foreign tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it stands.
    Plain,
    /// Prepared under this `plan_cache_mode` and executed so often, with other values and time zones.
    Prepared(&'static str, usize),
    /// DECLARE CURSOR and some FETCHes.
    Cursor,
    /// CREATE TABLE AS.
    Stored,
    /// In a loop of PL/pgSQL that asks something else for each row, and fails and goes on now and then.
    Loop,
    /// In a transaction that is rolled back.
    Undone,
    /// In the middle of reading something else in the same transaction.
    Beside,
}

/// A statement and all that its answer may depend on.
#[derive(Debug, Clone)]
pub struct Case {
    pub seed: u64,
    pub statement: Statement,
    pub way: Way,
    /// Settings that change answers.
    pub settings: String,
    /// Time zones and styles of the executions.
    pub styles: Vec<String>,
    /// Settings that must not change answers.
    pub planning: String,
}

/// Leaves nothing of a run.
const CLEAN: &str = "ROLLBACK; DEALLOCATE ALL; DROP TABLE IF EXISTS q; \
    DROP FUNCTION IF EXISTS pg_temp.looped()";

/// The settings of [`planning`], as they are without it.
const USUAL_PLANNING: &str = "RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_nestloop; \
    RESET enable_sort; RESET enable_hashagg; RESET enable_material; RESET enable_memoize; \
    RESET enable_incremental_sort; RESET enable_async_append; RESET warehouse.partitionwise; \
    RESET warehouse.lookup_batch_size; RESET join_collapse_limit; RESET work_mem; \
    RESET force_parallel_mode; RESET plan_cache_mode";

/// Random settings of the planner.
pub fn planning(random: &mut Random) -> String {
    let mut sql = match random.below(4) {
        0 => String::new(),
        1 => "SET enable_hashjoin = off; SET enable_mergejoin = off; ".to_owned(),
        2 => "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off; "
            .to_owned(),
        _ => session::planning(random),
    };
    let mut set = |chance: usize, setting: &str| {
        if random.percent(chance) {
            sql.push_str(&format!("SET {setting}; "));
        }
    };
    set(15, "enable_async_append = off");
    set(10, "warehouse.partitionwise = off");
    set(10, "enable_incremental_sort = off");
    set(10, "join_collapse_limit = 1");
    set(5, "work_mem = '64kB'");
    set(3, "force_parallel_mode = on");
    let size = random.pick(&["0", "1", "2", "3", "7", "500", "500"]);
    sql.push_str(&format!("SET warehouse.lookup_batch_size = {size}; "));
    sql
}

/// Settings of so many executions: one of them changes now and then.
pub fn styles(random: &mut Random, executions: usize) -> Vec<String> {
    let of = |random: &mut Random, pool: &[&'static str]| quote(random.pick(pool));
    let mut zone = of(random, pools::TIME_ZONES);
    let mut dates = of(random, pools::DATE_STYLES);
    let mut intervals = of(random, pools::INTERVAL_STYLES);
    (0..executions)
        .map(|_| {
            match random.below(6) {
                0 | 1 => zone = of(random, pools::TIME_ZONES),
                2 => dates = of(random, pools::DATE_STYLES),
                3 => intervals = of(random, pools::INTERVAL_STYLES),
                _ => {}
            }
            format!(
                "SET TimeZone = {zone}; SET DateStyle = {dates}; SET IntervalStyle = {intervals}"
            )
        })
        .collect()
}

impl Case {
    fn executions(&self) -> usize {
        match self.way {
            Way::Prepared(_, times) => times,
            _ => 1,
        }
    }

    /// The statements that run the case over the foreign tables, without those that set something; each
    /// execution is one of several.
    pub fn statements(&self) -> Vec<Vec<String>> {
        let sql = self.statement.literal_sql(0);
        match self.way {
            Way::Plain => vec![vec![sql]],
            Way::Loop => vec![vec![
                format!(
                    "CREATE FUNCTION pg_temp.looped() RETURNS SETOF text LANGUAGE plpgsql AS $looped$ \
                     DECLARE this_row record; this_count bigint; BEGIN \
                       FOR this_row IN {sql} LOOP \
                         BEGIN \
                           SELECT count(*) INTO this_count FROM far_act.e WHERE id = 1; \
                           IF this_count % 2 = 1 THEN PERFORM 1 / (this_count - this_count); END IF; \
                         EXCEPTION WHEN division_by_zero THEN this_count := -1; END; \
                         RETURN NEXT this_row::text || this_count; \
                       END LOOP; END $looped$"
                ),
                "SELECT * FROM pg_temp.looped()".to_owned(),
            ]],
            Way::Undone => vec![vec!["BEGIN".to_owned(), sql, "ROLLBACK".to_owned()]],
            Way::Cursor => vec![vec![
                "BEGIN".to_owned(),
                format!("DECLARE q CURSOR FOR {sql}"),
                "FETCH 1 FROM q; FETCH 3 FROM q; FETCH ALL FROM q".to_owned(),
                "COMMIT".to_owned(),
            ]],
            Way::Beside => vec![vec![
                "BEGIN".to_owned(),
                "DECLARE other CURSOR FOR SELECT site, id FROM far_main.t ORDER BY site, id"
                    .to_owned(),
                "FETCH 2 FROM other".to_owned(),
                self.styles[1].replace("SET ", "SET LOCAL "),
                sql,
                "FETCH ALL FROM other".to_owned(),
                "SELECT count(*) FROM far_act.e".to_owned(),
                "COMMIT".to_owned(),
            ]],
            Way::Stored => {
                // Columns need names of their own.
                let names: Vec<String> =
                    (0..self.statement.targets.len()).map(|at| format!("c{at}")).collect();
                vec![vec![
                    format!("CREATE TEMP TABLE q ({}) AS {sql}", names.join(", ")),
                    "TABLE q".to_owned(),
                ]]
            }
            Way::Prepared(mode, times) => {
                let list = |items: Vec<&str>| match items.is_empty() {
                    true => String::new(),
                    false => format!("({})", items.join(", ")),
                };
                let params = &self.statement.params;
                let types = list(params.iter().map(|param| param.of.as_str()).collect());
                let prepare = format!("PREPARE q{types} AS {}", self.statement.sql());
                (0..times)
                    .map(|at| {
                        let values = params.iter().map(|p| p.values[at % p.values.len()].as_str());
                        let execute = format!("EXECUTE q{}", list(values.collect()));
                        match at {
                            0 => {
                                let mode = format!("SET plan_cache_mode = {mode}");
                                vec![mode, prepare.clone(), execute]
                            }
                            _ => vec![execute],
                        }
                    })
                    .collect()
            }
        }
    }

    /// What the executions came to over the foreign tables, and what they have to come to.
    pub fn run(&self, client: &mut Client) -> Result<(Vec<Outcome>, Vec<Outcome>)> {
        set(client, USUAL_PLANNING)?;
        set(client, &self.settings)?;
        let mut expected = Vec::new();
        for at in 0..self.executions() {
            set(client, &self.styles[at])?;
            let statements = match self.way {
                Way::Beside | Way::Undone | Way::Loop => self.statements().remove(0),
                _ => vec![self.statement.literal_sql(at)],
            };
            let statements: Vec<String> = statements.iter().map(|sql| near(sql)).collect();
            expected.push(outcome(client, &statements)?);
        }
        set(client, CLEAN)?;
        set(client, &self.planning)?;
        let mut found = Vec::new();
        for (at, statements) in self.statements().iter().enumerate() {
            set(client, &self.styles[at])?;
            found.push(outcome(client, statements)?);
        }
        // What could not be prepared cannot be executed.
        if matches!(found.get(1), Some(Outcome::Failed(code, _)) if code == "26000") {
            found.truncate(1);
            expected.truncate(1);
        }
        set(client, CLEAN)?;
        Ok((found, expected))
    }

    /// Whether all executions came to what they have to.
    pub fn agrees(&self, found: &[Outcome], expected: &[Outcome]) -> bool {
        let ordered = self.statement.rows == Rows::List && self.way != Way::Stored;
        let pairs = found.iter().zip(expected);
        found.len() == expected.len()
            && pairs.into_iter().all(|(one, two)| one.agrees(two, ordered))
    }

    /// EXPLAIN under the settings of the case.
    pub fn explain(&self, client: &mut Client) -> Result<String> {
        set(client, &format!("{}; {}; {}", self.settings, self.planning, self.styles[0]))?;
        let sql = format!("EXPLAIN (VERBOSE, COSTS OFF) {}", self.statement.literal_sql(0));
        let plan = match outcome(client, &[sql])? {
            Outcome::Rows(rows) => {
                rows.iter().filter_map(|row| row[0].clone()).collect::<Vec<_>>().join("\n")
            }
            Outcome::Failed(code, message) => format!("{code}: {message}"),
        };
        set(client, USUAL_PLANNING)?;
        Ok(plan)
    }
}

/// A statement over the ordinary tables.
pub fn near(sql: &str) -> String {
    sql.replace("far_main.", "near_main.")
        .replace("far_act.", "near_act.")
        .replace("far_one.", "near_one.")
        .replace("far_deed.", "near_deed.")
}

fn set(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).with_context(|| sql.to_owned())
}

/// The rows of all the statements, or the error of the first that fails.
fn outcome(client: &mut Client, statements: &[String]) -> Result<Outcome> {
    let mut rows = Vec::new();
    for statement in statements {
        match client.simple_query(statement) {
            Ok(messages) => rows.extend(messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
                }
                _ => None,
            })),
            Err(error) => {
                // No error of the server: it is gone.
                let db = error.as_db_error().with_context(|| format!("{error:?}: {statement}"))?;
                return Ok(Outcome::Failed(db.code().code().to_owned(), db.message().to_owned()));
            }
        }
    }
    Ok(Outcome::Rows(rows))
}
