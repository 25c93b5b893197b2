//! Changing the rows in which a person was found.

use super::search::Found;
use super::{Action, Counted};
use crate::materialize::apply::{NEW, OLD};
use crate::materialize::book;
use crate::materialize::columns::qualified;
use crate::materialize::definition::{Capture, Definition};
use crate::materialize::dependents;
use crate::materialize::environment::Environment;
use crate::materialize::report::Report;
use crate::pg::catalog::{self, Attribute};
use crate::pg::delta::{self, Delta};
use crate::pg::error::{Error, Result};
use crate::pg::{identity, sql, statistics};
use crate::privacy::audit::{self, Entry};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use std::collections::BTreeSet;
use warehouse_core::privacy::Domain;
use warehouse_core::quote;

/// Deletes or blanks what was found in a table, and records it.
pub fn write(found: &Found, domain: &Domain, action: Action) -> Result<Vec<Counted>> {
    let Found { definition, columns } = found;
    let relation = definition.relation();
    let follows = definition.options.capture == Capture::Change;
    let done = if follows { "follow" } else { action.name() };
    let counted: Vec<Counted> = columns
        .iter()
        .map(|(column, rows)| (relation, column.name.clone(), done.to_owned(), rows.len() as i64))
        .collect();
    let hit: Vec<&(Attribute, Vec<String>)> =
        columns.iter().filter(|(_, rows)| !rows.is_empty()).collect();
    if hit.is_empty() {
        return Ok(counted);
    }
    let all: BTreeSet<&str> =
        hit.iter().flat_map(|(_, rows)| rows.iter().map(String::as_str)).collect();
    if !follows {
        if action == Action::Blank {
            hit.iter().try_for_each(|(column, _)| may_be_null(definition, column))?;
        }
        let _environment = Environment::enter(definition)?;
        change(definition, &hit, &all, action)?;
    }
    // What statistics know of the values goes, too: ANALYZE alone leaves those of a table without rows.
    for column in catalog::relation_attributes(relation) {
        statistics::forget_column(relation, column.number);
    }
    let objects: Option<Vec<u32>> = book::json(
        "SELECT pg_catalog.jsonb_agg(e.oid::pg_catalog.int8) FROM pg_catalog.pg_statistic_ext e WHERE e.stxrelid = $1",
        &[relation.into()],
    )?;
    objects
        .unwrap_or_default()
        .into_iter()
        .for_each(|oid| statistics::forget_extended(Oid::from(oid)));
    identity::acting_as(definition.owner(), || {
        sql::execute(&format!("ANALYZE {}", qualified(relation)))
    })?;
    let names: Vec<String> = hit.iter().map(|(column, _)| column.name.clone()).collect();
    audit::record(&Entry {
        role: identity::current(),
        action: &format!("forget in domain {domain} ({done})"),
        relation: Some(&definition.name()),
        columns: &names,
        rows: Some(all.len() as i64),
        query_id: None,
    })?;
    Ok(counted)
}

/// Fails for a column that a row cannot be without.
fn may_be_null(definition: &Definition, column: &Attribute) -> Result<()> {
    let required = book::json::<bool>(
        "SELECT pg_catalog.to_jsonb(a.attnotnull) FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = $1 AND a.attnum = $2::pg_catalog.int2",
        &[definition.relation().into(), i64::from(column.number).into()],
    )?;
    if required != Some(true) && !definition.options.unique_key.contains(&column.name) {
        return Ok(());
    }
    Err(Error::new(
        Code::ERRCODE_NOT_NULL_VIOLATION,
        format!(
            "column \"{}\" of {} cannot be blanked: it is NOT NULL or belongs to the unique_key",
            column.name,
            definition.label()
        ),
    )
    .hint("Delete the rows: action => 'delete'."))
}

/// Rows by their ctid, as a literal of an array.
fn ctids<'r>(rows: impl IntoIterator<Item = &'r str>) -> String {
    // A ctid is written (block,number).
    let rows: Vec<String> = rows.into_iter().map(|row| format!("\"{row}\"")).collect();
    format!("{}::pg_catalog.tid[]", quote::literal(&format!("{{{}}}", rows.join(","))))
}

fn change(
    definition: &Definition,
    hit: &[&(Attribute, Vec<String>)],
    all: &BTreeSet<&str>,
    action: Action,
) -> Result<()> {
    let name = qualified(definition.relation());
    let these = format!("t.ctid = ANY ({})", ctids(all.iter().copied()));
    let attributes = catalog::relation_attributes(definition.relation());
    let select = |blanked: bool| {
        let outputs: Vec<String> = attributes
            .iter()
            .map(|column| {
                let quoted = quote::identifier(&column.name);
                match hit.iter().find(|(known, _)| blanked && known.name == column.name) {
                    Some((_, rows)) => format!("{} AS {quoted}", blank(&quoted, rows)),
                    None => format!("t.{quoted}"),
                }
            })
            .collect();
        format!("SELECT {} FROM ONLY {name} t WHERE {these}", outputs.join(", "))
    };
    let waiting = dependents::of(definition)?;
    identity::acting_as(definition.owner(), || {
        let mut changed = Vec::new();
        if !waiting.is_empty() {
            changed.push(Delta::of_query(OLD, &select(false), &mut |_, _| ())?);
            if action == Action::Blank {
                changed.push(Delta::of_query(NEW, &select(true), &mut |_, _| ())?);
            }
        }
        let statement = match action {
            Action::Delete => format!("DELETE FROM ONLY {name} t WHERE {these}"),
            Action::Blank => {
                let sets: Vec<String> = hit
                    .iter()
                    .map(|(column, rows)| {
                        let quoted = quote::identifier(&column.name);
                        format!("{quoted} = {}", blank(&quoted, rows))
                    })
                    .collect();
                format!("UPDATE ONLY {name} t SET {} WHERE {these}", sets.join(", "))
            }
        };
        let done = delta::execute(&statement, &[])?;
        if done != all.len() as u64 {
            return Err(Error::bug(format!("{done} of {} rows were changed", all.len())));
        }
        dependents::follow(&waiting, &changed.iter().collect::<Vec<_>>())?;
        dependents::verify(definition, &mut Report::new())
    })
}

/// A column that is NULL in these rows.
fn blank(quoted: &str, rows: &[String]) -> String {
    let these = ctids(rows.iter().map(String::as_str));
    format!("CASE WHEN t.ctid = ANY ({these}) THEN NULL ELSE t.{quoted} END")
}
