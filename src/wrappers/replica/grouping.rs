//! GROUP BY and aggregates at the source.

use super::alike::{self, Converted};
use super::build::key_expr;
use super::columns::Scope;
use super::cost;
use super::groups;
use super::partial;
use super::plan::{ONE_AFTER_THE_OTHER, note, whole_cost};
use super::private::PathNote;
use super::remote::{self, Grouping, Kept, Remote};
use crate::pg::node::{Kind, Node};
use crate::pg::planner::{Planner, Rel, ScanTarget};
use crate::wrappers::convert::Converter;
use pgrx::pg_sys;
use std::cell::{OnceCell, RefCell};
use warehouse_core::predicate::{Expr, Reason};

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
    group_here_later(grouped);
    let Some(below) = remote::of(input) else { return };
    let remote = match grouped_remote(planner, input, below, grouped, having) {
        Ok(remote) => remote,
        Err(reason) => return below.refuse("GROUP BY", &reason),
    };
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
    group_here_later(grouped);
    let Some(below) = remote::of(input) else { return };
    let remote = match partial_remote(planner, input, below, grouped) {
        Ok(remote) => remote,
        Err(reason) => return below.refuse("GROUP BY", &reason),
    };
    grouped.set_state(planner, Kept::Remote(Box::new(remote)));
    let Some(remote) = remote::of(grouped) else { return };
    let cost = whole_cost(planner, grouped, remote, remote.sent);
    grouped.add_group_path(planner, cost, &note(PathNote::default()));
}

/// Parts that are grouped here, each for itself, are read one after the other; all at once if their rows
/// are grouped together.
fn group_here_later(grouped: Rel<'_>) {
    if grouped.is_part() {
        grouped.slow_down(ONE_AFTER_THE_OTHER);
    }
}

/// SELECT DISTINCT at the source.
pub fn add_distinct<'p>(planner: Planner<'p>, input: Rel<'p>, distinct: Rel<'p>) {
    if remote::of(distinct).is_some() {
        return;
    }
    let Some(below) = remote::of(input) else { return };
    let remote = match distinct_remote(planner, input, below) {
        Ok(remote) => remote,
        Err(reason) => return below.refuse("DISTINCT", &reason),
    };
    distinct.set_state(planner, Kept::Remote(Box::new(remote)));
    let Some(remote) = remote::of(distinct) else { return };
    let cost = whole_cost(planner, distinct, remote, remote.sent);
    let stage = pg_sys::UpperRelationKind::UPPERREL_DISTINCT;
    let path = note(PathNote::default());
    distinct.add_upper_path(planner, distinct, stage, cost, &[], &path);
}

fn distinct_remote<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    below: &Remote<'p>,
) -> Result<Remote<'p>, Reason> {
    groups_whole(planner, input, below)?;
    if planner.has_distinct_on() {
        return Err(Reason::Here("DISTINCT ON is computed here"));
    }
    let scope = Scope::new(&below.tables);
    let mut keys = Vec::new();
    for node in planner.distinct_targets() {
        let mut converter = Converter::new(planner, &scope);
        key_expr(&scope, &mut converter, node)?;
        if !converter.params.is_empty() {
            return Err(CHANGING_KEY);
        }
        keys.push(node);
    }
    let groups = groups::estimate(planner, &keys, below.sent);
    let work = below.work + cost::group(below.sent, groups, keys.len());
    Ok(below.grouped(keys, work, groups))
}

/// A key that changes from run to run cannot be matched with its column.
const CHANGING_KEY: Reason = Reason::Here("a key holds a value that changes from run to run");

/// Whether grouping the rows of a relation at the source is possible at all.
fn groups_whole<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    below: &Remote<'p>,
) -> Result<(), Reason> {
    if planner.has_grouping_sets() {
        return Err(Reason::Here("GROUPING SETS are computed here"));
    }
    if planner.rechecks_rows() {
        return Err(Reason::Here("the statement changes or locks rows"));
    }
    if below.grouping.is_some() {
        return Err(Reason::Here("its rows are grouped already"));
    }
    let gated = input.restrictions().iter().any(|clause| clause.is_constant());
    if !below.is_whole() || gated {
        return Err(Reason::Here("a condition below it is checked here"));
    }
    Ok(())
}

fn partial_remote<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    below: &Remote<'p>,
    grouped: Rel<'p>,
) -> Result<Remote<'p>, Reason> {
    groups_whole(planner, input, below)?;
    let targets = grouped.targets();
    let stage = pg_sys::UpperRelationKind::UPPERREL_PARTIAL_GROUP_AGG;
    let known = alike::beside(planner, input, below, stage, &targets);
    let scope = Scope::new(&below.tables);
    let mut target = ScanTarget::new();
    let mut keys = Vec::new();
    for (node, reference) in &targets {
        let is_key = planner.is_group_key(*reference);
        if is_key {
            keys.push(*node);
        }
        target.add(*node);
        if known.is_some() {
            continue;
        }
        let mut converter = Converter::new(planner, &scope);
        match node.kind() {
            Kind::Aggregate(aggregate) => {
                partial::transition(&mut converter, aggregate)?;
            }
            _ if is_key => {
                key_expr(&scope, &mut converter, *node)?;
            }
            _ => return Err(Reason::Here("what it yields is computed here")),
        }
        if is_key && !converter.params.is_empty() {
            return Err(CHANGING_KEY);
        }
    }
    let converted = match known {
        None if input.is_part() => {
            let whole = vec![true; targets.len()];
            Converted::new(planner, below, &targets, whole, target, &keys)?
        }
        known => known,
    };
    let groups = groups::estimate(planner, &keys, below.sent);
    let expressions = target.nodes().len();
    Ok(Remote {
        work: below.work + cost::group(below.sent, groups, expressions),
        sent: groups,
        grouping: Some(Grouping { keys, having: Vec::new(), target, partial: true, converted }),
        refused: RefCell::default(),
        sorting: OnceCell::new(),
        ..below.clone()
    })
}

/// The grouping as the source would compute it.
fn grouped_remote<'p>(
    planner: Planner<'p>,
    input: Rel<'p>,
    below: &Remote<'p>,
    grouped: Rel<'p>,
    having: Vec<Node<'p>>,
) -> Result<Remote<'p>, Reason> {
    groups_whole(planner, input, below)?;
    let scope = Scope::new(&below.tables);
    let convert = |node: Node<'p>| -> Result<(Expr, bool), Reason> {
        let mut converter = Converter::new(planner, &scope).with_aggregates();
        let expr = converter.clause(node)?;
        Ok((expr, converter.params.is_empty()))
    };
    let mut target = ScanTarget::new();
    let mut keys = Vec::new();
    let targets = grouped.targets();
    let stage = pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG;
    let known = alike::beside(planner, input, below, stage, &targets).filter(|_| having.is_empty());
    // What can go as a whole goes; of the rest, its aggregates and keys.
    let mut whole = Vec::new();
    for (at, (node, reference)) in targets.iter().enumerate() {
        let is_key = planner.is_group_key(*reference);
        if is_key {
            keys.push(*node);
        }
        let goes = match &known {
            Some(known) => known.whole.get(at) == Some(&true),
            None if is_key => {
                let mut converter = Converter::new(planner, &scope);
                key_expr(&scope, &mut converter, *node)?;
                if !converter.params.is_empty() {
                    return Err(CHANGING_KEY);
                }
                true
            }
            None => {
                matches!(convert(*node), Ok((expr, true)) if !matches!(expr, Expr::Literal(_)))
            }
        };
        whole.push(goes);
        if goes {
            target.add(*node);
            continue;
        }
        for part in node.parts(true) {
            if known.is_none() {
                convert(part)?;
            }
            target.add(part);
        }
    }
    let converted = match known {
        None if input.is_part() && having.is_empty() => {
            Converted::new(planner, below, &targets, whole, target, &keys)?
        }
        known => known,
    };
    let mut there = Vec::new();
    for condition in having {
        // A condition on groups that stays here would need its own way of being checked.
        convert(condition)?;
        there.push(condition);
    }
    let groups = groups::estimate(planner, &keys, below.sent);
    // HAVING halves the groups for want of better knowledge.
    let sent = if there.is_empty() { groups } else { (groups * 0.5).max(1.0) };
    let expressions = target.nodes().len();
    Ok(Remote {
        work: below.work + cost::group(below.sent, groups, expressions),
        sent,
        grouping: Some(Grouping { keys, having: there, target, partial: false, converted }),
        refused: RefCell::default(),
        sorting: OnceCell::new(),
        ..below.clone()
    })
}
