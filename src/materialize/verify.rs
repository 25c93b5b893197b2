//! Data tests and gates: what must hold before readers see the rows.

use super::definition::Definition;
use super::report::Report;
use crate::pg::error::{Error, Result};
use crate::pg::subtransaction::attempt;
use crate::pg::{identity, sql};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use serde_json::{Map, Value};
use warehouse_core::quote;

/// A data test: a query that counts the rows that break it.
#[derive(Debug, Clone)]
pub struct Test {
    /// What people call it.
    pub name: String,
    query: String,
    warns: bool,
}

/// What holds the table's place in a query of ours, and in one that somebody gave.
const THIS: &str = "\u{1}this\u{1}";
const GIVEN: &str = "{this}";

const KINDS: &str = "not_null, unique, accepted_values, relationships, sql; severity \"warn\" or \"error\"; \
                     warn with tests that only warn";

/// Runs the tests and the gate of a definition over a relation with the rows that readers will see.
///
/// # Errors
/// 23514 for what does not hold.
pub fn before_readers(
    definition: &Definition,
    relation: Oid,
    name: &str,
    report: &mut Report,
) -> Result<()> {
    for test in tests(definition.options.tests.as_ref())? {
        let query = test.query.replace(THIS, name);
        let failing = identity::acting_as(definition.owner(), || {
            attempt(|| {
                sql::value_now::<i64>(&query, &[])
                    .map_err(|e| Error::bug(format!("a test could not be run: {e}")))
            })
        })
        .map_err(|error| {
            error.within(&format!("data test {} of {}", test.name, definition.label()))
        })?
        .unwrap_or(0);
        if failing == 0 {
            continue;
        }
        let text =
            format!("data test {} of {} fails for {failing} rows", test.name, definition.label());
        if test.warns {
            report.warnings.push(text);
        } else {
            return Err(Error::new(Code::ERRCODE_CHECK_VIOLATION, text).hint(
                "The table keeps the rows that it has. Mend the source or the query, or let the test only warn.",
            ));
        }
    }
    let Some(require) = &definition.options.require else { return Ok(()) };
    let call = format!(
        "SELECT warehouse.assert_anonymity({}::pg_catalog.oid::pg_catalog.regclass, {}::pg_catalog.jsonb)",
        relation.to_u32(),
        quote::literal(&require.to_string())
    );
    identity::acting_as(definition.owner(), || attempt(|| sql::execute(&call))).map_err(|error| {
        if error.code() == Code::ERRCODE_CHECK_VIOLATION {
            Error::new(error.code(), format!("{} would not be as anonymous as required: {require}", definition.label()))
                .hint("The table keeps the rows that it has. warehouse.anonymity_groups() counts the groups that are too small; generalize the columns further.")
        } else {
            error
        }
    })
}

/// The tests that a definition's `tests` says.
///
/// # Errors
/// 22023 for what cannot be understood.
pub fn tests(given: Option<&Value>) -> Result<Vec<Test>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let object = given.as_object().ok_or_else(|| malformed("tests is no object"))?;
    let warns = match object.get("severity").map(Value::as_str) {
        None | Some(Some("error")) => false,
        Some(Some("warn")) => true,
        Some(_) => return Err(malformed("severity is warn or error")),
    };
    let mut found = Vec::new();
    read(object, warns, &mut found)?;
    Ok(found)
}

fn malformed(what: &str) -> Error {
    Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, format!("malformed tests: {what}"))
        .hint(format!("Tests are: {KINDS}."))
}

fn read(object: &Map<String, Value>, warns: bool, found: &mut Vec<Test>) -> Result<()> {
    for (kind, value) in object {
        match kind.as_str() {
            "severity" => {}
            "warn" => {
                let inner = value.as_object().ok_or_else(|| malformed("warn is no object"))?;
                read(inner, true, found)?;
            }
            "not_null" => {
                for name in names(value)? {
                    let query = format!(
                        "SELECT count(*) FROM {THIS} t WHERE t.{} IS NULL",
                        quote::identifier(&name)
                    );
                    found.push(Test { name: format!("not_null({name})"), query, warns });
                }
            }
            "unique" => {
                let all = value.as_array().ok_or_else(|| malformed("unique is no list"))?;
                for item in all {
                    let columns = match item {
                        Value::String(name) => vec![name.clone()],
                        item => names(item)?,
                    };
                    let list: Vec<String> = columns
                        .iter()
                        .map(|name| format!("t.{}", quote::identifier(name)))
                        .collect();
                    let list = list.join(", ");
                    let query = format!(
                        "SELECT COALESCE(sum(g.n), 0)::bigint FROM (SELECT count(*) AS n FROM {THIS} t \
                         WHERE ({list}) IS NOT NULL GROUP BY {list} HAVING count(*) > 1) g"
                    );
                    found.push(Test {
                        name: format!("unique({})", columns.join(", ")),
                        query,
                        warns,
                    });
                }
            }
            "accepted_values" => {
                let all =
                    value.as_object().ok_or_else(|| malformed("accepted_values is no object"))?;
                for (name, values) in all {
                    let values: Vec<String> = values
                        .as_array()
                        .ok_or_else(|| malformed("accepted_values has lists of values"))?
                        .iter()
                        .map(|value| match value {
                            Value::String(text) => quote::literal(text),
                            other => quote::literal(&other.to_string()),
                        })
                        .collect();
                    let query = format!(
                        "SELECT count(*) FROM {THIS} t WHERE t.{}::text <> ALL (ARRAY[{}]::text[])",
                        quote::identifier(name),
                        values.join(", ")
                    );
                    found.push(Test { name: format!("accepted_values({name})"), query, warns });
                }
            }
            "relationships" => {
                let all =
                    value.as_object().ok_or_else(|| malformed("relationships is no object"))?;
                for (name, to) in all {
                    let text = |key: &str| to.get(key).and_then(Value::as_str);
                    let (Some(table), Some(field)) = (text("to"), text("field")) else {
                        return Err(malformed(
                            "relationships are {\"column\": {\"to\": \"schema.table\", \"field\": \"column\"}}",
                        ));
                    };
                    let table = resolved(table)?;
                    let column = quote::identifier(name);
                    let query = format!(
                        "SELECT count(*) FROM {THIS} t WHERE t.{column} IS NOT NULL AND NOT EXISTS \
                         (SELECT FROM {table} r WHERE r.{} = t.{column})",
                        quote::identifier(field)
                    );
                    found.push(Test { name: format!("relationships({name})"), query, warns });
                }
            }
            "sql" => {
                let all = value.as_array().ok_or_else(|| malformed("sql is no list"))?;
                for (at, item) in all.iter().enumerate() {
                    let text = item.as_str().ok_or_else(|| malformed("sql has texts"))?;
                    if sql::statements(&text.replace(GIVEN, "t"))? != 1 {
                        return Err(malformed("each sql is one SELECT"));
                    }
                    let text = text.trim().trim_end_matches(';').replace(GIVEN, THIS);
                    let query = format!("SELECT count(*) FROM ({text}\n) f");
                    found.push(Test { name: format!("sql[{at}]"), query, warns });
                }
            }
            other => return Err(malformed(&format!("unknown test \"{other}\""))),
        }
    }
    Ok(())
}

fn names(value: &Value) -> Result<Vec<String>> {
    let all = value.as_array().ok_or_else(|| malformed("columns are a list"))?;
    all.iter()
        .map(|name| name.as_str().map(str::to_owned).ok_or_else(|| malformed("columns are names")))
        .collect()
}

/// A table's name, as it was written, quoted and qualified.
fn resolved(name: &str) -> Result<String> {
    let parts = sql::value::<Vec<String>>("SELECT pg_catalog.parse_ident($1)", &[name.into()])
        .ok()
        .flatten()
        .unwrap_or_default();
    match &parts[..] {
        [schema, table] => {
            Ok(format!("{}.{}", quote::identifier(schema), quote::identifier(table)))
        }
        _ => Err(malformed(&format!("\"{name}\" is no schema.table"))),
    }
}
