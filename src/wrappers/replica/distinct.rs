//! DISTINCT over merged tables: each site sends its distinct values, not its rows.
//!
//! `SELECT DISTINCT`, and aggregates for which it does not matter how often a row is there, such as
//! `count(DISTINCT …)`. The values of all sites are made unique, or aggregated, here.

use super::build::key_expr;
use super::columns::Scope;
use super::cost;
use super::groups;
use super::handler;
use super::plan::{note, whole_cost};
use super::private::PathNote;
use super::remote::{self, Remote};
use crate::pg::node::{Kind, Node};
use crate::pg::planner::{Planner, Rel, Way};
use crate::pg::types;
use crate::pg::upper_hook::{self, Stage};
use crate::wrappers::convert::Converter;
use pgrx::pg_sys::{Oid, UpperRelationKind};

/// Lets the planner consider it. Called once, by `_PG_init`.
pub fn install() {
    upper_hook::install(consider);
}

fn consider(stage: Stage<'_>) {
    let planner = stage.planner;
    // The stages of each part, of which there are a dozen, are none of its business; that of UNION has no
    // input.
    let wanted = match stage.kind {
        UpperRelationKind::UPPERREL_DISTINCT if stage.input.has_parts() => {
            !planner.has_distinct_on() && !planner.returns_sets() && !planner.groups()
        }
        UpperRelationKind::UPPERREL_GROUP_AGG if stage.input.has_parts() => {
            !planner.has_grouping_sets() && !planner.returns_sets() && ignores_repetition(&stage)
        }
        _ => false,
    };
    if !wanted || planner.rechecks_rows() {
        return;
    }
    let (Some(ways), Some(rows)) = (values(planner, stage.input), stage.rows()) else { return };
    let way = stage.input.append(planner, &ways);
    if stage.kind == UpperRelationKind::UPPERREL_DISTINCT {
        stage.add_distinct(way, rows);
    } else {
        stage.add_grouped(way, rows);
    }
}

/// Whether the aggregates of the query give the same however often a row is there, and one of them
/// cannot be computed in two steps.
fn ignores_repetition(stage: &Stage<'_>) -> bool {
    let targets = stage.output.targets();
    let exprs = targets.iter().map(|(node, _)| *node).chain(stage.having());
    let mut distinct = false;
    for part in exprs.flat_map(|node| node.parts(true)) {
        let Kind::Aggregate(aggregate) = part.kind() else { continue };
        let name = types::function(aggregate.aggfnoid)
            .filter(|_| types::is_builtin(aggregate.aggfnoid))
            .map(|function| function.name.clone());
        let extreme = name.is_some_and(|name| {
            matches!(
                name.as_str(),
                "min" | "max" | "bool_and" | "bool_or" | "every" | "bit_and" | "bit_or"
            )
        });
        if part.is_volatile() || !aggregate.distinct && !extreme {
            return false;
        }
        distinct |= aggregate.distinct;
    }
    distinct
}

/// The distinct rows of each part of a merged relation; `None` if a part's source cannot tell them.
fn values<'p>(planner: Planner<'p>, input: Rel<'p>) -> Option<Vec<Way<'p>>> {
    let parts = input.parts().filter(|parts| parts.len() > 1)?;
    parts
        .into_iter()
        .map(|part| {
            if !part.is_planned_by(Some(handler::get_foreign_rel_size)) {
                return None;
            }
            let remote = remote::of(part)?;
            let remote = with_distinct_rows(planner, part, remote)?;
            let cost = whole_cost(planner, part, &remote, remote.sent);
            let note = note(PathNote { distinct: true, ..PathNote::default() });
            Some(part.upper(planner, cost, &note))
        })
        .collect()
}

/// The relation with GROUP BY all that is wanted of it.
pub fn with_distinct_rows<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    remote: &Remote<'p>,
) -> Option<Remote<'p>> {
    let gated = rel.restrictions().iter().any(|clause| clause.is_constant());
    if remote.grouping.is_some() || !remote.is_whole() || gated {
        return None;
    }
    let scope = Scope::new(&remote.tables);
    let keys: Vec<Node<'p>> = rel.targets().into_iter().map(|(node, _)| node).collect();
    for key in &keys {
        let mut converter = Converter::new(planner, &scope);
        key_expr(&scope, &mut converter, *key).ok()?;
        let equality = types::default_equality(key.result_type());
        if !converter.params.is_empty() || equality == Oid::INVALID {
            return None;
        }
    }
    let groups = groups::estimate(planner, &keys, remote.sent);
    let work = remote.work + cost::group(remote.sent, groups, keys.len());
    Some(remote.grouped(keys, work, groups))
}
