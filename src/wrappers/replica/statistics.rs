//! The source's own statistics as those of the tables here.

use super::collation;
use super::columns::Eyes;
use super::introspect::{ColumnStatistics, Table};
use super::known;
use super::options::ColumnSource;
use crate::pg::catalog::{self, Attribute};
use crate::pg::error::Error;
use crate::pg::statistics::{self, ColumnStatistics as Local};
use crate::pg::types;
use crate::privacy::policy::Shown;
use pgrx::pg_sys::Oid;
use std::collections::HashMap;

/// Sets size and column statistics of a foreign table. Values that do not fit the local type are left
/// out: statistics never fail an import.
pub fn apply(relation: Oid, table: &Table, all: &[ColumnStatistics], remote_collation: &str) {
    if table.tuples < 0.0 {
        return;
    }
    statistics::set_size(relation, pages(table), table.tuples);
    let proven = collation::proven(Some(remote_collation));
    let columns = known::table(relation, Eyes::Anybody).table;
    for attribute in catalog::relation_attributes(relation) {
        let Some(column) = columns.column(attribute.number) else { continue };
        let (name, remote_type) = match &column.source {
            ColumnSource::Remote { name, remote_type, .. } => (name, remote_type),
            ColumnSource::Constant(value) => {
                set(relation, &attribute, false, always(value));
                continue;
            }
            ColumnSource::Missing => {
                let never = Local { null_fraction: 1.0, ..Local::default() };
                set(relation, &attribute, false, never);
                continue;
            }
        };
        let Some(found) = all.iter().find(|s| s.column == *name) else { continue };
        let sorted_alike = attribute.collation == Oid::INVALID || proven;
        // Common values and bounds of a histogram are values of rows.
        let clear = column.shown == Shown::Clear;
        let local = Local {
            null_fraction: found.null_fraction,
            width: found.width,
            distinct: if keeps_equality(&column.shown) { found.distinct } else { 0.0 },
            common: found.common.clone().zip(found.frequencies.clone()).filter(|_| clear),
            histogram: found
                .histogram
                .clone()
                .filter(|_| clear && sorted_alike && remote_type.is_none()),
            correlation: found
                .correlation
                .filter(|_| clear && sorted_alike && remote_type.is_none()),
        };
        set(relation, &attribute, false, local);
    }
}

/// Whether what is shown has as many distinct values as there are.
fn keeps_equality(shown: &Shown) -> bool {
    match shown {
        Shown::Clear => true,
        Shown::Masked(mask) => mask.keeps_equality(),
        _ => false,
    }
}

/// The statistics of a column that has one value.
fn always(value: &str) -> Local {
    Local {
        width: value.len() as i32,
        distinct: 1.0,
        common: Some((format!("{{{}}}", quote_element(value)), vec![1.0])),
        ..Local::default()
    }
}

fn set(relation: Oid, attribute: &Attribute, inherited: bool, wanted: Local) {
    let told = |error: Error| {
        let table = types::relation_label(relation);
        pgrx::debug1!("statistics of {table}.{}: {}", attribute.name, error.message());
    };
    if let Err(error) = statistics::set_column(relation, attribute, inherited, &wanted) {
        told(error);
        let plain = Local { common: None, histogram: None, ..wanted };
        statistics::set_column(relation, attribute, inherited, &plain).unwrap_or_else(told);
    }
}

/// Pages of a table, a guess for views.
fn pages(table: &Table) -> u32 {
    table.pages.clamp(0.0, f64::from(u32::MAX - 1)) as u32
}

/// What a partition contributes to the statistics of its parent.
pub struct Part<'a> {
    /// The site.
    pub site: &'a str,
    /// The table at the source.
    pub table: &'a Table,
    /// Its columns' statistics.
    pub columns: &'a [ColumnStatistics],
}

/// Sets the statistics of a merged table from those of its sites: sums and weighted means. The column
/// names are those at the sources; `constant` is the site column.
pub fn apply_merged(relation: Oid, parts: &[Part<'_>], constant: &str) {
    let total: f64 = parts.iter().map(|part| part.table.tuples.max(0.0)).sum();
    if total <= 0.0 {
        return;
    }
    statistics::set_size(relation, 0, total);
    for attribute in catalog::relation_attributes(relation) {
        let merged = if attribute.name == constant {
            let sites: Vec<String> = parts.iter().map(|part| quote_element(part.site)).collect();
            let shares =
                parts.iter().map(|part| (part.table.tuples.max(0.0) / total) as f32).collect();
            Local {
                width: 8,
                distinct: parts.len() as f32,
                common: Some((format!("{{{}}}", sites.join(",")), shares)),
                ..Local::default()
            }
        } else {
            shown_everywhere(relation, &attribute.name, merge_column(&attribute.name, parts, total))
        };
        set(relation, &attribute, true, merged);
    }
}

/// Statistics of a merged column without what its parts do not show.
fn shown_everywhere(relation: Oid, name: &str, found: Local) -> Local {
    let shown: Vec<Shown> = catalog::partitions(relation)
        .into_iter()
        .filter_map(|part| {
            let table = known::table(part, Eyes::Anybody).table;
            let column = table.columns.iter().find(|column| column.name == name)?;
            (!matches!(column.raw, ColumnSource::Missing)).then(|| column.shown.clone())
        })
        .collect();
    if shown.iter().all(|shown| *shown == Shown::Clear) {
        return found;
    }
    let never = shown.iter().all(|shown| matches!(shown, Shown::Null | Shown::Refused(_)));
    let distinct = if shown.iter().all(keeps_equality) { found.distinct } else { 0.0 };
    let null_fraction = if never { 1.0 } else { found.null_fraction };
    Local { common: None, histogram: None, correlation: None, distinct, null_fraction, ..found }
}

fn merge_column(name: &str, parts: &[Part<'_>], total: f64) -> Local {
    let mut out = Local::default();
    let mut distinct = 0f64;
    let mut widths = 0f64;
    let mut nulls = 0f64;
    let mut common: HashMap<String, f64> = HashMap::new();
    for part in parts {
        let rows = part.table.tuples.max(0.0);
        let Some(found) = part.columns.iter().find(|s| s.column == name) else {
            nulls += rows;
            continue;
        };
        nulls += rows * f64::from(found.null_fraction);
        widths += rows * f64::from(found.width);
        let values = f64::from(found.distinct);
        // Unique values are unique over the sites together with the site; few values recur.
        distinct = if values < 0.0 { distinct + -values * rows } else { distinct.max(values) };
        if let (Some(values), Some(frequencies)) = (&found.common, &found.frequencies)
            && let Some(values) = plain_elements(values)
        {
            for (value, frequency) in values.into_iter().zip(frequencies) {
                *common.entry(value).or_default() += f64::from(*frequency) * rows / total;
            }
        }
    }
    out.null_fraction = (nulls / total) as f32;
    out.width = (widths / total).round() as i32;
    out.distinct = if distinct > 0.1 * total {
        -((distinct / total) as f32).min(1.0)
    } else {
        distinct as f32
    };
    if !common.is_empty() {
        let mut common: Vec<(String, f64)> = common.into_iter().collect();
        common.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        common.truncate(100);
        let values: Vec<String> = common.iter().map(|(value, _)| quote_element(value)).collect();
        let frequencies = common.iter().map(|(_, frequency)| *frequency as f32).collect();
        out.common = Some((format!("{{{}}}", values.join(",")), frequencies));
    }
    out
}

/// The elements of a one-dimensional array literal; `None` for anything deeper.
fn plain_elements(literal: &str) -> Option<Vec<String>> {
    let body = literal.strip_prefix('{')?.strip_suffix('}')?;
    let mut out = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => current.push(chars.next()?),
            ',' if !quoted => out.push(std::mem::take(&mut current)),
            '{' | '}' if !quoted => return None,
            c => current.push(c),
        }
    }
    if !body.is_empty() {
        out.push(current);
    }
    Some(out)
}

fn quote_element(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
