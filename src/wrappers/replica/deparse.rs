//! The SQL that is sent to the source.

use super::columns::{ReplicaTable, TableColumn};
use super::decode::Travel;
use super::options::ColumnSource;
use super::probe::{Expected, Probe, wire_type};
use crate::pg::keywords;
use warehouse_core::predicate::postgres::{self, Names, Template};
use warehouse_core::predicate::{ColumnRef, Expr};

/// A term of ORDER BY.
#[derive(Debug, Clone)]
pub struct SortTerm {
    /// What to sort by.
    pub expr: Expr,
    /// The quoted collation to sort by, if it has to be said.
    pub collation: Option<&'static str>,
    /// `ASC`, `DESC` or `USING operator`.
    pub direction: String,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// A SELECT from one table.
#[derive(Debug)]
pub struct Select<'a> {
    /// The table.
    pub table: &'a ReplicaTable,
    /// What to fetch.
    pub columns: &'a [&'a TableColumn],
    /// WHERE, joined by AND.
    pub conditions: &'a [Expr],
    /// ORDER BY.
    pub order: &'a [SortTerm],
    /// LIMIT.
    pub limit: Option<&'a Expr>,
    /// OFFSET.
    pub offset: Option<&'a Expr>,
}

/// Names of a query over one table: columns stand alone.
pub struct Unqualified;

impl Names for Unqualified {
    fn column(&self, column: &ColumnRef) -> String {
        keywords::ident(&column.name)
    }

    fn identifier(&self, name: &str) -> String {
        keywords::ident(name)
    }
}

impl Select<'_> {
    /// Its SQL.
    pub fn template(&self) -> Template {
        let mut out = Template::default();
        out.push("SELECT ");
        let columns: Vec<String> =
            self.columns.iter().filter_map(|column| column.select("")).collect();
        out.push(&columns.join(", "));
        out.push(if columns.is_empty() { "FROM " } else { " FROM " });
        out.push(&self.table.remote_name());
        for (i, condition) in self.conditions.iter().enumerate() {
            out.push(if i == 0 { " WHERE " } else { " AND " });
            postgres::write(condition, &Unqualified, &mut out);
        }
        for (i, term) in self.order.iter().enumerate() {
            out.push(if i == 0 { " ORDER BY " } else { ", " });
            postgres::write(&term.expr, &Unqualified, &mut out);
            if let Some(collation) = term.collation {
                out.push(" COLLATE ");
                out.push(collation);
            }
            out.push(" ");
            out.push(&term.direction);
            out.push(if term.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
        for (word, expr) in [(" LIMIT ", self.limit), (" OFFSET ", self.offset)] {
            if let Some(expr) = expr {
                out.push(word);
                postgres::write(expr, &Unqualified, &mut out);
            }
        }
        out
    }
}

/// The check of the columns that a SELECT fetches or compares.
pub fn probe(table: &ReplicaTable, touched: &[&TableColumn]) -> Probe {
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for column in touched {
        let ColumnSource::Remote { name, remote_type: None } = &column.source else { continue };
        if column.travel == Travel::Binary {
            names.push(keywords::ident(name));
            columns.push(Expected { name: column.name.clone(), of: wire_type(column.of) });
        }
    }
    let list = names.join(", ");
    let space = if list.is_empty() { "" } else { " " };
    Probe { sql: format!("SELECT {list}{space}FROM {} LIMIT 0", table.remote_name()), columns }
}
