//! Joins with another server, or with tables here, that need few of a source's rows: the keys of the
//! one side are collected and the source is asked for hundreds of them at a time (`= ANY (…)`).
//!
//! Postgres knows two ways for such a join: to fetch all rows, or to ask for each key alone. This is
//! the third, chosen by cost: both wrappers say what it costs them ([`replica::keyed`], [`api::plan`]) and
//! read the keys of a [`batch`](super::batch); [`execute`] joins.

mod execute;

use super::{api, replica};
use crate::pg::join_node::{self, Joining};
use crate::pg::join_state;
use crate::pg::planner::Cost;
use crate::pg::types;
use crate::settings;
use execute::{Lookup, Note};
use pgrx::pg_sys::JoinType;

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
    let is_api = api::plan::is_ours(joining.inner);
    if !inner_kind
        || !is_api && !replica::keyed::is_ours(joining.inner) && joining.inner.parts().is_none()
    {
        return;
    }
    let _ = offer(&joining);
}

/// Offers the join; `None` if it cannot be done so.
fn offer(joining: &Joining<'_>) -> Option<()> {
    let planner = joining.planner;
    // What the source can join by itself it should.
    if replica::keyed::is_sent(joining.join) || replica::keyed::is_sent_by_parts(joining) {
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
        _ if api::plan::is_ours(joining.inner) => {
            api::plan::keyed(planner, joining.inner, &equalities, keys)?
        }
        Some(parts) if !replica::keyed::is_ours(joining.inner) => {
            let mut ways = Vec::new();
            let mut sum = Cost { rows: 0.0, startup: 0.0, total: 0.0 };
            let count = parts.len() as f64;
            for part in parts {
                if !replica::keyed::is_ours(part) {
                    return None;
                }
                let (way, cost) = replica::keyed::way(joining, part, &equalities, keys, count)?;
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
        _ => replica::keyed::way(joining, joining.inner, &equalities, keys, 1.0)?,
    };
    let rows = joining.join.rows();
    let total = outer_cost.total
        + inner_cost.total
        + (keys + inner_cost.rows) * PROBE
        + replica::keyed::rows(rows);
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
    let factor = if joining.join.is_part() { replica::keyed::ONE_AFTER_THE_OTHER } else { 1.0 };
    let cost = Cost { rows, startup: startup.min(total) * factor, total: total * factor };
    joining.add(outer, inner, &equalities, cost, &note.pack());
    Some(())
}
