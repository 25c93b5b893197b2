//! Joins with another server, or with tables here, that need few of a source's rows: the keys of the
//! one side are collected and the source is asked for hundreds of them at a time (`= ANY (…)`).
//!
//! Postgres knows two ways for such a join: to fetch all rows, or to ask for each key alone. This is
//! the third, chosen by cost. [`batch`] holds the keys, [`execute`] joins.

mod batch;
mod execute;

pub use batch::{Batch, current};

use super::columns::Scope;
use super::cost;
use super::handler;
use super::plan::{ONE_AFTER_THE_OTHER, note};
use super::private::{Keyed, PathNote};
use super::remote::{self, Remote};
use crate::pg::join_node::{self, Equality, Joining, any_of};
use crate::pg::join_state;
use crate::pg::planner::{Cost, Planner, Rel, Way};
use crate::pg::types;
use crate::settings;
use crate::wrappers::api::plan as api_plan;
use crate::wrappers::convert::Converter;
use execute::{Lookup, Note};
use pgrx::pg_sys::JoinType;
use warehouse_core::predicate::{Bound, Expr};

/// Cost of putting a row into the batch or of looking one up (`cpu_operator_cost`, twice).
const PROBE: f64 = 0.005;

/// Lets the planner consider it. Called once, by `_PG_init`.
pub fn install() {
    join_node::install(consider);
    join_state::run_by(|note| Box::new(Lookup::new(note)));
}

fn consider(joining: Joining<'_>) {
    let inner_kind = matches!(
        joining.kind,
        JoinType::JOIN_INNER
            | JoinType::JOIN_LEFT
            | JoinType::JOIN_SEMI
            | JoinType::JOIN_ANTI
            | JoinType::JOIN_UNIQUE_OUTER
    );
    if settings::lookup_batch_size() == 0 {
        return;
    }
    let is_api = api_plan::is_ours(joining.inner);
    if !inner_kind || !is_api && !is_ours(joining.inner) && joining.inner.parts().is_none() {
        return;
    }
    let _ = offer(&joining);
}

fn is_ours(rel: Rel<'_>) -> bool {
    rel.is_planned_by(Some(handler::get_foreign_rel_size))
}

/// Offers the join; `None` if it cannot be done so.
fn offer(joining: &Joining<'_>) -> Option<()> {
    let planner = joining.planner;
    // What the source can join by itself it should.
    if is_ours(joining.join) && remote::of(joining.join).is_some() {
        return None;
    }
    if joining.is_lateral() || joining.is_gated() || planner.rechecks_rows() {
        return None;
    }
    let equalities = joining.equalities();
    if equalities.is_empty() {
        return None;
    }
    let (outer, outer_cost) = joining.cheapest_outer()?;
    // One batch of one row is what a parameterized scan does.
    let keys = outer_cost.rows.max(1.0);
    let (inner, inner_cost) = match joining.inner.parts() {
        _ if api_plan::is_ours(joining.inner) => {
            api_plan::keyed(planner, joining.inner, &equalities, keys)?
        }
        Some(parts) if !is_ours(joining.inner) => {
            let mut ways = Vec::new();
            let mut sum = Cost { rows: 0.0, startup: 0.0, total: 0.0 };
            let count = parts.len() as f64;
            for part in parts {
                if !is_ours(part) {
                    return None;
                }
                let (way, cost) = keyed(joining, part, &equalities, keys, count)?;
                sum.rows += cost.rows;
                // The sites answer at the same time; their work is still work.
                sum.startup = sum.startup.max(cost.startup);
                sum.total += cost.total;
                ways.push(way);
            }
            if ways.is_empty() {
                return None;
            }
            (joining.inner.append(planner, &ways), sum)
        }
        _ => keyed(joining, joining.inner, &equalities, keys, 1.0)?,
    };
    let rows = joining.join.rows();
    let total =
        outer_cost.total + inner_cost.total + (keys + inner_cost.rows) * PROBE + cost::rows(rows);
    // The first rows come when the first batch has been answered.
    let size = settings::lookup_batch_size();
    let batches = (keys / size as f64).ceil().max(1.0);
    let startup =
        outer_cost.startup + (outer_cost.total - outer_cost.startup + inner_cost.total) / batches;
    let note = Note {
        batch: size,
        kind: match joining.kind {
            JoinType::JOIN_LEFT => execute::Kind::Left,
            JoinType::JOIN_SEMI => execute::Kind::Semi,
            JoinType::JOIN_ANTI => execute::Kind::Anti,
            _ => execute::Kind::Inner,
        },
        keys: equalities
            .iter()
            .map(|equality| execute::Key {
                of: types::base_type(equality.outer.result_type()).to_u32(),
                outer_hash: equality.hashes.0.to_u32(),
                inner_hash: equality.hashes.1.to_u32(),
                collation: equality.collation.to_u32(),
            })
            .collect(),
    };
    // Of a merged join, the parts would be joined one after the other.
    let factor = if joining.join.is_part() { ONE_AFTER_THE_OTHER } else { 1.0 };
    let cost = Cost { rows, startup: startup.min(total) * factor, total: total * factor };
    joining.add(outer, inner, &equalities, cost, &note.to_text());
    Some(())
}

/// A way to read the rows of an inner relation, or of one of its `parts`, that belong to a batch of keys,
/// and what reading those of all keys costs.
fn keyed<'p>(
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
