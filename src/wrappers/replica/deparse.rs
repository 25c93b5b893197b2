//! The SQL that is sent to the source.

use super::columns::{ReplicaTable, Scope, TableColumn};
use super::decode::Travel;
use super::options::ColumnSource;
use super::probe::{Expected, Probe, wire_type};
use crate::pg::keywords;
use std::collections::BTreeMap;
use warehouse_core::predicate::postgres::{self, Template};
use warehouse_core::predicate::{Expr, Select};

/// The SQL of a SELECT.
pub fn select(query: &Select) -> Template {
    postgres::select(query, &keywords::ident)
}

/// The parts of a SELECT one by one, for people.
pub fn clauses(query: &Select) -> Vec<String> {
    postgres::clauses(query, &keywords::ident)
}

/// The check of the columns that a SELECT names without a cast.
pub fn probe(query: &Select, scope: &Scope<'_>) -> Probe {
    let mut touched: BTreeMap<(u32, i16), &TableColumn> = BTreeMap::new();
    query.walk(&mut |expr| {
        if let Expr::Column(column) = expr
            && let Some(found) = scope.expected(column)
        {
            touched.insert((column.relation, found.number), found);
        }
    });
    let several = scope.tables.len() > 1;
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for ((relation, _), column) in touched {
        let ColumnSource::Remote { name, .. } = &column.raw else { continue };
        let qualifier =
            if several { format!("{}.", postgres::alias(relation)) } else { String::new() };
        names.push(format!("{qualifier}{}", keywords::ident(name)));
        columns.push(Expected {
            name: column.name.clone(),
            of: wire_type(column.of),
            typmod: column.typmod,
        });
    }
    let tables: Vec<String> = scope
        .tables
        .iter()
        .map(|table| {
            let alias = if several {
                format!(" {}", postgres::alias(table.relation))
            } else {
                String::new()
            };
            format!("{}{alias}", table.table.remote_name())
        })
        .collect();
    let list = names.join(", ");
    let space = if list.is_empty() { "" } else { " " };
    Probe { sql: format!("SELECT {list}{space}FROM {} LIMIT 0", tables.join(", ")), columns }
}

/// A SELECT of some columns of a whole table, and its check.
pub fn whole_table(table: &ReplicaTable, columns: &[&TableColumn]) -> (String, Probe) {
    let mut list = Vec::new();
    let mut names = Vec::new();
    let mut expected = Vec::new();
    for column in columns {
        let ColumnSource::Remote { name, remote_type, .. } = &column.raw else { continue };
        let quoted = keywords::ident(name);
        list.push(match (column.travel, remote_type) {
            (Travel::Text, _) => format!("{quoted}::text"),
            (Travel::Binary, Some(_)) => format!("{quoted}::{}", column.wire_type_name()),
            (Travel::Binary, None) => {
                names.push(quoted.clone());
                expected.push(Expected {
                    name: column.name.clone(),
                    of: wire_type(column.of),
                    typmod: column.typmod,
                });
                quoted
            }
        });
    }
    let name = table.remote_name();
    let select = |list: &[String]| {
        let space = if list.is_empty() { "" } else { " " };
        format!("SELECT {}{space}FROM {name}", list.join(", "))
    };
    let probe = Probe { sql: format!("{} LIMIT 0", select(&names)), columns: expected };
    (select(&list), probe)
}
