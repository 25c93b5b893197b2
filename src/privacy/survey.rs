//! `warehouse.classify_schema()`: what the columns of a schema seem to hold.
//!
//! What is sure is applied; the rest is for somebody to decide. A column that has a class is left as
//! it is, and a new site gets the policy of the others.

use super::audit::{self, Entry};
use super::columns::{self, Column, Policy};
use super::family::may_identify;
use super::samples::{Looking, samples};
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::keywords::qualified;
use crate::pg::{catalog, identity, wait};
use pgrx::PgSqlErrorCode as Code;
use pgrx::prelude::*;
use std::collections::BTreeMap;
use warehouse_core::masks::Mask;
use warehouse_core::privacy::Class;
use warehouse_core::privacy::detect::{self, Certainty};

/// What was found of one column.
struct Found<'a> {
    /// The column in each foreign table that lacks a class.
    columns: Vec<&'a Column>,
    policy: Option<Policy>,
    certainty: Certainty,
    evidence: String,
}

/// Detects what the columns of a schema hold, applies what is sure, and reports all.
#[pg_extern(volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn classify_schema(
    schema: &str,
    minors: default!(bool, true),
    sample: default!(i32, 200),
    apply: default!(bool, true),
) -> TableIterator<
    'static,
    (
        name!(relation, String),
        name!(column_name, String),
        name!(class, Option<String>),
        name!(mask, Option<String>),
        name!(certainty, String),
        name!(evidence, String),
        name!(applied, bool),
    ),
> {
    let rows = run(schema, minors, sample, apply).or_raise();
    TableIterator::new(rows)
}

type Row = (String, String, Option<String>, Option<String>, String, String, bool);

fn run(schema: &str, minors: bool, sample: i32, apply: bool) -> Result<Vec<Row>> {
    if !catalog::schema_exists(schema) {
        return Err(Error::new(
            Code::ERRCODE_INVALID_SCHEMA_NAME,
            format!("schema \"{schema}\" does not exist"),
        ));
    }
    let sample = usize::try_from(sample).map_err(|_| {
        Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, "sample must not be negative")
    })?;
    let all = columns::of_schema(schema)?;
    // Also without `apply`: what comes of samples says something of them.
    columns::require_right(&all)?;
    let mut groups: Vec<Vec<&Column>> = Vec::new();
    for column in &all {
        let same = |group: &&mut Vec<&Column>| {
            group
                .first()
                .is_some_and(|c| c.relation() == column.relation() && c.name == column.name)
        };
        match groups.last_mut().filter(same) {
            Some(group) => group.push(column),
            None => groups.push(vec![column]),
        }
    }
    let looking = Looking;
    let mut found = Vec::new();
    for group in groups {
        wait::check_interrupts();
        found.extend(look_at(&group, minors, sample));
    }
    drop(looking);
    if apply {
        write(schema, &found)?;
    }
    Ok(found.iter().filter_map(|found| row(found, apply)).collect())
}

/// Looks at a column of one relation, given in each of its foreign tables. Nothing if all is said.
fn look_at<'a>(group: &[&'a Column], minors: bool, sample: usize) -> Option<Found<'a>> {
    let read: Vec<&Column> = group.iter().copied().filter(|column| !column.is_constant).collect();
    let open: Vec<&Column> = read.iter().copied().filter(|c| c.class.is_none()).collect();
    let first = open.first()?;
    let mut said: Vec<_> =
        read.iter().filter(|c| c.class.is_some()).map(|c| (&c.class, &c.mask)).collect();
    said.dedup();
    let (policy, certainty, evidence) = match said.as_slice() {
        [] => detected(first, &open, minors, sample),
        [(class, mask)] => {
            (inherited(class, mask), Certainty::Sure, "as at the other sites".to_owned())
        }
        _ => (None, Certainty::Unknown, "the other sites disagree".to_owned()),
    };
    let certainty = if policy.is_some() { certainty } else { Certainty::Unknown };
    Some(Found { columns: open, policy, certainty, evidence })
}

fn inherited(class: &Option<String>, mask: &Option<String>) -> Option<Policy> {
    let class: Class = class.as_deref()?.parse().ok()?;
    let mask = match mask {
        Some(mask) => mask.parse().ok()?,
        None => class.default_mask(),
    };
    Some((class, mask))
}

fn detected(
    column: &Column,
    everywhere: &[&Column],
    minors: bool,
    sample: usize,
) -> (Option<Policy>, Certainty, String) {
    // Every site contributes: one may keep in a column what others do not.
    let share = sample.div_ceil(everywhere.len().max(1));
    let values: Vec<String> = match sample {
        0 => Vec::new(),
        _ => everywhere.iter().flat_map(|c| samples(c.table(), &c.name, share)).collect(),
    };
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let family = column.family();
    let finding = detect::detect(&detect::Column {
        table: &column.relation_name,
        name: &column.name,
        family: &family,
        is_enum: column.is_enum(),
        comment: column.comment.as_deref(),
        samples: &values,
        minors,
    });
    let evidence: Vec<String> = finding.evidence.iter().map(ToString::to_string).collect();
    match (finding.class, finding.mask) {
        (Some(class), Some(mask)) => (Some((class, mask)), finding.certainty, evidence.join(", ")),
        _ if !may_identify(column.of()) => {
            (Some((Class::Public, Mask::Keep)), Certainty::Sure, detect::Evidence::Type.to_string())
        }
        _ => (None, Certainty::Unknown, "nothing speaks for or against it".to_owned()),
    }
}

fn is_applied(found: &Found<'_>) -> bool {
    found.policy.is_some() && found.certainty == Certainty::Sure
}

/// Writes what is sure, with one statement a foreign table and one entry of the audit a relation.
fn write(schema: &str, found: &[Found<'_>]) -> Result<()> {
    let mut tables: BTreeMap<_, Vec<(&Column, Option<Policy>)>> = BTreeMap::new();
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for found in found.iter().filter(|found| is_applied(found)) {
        for column in &found.columns {
            tables.entry(column.table().to_u32()).or_default().push((column, found.policy.clone()));
        }
        if let Some(column) = found.columns.first() {
            names.entry(&column.relation_name).or_default().push(column.name.clone());
        }
    }
    for changes in tables.values() {
        wait::check_interrupts();
        columns::set(changes)?;
    }
    for (relation, columns) in names {
        audit::record(&Entry {
            role: identity::current(),
            action: "classify_schema",
            relation: Some(&format!("{schema}.{relation}")),
            columns: &columns,
            rows: None,
            query_id: None,
        })?;
    }
    Ok(())
}

fn row(found: &Found<'_>, apply: bool) -> Option<Row> {
    let column = found.columns.first()?;
    let (class, mask) = match &found.policy {
        Some((class, mask)) => (Some(class.to_string()), Some(mask.to_string())),
        None => (None, None),
    };
    Some((
        qualified(&column.relation_schema, &column.relation_name),
        column.name.clone(),
        class,
        mask,
        found.certainty.name().to_owned(),
        found.evidence.clone(),
        apply && is_applied(found),
    ))
}
