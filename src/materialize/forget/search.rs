//! Finding a person: which columns can carry one, and which rows do.

use crate::materialize::book;
use crate::materialize::columns::qualified;
use crate::materialize::definition::Definition;
use crate::pg::catalog::{self, Attribute};
use crate::pg::error::Result;
use crate::pg::{identity, sql, types};
use crate::privacy::family::family;
use pgrx::pg_sys::Oid;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use warehouse_core::masks::{IntWidth, Mask, TypeFamily};
use warehouse_core::privacy::{Domain, Keyring};
use warehouse_core::quote;

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
pub struct Wanted {
    /// Text forms.
    traces: BTreeSet<String>,
    /// Where clear text is kept: masks under which another spelling is the same person.
    spellings: BTreeSet<String>,
    is_plain: bool,
}

/// A definition, and the rows that were found by each of its columns (as text forms of their ctid).
pub struct Found {
    /// The definition.
    pub definition: Definition,
    /// Its columns that can carry the person.
    pub columns: Vec<(Attribute, Vec<String>)>,
}

/// What each column of each definition is searched for, with the definition's depth.
pub fn wanted(
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
pub fn rows(
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
            readable(&TypeFamily::Integer(IntWidth::Eight))
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
