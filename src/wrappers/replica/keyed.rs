//! What it costs the source to be asked for the rows of many keys at a time (`= ANY (…)`), and the way to
//! ask so: for the joins of [`crate::wrappers::lookup`].

use super::columns::Scope;
use super::cost;
use super::handler;
use super::plan::note;
use super::private::{Keyed, PathNote};
use super::remote::{self, Remote};
use crate::pg::join_node::{Equality, Joining, any_of};
use crate::pg::planner::{Cost, Planner, Rel, Way};
use crate::pg::types;
use crate::settings;
use crate::wrappers::convert::Converter;
use pgrx::pg_sys::JoinType;
use warehouse_core::predicate::{Bound, Expr};

pub use super::cost::rows;
pub use super::plan::ONE_AFTER_THE_OTHER;

/// Whether a relation is read by this wrapper.
pub fn is_ours(rel: Rel<'_>) -> bool {
    rel.is_planned_by(Some(handler::get_foreign_rel_size))
}

/// Whether the source can do a join by itself.
pub fn is_sent(join: Rel<'_>) -> bool {
    is_ours(join) && remote::of(join).is_some()
}

/// Whether a join of merged tables is one that the sources can do, each for its own parts. It is asked
/// before the planner joins the parts.
pub fn is_sent_by_parts(joining: &Joining<'_>) -> bool {
    if joining.kind != JoinType::JOIN_INNER || !joining.join.is_joined_by_parts() {
        return false;
    }
    let (Some(outer), Some(inner)) = (joining.outer.parts(), joining.inner.parts()) else {
        return false;
    };
    let is_whole = |rel: Rel<'_>| {
        is_ours(rel) && remote::of(rel).is_some_and(|it| it.is_whole() && it.grouping.is_none())
    };
    outer.len() == inner.len()
        && outer.into_iter().zip(inner).all(|(outer, inner)| {
            is_whole(outer) && is_whole(inner) && outer.server() == inner.server()
        })
}

/// A way to read the rows of an inner relation, or of one of its `parts`, that belong to a batch of keys,
/// and what reading those of all keys costs.
pub fn way<'p>(
    joining: &Joining<'p>,
    rel: Rel<'p>,
    equalities: &[Equality<'p>],
    keys: f64,
    parts: f64,
) -> Option<(Way<'p>, Cost)> {
    let planner = joining.planner;
    let remote = remote::of(rel)?;
    if remote.grouping.is_some() {
        return None;
    }
    let is_part = parts > 1.0 || rel.as_ptr() != joining.inner.as_ptr();
    let scope = Scope::new(&remote.tables);
    let mut conditions = Vec::new();
    let mut used = Vec::new();
    let mut keyed = Keyed::default();
    for (at, equality) in equalities.iter().enumerate() {
        let inner = if is_part { rel.adapted(planner, equality.inner) } else { equality.inner };
        let mut converter = Converter::new(planner, &scope);
        // A column that is the same for every row, such as the site.
        if let Ok(Expr::Literal(literal)) = converter.clause(inner)
            && let Some(text) = literal.text
        {
            if types::compares_as_text(equality.outer.result_type(), equality.collation) {
                keyed.only.push((at, text));
            }
            continue;
        }
        let Some(condition) = any_of(equality, inner, at) else { continue };
        let mut converter = Converter::new(planner, &scope);
        if let Ok(Expr::AnyAll { left, .. }) = converter.clause(condition) {
            conditions.push(condition);
            keyed.keys.push(at);
            used.push((equality, *left));
        }
    }
    if conditions.is_empty() {
        return None;
    }
    // Where the site is a key too, each key belongs to one part.
    let keys = if keyed.only.is_empty() { keys } else { (keys / parts).max(1.0) };
    let cost = keyed_cost(planner, joining.inner, rel, remote, &used, keys);
    let path = note(PathNote { keyed: Some(keyed), ..PathNote::default() });
    Some((rel.keyed(planner, cost, &path, &conditions), cost))
}

/// Cost of reading the rows of all keys, in batches.
fn keyed_cost<'p>(
    planner: Planner<'p>,
    whole: Rel<'p>,
    rel: Rel<'p>,
    remote: &Remote<'p>,
    used: &[(&Equality<'p>, Expr)],
    keys: f64,
) -> Cost {
    let clauses: Vec<_> = used.iter().map(|(equality, _)| equality.clause).collect();
    let fraction = planner.selectivity(whole, &clauses).clamp(0.0, 1.0);
    let size = settings::lookup_batch_size() as f64;
    let batches = (keys / size).ceil().max(1.0);
    let size = keys.min(size);
    let once = match remote.tables.as_slice() {
        [table] if rel.is_table() => {
            let bounds: Vec<(String, Bound, f64)> = used
                .iter()
                .filter_map(|(_, expr)| match expr {
                    Expr::Column(column) if column.cast_to.is_none() => {
                        Some((column.name.clone(), Bound::Equal, fraction))
                    }
                    _ => None,
                })
                .take(1)
                .collect();
            cost::access(cost::Ask {
                tuples: rel.tuples(),
                pages: rel.pages(),
                indexes: &table.table.indexes,
                bounds: &bounds,
                conditions: remote.conditions.len() + 1,
            })
        }
        _ => remote.work,
    };
    let work = (size * once).min(remote.work);
    let rows = remote.sent * (keys * fraction).min(1.0);
    let options = &remote.options;
    let asking = options.startup_cost + work;
    let condition = rel.condition_cost(planner, &remote.local);
    Cost {
        rows,
        startup: options.startup_cost,
        total: batches * asking + rows * (options.tuple_cost + condition),
    }
}
