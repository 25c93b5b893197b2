//! The SQL that is sent to the source.

use super::columns::{ReplicaTable, Scope, TableColumn};
use super::decode::Travel;
use super::options::ColumnSource;
use super::probe::{Expected, Probe, wire_type};
use crate::pg::keywords;
use std::collections::BTreeMap;
use warehouse_core::predicate::postgres::{self, Template};
use warehouse_core::predicate::{Expr, Rows, Select};

/// The SQL of a SELECT.
pub fn select(query: &Select) -> Template {
    postgres::select(query, &keywords::ident)
}

/// The parts of a SELECT one by one, for people.
pub fn clauses(query: &Select) -> Vec<String> {
    postgres::clauses(query, &keywords::ident)
}

/// A select list and GROUP BY that are the same for several tables.
#[derive(Debug)]
pub struct Lists {
    sql: postgres::Lists,
    /// The columns that they name without a cast.
    touched: Vec<i16>,
    /// These as SQL.
    names: String,
    /// What they have to be.
    columns: Vec<Expected>,
}

/// Writes the lists of a grouping of one table.
pub fn lists(outputs: &[Expr], keys: &[Expr], scope: &Scope<'_>) -> Lists {
    let mut touched = Touched::new();
    for expr in outputs.iter().chain(keys) {
        expr.walk(&mut |expr| touch(&mut touched, scope, expr));
    }
    let (names, columns) = named(&touched, false);
    Lists {
        sql: postgres::lists(outputs, keys, &keywords::ident),
        touched: touched.into_keys().map(|(_, number)| number).collect(),
        names,
        columns,
    }
}

impl Lists {
    /// The SQL of a SELECT of them over these rows of the scope's only table, and its check; `None` if it
    /// cannot be put together so.
    pub fn select(&self, rows: &Rows, scope: &Scope<'_>) -> Option<(Template, Probe)> {
        let [table] = scope.tables else { return None };
        let sql = self.sql.select(rows, &keywords::ident)?;
        let mut touched = Touched::new();
        rows.walk(&mut |expr| touch(&mut touched, scope, expr));
        if touched.keys().all(|(_, number)| self.touched.contains(number)) {
            return Some((sql, check(&self.names, self.columns.clone(), scope)));
        }
        let column = |number: &i16| Some(((table.relation, *number), table.table.column(*number)?));
        touched.extend(self.touched.iter().filter_map(column));
        let (names, columns) = named(&touched, false);
        Some((sql, check(&names, columns, scope)))
    }
}

/// The columns that an expression names without a cast.
type Touched<'s> = BTreeMap<(u32, i16), &'s TableColumn>;

fn touch<'s>(touched: &mut Touched<'s>, scope: &'s Scope<'_>, expr: &Expr) {
    if let Expr::Column(column) = expr
        && let Some(found) = scope.expected(column)
    {
        touched.insert((column.relation, found.number), found);
    }
}

/// The check of the columns that a SELECT names without a cast.
pub fn probe(query: &Select, scope: &Scope<'_>) -> Probe {
    let mut touched = Touched::new();
    query.walk(&mut |expr| touch(&mut touched, scope, expr));
    let (names, columns) = named(&touched, scope.tables.len() > 1);
    check(&names, columns, scope)
}

/// The columns as a list in SQL, and what they have to be.
fn named(touched: &Touched<'_>, several: bool) -> (String, Vec<Expected>) {
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for ((relation, _), column) in touched {
        let relation = *relation;
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
    (names.join(", "), columns)
}

fn check(list: &str, columns: Vec<Expected>, scope: &Scope<'_>) -> Probe {
    let several = scope.tables.len() > 1;
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
