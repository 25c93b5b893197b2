//! `warehouse.forget()`: takes a person out of the materialized tables.
//!
//! A person is found by what the masks of a domain make of the value that was given, with every key version
//! that can still be used, in the columns that are made of columns with such masks (lineage). Rows are
//! changed with the rights of each table's owner; aggregates that follow a table are brought along. The
//! value itself is bound to statements, and is in no error, log or audit.

use super::apply::{NEW, OLD};
use super::book;
use super::columns::qualified;
use super::definition::{Capture, Definition};
use super::dependents;
use super::environment::Environment;
use crate::pg::catalog::{self, Attribute};
use crate::pg::delta::{self, Delta};
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::{identity, sql, statistics, types};
use crate::privacy::audit::{self, Entry};
use crate::privacy::family::family;
use crate::privacy::keys;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use warehouse_core::masks::{Mask, TypeFamily};
use warehouse_core::privacy::{Domain, Keyring};
use warehouse_core::quote;

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

/// A column of a materialized table, and a column of a foreign table that it is made of.
#[derive(Debug, Deserialize)]
struct Carried {
    materialization: i32,
    depth: i32,
    column: String,
    mask: String,
    of: u32,
    /// It is that column and nothing else, all the way.
    is_plain: bool,
    /// It is kept in clear.
    is_clear: bool,
}

/// The columns that masked columns flow into, through materialized tables that read others.
const CARRIED: &str = "WITH RECURSIVE carried(materialization, column_name, mask, of, is_plain, is_clear, depth) AS ( \
    SELECT l.materialization, l.column_name, s.mask, s.type_oid, l.is_plain, \
      COALESCE((m.options ->> 'clear')::pg_catalog.bool, false), 0 \
    FROM warehouse.materialization_lineage l JOIN warehouse.materialization m ON m.id = l.materialization \
      JOIN warehouse.site_columns s ON l.source IN (s.relation, s.foreign_table) AND s.column_name = l.source_column \
    WHERE l.column_name IS NOT NULL AND s.mask IS NOT NULL \
    UNION \
    SELECT l.materialization, l.column_name, c.mask, c.of, c.is_plain AND l.is_plain, c.is_clear, c.depth + 1 \
    FROM carried c JOIN warehouse.materialization m ON m.id = c.materialization \
      JOIN warehouse.materialization_lineage l ON l.source = m.relation AND l.source_column = c.column_name \
    WHERE l.column_name IS NOT NULL AND c.depth < 32 \
  ) \
  SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('materialization', c.materialization, 'depth', c.depth, \
    'column', c.column_name, 'mask', c.mask, 'of', c.of::pg_catalog.int8, 'is_plain', c.is_plain, 'is_clear', c.is_clear)) \
  FROM carried c";

/// What a column is searched for.
#[derive(Debug, Default)]
struct Wanted {
    /// Text forms.
    traces: BTreeSet<String>,
    /// Where clear text is kept: masks under which another spelling is the same person.
    spellings: BTreeSet<String>,
    is_plain: bool,
}

/// A row of the answer: table, column, what was done, rows.
type Counted = (Oid, String, String, i64);

/// A definition, and the rows that were found by each of its columns (as text forms of their ctid).
struct Found {
    definition: Definition,
    columns: Vec<(Attribute, Vec<String>)>,
}

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
    for (id, depth, column, found) in wanted_by_column(&domain, value, &keyring)? {
        wanted.entry((depth, id)).or_default().insert(column, found);
    }
    // The same order in which refreshes lock: what is followed before what follows.
    let mut tables = Vec::new();
    let mut elsewhere = Vec::new();
    for ((_, id), columns) in &wanted {
        let Some(definition) = Definition::locked(*id, true)? else { continue };
        tables.push(search(definition, columns, &mut elsewhere)?);
    }
    let mut counted = Vec::new();
    for found in tables {
        counted.extend(write(&found, &domain, action)?);
    }
    tell(&domain, action, wanted.is_empty(), &counted, &elsewhere)?;
    Ok(counted)
}

/// What each column of each definition is searched for, with the definition's depth.
fn wanted_by_column(
    domain: &Domain,
    value: &str,
    keyring: &Keyring,
) -> Result<Vec<(i32, i32, String, Wanted)>> {
    let carried: Vec<Carried> = book::json(CARRIED, &[])?.unwrap_or_default();
    let mut depths: BTreeMap<i32, i32> = BTreeMap::new();
    let mut all: BTreeMap<(i32, String), Wanted> = BTreeMap::new();
    for one in carried {
        // A policy that cannot be read hides its column: nothing of it is kept.
        let Ok(mask) = one.mask.parse::<Mask>() else { continue };
        if !mask.domains().contains(&domain) {
            continue;
        }
        let depth = depths.entry(one.materialization).or_default();
        *depth = one.depth.max(*depth);
        let of = family(Oid::from(one.of));
        let fresh = || Wanted { is_plain: true, ..Wanted::default() };
        let wanted = all.entry((one.materialization, one.column)).or_insert_with(fresh);
        wanted.is_plain &= one.is_plain && mask.keeps_equality();
        wanted.traces.extend(mask.traces(&of, domain, keyring, value)?);
        if one.is_clear {
            wanted.traces.insert(value.to_owned());
            if matches!(mask, Mask::Pseudonym { .. }) && of == TypeFamily::Text {
                wanted.spellings.insert(one.mask);
            }
        }
    }
    let depth = |id: i32| depths.get(&id).copied().unwrap_or_default();
    Ok(all.into_iter().map(|((id, column), wanted)| (id, depth(id), column, wanted)).collect())
}

/// Locks a table against changes and looks for the rows. What may hold the person in another form is added
/// to `elsewhere`.
fn search(
    definition: Definition,
    wanted: &BTreeMap<String, Wanted>,
    elsewhere: &mut Vec<String>,
) -> Result<Found> {
    let relation = definition.relation();
    let name = qualified(relation);
    identity::acting_as(definition.owner(), || {
        sql::execute(&format!("LOCK TABLE ONLY {name} IN SHARE ROW EXCLUSIVE MODE"))
    })?;
    let mut columns = Vec::new();
    for attribute in catalog::relation_attributes(relation) {
        let Some(wanted) = wanted.get(&attribute.name) else { continue };
        let condition = condition(&attribute);
        if condition.is_none() || !wanted.is_plain {
            elsewhere.push(format!("{name}.{}", quote::identifier(&attribute.name)));
        }
        let Some(mut condition) = condition else { continue };
        if !wanted.spellings.is_empty() && family(attribute.of) == TypeFamily::Text {
            let column = quote::identifier(&attribute.name);
            condition = format!(
                "{condition} OR EXISTS (SELECT FROM pg_catalog.unnest($2::pg_catalog.text[]) s(mask) \
                 WHERE warehouse.mask(t.{column}::pg_catalog.text, s.mask) = ANY ($1::pg_catalog.text[]))"
            );
        }
        let traces: Vec<String> = wanted.traces.iter().cloned().collect();
        let spellings: Vec<String> = wanted.spellings.iter().cloned().collect();
        // Of built-in types and functions alone, so that nothing of the table's owner runs with these rights.
        let rows: Option<Vec<String>> = book::json(
            &format!(
                "SELECT pg_catalog.jsonb_agg(t.ctid::pg_catalog.text) FROM ONLY {name} t \
                 WHERE ({condition}) AND $2 IS NOT NULL"
            ),
            &[traces.into(), spellings.into()],
        )?;
        columns.push((attribute, rows.unwrap_or_default()));
    }
    Ok(Found { definition, columns })
}

/// The condition that finds the text forms in `$1` in a column; none for a type that cannot hold them.
fn condition(attribute: &Attribute) -> Option<String> {
    let column = quote::identifier(&attribute.name);
    let base = types::base_type(attribute.of);
    let plain = |of: &TypeFamily| {
        matches!(
            of,
            TypeFamily::Text | TypeFamily::Uuid | TypeFamily::Bytea | TypeFamily::Integer(_)
        )
    };
    // What is no value of the type is left out: a text form of one column may be none of another.
    let readable = |of: &TypeFamily| match of {
        TypeFamily::Integer(_) => {
            " WHERE CASE WHEN v.one ~ '^-?[0-9]{1,19}$' THEN v.one::pg_catalog.numeric \
               BETWEEN -9223372036854775808 AND 9223372036854775807 ELSE false END"
        }
        TypeFamily::Uuid => " WHERE v.one ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'",
        TypeFamily::Bytea => " WHERE v.one ~ '^\\\\x([0-9a-f]{2})*$'",
        _ => "",
    };
    match family(attribute.of) {
        TypeFamily::Array(of) if plain(&of) => {
            let element = types::type_name(types::facts(base)?.element, -1);
            Some(format!(
                "t.{column} && ARRAY(SELECT v.one::{element} FROM pg_catalog.unnest($1::pg_catalog.text[]) v(one){})",
                readable(&of)
            ))
        }
        TypeFamily::Json => Some(format!(
            "pg_catalog.jsonb_path_exists(t.{column}::pg_catalog.jsonb, \
               '$.** ? (@ == $v[*] || @ == $n[*])'::pg_catalog.jsonpath, \
               pg_catalog.jsonb_build_object('v', pg_catalog.to_jsonb($1::pg_catalog.text[]), 'n', \
                 pg_catalog.to_jsonb(ARRAY(SELECT v.one::pg_catalog.numeric FROM pg_catalog.unnest($1::pg_catalog.text[]) v(one){}))))",
            readable(&TypeFamily::Integer(warehouse_core::masks::IntWidth::Eight))
        )),
        of if plain(&of) => {
            let of_type = match of {
                // Any width: a number out of range of the column's own is none of its values.
                TypeFamily::Integer(_) => "pg_catalog.int8".to_owned(),
                _ => types::type_name(base, -1),
            };
            Some(format!(
                "t.{column} = ANY (ARRAY(SELECT v.one::{of_type} FROM pg_catalog.unnest($1::pg_catalog.text[]) v(one){}))",
                readable(&of)
            ))
        }
        _ => None,
    }
}

/// Deletes or blanks what was found in a table, and records it.
fn write(found: &Found, domain: &Domain, action: Action) -> Result<Vec<Counted>> {
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
        let _environment = Environment::enter(definition);
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
        dependents::follow(&waiting, &changed.iter().collect::<Vec<_>>())
    })
}

/// A column that is NULL in these rows.
fn blank(quoted: &str, rows: &[String]) -> String {
    let these = ctids(rows.iter().map(String::as_str));
    format!("CASE WHEN t.ctid = ANY ({these}) THEN NULL ELSE t.{quoted} END")
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
