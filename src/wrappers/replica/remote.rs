//! What the source can compute: a table, a join, a grouping, and which conditions go along.
//!
//! The planner's callbacks build a [`Remote`] for every relation they can push and keep it with the
//! relation; larger ones are put together from smaller ones. [`Remote::rows`] writes one down.

use super::alike::Converted;
use super::capture;
use super::columns::{ReplicaTable, Scope, TableRef};
use super::options::ServerOptions;
use super::private::Refusal;
use crate::pg::node::Node;
use crate::pg::planner::{Clause, Planner, Rel, ScanTarget};
use crate::privacy::right::Clear;
use crate::wrappers::convert::Converter;
use pgrx::pg_sys::{self, Oid};
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use warehouse_core::predicate::{Expr, From, JoinKind, Reason, Rows};

/// A relation that the source can compute.
#[derive(Debug, Clone)]
pub struct Remote<'p> {
    /// The foreign server.
    pub server: Oid,
    /// Its options.
    pub options: Rc<ServerOptions>,
    /// All tables in it.
    pub tables: Vec<TableRef>,
    /// FROM.
    pub shape: Shape<'p>,
    /// WHERE.
    pub conditions: Vec<Condition<'p>>,
    /// Conditions that are checked here, above it.
    pub local: Vec<Clause<'p>>,
    /// GROUP BY and what it yields.
    pub grouping: Option<Grouping<'p>>,
    /// Cost at the source of computing all of its rows.
    pub work: f64,
    /// Rows it sends, before the conditions that are checked here.
    pub sent: f64,
    /// It may be read again with other values: its parts are not read at the same time.
    pub rescanned: bool,
    /// The protected columns that it reads in clear.
    pub clear: Vec<Clear>,
    /// What was not built on it at the source.
    pub refused: RefCell<Vec<Refusal>>,
    /// How it would be sorted in the order that the query wants.
    pub sorting: OnceCell<Rc<Sorting>>,
}

/// How a relation would be sorted at the source.
#[derive(Debug)]
pub struct Sorting {
    /// The columns of its only table that it would be sorted by, if they could be those of an index; or why
    /// it cannot be sorted so.
    pub columns: Result<Option<Vec<String>>, Reason>,
}

/// FROM.
#[derive(Debug, Clone)]
pub enum Shape<'p> {
    /// A table, by its range table index.
    Table(u32),
    /// A join.
    Join {
        /// Its kind.
        kind: JoinKind,
        /// Left side.
        left: Box<Shape<'p>>,
        /// Right side.
        right: Box<Shape<'p>>,
        /// ON.
        on: Vec<Condition<'p>>,
    },
}

/// A condition of WHERE or ON.
#[derive(Debug, Clone)]
pub enum Condition<'p> {
    /// An expression, and what it is at the source where that is always the same.
    Clause(Node<'p>, Option<Rc<Ready>>),
    /// `[NOT] EXISTS`: a semi-join or anti-join.
    Exists {
        /// NOT EXISTS.
        not: bool,
        /// FROM.
        shape: Shape<'p>,
        /// WHERE.
        conditions: Vec<Condition<'p>>,
    },
}

/// A condition as the source would check it.
#[derive(Debug)]
pub struct Ready {
    /// The condition.
    pub expr: Expr,
    /// It holds no value that comes with the execution.
    fixed: bool,
    /// It relies on the source collating as this database does.
    relied: bool,
    /// It relies on this session's styles.
    styled: bool,
}

impl<'p> Condition<'p> {
    /// A condition that has been judged.
    pub fn judged(clause: Clause<'p>, ready: &Rc<Ready>) -> Condition<'p> {
        Condition::Clause(clause.node(), ready.fixed.then(|| Rc::clone(ready)))
    }

    /// Whether it is this very clause.
    pub fn is(&self, clause: Clause<'p>) -> bool {
        matches!(self, Condition::Clause(node, _) if node.as_ptr() == clause.node().as_ptr())
    }
}

/// GROUP BY.
#[derive(Debug, Clone)]
pub struct Grouping<'p> {
    /// The keys.
    pub keys: Vec<Node<'p>>,
    /// HAVING.
    pub having: Vec<Node<'p>>,
    /// What it yields: the columns of the scan.
    pub target: ScanTarget<'p>,
    /// It yields transition values to be combined here.
    pub partial: bool,
    /// What of it the parts of a merged table have in common.
    pub converted: Option<Rc<Converted>>,
}

/// What this wrapper keeps with a relation of the planner.
#[derive(Debug)]
pub enum Kept<'p> {
    /// It can be computed at the source.
    Remote(Box<Remote<'p>>),
    /// It is this relation in another order.
    Ordered(*mut pg_sys::RelOptInfo),
}

/// What is kept with a relation that can be computed at the source.
pub fn of<'p>(rel: Rel<'p>) -> Option<&'p Remote<'p>> {
    // SAFETY: relations of this wrapper keep a `Kept` or nothing.
    match unsafe { rel.state::<Kept<'p>>() }? {
        Kept::Remote(remote) => Some(remote),
        Kept::Ordered(_) => None,
    }
}

/// The relation that `rel` shows, in another order or as it is.
pub fn below<'p>(rel: Rel<'p>) -> Option<Rel<'p>> {
    // SAFETY: as above; an ordered relation's input lives as long as itself.
    match unsafe { rel.state::<Kept<'p>>() }? {
        Kept::Remote(_) => Some(rel),
        // SAFETY: as above.
        Kept::Ordered(input) => Some(unsafe { Rel::new(*input) }),
    }
}

impl<'p> Remote<'p> {
    /// A table alone, without conditions.
    pub fn table(relation: u32, table: Rc<ReplicaTable>, options: Rc<ServerOptions>) -> Remote<'p> {
        Remote {
            server: table.server,
            options,
            tables: vec![TableRef { relation, table, nullable: false, hidden: false }],
            shape: Shape::Table(relation),
            conditions: Vec::new(),
            local: Vec::new(),
            grouping: None,
            work: 0.0,
            sent: 0.0,
            rescanned: false,
            clear: Vec::new(),
            refused: RefCell::default(),
            sorting: OnceCell::new(),
        }
    }

    /// Notes that something could not be built on it at the source.
    pub fn refuse(&self, what: &'static str, reason: &Reason) {
        let refusal = Refusal { what: what.to_owned(), reason: reason.to_string() };
        let mut refused = self.refused.borrow_mut();
        if !refused.contains(&refusal) {
            refused.push(refusal);
        }
    }

    /// The same with its rows grouped by what is wanted of it.
    pub fn grouped(&self, keys: Vec<Node<'p>>, work: f64, sent: f64) -> Remote<'p> {
        let mut target = ScanTarget::new();
        keys.iter().for_each(|key| target.add(*key));
        let having = Vec::new();
        let grouping = Some(Grouping { keys, having, target, partial: false, converted: None });
        let (refused, sorting) = (RefCell::default(), OnceCell::new());
        Remote { grouping, work, sent, refused, sorting, ..self.clone() }
    }

    /// What errors call it.
    pub fn label(&self) -> String {
        let labels: Vec<&str> = self.tables.iter().map(|table| table.table.label()).collect();
        labels.join(", ")
    }

    /// Whether everything in it happens at the source.
    pub fn is_whole(&self) -> bool {
        self.local.is_empty()
    }

    /// FROM and WHERE.
    pub fn rows(&self, converter: &mut Converter<'p, '_>) -> Result<Rows, Reason> {
        rows(&self.tables, &self.shape, &self.conditions, converter)
    }
}

fn rows<'p>(
    tables: &[TableRef],
    shape: &Shape<'p>,
    conditions: &[Condition<'p>],
    converter: &mut Converter<'p, '_>,
) -> Result<Rows, Reason> {
    let mut rows = Rows {
        from: from(tables, shape, converter)?,
        conditions: all(tables, conditions, converter)?,
    };
    rows.leave_out_implied();
    Ok(rows)
}

fn from<'p>(
    tables: &[TableRef],
    shape: &Shape<'p>,
    converter: &mut Converter<'p, '_>,
) -> Result<From, Reason> {
    match shape {
        Shape::Table(relation) => {
            let table = tables
                .iter()
                .find(|table| table.relation == *relation)
                .ok_or(Reason::Unsupported("a table of another query"))?;
            Ok(From::Table {
                name: table.table.remote_name().to_owned(),
                relation: *relation,
                computed: table.computed(),
                only: capture::condition(table.table.relation),
            })
        }
        Shape::Join { kind, left, right, on } => Ok(From::Join {
            kind: *kind,
            left: Box::new(from(tables, left, converter)?),
            right: Box::new(from(tables, right, converter)?),
            on: all(tables, on, converter)?,
        }),
    }
}

fn all<'p>(
    tables: &[TableRef],
    conditions: &[Condition<'p>],
    converter: &mut Converter<'p, '_>,
) -> Result<Vec<Expr>, Reason> {
    let mut out = Vec::new();
    for condition in conditions {
        let expr = match condition {
            Condition::Clause(_, Some(ready)) => {
                converter.rely(ready.relied, ready.styled);
                ready.expr.clone()
            }
            Condition::Clause(node, None) => converter.condition(*node)?,
            Condition::Exists { not, shape, conditions } => Expr::Exists {
                not: *not,
                rows: Box::new(rows(tables, shape, conditions, converter)?),
            },
        };
        // Such as the constant column of a site compared with its own value.
        if !expr.is_always_true() {
            out.push(expr);
        }
    }
    Ok(out)
}

/// Splits clauses into those that the source can check and the rest.
pub fn judge<'p>(
    planner: Planner<'p>,
    tables: &[TableRef],
    clauses: impl IntoIterator<Item = Clause<'p>>,
) -> (Vec<(Clause<'p>, Rc<Ready>)>, Vec<Clause<'p>>) {
    let mut remote = Vec::new();
    let mut local = Vec::new();
    for clause in clauses {
        let scope = Scope::new(tables);
        let mut converter = Converter::new(planner, &scope);
        match converter.condition(clause.node()) {
            Ok(expr) => {
                let fixed = converter.params.is_empty();
                let (relied, styled) = (scope.relied.get(), scope.styled.get());
                remote.push((clause, Rc::new(Ready { expr, fixed, relied, styled })));
            }
            Err(_) => local.push(clause),
        }
    }
    (remote, local)
}

/// Why a clause cannot be checked at the source.
pub fn refusal<'p>(planner: Planner<'p>, tables: &[TableRef], clause: Clause<'p>) -> Reason {
    let scope = Scope::new(tables);
    let converted = Converter::new(planner, &scope).condition(clause.node());
    converted.err().unwrap_or(Reason::Here("it is checked here"))
}
