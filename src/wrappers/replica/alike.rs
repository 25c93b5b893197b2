//! What the parts of a merged table have in common, found out once a query.
//!
//! Its parts mostly have the same columns. What is wanted of them is then the same too, but for the number
//! of their relation: Postgres makes the target of each part from that of the whole. So the first part's
//! grouping is converted, and the others take it over.

use super::columns::{ReplicaTable, Scope, TableColumn};
use super::handler;
use super::options::ColumnSource;
use super::private::Fetched;
use super::remote::{self, Remote};
use crate::pg::node::Node;
use crate::pg::planner::{Planner, Rel};
use pgrx::pg_sys::{Oid, UpperRelationKind};
use std::rc::Rc;
use warehouse_core::predicate::Expr;

/// The columns of a grouping at the source, as a part has them.
#[derive(Debug)]
pub struct Converted {
    /// The part: its relation and its table.
    pub relation: u32,
    /// As above.
    pub table: Rc<ReplicaTable>,
    /// The types of what is wanted of the part.
    pub targets: Vec<Oid>,
    /// The select list.
    pub outputs: Vec<Expr>,
    /// Where its values go.
    pub fetched: Vec<Fetched>,
    /// GROUP BY.
    pub keys: Vec<Expr>,
    /// It relies on the source collating as this database does.
    pub relied: bool,
    /// It relies on this session's styles.
    pub styled: bool,
}

/// The grouping of a part beside `input`, whose targets of the same stage are `targets`, if it is the same
/// but for the relation.
pub fn beside<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    below: &Remote<'p>,
    targets: &[(Node<'p>, u32)],
) -> Option<Rc<Converted>> {
    let [table] = below.tables.as_slice() else { return None };
    let types = || targets.iter().map(|(node, _)| node.result_type());
    planner
        .upper_rels(UpperRelationKind::UPPERREL_PARTIAL_GROUP_AGG)
        .into_iter()
        .filter(|part| part.is_planned_by(Some(handler::get_foreign_rel_size)))
        .filter_map(|part| remote::of(part)?.grouping.as_ref()?.converted.clone())
        .find(|found| {
            planner.are_parts_of_one(found.relation, input.relid())
                && found.targets.iter().copied().eq(types())
                && are_alike(&found.table, &table.table)
        })
}

/// Whether all that is wanted of a part are columns that the source has, which alone can be alike.
pub fn is_remote(scope: &Scope<'_>, input: Rel<'_>) -> bool {
    input.needed_columns(&[]).into_iter().all(|attribute| {
        scope
            .find(input.relid(), attribute)
            .is_some_and(|(_, column)| matches!(column.source, ColumnSource::Remote { .. }))
    })
}

/// Whether an expression over one table's columns at the source is the same over the other's. Values that
/// do not exist there may differ: see [`is_remote`].
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
