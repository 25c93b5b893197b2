//! A whole SELECT, for remotes that take one.

use super::Expr;
use serde::{Deserialize, Serialize};

/// A relation in FROM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// A table.
    Table {
        /// Its quoted, qualified name.
        name: String,
        /// Its index in the query: `r<index>` is its alias where a query has several relations.
        relation: u32,
        /// Columns that do not exist there but must read NULL where an outer join finds no row: name
        /// and value.
        computed: Vec<(String, Expr)>,
        /// A condition, in SQL, on its rows before anything else sees them; it calls the table `t`.
        only: Option<String>,
    },
    /// A join.
    Join {
        /// Its kind.
        kind: JoinKind,
        /// Left side.
        left: Box<From>,
        /// Right side.
        right: Box<From>,
        /// ON, joined by AND.
        on: Vec<Expr>,
    },
}

/// The kinds of join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

impl From {
    /// Whether it is one table.
    pub fn is_table(&self) -> bool {
        matches!(self, From::Table { .. })
    }
}

/// FROM and WHERE, as they stand in a SELECT or behind EXISTS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// FROM.
    pub from: From,
    /// WHERE, joined by AND.
    pub conditions: Vec<Expr>,
}

/// A term of ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortTerm {
    /// What to sort by.
    pub expr: Expr,
    /// The quoted collation to sort by, if it has to be said.
    pub collation: Option<std::borrow::Cow<'static, str>>,
    /// `ASC`, `DESC` or `USING operator`.
    pub direction: String,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// A SELECT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    /// What it yields.
    pub outputs: Vec<Expr>,
    /// SELECT DISTINCT.
    pub distinct: bool,
    /// FROM and WHERE.
    pub rows: Rows,
    /// GROUP BY, `None` where the query does not group; empty for one group of all rows.
    pub group_by: Option<Vec<Expr>>,
    /// HAVING, joined by AND.
    pub having: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortTerm>,
    /// LIMIT.
    pub limit: Option<Expr>,
    /// OFFSET.
    pub offset: Option<Expr>,
}

impl Select {
    /// A SELECT of these rows and nothing else.
    pub fn of(outputs: Vec<Expr>, rows: Rows) -> Select {
        Select {
            outputs,
            distinct: false,
            rows,
            group_by: None,
            having: Vec::new(),
            order: Vec::new(),
            limit: None,
            offset: None,
        }
    }

    /// Calls `visit` for every expression in it and everything below them.
    pub fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        self.outputs.iter().for_each(|expr| expr.walk(visit));
        self.rows.walk(visit);
        for expr in self.group_by.iter().flatten().chain(&self.having) {
            expr.walk(visit);
        }
        self.order.iter().for_each(|term| term.expr.walk(visit));
        for expr in self.limit.iter().chain(&self.offset) {
            expr.walk(visit);
        }
    }
}

impl Rows {
    /// Calls `visit` for every expression in it and everything below them.
    pub fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        self.from.walk(visit);
        self.conditions.iter().for_each(|expr| expr.walk(visit));
    }
}

impl From {
    fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        match self {
            From::Table { computed, .. } => computed.iter().for_each(|(_, expr)| expr.walk(visit)),
            From::Join { left, right, on, .. } => {
                left.walk(visit);
                right.walk(visit);
                on.iter().for_each(|expr| expr.walk(visit));
            }
        }
    }
}
