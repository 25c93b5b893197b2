//! Joins of tables of one server.

use super::columns::Scope;
use super::cost;
use super::plan::{in_order, note, sorted_cost, whole_cost};
use super::private::PathNote;
use super::remote::{self, Condition, Kept, Ready, Remote, Shape};
use crate::pg::node::Kind;
use crate::pg::planner::{Clause, Planner, Rel};
use pgrx::pg_sys::JoinType;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use warehouse_core::predicate::{Bound, JoinKind, Reason, equated};

/// GetForeignJoinPaths: the whole join at the source, in any order and in the one the query wants.
pub fn add_paths<'p>(
    planner: Planner<'p>,
    join: Rel<'p>,
    outer: Rel<'p>,
    inner: Rel<'p>,
    kind: JoinType::Type,
    clauses: Vec<Clause<'p>>,
) {
    let (Some(left), Some(right)) = (remote::of(outer), remote::of(inner)) else { return };
    let joined = match joined(planner, join, outer, inner, kind, clauses) {
        Ok(joined) => joined,
        Err(reason) => {
            left.refuse("join", &reason);
            right.refuse("join", &reason);
            return;
        }
    };
    for clause in &joined.local {
        let reason = remote::refusal(planner, &joined.tables, *clause);
        left.refuse("join", &reason);
        right.refuse("join", &reason);
    }
    // A relation is joined in several ways with the same result; its source will choose the cheapest.
    if remote::of(join).is_some_and(|before| joined.work >= before.work) {
        return;
    }
    join.set_state(planner, Kept::Remote(Box::new(joined)));
    let Some(joined) = remote::of(join) else { return };
    let plain = whole_cost(planner, join, joined, join.rows());
    join.add_join_path(planner, plain, &[], &note(PathNote::default()));
    let order = planner.wanted_order();
    if let Some(sorted) = sorted_cost(planner, join, joined, plain, &order, planner.bound()) {
        let sorted_note = note(PathNote { sorted: true, ..PathNote::default() });
        join.add_join_path(planner, in_order(join, sorted), &order, &sorted_note);
    }
}

/// The join as the source would compute it.
fn joined<'p>(
    planner: Planner<'p>,
    join: Rel<'p>,
    outer: Rel<'p>,
    inner: Rel<'p>,
    kind: JoinType::Type,
    clauses: Vec<Clause<'p>>,
) -> Result<Remote<'p>, Reason> {
    let unsized_side = || Reason::Here("a side of it is computed here");
    let left = remote::of(outer).ok_or_else(unsized_side)?;
    let right = remote::of(inner).ok_or_else(unsized_side)?;
    if !left.is_whole() || !right.is_whole() {
        return Err(Reason::Here("a condition below it is checked here"));
    }
    // What gates a side's own scan would be lost with that scan.
    let gated = |rel: Rel<'p>| rel.restrictions().iter().any(|clause| clause.is_constant());
    if gated(outer) || gated(inner) || clauses.iter().any(|clause| clause.is_constant()) {
        return Err(Reason::Here("a condition without columns is checked here, once"));
    }
    if planner.rechecks_rows() {
        return Err(Reason::Here("the statement changes or locks rows"));
    }
    if join.is_lateral() || planner.has_placeholder_inside(join) {
        return Err(Reason::Here("an expression between its tables is computed here"));
    }
    if left.grouping.is_some() || right.grouping.is_some() {
        return Err(Reason::Here("a side of it is grouped"));
    }
    let kind = match kind {
        JoinType::JOIN_INNER => Kinds::Join(JoinKind::Inner),
        JoinType::JOIN_LEFT => Kinds::Join(JoinKind::Left),
        JoinType::JOIN_RIGHT => Kinds::Join(JoinKind::Right),
        JoinType::JOIN_FULL => Kinds::Join(JoinKind::Full),
        JoinType::JOIN_SEMI => Kinds::Exists { not: false },
        JoinType::JOIN_ANTI => Kinds::Exists { not: true },
        _ => return Err(Reason::Here("this kind of join is computed here")),
    };
    let is_outer = !matches!(kind, Kinds::Join(JoinKind::Inner) | Kinds::Exists { not: false });

    let mut tables = left.tables.clone();
    tables.extend(right.tables.iter().cloned());
    let count = left.tables.len();
    let nullable = |at: usize| match kind {
        Kinds::Join(JoinKind::Left) => at >= count,
        Kinds::Join(JoinKind::Right) => at < count,
        Kinds::Join(JoinKind::Full) => true,
        _ => false,
    };
    for (at, table) in tables.iter_mut().enumerate() {
        table.nullable |= nullable(at);
        table.hidden |= matches!(kind, Kinds::Exists { .. }) && at >= count;
    }

    let (pushed, kept) = remote::judge(planner, &tables, clauses);
    let mut on = Vec::new();
    let mut above = Vec::new();
    for (clause, ready) in &pushed {
        let condition = Condition::judged(*clause, ready);
        if is_outer && clause.is_above(join) { above.push(condition) } else { on.push(condition) }
    }
    // What decides which rows find a partner must be decided there.
    let needed_there = |clause: &Clause<'p>| match kind {
        Kinds::Exists { .. } => true,
        _ => is_outer && !clause.is_above(join),
    };
    if let Some(clause) = kept.iter().find(|clause| needed_there(clause)) {
        return Err(remote::refusal(planner, &tables, *clause));
    }

    let (l, r) = (left.conditions.clone(), right.conditions.clone());
    let (left_shape, right_shape) = (left.shape.clone(), right.shape.clone());
    let shape = |kind, on| Shape::Join {
        kind,
        left: Box::new(left_shape.clone()),
        right: Box::new(right_shape.clone()),
        on,
    };
    let (shape, conditions) = match kind {
        Kinds::Join(JoinKind::Inner) => (shape(JoinKind::Inner, on), join_all([l, r])),
        Kinds::Join(JoinKind::Left) => {
            (shape(JoinKind::Left, join_all([on, r])), join_all([l, above]))
        }
        Kinds::Join(JoinKind::Right) => {
            (shape(JoinKind::Right, join_all([on, l])), join_all([r, above]))
        }
        // Rows that a side's own conditions drop must not come back for want of a partner.
        Kinds::Join(JoinKind::Full) if l.is_empty() && r.is_empty() && !on.is_empty() => {
            (shape(JoinKind::Full, on), above)
        }
        Kinds::Join(JoinKind::Full) => {
            return Err(Reason::Here("a side of a full join has conditions of its own"));
        }
        Kinds::Exists { not } => {
            if right.tables.iter().any(|table| table.nullable) {
                return Err(Reason::Here("an outer join stands behind EXISTS"));
            }
            let exists = Condition::Exists {
                not,
                shape: right.shape.clone(),
                conditions: join_all([r, on]),
            };
            (left.shape.clone(), join_all([l, above, vec![exists]]))
        }
    };

    let mut out = Remote {
        server: left.server,
        options: left.options.clone(),
        tables,
        shape,
        conditions,
        local: kept,
        grouping: None,
        work: 0.0,
        sent: join.rows(),
        rescanned: left.rescanned || right.rescanned,
        clear: left.clear.iter().chain(&right.clear).cloned().collect(),
        refused: RefCell::default(),
        sorting: OnceCell::new(),
    };
    if !is_yielded(&out, join) {
        return Err(Reason::WholeRow);
    }
    out.work = work(left, right, outer, inner, &pushed, join.rows());
    if !out.local.is_empty() {
        // Each row that comes is checked here, by a sub-query perhaps, before the conditions drop it.
        let kept = planner.selectivity(join, &out.local).max(f64::EPSILON);
        let all = (outer.rows() * inner.rows()).max(join.rows());
        out.sent = (join.rows() / kept).min(all);
    }
    Ok(out)
}

enum Kinds {
    Join(JoinKind),
    Exists { not: bool },
}

fn join_all<'p, const N: usize>(parts: [Vec<Condition<'p>>; N]) -> Vec<Condition<'p>> {
    parts.into_iter().flatten().collect()
}

/// Whether every column that is wanted of the join can be fetched: no whole rows, no system columns.
fn is_yielded<'p>(joined: &Remote<'p>, join: Rel<'p>) -> bool {
    let scope = Scope::new(&joined.tables);
    let targets = join.targets();
    let conditions = joined.local.iter().map(|clause| clause.node());
    targets.into_iter().map(|(node, _)| node).chain(conditions).all(|node| {
        node.parts(false).into_iter().all(|part| match part.kind() {
            Kind::Var { varno, varattno, .. } => scope.sees(varno, varattno),
            _ => false,
        })
    })
}

/// Cost of the join at the source: by hashing one side, or by looking each row's partners up where an
/// index serves.
fn work<'p>(
    left: &Remote<'p>,
    right: &Remote<'p>,
    outer: Rel<'p>,
    inner: Rel<'p>,
    on: &[(Clause<'p>, Rc<Ready>)],
    rows: f64,
) -> f64 {
    let hashed = left.work + right.work + cost::hash(left.sent, right.sent);
    let nested = |from: &Remote<'p>, to: &Remote<'p>, to_rel: Rel<'p>| {
        let [table] = to.tables.as_slice() else { return f64::INFINITY };
        if !to_rel.is_table() {
            return f64::INFINITY;
        }
        // The partners of a row, of all that the table has.
        let partners = rows / from.sent.max(1.0) * (to_rel.tuples() / to.sent.max(1.0)).max(1.0);
        let fraction = (partners / to_rel.tuples().max(1.0)).min(1.0);
        let bounds: Vec<(String, Bound, f64)> = on
            .iter()
            .filter_map(|(_, ready)| equated(&ready.expr, table.relation))
            .map(|column| (column.to_owned(), Bound::Equal, fraction))
            .collect();
        if bounds.is_empty() {
            return f64::INFINITY;
        }
        let once = cost::access(cost::Ask {
            tuples: to_rel.tuples(),
            pages: to_rel.pages(),
            indexes: &table.table.indexes,
            bounds: &bounds,
            conditions: on.len(),
        });
        from.work + from.sent * once
    };
    let cheapest = hashed.min(nested(left, right, inner)).min(nested(right, left, outer));
    cheapest + cost::rows(rows)
}
