//! GROUP BY and aggregates at the source.

use super::build::key_expr;
use super::columns::Scope;
use super::cost;
use super::partial;
use super::plan::{note, whole_cost};
use super::private::PathNote;
use super::remote::{self, Grouping, Kept, Remote};
use crate::pg::node::{Kind, Node};
use crate::pg::planner::{Planner, Rel, ScanTarget};
use crate::wrappers::convert::Converter;
use warehouse_core::predicate::Expr;

/// GetForeignUpperPaths, grouping stage: the whole aggregation at the source.
pub fn add_paths<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    grouped: Rel<'p>,
    having: Vec<Node<'p>>,
) {
    if remote::of(grouped).is_some() {
        return;
    }
    let Some(remote) = grouped_remote(planner, input, grouped, having) else { return };
    grouped.set_state(planner, Kept::Remote(Box::new(remote)));
    let Some(remote) = remote::of(grouped) else { return };
    let cost = whole_cost(planner, grouped, remote, remote.sent);
    grouped.add_group_path(planner, cost, &note(PathNote::default()));
}

/// GetForeignUpperPaths, partial grouping stage: each site aggregates for itself, and what it yields
/// is combined here.
pub fn add_partial_paths<'p>(planner: Planner<'p>, input: Rel<'p>, grouped: Rel<'p>) {
    if remote::of(grouped).is_some() {
        return;
    }
    let Some(remote) = partial_remote(planner, input, grouped) else { return };
    grouped.set_state(planner, Kept::Remote(Box::new(remote)));
    let Some(remote) = remote::of(grouped) else { return };
    let cost = whole_cost(planner, grouped, remote, remote.sent);
    grouped.add_group_path(planner, cost, &note(PathNote::default()));
}

/// Whether grouping the rows of a relation at the source is possible at all.
fn groups_whole<'p>(planner: Planner<'p>, input: Rel<'p>) -> Option<&'p Remote<'p>> {
    let below = remote::of(input)?;
    let barred = planner.has_grouping_sets()
        || planner.rechecks_rows()
        || below.grouping.is_some()
        || !below.is_whole()
        || input.restrictions().iter().any(|clause| clause.is_constant());
    (!barred).then_some(below)
}

fn partial_remote<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    grouped: Rel<'p>,
) -> Option<Remote<'p>> {
    let below = groups_whole(planner, input)?;
    let scope = Scope::new(&below.tables);
    let mut target = ScanTarget::new();
    let mut keys = Vec::new();
    for (node, reference) in grouped.targets() {
        let mut converter = Converter::new(planner, &scope);
        match node.kind() {
            Kind::Aggregate(aggregate) => {
                partial::transition(&mut converter, aggregate).ok()?;
            }
            _ if planner.is_group_key(reference) => {
                key_expr(&scope, &mut converter, node).ok()?;
                keys.push(node);
            }
            _ => return None,
        }
        // A key that changes from run to run cannot be matched with its column.
        if !converter.params.is_empty() && keys.last().is_some_and(|key| key.equals(node)) {
            return None;
        }
        target.add(node);
    }
    let groups = planner.estimate_groups(&keys, below.sent);
    let expressions = target.nodes().len();
    Some(Remote {
        work: below.work + cost::group(below.sent, groups, expressions),
        sent: groups,
        grouping: Some(Grouping { keys, having: Vec::new(), target, partial: true }),
        ..below.clone()
    })
}

/// The grouping as the source would compute it; `None` if it cannot.
fn grouped_remote<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    grouped: Rel<'p>,
    having: Vec<Node<'p>>,
) -> Option<Remote<'p>> {
    let below = groups_whole(planner, input)?;
    let scope = Scope::new(&below.tables);
    let convert = |node: Node<'p>| -> Option<(Expr, bool)> {
        let mut converter = Converter::new(planner, &scope).with_aggregates();
        let expr = converter.clause(node).ok()?;
        Some((expr, converter.params.is_empty()))
    };
    let mut target = ScanTarget::new();
    let mut keys = Vec::new();
    // What can go as a whole goes; of the rest, its aggregates and keys.
    let want = |target: &mut ScanTarget<'p>, node: Node<'p>| -> Option<()> {
        match convert(node) {
            Some((expr, true)) if !matches!(expr, Expr::Literal(_)) => target.add(node),
            _ => {
                for part in node.parts(true) {
                    convert(part)?;
                    target.add(part);
                }
            }
        }
        Some(())
    };
    for (node, reference) in grouped.targets() {
        if planner.is_group_key(reference) {
            let mut converter = Converter::new(planner, &scope);
            key_expr(&scope, &mut converter, node).ok()?;
            // A key that changes from run to run cannot be matched with its column.
            if !converter.params.is_empty() {
                return None;
            }
            keys.push(node);
            target.add(node);
        } else {
            want(&mut target, node)?;
        }
    }
    let mut there = Vec::new();
    for condition in having {
        match convert(condition) {
            Some(_) => there.push(condition),
            // A condition on groups that stays here would need its own way of being checked.
            None => return None,
        }
    }
    let groups = planner.estimate_groups(&keys, below.sent);
    // HAVING halves the groups for want of better knowledge.
    let sent = if there.is_empty() { groups } else { (groups * 0.5).max(1.0) };
    let expressions = target.nodes().len();
    Some(Remote {
        work: below.work + cost::group(below.sent, groups, expressions),
        sent,
        grouping: Some(Grouping { keys, having: there, target, partial: false }),
        ..below.clone()
    })
}
