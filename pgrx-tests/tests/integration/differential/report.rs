//! A case that fails, made small and written so that it can be run by hand.

use anyhow::Result;
use postgres::Client;

use super::kinds::{MOOD, OWN_TYPES};
use super::query::Query;
use super::session::{self, Outcome, USUAL, Way};
use super::strings::quote;
use super::table::{Column, SCHEMA, Table};

/// A case: a query over two tables, run in one way under some settings.
pub struct Case {
    pub seed: u64,
    pub tables: [Table; 2],
    pub query: Query,
    pub way: Way,
    /// Settings of the session at the warehouse.
    pub settings: String,
    /// Settings of its planner.
    pub planning: String,
}

/// Where a case is run.
pub struct Sides<'a> {
    pub warehouse: &'a mut Client,
    /// The source, for changing its rows.
    pub source: &'a mut Client,
    /// What knows the answer: the source, or a copy of its tables elsewhere.
    pub oracle: Option<&'a mut Client>,
}

impl Sides<'_> {
    fn oracle(&mut self) -> &mut Client {
        match &mut self.oracle {
            Some(oracle) => oracle,
            None => self.source,
        }
    }

    fn change(&mut self, sql: &str) -> Result<()> {
        self.source.batch_execute(sql)?;
        if let Some(oracle) = &mut self.oracle {
            oracle.batch_execute(sql)?;
        }
        Ok(())
    }

    /// The outcomes here and there.
    pub fn run(&mut self, case: &Case) -> Result<(Outcome, Outcome)> {
        let (there, way) = match case.way {
            Way::Stored => (USUAL, Way::Plain),
            way => (case.settings.as_str(), way),
        };
        let expected = session::run(self.oracle(), there, &case.query, way)?;
        let here = format!("{}{}", case.planning, case.settings);
        let found = session::run(self.warehouse, &here, &case.query, case.way)?;
        Ok((found, expected))
    }

    fn fails(&mut self, case: &Case) -> Result<bool> {
        let (found, expected) = self.run(case)?;
        Ok(!found.agrees(&expected, case.query.ordered))
    }
}

/// Leaves out what the failure does not need and says what is left.
pub fn shrunk(mut case: Case, sides: &mut Sides<'_>) -> Result<String> {
    while let Some(smaller) = smaller_query(&case, sides)? {
        case.query = smaller;
    }
    for table in 0..2 {
        fewer_rows(&mut case, table, sides)?;
    }
    let (found, expected) = sides.run(&case)?;
    let plan = session::explain(sides.warehouse, &case.query)?;
    Ok(describe(&case, &found, &expected, &plan))
}

fn smaller_query(case: &Case, sides: &mut Sides<'_>) -> Result<Option<Query>> {
    for query in case.query.smaller() {
        let attempt = Case {
            query: query.clone(),
            tables: case.tables.clone(),
            settings: case.settings.clone(),
            planning: case.planning.clone(),
            ..*case
        };
        if sides.fails(&attempt)? {
            return Ok(Some(query));
        }
    }
    Ok(None)
}

fn fewer_rows(case: &mut Case, at: usize, sides: &mut Sides<'_>) -> Result<()> {
    for row in case.tables[at].rows.clone() {
        let table = &case.tables[at];
        let id = row[0].clone().unwrap_or_default();
        let restore = table.insert(std::slice::from_ref(&row), |_| true).unwrap_or_default();
        sides.change(&format!("DELETE FROM {SCHEMA}.{} WHERE id = {}", table.name, quote(&id)))?;
        if sides.fails(case)? {
            case.tables[at].rows.retain(|other| *other != row);
        } else {
            sides.change(&restore)?;
        }
    }
    Ok(())
}

fn describe(case: &Case, found: &Outcome, expected: &Outcome, plan: &str) -> String {
    let statements = session::statements(&case.query, case.way);
    let all = statements.join(";\n");
    let mut out = format!(
        "WAREHOUSE_SEED={}\n-- at the source:\nCREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA};\n\
         {OWN_TYPES}; {MOOD};\n",
        case.seed
    );
    for table in &case.tables {
        let whole = case.query.targets.iter().any(|target| target == table.name);
        let wanted = |column: &Column| {
            column.name == "id" || whole || all.contains(&format!("{}.{}", table.name, column.name))
        };
        if !all.contains(table.name) {
            continue;
        }
        out.push_str(&format!("{};\n", table.create(wanted)));
        if let Some(insert) = table.insert(&table.rows, wanted) {
            out.push_str(&format!("{insert};\n"));
        }
    }
    out.push_str(&format!("-- at the warehouse:\n{}{};\n{all};\n", case.planning, case.settings));
    out.push_str(&format!("-- found:    {}\n", tell(found)));
    out.push_str(&format!("-- expected: {}\n", tell(expected)));
    out.push_str(&format!("-- plan:\n{plan}"));
    out
}

fn tell(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(code, message) => format!("error {code}: {message}"),
        Outcome::Rows(rows) => {
            let shown: Vec<String> = rows.iter().take(12).map(|row| format!("{row:?}")).collect();
            format!("{} rows {}", rows.len(), shown.join(" "))
        }
    }
}
