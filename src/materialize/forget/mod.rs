//! `warehouse.forget()`: takes a person out of the materialized tables.
//!
//! A person is found by what the masks of a domain make of the value that was given, with every key version
//! that can still be used, in the columns that are made of columns with such masks ([`search`]). Rows are
//! changed with the rights of each table's owner, and aggregates that follow a table are brought along
//! ([`change`]). The value itself is bound to statements, and is in no error, log or audit.

mod change;
mod search;

use super::definition::Definition;
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::identity;
use crate::privacy::audit::{self, Entry};
use crate::privacy::keys;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use search::Wanted;
use std::collections::BTreeMap;
use warehouse_core::privacy::Domain;

/// What becomes of the rows that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Delete,
    Blank,
}

impl Action {
    fn parse(text: &str) -> Result<Action> {
        match text {
            "delete" => Ok(Action::Delete),
            "blank" => Ok(Action::Blank),
            _ => Err(Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, "unknown action of forget")
                .hint("Actions are: delete (the row), blank (the column becomes NULL).")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Action::Delete => "delete",
            Action::Blank => "blank",
        }
    }
}

/// A row of the answer: table, column, what was done, rows.
type Counted = (Oid, String, String, i64);

/// Takes a person out of the materialized tables.
#[pg_extern(name = "run_forget", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn run_forget(
    domain: Option<&str>,
    value: Option<&str>,
    action: Option<&str>,
) -> TableIterator<
    'static,
    (name!(relation, Oid), name!(column_name, String), name!(action, String), name!(rows, i64)),
> {
    let (Some(domain), Some(value), Some(action)) = (domain, value, action) else {
        Error::new(
            Code::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "domain, value and action must not be NULL",
        )
        .raise()
    };
    TableIterator::new(forget(domain, value, action).or_raise())
}

fn forget(domain: &str, value: &str, action: &str) -> Result<Vec<Counted>> {
    if !identity::has_rights_of(identity::current(), "warehouse_admin") {
        return Err(Error::new(
            Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "only members of warehouse_admin may forget a person",
        ));
    }
    let domain: Domain = domain.parse()?;
    let action = Action::parse(action)?;
    let keyring = keys::required("pseudonym")?;
    let mut wanted: BTreeMap<(i32, i32), BTreeMap<String, Wanted>> = BTreeMap::new();
    for (id, depth, column, found) in search::wanted(&domain, value, &keyring)? {
        wanted.entry((depth, id)).or_default().insert(column, found);
    }
    // The same order in which refreshes lock: what is followed before what follows.
    let mut tables = Vec::new();
    let mut elsewhere = Vec::new();
    for ((_, id), columns) in &wanted {
        let Some(definition) = Definition::locked(*id, true)? else { continue };
        tables.push(search::rows(definition, columns, &mut elsewhere)?);
    }
    let mut counted = Vec::new();
    for found in tables {
        counted.extend(change::write(&found, &domain, action)?);
    }
    tell(&domain, action, wanted.is_empty(), &counted, &elsewhere)?;
    Ok(counted)
}

/// Says what a count does not.
fn tell(
    domain: &Domain,
    action: Action,
    is_nowhere: bool,
    counted: &[Counted],
    elsewhere: &[String],
) -> Result<()> {
    if is_nowhere {
        pgrx::notice!("no column of a materialized table carries domain {domain}");
    }
    if !elsewhere.is_empty() {
        pgrx::notice!(
            "columns that are made of domain {domain} and may hold the person in another form: {}",
            elsewhere.join(", ")
        );
    }
    if counted.iter().all(|(.., rows)| *rows == 0) {
        return audit::record(&Entry {
            role: identity::current(),
            action: &format!("forget in domain {domain} ({}), nothing found", action.name()),
            relation: None,
            columns: &[],
            rows: Some(0),
            query_id: None,
        });
    }
    pgrx::notice!(
        "what the sources still have of the person comes back with a refresh: delete it there first"
    );
    Ok(())
}
