//! What a merged table should be.

use super::Source;
use crate::pg::error::Result;
use crate::pg::subtransaction::attempt;
use crate::pg::types;
use crate::wrappers::replica::introspect::{Column, Table};
use crate::wrappers::replica::local::{LocalType, local_type};
use pgrx::{Spi, pg_sys};

/// A column of the merged table.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Its name.
    pub name: String,
    /// Its type in SQL.
    pub of: String,
    /// NOT NULL at every site.
    pub not_null: bool,
    /// The first comment that a site has for it.
    pub comment: Option<String>,
    /// The types that differ and what came of it, if any do.
    pub conflict: Option<String>,
}

/// A site's table.
pub struct Part<'a> {
    /// The source.
    pub source: &'a Source,
    /// The table there.
    pub table: &'a Table,
}

impl Part<'_> {
    /// A column there.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.table.columns.iter().find(|column| column.name == name)
    }

    /// The type that shows it best, taken for itself.
    pub fn local_type(&self, column: &Column) -> LocalType {
        local_type(column, &self.source.enums)
    }
}

/// The sites that have a table.
pub fn parts<'a>(sources: &'a [Source], name: &str) -> Vec<Part<'a>> {
    sources
        .iter()
        .filter_map(|source| {
            let table = source.schema.tables.iter().find(|table| table.name == name)?;
            Some(Part { source, table })
        })
        .collect()
}

/// The union of the columns, in the order in which they are met; where types differ, their common
/// type, else text.
pub fn columns(parts: &[Part<'_>]) -> Result<Vec<Merged>> {
    let mut names: Vec<&str> = Vec::new();
    for column in parts.iter().flat_map(|part| &part.table.columns) {
        if !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    let mut out = Vec::new();
    for column_name in names {
        let mut of: Option<String> = None;
        let mut met: Vec<String> = Vec::new();
        let mut everywhere = true;
        let mut comment = None;
        for part in parts {
            let Some(column) = part.column(column_name) else {
                everywhere = false;
                continue;
            };
            everywhere &= column.not_null;
            comment = comment.or_else(|| column.comment.clone());
            let here = part.local_type(column).sql;
            let met_as = format!("{} ({})", column.of, part.source.site);
            of = Some(match of {
                None => here,
                Some(before) if before == here => before,
                Some(before) => match common_type(&before, &here)? {
                    Some(common) => common,
                    None => "text".to_owned(),
                },
            });
            met.push(met_as);
        }
        let Some(of) = of else { continue };
        let differing = parts
            .iter()
            .filter_map(|part| Some(part.local_type(part.column(column_name)?).sql))
            .any(|here| here != of);
        out.push(Merged {
            name: column_name.to_owned(),
            not_null: everywhere && parts.iter().all(|part| part.column(column_name).is_some()),
            comment,
            conflict: differing.then(|| format!("{}: read as {of}", met.join(", "))),
            of,
        });
    }
    Ok(out)
}

/// The type that UNION gives two types, if it gives one.
fn common_type(a: &str, b: &str) -> Result<Option<String>> {
    let found = attempt(|| {
        Ok(Spi::get_one::<pg_sys::Oid>(&format!(
            "SELECT pg_catalog.pg_typeof(q.x)::pg_catalog.oid \
             FROM (SELECT NULL::{a} AS x UNION ALL SELECT NULL::{b}) q LIMIT 1"
        ))
        .ok()
        .flatten())
    });
    Ok(found.ok().flatten().map(|oid| types::type_name(oid, -1)))
}
