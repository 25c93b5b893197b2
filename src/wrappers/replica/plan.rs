//! What the source does and what stays here.
//!
//! Called by the callbacks of [`super::handler`], in the planner's order: [`size`] when a table is met,
//! [`add_paths`] for the ways to scan it, then [`super::join`] and [`super::grouping`] for what is
//! built on it, [`add_ordered`] and [`add_limited`] for ORDER BY and LIMIT above, and
//! [`super::build`] for the way that was chosen. Nothing here connects.

use super::alike;
use super::columns::{Eyes, ReplicaTable, Scope};
use super::cost::{self, Ask};
use super::known::{self, Known};
use super::options::ServerOptions;
use super::private::PathNote;
use super::remote::{self, Condition, Kept, Ready, Remote, Sorting};
use super::sought;
use super::taken;
use crate::pg::error::{Error, Result};
use crate::pg::node::{Kind, Node};
use crate::pg::packed;
use crate::pg::planner::{Clause, Cost, Outer, Planner, Rel, SortKey};
use crate::pg::types;
use crate::privacy::policy::Shown;
use crate::privacy::right::{self, Clear};
use crate::privacy::{shuffling, sites};
use crate::settings;
use crate::wrappers::convert::{Converter, direction, direction_of_places};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use std::rc::Rc;
use warehouse_core::predicate::{Bound, Expr, Reason, SortTerm, bound};

/// Rows that a table nobody has analyzed is taken to have.
const UNKNOWN_ROWS: f64 = 10_000.0;
/// Cost of reading parts one after the other relative to all at once.
pub const ONE_AFTER_THE_OTHER: f64 = 1.2;
/// Cost of a LIMIT at the source relative to the same LIMIT here.
const SOURCE_LIMIT: f64 = 0.95;

/// GetForeignRelSize: reads the catalog and estimates rows and width.
pub fn size(planner: Planner<'_>, rel: Rel<'_>, relation: Oid) -> Result<()> {
    let eyes = match () {
        () if right::may_see_clear() => Eyes::Trusted,
        () if shuffling::is_allowed() => Eyes::Shuffling,
        () => Eyes::Anybody,
    };
    let Known { table, options } = known::table(relation, eyes);
    if table.columns.iter().any(|column| column.is_protected) {
        planner.depends_on_role();
    }
    if let (Some(site), Some(restrictions)) = (table.site(), sites::restrictions()) {
        planner.depends_on_table(restrictions.table);
        if restrictions.are_any {
            planner.depends_on_role();
            if !sites::sees(site) {
                rel.is_empty_now();
                return Ok(());
            }
        }
    }
    if planner.locks_rows(rel.relid()) {
        return Err(Error::new(
            Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("rows of {} cannot be locked: its source is read-only", table.label()),
        )
        .hint("Leave FOR UPDATE or FOR SHARE out, or name the other tables in FOR UPDATE OF."));
    }
    if rel.tuples() < 0.0 {
        let bytes = UNKNOWN_ROWS * (f64::from(rel.width().max(32)) + 24.0);
        rel.assume((bytes / f64::from(pg_sys::BLCKSZ)).ceil() as u32, UNKNOWN_ROWS);
    }
    rel.estimate_size(planner);
    let clear = shown(rel, &table)?;
    let mut remote = Remote::table(rel.relid(), table, options);
    remote.clear = clear;
    remote.rescanned = planner.is_rescanned() || rel.is_lateral();
    let judged = remote::judge(planner, &remote.tables, restrictions(rel));
    let scan = Scanned::new(planner, rel, &remote, &judged.0, &judged.1, rel.rows());
    (remote.work, remote.sent) = (scan.work, scan.sent);
    remote.conditions =
        judged.0.iter().map(|(clause, ready)| Condition::judged(*clause, ready)).collect();
    remote.local = judged.1;
    rel.set_state(planner, Kept::Remote(Box::new(remote)));
    Ok(())
}

/// The protected columns that the query reads in clear; an error if it reads one that is not shown.
fn shown(rel: Rel<'_>, table: &ReplicaTable) -> Result<Vec<Clear>> {
    if table.columns.iter().all(|column| !column.is_protected) {
        return Ok(Vec::new());
    }
    let conditions: Vec<Node<'_>> =
        rel.restrictions().into_iter().map(|clause| clause.node()).collect();
    let needed = rel.needed_columns(&conditions);
    let mut clear = Vec::new();
    for column in table.columns.iter().filter(|column| column.is_protected) {
        if !needed.contains(&column.number) && !needed.contains(&0) {
            continue;
        }
        match column.shown {
            Shown::Refused(reason) => {
                return Err(Error::new(
                    Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                    format!("column \"{}\" of {} is not shown: {reason}", column.name, table.label()),
                )
                .hint("warehouse.classify() says what may be seen of it; warehouse.unclassified lists what waits."));
            }
            Shown::Clear => clear.push(Clear {
                label: format!("{}.{}", table.plain_label(), column.name),
                relation: table.relation.to_u32(),
                number: column.number,
            }),
            _ => {}
        }
    }
    Ok(clear)
}

/// The conditions on a table that are checked row by row.
fn restrictions<'p>(rel: Rel<'p>) -> impl Iterator<Item = Clause<'p>> {
    rel.restrictions().into_iter().filter(|clause| !clause.is_constant())
}

/// What is kept with a relation that has been sized.
pub fn kept<'p>(rel: Rel<'p>) -> Result<&'p Remote<'p>> {
    remote::of(rel).ok_or_else(|| Error::bug("a relation was planned that cannot be sent"))
}

/// What a scan of one table costs.
struct Scanned {
    work: f64,
    sent: f64,
    condition_cost: f64,
}

impl Scanned {
    fn new<'p>(
        planner: Planner<'p>,
        rel: Rel<'p>,
        remote: &Remote<'p>,
        pushed: &[(Clause<'p>, Rc<Ready>)],
        local: &[Clause<'p>],
        rows: f64,
    ) -> Scanned {
        // What the source finds by a masked value it need not send, although it is checked here too.
        let scope = Scope::new(&remote.tables);
        let sought: Vec<(Clause<'p>, Expr)> = local
            .iter()
            .filter_map(|clause| {
                sought::find(&scope, clause.node()).map(|found| (*clause, found.condition(0)))
            })
            .collect();
        let sought = sought.iter().map(|(clause, expr)| (*clause, expr));
        let pushed: Vec<(Clause<'p>, &Expr)> =
            pushed.iter().map(|(clause, ready)| (*clause, &ready.expr)).chain(sought).collect();
        let bounds: Vec<(String, Bound, f64)> = pushed
            .iter()
            .filter_map(|(clause, expr)| {
                let (column, kind) = bound(expr)?;
                Some((column.to_owned(), kind, planner.selectivity(rel, &[*clause])))
            })
            .collect();
        let indexes = remote.tables.first().map_or(&[][..], |table| &table.table.indexes);
        let work = cost::access(Ask {
            tuples: rel.tuples(),
            pages: rel.pages(),
            indexes,
            bounds: &bounds,
            conditions: pushed.len(),
        });
        let sent = if local.is_empty() {
            rows
        } else {
            let pushed: Vec<Clause<'p>> = pushed.iter().map(|(clause, _)| *clause).collect();
            (rel.tuples() * planner.selectivity(rel, &pushed)).max(rows)
        };
        Scanned { work, sent, condition_cost: rel.condition_cost(planner, local) }
    }

    fn cost(&self, options: &ServerOptions, rows: f64) -> Cost {
        let per_row = options.tuple_cost + self.condition_cost;
        let startup = options.startup_cost;
        Cost { rows, startup, total: startup + self.work + self.sent * per_row }
    }
}

/// Cost of having a relation computed there and sent here.
pub fn whole_cost<'p>(planner: Planner<'p>, rel: Rel<'p>, remote: &Remote<'p>, rows: f64) -> Cost {
    let condition_cost = rel.condition_cost(planner, &remote.local);
    Scanned { work: remote.work, sent: remote.sent, condition_cost }.cost(&remote.options, rows)
}

/// GetForeignPaths: the plain scan, the sorted scan, and the lookups that other relations feed.
pub fn add_paths(planner: Planner<'_>, rel: Rel<'_>) -> Result<()> {
    let remote = kept(rel)?;
    let plain = whole_cost(planner, rel, remote, rel.rows());
    let order = planner.wanted_order();
    // Of a part of the query's only relation no more rows are taken than of the whole.
    let few = rel.is_part() && remote.is_whole() && planner.has_one_relation();
    let at_most = if few { taken::estimate(planner, remote, rel.rows()) } else { None };
    let unsorted = at_most.filter(|_| order.is_empty());
    let plain_note = note(PathNote { at_most: unsorted.is_some(), ..PathNote::default() });
    rel.add_path(planner, bounded(plain, unsorted), &[], None, &plain_note);
    let bound = at_most.or(planner.bound());
    if let Some(sorted) = sorted_cost(planner, rel, remote, plain, &order, bound) {
        let sorted_note =
            note(PathNote { sorted: true, at_most: at_most.is_some(), ..PathNote::default() });
        let cost = bounded(sorted, at_most);
        rel.add_path(planner, in_order(rel, cost), &order, None, &sorted_note);
        // The first rows of each part, all at once.
        if at_most.is_some() {
            rel.add_path(planner, cost, &[], None, &sorted_note);
        }
    }

    let scope = Scope::new(&remote.tables);
    let mut seen: Vec<Outer<'_>> = Vec::new();
    // What its source can join by itself, and what the keys of many rows find at once, needs no way of
    // asking for one row after the other.
    let by_batches = settings::lookup_batch_size() > 0 && !rel.is_lateral();
    if by_batches && rel.has_no_other_joins() && rel.is_only_joined_by_hash(planner) {
        return Ok(());
    }
    let outers = rel.outers(planner, |clause, others| {
        let one_by_one =
            !(by_batches && clause.is_hashable() && rel.is_joined_with(planner, others));
        one_by_one && Converter::new(planner, &scope).condition(clause.node()).is_ok()
    });
    for outer in outers {
        if seen.contains(&outer) {
            continue;
        }
        seen.push(outer);
        let clauses = restrictions(rel).chain(outer.clauses());
        let (pushed, local) = remote::judge(planner, &remote.tables, clauses);
        let scan = Scanned::new(planner, rel, remote, &pushed, &local, outer.rows());
        let cost = scan.cost(&remote.options, outer.rows());
        rel.add_path(planner, cost, &[], Some(outer), &note(PathNote::default()));
    }
    Ok(())
}

/// Cost of rows that are wanted in their order. The parts of a relation are asked one after the other
/// then.
pub fn in_order(rel: Rel<'_>, cost: Cost) -> Cost {
    let factor = if rel.is_part() { ONE_AFTER_THE_OTHER } else { 1.0 };
    Cost { startup: cost.startup * factor, total: cost.total * factor, ..cost }
}

/// Cost of the first rows alone.
fn bounded(cost: Cost, at_most: Option<f64>) -> Cost {
    let Some(at_most) = at_most else { return cost };
    let rows = cost.rows.min(at_most).max(1.0);
    let fraction = if cost.rows > 0.0 { rows / cost.rows } else { 1.0 };
    Cost { rows, total: cost.startup + (cost.total - cost.startup) * fraction, ..cost }
}

/// Cost of a relation's rows in an order, of which only the first `bound` are wanted if that is known;
/// `None` if the source cannot sort so.
pub fn sorted_cost<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    remote: &Remote<'p>,
    plain: Cost,
    order: &[SortKey<'p>],
    bound: Option<f64>,
) -> Option<Cost> {
    if order.is_empty() {
        return None;
    }
    // Parts that are alike are sorted alike, in the one order that is wanted of them all.
    let sorting = if rel.is_part() {
        let sorting = || match alike::elder(planner, rel, remote).and_then(|e| e.sorting.get()) {
            Some(known) => Rc::clone(known),
            None => Rc::new(sorting(planner, rel, remote, order)),
        };
        Rc::clone(remote.sorting.get_or_init(sorting))
    } else {
        Rc::new(sorting(planner, rel, remote, order))
    };
    let columns = match &sorting.columns {
        Ok(columns) => columns,
        Err(reason) => {
            if *reason != ELSEWHERE {
                remote.refuse("ORDER BY", reason);
            }
            return None;
        }
    };
    let indexed = columns.as_ref().is_some_and(|columns| {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let first = remote.tables.first();
        first.is_some_and(|table| cost::is_indexed(&table.table.indexes, &columns))
    });
    if indexed {
        // Following the index costs more a row than reading in order, but starts at once.
        return Some(Cost { total: plain.startup + (plain.total - plain.startup) * 1.5, ..plain });
    }
    let sorting = cost::sort(plain.rows, bound);
    // The rows are found and sorted before the first one is sent.
    let sending = (plain.rows * remote.options.tuple_cost).min(plain.total - plain.startup);
    Some(Cost {
        rows: plain.rows,
        startup: plain.total - sending + sorting,
        total: plain.total + sorting,
    })
}

fn sorting<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    remote: &Remote<'p>,
    order: &[SortKey<'p>],
) -> Sorting {
    let scope = Scope::new(&remote.tables);
    let terms = match sort_terms(planner, rel, remote, &scope, order, &mut Vec::new()) {
        Ok(terms) => terms,
        Err(reason) => return Sorting { columns: Err(reason) },
    };
    let columns: Vec<String> = terms
        .iter()
        .map_while(|term| match &term.expr {
            Expr::Column(column) if column.cast_to.is_none() => Some(column.name.clone()),
            _ => None,
        })
        .collect();
    // A B-tree also reads backwards, which turns NULLS LAST into NULLS FIRST.
    let forward = terms.iter().all(|t| t.direction == "ASC" && !t.nulls_first);
    let backward = terms.iter().all(|t| t.direction == "DESC" && t.nulls_first);
    let whole = rel.is_table() && columns.len() == terms.len() && (forward || backward);
    Sorting { columns: Ok(whole.then_some(columns)) }
}

/// GetForeignUpperPaths, ordered stage: ORDER BY above a grouping or a join, and a mark for the stage
/// of LIMIT. A table's own sorted path exists by then.
pub fn add_ordered(planner: Planner<'_>, input: Rel<'_>, ordered: Rel<'_>) -> Result<()> {
    let Some(remote) = remote::of(input) else { return Ok(()) };
    if input.is_part() {
        return Ok(());
    }
    ordered.set_state(planner, Kept::Ordered(input.as_ptr()));
    if remote.grouping.is_none() || !remote.is_whole() {
        return Ok(());
    }
    let order = planner.final_order();
    let plain = whole_cost(planner, input, remote, remote.sent);
    if let Some(cost) = sorted_cost(planner, input, remote, plain, &order, planner.bound()) {
        let sorted = note(PathNote { sorted: true, ..PathNote::default() });
        let stage = pg_sys::UpperRelationKind::UPPERREL_ORDERED;
        input.add_upper_path(planner, ordered, stage, cost, &order, &sorted);
    }
    Ok(())
}

/// GetForeignUpperPaths, final stage: LIMIT and OFFSET at the source, where nothing between the
/// relation and the client drops, adds or reorders rows.
pub fn add_limited(planner: Planner<'_>, input: Rel<'_>, upper: Rel<'_>) -> Result<()> {
    let limit = planner.limit();
    let (Some(below), Some(remote)) =
        (remote::below(input), remote::below(input).and_then(remote::of))
    else {
        return Ok(());
    };
    let applies = planner.is_select()
        && !planner.returns_sets()
        && !limit.with_ties
        && (limit.count.is_some() || limit.offset.is_some())
        // No row is asked for then, here or there.
        && limit.count.and_then(|count| count.constant_int8()) != Some(0)
        && !planner.rechecks_rows()
        && !below.is_part()
        && remote.is_whole()
        && below.restrictions().iter().all(|clause| !clause.is_constant());
    if !applies {
        if limit.count.is_some() && !remote.is_whole() {
            remote.refuse("LIMIT", &Reason::Here("a condition below it is checked here"));
        }
        return Ok(());
    }
    let scope = Scope::new(&remote.tables);
    let mut converter = Converter::new(planner, &scope);
    let parts = [limit.count, limit.offset];
    if parts.into_iter().flatten().any(|node| converter.clause(node).is_err()) {
        return Ok(());
    }
    let all = whole_cost(planner, below, remote, remote.sent);
    let rows = limited_rows(limit.count, limit.offset, all.rows);
    let order = planner.final_order();
    let plain = if order.is_empty() {
        all
    } else {
        match sorted_cost(planner, below, remote, all, &order, Some(rows)) {
            Some(cost) => cost,
            None => return Ok(()),
        }
    };
    let fraction = if plain.rows > 0.0 { rows / plain.rows } else { 1.0 };
    let total = plain.startup + (plain.total - plain.startup) * fraction;
    // Stopping a scan half-way from here costs a cancel; let the source's own LIMIT win.
    let cost = Cost { rows, startup: plain.startup * SOURCE_LIMIT, total: total * SOURCE_LIMIT };
    let limited =
        note(PathNote { sorted: !order.is_empty(), limited: true, ..PathNote::default() });
    let stage = pg_sys::UpperRelationKind::UPPERREL_FINAL;
    below.add_upper_path(planner, upper, stage, cost, &order, &limited);
    Ok(())
}

fn limited_rows(count: Option<Node<'_>>, offset: Option<Node<'_>>, rows: f64) -> f64 {
    let value = |node: Option<Node<'_>>, unknown: f64| {
        node.map(|node| node.constant_int8().map_or(unknown, |v| v as f64))
    };
    let skipped = value(offset, rows * 0.1).unwrap_or(0.0);
    let left = (rows - skipped).max(1.0);
    value(count, rows * 0.1).map_or(left, |count| count.min(left)).max(1.0)
}

/// Why a relation is not sorted by another one's column.
const ELSEWHERE: Reason = Reason::Here("the key belongs to another relation");

/// How to write the order at the source. `params` are the run-time values so far.
pub fn sort_terms<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    remote: &Remote<'p>,
    scope: &Scope<'_>,
    order: &[SortKey<'p>],
    params: &mut Vec<Node<'p>>,
) -> std::result::Result<Vec<SortTerm>, Reason> {
    let grouped: Option<Vec<Node<'p>>> =
        remote.grouping.as_ref().map(|grouping| grouping.target.nodes());
    let mut terms = Vec::new();
    for key in order {
        let mut term = None;
        let mut why = ELSEWHERE;
        let usable = |expr: crate::pg::planner::SortExpr<'p>| {
            let mut converter = Converter::new(planner, scope);
            if let Some(grouped) = &grouped {
                let wanted = expr.node.unlabeled();
                if !grouped.iter().any(|node| node.unlabeled().equals(wanted)) {
                    return false;
                }
                converter = converter.with_aggregates();
            }
            let seen = || {
                expr.node.parts(true).iter().all(|part| match part.kind() {
                    Kind::Var { varno, varattno, .. } => scope.sees(varno, varattno),
                    _ => false,
                })
            };
            if grouped.is_none() && !seen() {
                return false;
            }
            converter.params.clone_from(params);
            let by_label = types::is_enum(expr.node.result_type());
            let converted =
                if by_label { converter.place(expr.node) } else { converter.clause(expr.node) };
            let converted = match converted {
                Ok(converted) => converted,
                Err(reason) => {
                    why = reason;
                    return false;
                }
            };
            let collation =
                converter.sort_collation(expr.node.result_type(), expr.node.result_collation());
            let same = expr.node.result_collation() == key.collation();
            why = Reason::Collation;
            let (Ok(collation), true) = (collation, same) else { return false };
            why = Reason::Here("the type sorts in an order of its own");
            let (operator, of) = (key.operator(expr.sorted_as), expr.node.result_type());
            let found = if by_label {
                direction_of_places(operator)
            } else {
                direction(scope, operator, of)
            };
            let Some(direction) = found else { return false };
            params.clone_from(&converter.params);
            let nulls_first = key.nulls_first();
            let collation = collation.map(Into::into);
            term = Some(SortTerm { expr: converted, collation, direction, nulls_first });
            true
        };
        match &grouped {
            Some(_) => rel.sort_expr_above(*key, usable),
            None => rel.sort_expr(*key, usable),
        };
        match term {
            None => return Err(why),
            // A constant sorts nothing.
            Some(SortTerm { expr: Expr::Literal(_), .. }) => {}
            Some(term) => terms.push(term),
        }
    }
    Ok(terms)
}

/// A note on a path, as bytes.
pub fn note(note: PathNote) -> Vec<u8> {
    packed::write(&note)
}
