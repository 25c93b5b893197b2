//! Applying new rows to the table, in statements that readers do not wait for.

use super::definition::{Definition, Strategy};
use super::dependents;
use super::progress::{self, Phase};
use super::report::Report;
use crate::pg::delta::{self, Delta};
use crate::pg::error::{Error, Result};
use crate::pg::identity;
use pgrx::PgSqlErrorCode as Code;
use std::ffi::CStr;
use warehouse_core::refresh::Target;

/// Name of the new rows, as [`warehouse_core::refresh::DELTA`].
pub const NEW: &CStr = c"warehouse_delta";
/// Name of the rows that they take the place of.
pub const OLD: &CStr = c"warehouse_before";

/// What is deleted that is not among the new rows.
#[derive(Debug, Clone)]
pub enum Deletes {
    /// Nothing: what is gone cannot be known.
    None,
    /// What these conditions on `t` find.
    Where(Vec<String>),
}

/// Applies new rows; counts in the report, and brings aggregates of the table along.
pub fn apply(
    definition: &Definition,
    target: &Target,
    new: &Delta,
    deletes: &Deletes,
    report: &mut Report,
) -> Result<()> {
    progress::phase(Phase::Applying, None);
    report.fetched += new.rows;
    report.bytes += new.bytes;
    let waiting = dependents::of(definition)?;
    identity::acting_as(definition.owner(), || {
        let before = if waiting.is_empty() { None } else { Some(before(target, new, deletes)?) };
        write(definition, target, new, deletes, report)?;
        report.phase("apply");
        if let Some(before) = before {
            dependents::follow(&waiting, &[&before, new])?;
            report.phase("dependents");
        }
        Ok(())
    })
}

/// The rows that will change or go, as they are.
fn before(target: &Target, new: &Delta, deletes: &Deletes) -> Result<Delta> {
    let mut query = if target.key.is_empty() { None } else { Some(target.before()) };
    if let Deletes::Where(conditions) = deletes {
        let vanishing = if target.key.is_empty() {
            let columns: Vec<String> = target
                .columns
                .iter()
                .map(|column| format!("t.{}", warehouse_core::quote::identifier(&column.name)))
                .collect();
            let mut text = format!("SELECT {} FROM {} t", columns.join(", "), target.name);
            for (at, condition) in conditions.iter().enumerate() {
                text.push_str(if at == 0 { " WHERE " } else { " AND " });
                text.push_str(condition);
            }
            text
        } else {
            target.vanishing(conditions)
        };
        query = Some(match query {
            Some(query) => format!("{query} UNION ALL {vanishing}"),
            None => vanishing,
        });
    }
    let none = format!("SELECT * FROM {} WHERE false", target.name);
    Delta::of_deltas(OLD, &query.unwrap_or(none), &[new])
}

fn write(
    definition: &Definition,
    target: &Target,
    new: &Delta,
    deletes: &Deletes,
    report: &mut Report,
) -> Result<()> {
    let has_key = !target.key.is_empty();
    match (definition.options.strategy, deletes) {
        (Strategy::Append, _) if has_key => {
            report.inserted += delta::execute(&target.insert_missing(), &[new])?;
        }
        (Strategy::Append, _) => report.inserted += delta::execute(&target.insert(), &[new])?,
        (Strategy::DeleteInsert, Deletes::None) => {
            report.deleted += delta::execute(&target.delete_matching(), &[new])?;
            report.inserted += delta::execute(&target.insert(), &[new])?;
        }
        (_, Deletes::Where(conditions)) if !has_key => {
            report.deleted += delta::execute(&target.delete_where(conditions), &[new])?;
            report.inserted += delta::execute(&target.insert(), &[new])?;
        }
        (Strategy::DeleteInsert, Deletes::Where(conditions)) => {
            report.deleted += delta::execute(&target.delete_missing(conditions), &[new])?;
            report.deleted += delta::execute(&target.delete_matching(), &[new])?;
            report.inserted += delta::execute(&target.insert(), &[new])?;
        }
        (_, deletes) => {
            if let Deletes::Where(conditions) = deletes {
                report.deleted += delta::execute(&target.delete_missing(conditions), &[new])?;
            }
            if new.rows > 0 {
                let merged = delta::merge(&target.merge(), &[new])?;
                report.inserted += merged.inserted;
                report.updated += merged.updated;
            }
        }
    }
    Ok(())
}

/// What an error of writing means for the person who defined the table. The values of a key stay out.
pub fn explained(definition: &Definition, error: Error) -> Error {
    let key = definition.options.unique_key.join(", ");
    match error.code() {
        Code::ERRCODE_UNIQUE_VIOLATION | Code::ERRCODE_CARDINALITY_VIOLATION if !key.is_empty() => {
            Error::new(
                Code::ERRCODE_UNIQUE_VIOLATION,
                format!("the query of {} gives several rows of one unique_key ({key})", definition.label()),
            )
            .hint("Choose the columns that make a row unique (with the site of merged tables), or make the query give one row each. If it does, another session has written such a row to the table meanwhile: refresh again.")
        }
        Code::ERRCODE_UNIQUE_VIOLATION => Error::new(
            Code::ERRCODE_UNIQUE_VIOLATION,
            format!("the rows for {} break a unique index of it", definition.label()),
        ),
        Code::ERRCODE_NOT_NULL_VIOLATION => Error::new(error.code(), error.message().to_owned())
            .hint("A unique_key must not be NULL: leave such rows out, or choose another key."),
        _ => error,
    }
}
