//! A case that fails, made small and written so that it can be followed.

use anyhow::Result;

use super::super::session::Outcome;
use super::ground::Ground;
use super::run::{Case, Way};

/// Leaves out what the failure does not need and says what is left.
pub fn shrunk(mut case: Case, ground: &mut Ground) -> Result<String> {
    let plain = Case { way: Way::Plain, ..case.clone() };
    if case.way != Way::Undone && fails(&plain, ground)? {
        case = plain;
    }
    let usual = Case { planning: String::new(), ..case.clone() };
    if fails(&usual, ground)? {
        case = usual;
    }
    while let Some(smaller) = smaller(&case, ground)? {
        case = smaller;
    }
    for (table, site, id) in ground.rows()? {
        ground.take_out(table, &site, id)?;
        if !fails(&case, ground)? {
            ground.put_back(table, &site)?;
        }
    }
    while let Some(smaller) = smaller(&case, ground)? {
        case = smaller;
    }
    let (found, expected) = case.run(&mut ground.client)?;
    let plan = case.explain(&mut ground.client)?;
    let mut out = format!("WAREHOUSE_SEED={}\n{}{};\n", case.seed, case.planning, case.settings);
    for (at, statements) in case.statements().iter().enumerate() {
        out.push_str(&format!("{};\n{};\n", case.styles[at], statements.join(";\n")));
        if let (Some(found), Some(expected)) = (found.get(at), expected.get(at)) {
            out.push_str(&format!(
                "-- found:    {}\n-- expected: {}\n",
                tell(found),
                tell(expected)
            ));
        }
    }
    out.push_str(&format!("-- plan:\n{plan}\n-- rows:\n{}", ground.shown(&case.statement.sql())?));
    Ok(out)
}

fn fails(case: &Case, ground: &mut Ground) -> Result<bool> {
    let (found, expected) = case.run(&mut ground.client)?;
    Ok(!case.agrees(&found, &expected))
}

fn smaller(case: &Case, ground: &mut Ground) -> Result<Option<Case>> {
    for statement in case.statement.smaller() {
        let attempt = Case { statement, ..case.clone() };
        let (found, expected) = attempt.run(&mut ground.client)?;
        let broken =
            |outcome: &Outcome| matches!(outcome, Outcome::Failed(code, _) if code == "42P10");
        if !attempt.agrees(&found, &expected) && !found.iter().any(broken) {
            return Ok(Some(attempt));
        }
    }
    Ok(None)
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
