//! Aggregates of a materialized table, kept right by its own changes.
//!
//! The groups of the rows that change (as they were and as they are) are computed anew, in the transaction
//! that changes them. So the cost follows the change, whatever the aggregates are.

use super::apply::{self, Deletes, NEW};
use super::columns;
use super::definition::Definition;
use super::environment::Environment;
use super::progress::{self, Phase};
use super::report::Report;
use super::sources::{self, AsOf, Sources};
use super::{book, verify};
use crate::pg::delta::{self, Delta};
use crate::pg::error::{Error, Result};
use crate::pg::identity;
use crate::pg::types;
use crate::privacy::right;
use pgrx::PgSqlErrorCode as Code;
use warehouse_core::quote;
use warehouse_core::refresh::filtered;

/// Groups that are asked for one by one; beyond, all are computed.
const MOST_GROUPS: u64 = 10_000;

/// The definitions that follow the changes of a table.
pub fn of(definition: &Definition) -> Result<Vec<i32>> {
    let ids = book::json(
        "SELECT pg_catalog.to_jsonb(ARRAY(SELECT DISTINCT m.id FROM warehouse.materialization m \
           JOIN warehouse.materialization_lineage l ON l.materialization = m.id \
           JOIN warehouse.materialization_source s ON s.materialization = m.id AND s.succeeded_at IS NOT NULL \
         WHERE m.options ->> 'capture' = 'change' AND l.source = $1::pg_catalog.oid ORDER BY 1))",
        &[i64::from(definition.relation().to_u32()).into()],
    )?;
    Ok(ids.unwrap_or_default())
}

/// Locks the definitions of the tables that one follows, from below: a change of them that it would not see
/// cannot happen meanwhile, and whoever changes them takes the locks in the same order.
pub fn lock_followed(id: i32) -> Result<()> {
    let below: Option<Vec<i32>> = book::json(
        "WITH RECURSIVE below(id, depth) AS ( \
           SELECT b.id, 1 FROM warehouse.materialization m \
             JOIN warehouse.materialization_lineage l ON l.materialization = m.id AND l.column_name IS NULL \
             JOIN warehouse.materialization b ON b.relation = l.source \
           WHERE m.id = $1::pg_catalog.int4 AND m.options ->> 'capture' = 'change' \
           UNION SELECT b.id, w.depth + 1 FROM below w JOIN warehouse.materialization m ON m.id = w.id \
             JOIN warehouse.materialization_lineage l ON l.materialization = m.id AND l.column_name IS NULL \
             JOIN warehouse.materialization b ON b.relation = l.source \
           WHERE m.options ->> 'capture' = 'change' AND w.depth < 32) \
         SELECT pg_catalog.jsonb_agg(w.id ORDER BY w.depth DESC) FROM below w",
        &[i64::from(id).into()],
    )?;
    for id in below.unwrap_or_default() {
        Definition::locked(id, true)?;
    }
    Ok(())
}

/// Computes the groups anew that rows of these relations belong to. Whoever is done with changes has them
/// [verified](verify): in between, a site's part may break a test that all of them hold.
pub fn follow(waiting: &[i32], changed: &[&Delta]) -> Result<()> {
    if changed.iter().all(|delta| delta.rows == 0) {
        return Ok(());
    }
    progress::phase(Phase::Dependents, None);
    for id in waiting {
        if let Some(definition) = Definition::locked(*id, true)? {
            one(&definition, changed).map_err(|error| error.within(&definition.name()))?;
        }
    }
    Ok(())
}

fn one(definition: &Definition, changed: &[&Delta]) -> Result<()> {
    let sources = Sources::of(definition)?;
    let target = columns::target(definition, &sources)?;
    let groups: Vec<(String, &str)> = sources
        .query
        .columns
        .iter()
        .filter(|column| column.is_grouped)
        .map(|column| (quote::identifier(&column.name), column.expression.as_str()))
        .collect();
    if sources.query.grouped.is_none() || groups.iter().any(|(_, expression)| expression.is_empty())
    {
        return Err(Error::new(
            Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the query of {} does not group one table any more", definition.label()),
        ));
    }
    let mut report = Report::new();
    let _environment = Environment::enter(definition)?;
    let clear = definition.options.clear.then(|| definition.owner());
    right::granted(clear, || {
        identity::acting_as(definition.owner(), || {
            let conditions = touched(&sources, &groups, changed)?;
            let mut fetch = Vec::new();
            let mut deletes = Vec::new();
            for (name, condition) in conditions.unwrap_or_default() {
                fetch.push(format!("q.{name} {condition}"));
                deletes.push(format!("t.{name} {condition}"));
            }
            let query = filtered(&sources.query.text, &target.columns, &fetch);
            let new = Delta::of_query(NEW, &query, &mut |_, _| ())?;
            apply::apply(definition, &target, &new, &Deletes::Where(deletes), &mut report)
        })
    })
    .map_err(|error| apply::explained(definition, error))?;
    let as_of = AsOf { mark: None, time: None };
    sources::remember(definition, &sources.sites[0], &as_of, &sources::Watermark::Keep, None)?;
    report.succeeded("", None);
    report.strategy = "merge";
    report.capture = "change";
    super::refresh::record(definition, "change", None, &report)?;
    super::refresh::succeeded(definition, &report)
}

/// Tests and gates of all that follows a table, directly or not.
///
/// # Errors
/// 23514 for what does not hold.
pub fn verify(definition: &Definition, report: &mut Report) -> Result<()> {
    for id in of(definition)? {
        let Some(follower) = Definition::locked(id, true)? else { continue };
        let _environment = Environment::enter(&follower)?;
        let relation = follower.relation();
        verify::before_readers(&follower, relation, &columns::qualified(relation), report)
            .map_err(|error| error.within(&follower.name()))?;
        verify(&follower, report)?;
    }
    Ok(())
}

/// For each column of the grouping, the condition that finds the values in these rows; `None` for too
/// many of them.
fn touched(
    sources: &Sources,
    groups: &[(String, &str)],
    changed: &[&Delta],
) -> Result<Option<Vec<(String, String)>>> {
    if groups.is_empty() {
        return Ok(None);
    }
    let outputs: Vec<String> =
        groups.iter().map(|(name, expression)| format!("{expression} AS {name}")).collect();
    let arms: Vec<String> = changed
        .iter()
        .filter(|delta| delta.rows > 0)
        .map(|delta| format!("SELECT {} FROM {}", outputs.join(", "), delta.name()))
        .collect();
    let all = format!("SELECT DISTINCT * FROM ({}) g", arms.join(" UNION ALL "));
    let found = Delta::of_deltas(c"warehouse_touched", &all, changed)?;
    if found.rows > MOST_GROUPS {
        return Ok(None);
    }
    let arrays: Vec<String> =
        groups.iter().map(|(name, _)| format!("array_agg(DISTINCT g.{name})::text")).collect();
    let values =
        delta::row(&format!("SELECT {} FROM warehouse_touched g", arrays.join(", ")), &[&found])?;
    let conditions = groups.iter().zip(values).map(|((name, _), values)| {
        let of = sources
            .query
            .columns
            .iter()
            .find(|column| quote::identifier(&column.name) == *name)
            .map(|column| types::type_name(column.of, -1))
            .unwrap_or_default();
        let values = quote::literal(&values.unwrap_or_else(|| "{}".to_owned()));
        (name.clone(), format!("= ANY ({values}::{of}[])"))
    });
    Ok(Some(conditions.collect()))
}
