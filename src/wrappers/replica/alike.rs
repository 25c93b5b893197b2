//! What the parts of merged tables have in common, found out once a query.
//!
//! Its parts mostly have the same columns. What is wanted of them is then the same too, but for the numbers
//! of their relations: Postgres makes the target of each part from that of the whole. So what the first
//! part can be sorted by and how it is grouped is found out, and the others take it over.

use super::build::{self, Columns};
use super::columns::{ReplicaTable, Scope, TableColumn, TableRef};
use super::deparse::{self, Lists};
use super::handler;
use super::options::ColumnSource;
use super::private::{Constant, Fetched};
use super::remote::{self, Remote};
use crate::pg::node::{Kind, Node};
use crate::pg::planner::{Planner, Rel, ScanTarget};
use crate::wrappers::convert::Converter;
use pgrx::pg_sys::{Oid, UpperRelationKind};
use std::rc::Rc;
use warehouse_core::predicate::{Expr, Reason};

/// A grouping at the source, as the first part has it.
#[derive(Debug)]
pub struct Converted {
    /// The tables of the part.
    tables: Vec<TableRef>,
    /// The types of what is wanted of the part.
    wanted: Vec<Oid>,
    /// Which of it the source computes; of the rest it sends the columns and aggregates.
    pub whole: Vec<bool>,
    /// The select list.
    outputs: Vec<Expr>,
    /// Where its values go.
    fetched: Vec<Fetched>,
    /// The columns that are the same in each row of a part: their position, and which column of which
    /// table they are.
    constants: Vec<(Constant, usize, i16)>,
    /// GROUP BY.
    keys: Vec<Expr>,
    /// Both lists as SQL, of a part that is one table.
    written: Option<Lists>,
    /// They rely on the source collating as this database does.
    relied: bool,
    /// They rely on this session's styles.
    styled: bool,
}

impl Converted {
    /// The grouping of a part whose `wanted` make up `target`; `None` if it can only be its own.
    ///
    /// # Errors
    /// Why one of its columns cannot be had from the source.
    pub fn new<'p>(
        planner: Planner<'p>,
        below: &Remote<'p>,
        wanted: &[(Node<'p>, u32)],
        whole: Vec<bool>,
        target: ScanTarget<'p>,
        keys: &[Node<'p>],
    ) -> Result<Option<Rc<Converted>>, Reason> {
        let scope = Scope::new(&below.tables);
        if !target.nodes().into_iter().all(|node| is_common(&scope, node)) {
            return Ok(None);
        }
        let mut converter = Converter::new(planner, &scope).with_aggregates();
        let columns = build::above(&scope, &mut converter, target, true)?;
        let keys = build::keys(&scope, &mut converter, keys)?;
        // A constant is a key where there is no other, and that is each part's own.
        if !converter.params.is_empty() || keys.iter().any(|key| matches!(key, Expr::Literal(_))) {
            return Ok(None);
        }
        let origin = |constant: &Constant| {
            let node = *target.nodes().get(constant.target)?;
            let Kind::Var { varno, varattno, .. } = node.kind() else { return None };
            let table = below.tables.iter().position(|table| table.relation == varno)?;
            Some((constant.clone(), table, varattno))
        };
        let Some(constants) = columns.constants.iter().map(origin).collect() else {
            return Ok(None);
        };
        let written = matches!(below.tables[..], [_])
            .then(|| deparse::lists(&columns.outputs, &keys, &scope));
        Ok(Some(Rc::new(Converted {
            tables: below.tables.clone(),
            wanted: wanted.iter().map(|(node, _)| node.result_type()).collect(),
            whole,
            outputs: columns.outputs,
            fetched: columns.fetched,
            constants,
            keys,
            written,
            relied: scope.relied.get(),
            styled: scope.styled.get(),
        })))
    }

    /// The columns of this part.
    pub fn columns(&self, remote: &Remote<'_>, scope: &Scope<'_>) -> Columns {
        scope.relied.set(scope.relied.get() | self.relied);
        scope.styled.set(scope.styled.get() | self.styled);
        let constant = |(constant, table, number): &(Constant, usize, i16)| {
            let column = remote.tables.get(*table)?.table.column(*number)?;
            let ColumnSource::Constant(text) = &column.source else { return None };
            Some(Constant { text: text.clone(), ..constant.clone() })
        };
        Columns {
            outputs: Vec::new(),
            fetched: self.fetched.clone(),
            constants: self.constants.iter().filter_map(constant).collect(),
        }
    }

    /// Select list and GROUP BY as SQL, if they are the same whichever part it is.
    pub fn written(&self) -> Option<&Lists> {
        self.written.as_ref()
    }

    /// The select list of this part.
    pub fn outputs(&self, remote: &Remote<'_>) -> Vec<Expr> {
        self.moved(&self.outputs, remote)
    }

    /// GROUP BY of this part.
    pub fn keys(&self, remote: &Remote<'_>) -> Vec<Expr> {
        self.moved(&self.keys, remote)
    }

    fn moved(&self, exprs: &[Expr], remote: &Remote<'_>) -> Vec<Expr> {
        let places: Vec<(u32, u32)> = self
            .tables
            .iter()
            .zip(&remote.tables)
            .map(|(from, to)| (from.relation, to.relation))
            .collect();
        exprs.iter().map(|expr| expr.moved(&places)).collect()
    }
}

/// The grouping of a part beside `input`, whose `wanted` of this stage are the same but for the relation.
pub fn beside<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    below: &Remote<'p>,
    stage: UpperRelationKind::Type,
    wanted: &[(Node<'p>, u32)],
) -> Option<Rc<Converted>> {
    if !input.is_part() {
        return None;
    }
    let types = || wanted.iter().map(|(node, _)| node.result_type());
    planner
        .upper_rels(stage)
        .into_iter()
        .filter(|part| part.is_planned_by(Some(handler::get_foreign_rel_size)))
        .find_map(|part| remote::of(part)?.grouping.as_ref()?.converted.clone())
        .filter(|found| {
            found.wanted.iter().copied().eq(types())
                && are_parts_of_the_same(planner, &found.tables, &below.tables)
        })
}

/// The first part that has been planned of what `rel` is a part of, if they are alike.
pub fn elder<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    remote: &Remote<'p>,
) -> Option<&'p Remote<'p>> {
    let first = rel
        .parts_beside(planner)
        .filter(|part| part.is_planned_by(Some(handler::get_foreign_rel_size)))
        .find_map(|part| remote::of(part))?;
    are_parts_of_the_same(planner, &first.tables, &remote.tables).then_some(first)
}

fn are_parts_of_the_same(planner: Planner<'_>, some: &[TableRef], others: &[TableRef]) -> bool {
    some.len() == others.len()
        && some.iter().zip(others).all(|(one, other)| {
            planner.are_parts_of_one(one.relation, other.relation)
                && (one.nullable, one.hidden) == (other.nullable, other.hidden)
                && (Rc::ptr_eq(&one.table, &other.table) || are_alike(&one.table, &other.table))
        })
}

/// Whether an expression is the same for all parts that are alike: all of it are columns that the source
/// has, or it is a column and nothing else.
fn is_common(scope: &Scope<'_>, node: Node<'_>) -> bool {
    let of = |node: Node<'_>| match node.kind() {
        Kind::Var { varno, varattno, .. } => scope.find(varno, varattno),
        _ => None,
    };
    if let Some((table, column)) = of(node) {
        // A constant of an outer join's other side is a column of a derived table.
        return !table.nullable || matches!(column.source, ColumnSource::Remote { .. });
    }
    node.columns().into_iter().all(|column| {
        of(column).is_some_and(|(_, column)| matches!(column.source, ColumnSource::Remote { .. }))
    })
}

/// Whether an expression over one table's columns at the source is the same over the other's. Values that
/// do not exist there may differ.
fn are_alike(one: &ReplicaTable, other: &ReplicaTable) -> bool {
    let alike = |one: &TableColumn, other: &TableColumn| {
        let constant = |column: &TableColumn| matches!(column.source, ColumnSource::Constant(_));
        one.number == other.number
            && one.name == other.name
            && one.of == other.of
            && one.typmod == other.typmod
            && one.shown == other.shown
            && one.travel == other.travel
            && (one.source == other.source || constant(one) && constant(other))
            && (one.raw == other.raw || constant(one) && constant(other))
    };
    one.extensions == other.extensions
        && one.remote_collation == other.remote_collation
        && one.columns.len() == other.columns.len()
        && one.columns.iter().zip(&other.columns).all(|(one, other)| alike(one, other))
}
