//! What the source does and what stays here.
//!
//! Called by the callbacks of [`super::handler`], in the planner's order: [`size`] when a table is met,
//! [`add_paths`] for the ways to scan it, then [`super::join`] and [`super::grouping`] for what is
//! built on it, [`add_ordered`] and [`add_limited`] for ORDER BY and LIMIT above, and [`build`] for the
//! way that was chosen. Nothing here connects.

use super::columns::{ReplicaTable, Scope, TableColumn};
use super::cost::{self, Ask};
use super::decode::{Travel, travel};
use super::deparse;
use super::options::{ColumnSource, ServerOptions};
use super::partial;
use super::private::{Constant, Fetched, Gate, Local, PathNote, ScanPlan};
use super::remote::{self, Condition, Kept, Remote};
use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use crate::pg::node::{Kind, Node};
use crate::pg::planner::{Clause, Cost, Outer, Planner, Rel, ScanTarget, SortKey};
use crate::wrappers::convert::{Columns as _, Converter, direction};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use warehouse_core::predicate::{
    Bound, Expr, Literal, OperatorName, Reason, Select, SortTerm, TypeName, bound,
};

/// Rows that a table nobody has analyzed is taken to have.
const UNKNOWN_ROWS: f64 = 10_000.0;
/// Cost of a LIMIT at the source relative to the same LIMIT here.
const SOURCE_LIMIT: f64 = 0.95;

/// GetForeignRelSize: reads the catalog and estimates rows and width.
pub fn size(planner: Planner<'_>, rel: Rel<'_>, relation: Oid) -> Result<()> {
    let table = ReplicaTable::load(relation);
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
    let options = ServerOptions::parse(&catalog::server(table.server).options);
    let mut remote = Remote::table(rel.relid(), table, options);
    let judged = remote::judge(planner, &remote.tables, restrictions(rel));
    let scan = Scanned::new(planner, rel, &remote, &judged.0, &judged.1, rel.rows());
    (remote.work, remote.sent) = (scan.work, scan.sent);
    remote.conditions =
        judged.0.iter().map(|(clause, _)| Condition::Clause(clause.node())).collect();
    remote.local = judged.1;
    rel.set_state(planner, Kept::Remote(remote));
    Ok(())
}

/// The conditions on a table that are checked row by row.
fn restrictions<'p>(rel: Rel<'p>) -> impl Iterator<Item = Clause<'p>> {
    rel.restrictions().into_iter().filter(|clause| !clause.is_constant())
}

fn kept<'p>(rel: Rel<'p>) -> Result<&'p Remote<'p>> {
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
        pushed: &[(Clause<'p>, Expr)],
        local: &[Clause<'p>],
        rows: f64,
    ) -> Scanned {
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
    let at_most = planner
        .bound()
        .filter(|_| rel.is_part() && remote.is_whole() && planner.has_one_relation())
        .map(|bound| bound.ceil() as u64);
    let unsorted =
        PathNote { at_most: at_most.filter(|_| order.is_empty()), ..PathNote::default() };
    rel.add_path(planner, bounded(plain, unsorted.at_most), &[], None, &note(unsorted));
    if let Some(sorted) = sorted_cost(planner, rel, remote, plain, &order, planner.bound()) {
        let sorted_note = PathNote { sorted: true, at_most, ..PathNote::default() };
        rel.add_path(planner, bounded(sorted, at_most), &order, None, &note(sorted_note));
    }

    let scope = Scope::new(&remote.tables);
    let mut seen: Vec<Outer<'_>> = Vec::new();
    let outers =
        rel.outers(planner, |clause| Converter::new(planner, &scope).clause(clause.node()).is_ok());
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

/// Cost of the first rows alone.
fn bounded(cost: Cost, at_most: Option<u64>) -> Cost {
    let Some(at_most) = at_most else { return cost };
    let rows = cost.rows.min(at_most as f64).max(1.0);
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
    let scope = Scope::new(&remote.tables);
    let terms = sort_terms(planner, rel, remote, &scope, order).ok()?;
    let columns: Vec<&str> = terms
        .iter()
        .map_while(|term| match &term.expr {
            Expr::Column(column) if column.cast_to.is_none() => Some(column.name.as_str()),
            _ => None,
        })
        .collect();
    // A B-tree also reads backwards, which turns NULLS LAST into NULLS FIRST.
    let forward = terms.iter().all(|t| t.direction == "ASC" && !t.nulls_first);
    let backward = terms.iter().all(|t| t.direction == "DESC" && t.nulls_first);
    let whole = rel.is_table() && columns.len() == terms.len() && (forward || backward);
    let indexed = remote
        .tables
        .first()
        .is_some_and(|table| whole && cost::is_indexed(&table.table.indexes, &columns));
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
    let limited = note(PathNote { sorted: !order.is_empty(), limited: true, at_most: None });
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

/// How to write the order at the source.
fn sort_terms<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    remote: &Remote<'p>,
    scope: &Scope<'_>,
    order: &[SortKey<'p>],
) -> std::result::Result<Vec<SortTerm>, Reason> {
    let grouped: Option<Vec<Node<'p>>> =
        remote.grouping.as_ref().map(|grouping| grouping.target.nodes());
    let mut terms = Vec::new();
    for key in order {
        let mut term = None;
        let usable = |expr: crate::pg::planner::SortExpr<'p>| {
            let mut converter = Converter::new(planner, scope);
            if let Some(grouped) = &grouped {
                let wanted = expr.node.unlabeled();
                if !grouped.iter().any(|node| node.unlabeled().equals(wanted)) {
                    return false;
                }
                converter = converter.with_aggregates();
            }
            let seen = expr.node.parts(false).iter().all(|part| match part.kind() {
                Kind::Var { varno, varattno, .. } => scope.sees(varno, varattno),
                _ => false,
            });
            if !seen && grouped.is_none() {
                return false;
            }
            // A sort key is written once, so it must not hold run-time values.
            let converted =
                converter.clause(expr.node).ok().filter(|_| converter.params.is_empty());
            let Some(converted) = converted else { return false };
            let collation =
                converter.sort_collation(expr.node.result_type(), expr.node.result_collation());
            let same = expr.node.result_collation() == key.collation();
            let (Ok(collation), true) = (collation, same) else { return false };
            let Some(direction) = direction(key.operator(expr.sorted_as), expr.node.result_type())
            else {
                return false;
            };
            let nulls_first = key.nulls_first();
            term = Some(SortTerm { expr: converted, collation, direction, nulls_first });
            true
        };
        match &grouped {
            Some(_) => rel.sort_expr_above(*key, usable),
            None => rel.sort_expr(*key, usable),
        };
        match term {
            None => return Err(Reason::Unsupported("this sort key")),
            // A constant sorts nothing.
            Some(SortTerm { expr: Expr::Literal(_), .. }) => {}
            Some(term) => terms.push(term),
        }
    }
    Ok(terms)
}

/// A note on a path, as text.
pub fn note(note: PathNote) -> String {
    serde_json::to_string(&note).expect("invariant: two booleans are always JSON")
}

/// A chosen scan: what goes to the source and which of the clauses stay.
pub struct Chosen<'p> {
    /// The scan.
    pub plan: ScanPlan,
    /// The expressions whose values are sent.
    pub params: Vec<Node<'p>>,
    /// The conditions that are checked here.
    pub local: Vec<Node<'p>>,
    /// The columns of the scan, if it is no table's.
    pub target: Option<ScanTarget<'p>>,
}

/// GetForeignPlan: writes the scan down. `clauses` are a table's conditions, with those that only this
/// path can apply.
pub fn build<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    note: &str,
    clauses: Vec<Clause<'p>>,
) -> Result<Chosen<'p>> {
    let remote = kept(rel)?;
    let path: PathNote = serde_json::from_str(note).unwrap_or_default();
    let scope = Scope::new(&remote.tables);
    let mut converter = Converter::new(planner, &scope);
    if remote.grouping.is_some() {
        converter = converter.with_aggregates();
    }
    let sent = |reason: Reason| Error::bug(format!("a part was sent that cannot be: {reason}"));

    let mut conditions = remote.conditions.clone();
    let mut local: Vec<Node<'p>> = remote.local.iter().map(|clause| clause.node()).collect();
    if rel.is_table() {
        conditions.clear();
        local.clear();
        for clause in clauses.into_iter().filter(|clause| !clause.is_constant()) {
            match converter.clause(clause.node()) {
                Ok(_) => conditions.push(Condition::Clause(clause.node())),
                Err(_) => local.push(clause.node()),
            }
        }
        converter.params.clear();
    }
    let reasons = reasons(planner, &scope, remote, &local);
    let source = Remote { conditions, ..remote.clone() };
    let mut rows = source.rows(&mut converter).map_err(sent)?;
    // One group of no rows is a row: then the source has to be asked in any case.
    let may_be_empty = remote.grouping.as_ref().is_none_or(|g| g.partial || !g.keys.is_empty());
    let gates = if may_be_empty { take_gates(&mut rows.conditions) } else { Vec::new() };

    let target = match &remote.grouping {
        Some(grouping) => Some(grouping.target),
        None if rel.is_table() => None,
        None => Some(rel.scan_target(&local)),
    };
    let columns = match target {
        Some(target) => {
            let grouped = remote.grouping.is_some();
            above(&scope, &mut converter, target, grouped).map_err(sent)?
        }
        None => of_table(rel, remote, &scope, &local),
    };

    let mut query = Select::of(columns.outputs, rows);
    if let Some(grouping) = &remote.grouping {
        let keys = grouping.keys.iter().map(|key| key_expr(&scope, &mut converter, *key));
        query.group_by = Some(keys.collect::<std::result::Result<_, _>>().map_err(sent)?);
        query.having = convert(&mut converter, &grouping.having).map_err(sent)?;
    }
    if path.sorted {
        let order = if path.limited || remote.grouping.is_some() {
            planner.final_order()
        } else {
            planner.wanted_order()
        };
        query.order = sort_terms(planner, rel, remote, &scope, &order).map_err(sent)?;
    }
    if path.limited {
        let limit = planner.limit();
        query.limit = limit.count.map(|node| converter.clause(node)).transpose().map_err(sent)?;
        query.offset = limit.offset.map(|node| converter.clause(node)).transpose().map_err(sent)?;
    }
    if let Some(rows) = path.at_most {
        let of = TypeName("bigint".to_owned());
        query.limit = Some(Expr::Literal(Literal { text: Some(rows.to_string()), of }));
    }
    let collation = remote.tables.first().and_then(|t| t.table.remote_collation.clone());
    let plan = ScanPlan {
        server: remote.server.to_u32(),
        label: remote.label(),
        sql: deparse::select(&query),
        probe: deparse::probe(&query, &scope),
        collation: collation.filter(|_| scope.relied.get()),
        fetched: columns.fetched,
        constants: columns.constants,
        gates,
        row_size: rel.width(),
        interleaved: planner.others_on_server(rel, remote.server) > 0,
        local: reasons,
    };
    Ok(Chosen { plan, params: converter.params, local, target })
}

/// Takes the comparisons of a constant with a run-time value out of the conditions: such as the site
/// of a part with the site that is asked for.
fn take_gates(conditions: &mut Vec<Expr>) -> Vec<Gate> {
    let gate = |condition: &Expr| -> Option<Gate> {
        let Expr::Operator { op, args } = condition else { return None };
        let [left, right] = args.as_slice() else { return None };
        match (left, right) {
            (Expr::Literal(literal), Expr::Param { index, of })
            | (Expr::Param { index, of }, Expr::Literal(literal))
                if *op == OperatorName::builtin("=") && of.0 == "text" && literal.of == *of =>
            {
                Some(Gate { param: *index, text: literal.text.clone()? })
            }
            _ => None,
        }
    };
    let mut gates = Vec::new();
    conditions.retain(|condition| match gate(condition) {
        Some(found) => {
            gates.push(found);
            false
        }
        None => true,
    });
    gates
}

/// A key of GROUP BY: a column of any type that travels in binary, or an expression.
pub fn key_expr<'p>(
    scope: &Scope<'_>,
    converter: &mut Converter<'p, '_>,
    key: Node<'p>,
) -> std::result::Result<Expr, Reason> {
    if !key.collates_deterministically() {
        return Err(Reason::Collation);
    }
    match key.kind() {
        Kind::Var { varno, varattno, .. } if scope.owns(varno) => scope.column(varno, varattno),
        _ => converter.clause(key),
    }
}

fn convert<'p>(
    converter: &mut Converter<'p, '_>,
    nodes: &[Node<'p>],
) -> std::result::Result<Vec<Expr>, Reason> {
    nodes.iter().map(|node| converter.clause(*node)).collect()
}

/// Why conditions stay here.
fn reasons<'p>(
    planner: Planner<'p>,
    scope: &Scope<'_>,
    remote: &Remote<'p>,
    local: &[Node<'p>],
) -> Vec<Local> {
    let mut out = Vec::new();
    for (at, node) in local.iter().enumerate() {
        let mut converter = Converter::new(planner, scope);
        if remote.grouping.is_some() {
            converter = converter.with_aggregates();
        }
        if let Err(reason) = converter.clause(*node) {
            out.push(Local { at, reason: reason.to_string() });
        }
    }
    out
}

/// The select list, and where its values go.
struct Columns {
    outputs: Vec<Expr>,
    fetched: Vec<Fetched>,
    constants: Vec<Constant>,
}

/// The needed columns of a table.
fn of_table<'p>(
    rel: Rel<'p>,
    remote: &Remote<'p>,
    scope: &Scope<'_>,
    local: &[Node<'p>],
) -> Columns {
    let needed = rel.needed_columns(local);
    let whole_row = needed.contains(&0);
    let columns = remote.tables.iter().flat_map(|table| &table.table.columns);
    let wanted: Vec<_> =
        columns.filter(|column| whole_row || needed.contains(&column.number)).collect();
    let remote: Vec<_> = wanted
        .iter()
        .copied()
        .filter(|column| matches!(column.source, ColumnSource::Remote { .. }))
        .collect();
    Columns {
        outputs: remote
            .iter()
            .filter_map(|column| scope.output(rel.relid(), column.number))
            .collect(),
        fetched: fetched(&remote),
        constants: constants(&wanted),
    }
}

/// The columns of a join or a grouping.
fn above<'p>(
    scope: &Scope<'_>,
    converter: &mut Converter<'p, '_>,
    target: ScanTarget<'p>,
    grouped: bool,
) -> std::result::Result<Columns, Reason> {
    let mut out = Columns { outputs: Vec::new(), fetched: Vec::new(), constants: Vec::new() };
    for (place, node) in target.nodes().into_iter().enumerate() {
        let (of, typmod) = (node.result_type(), node.result_typmod());
        if let Kind::Var { varno, varattno, .. } = node.kind()
            && let Some((table, column)) = scope.find(varno, varattno)
        {
            match &column.source {
                ColumnSource::Constant(text) if !table.nullable => {
                    out.constants.push(Constant {
                        target: place,
                        of: of.to_u32(),
                        typmod,
                        text: text.clone(),
                    });
                    continue;
                }
                ColumnSource::Missing => continue,
                _ => {}
            }
            // A grouped column must stand as it stands in GROUP BY.
            out.outputs.push(if grouped {
                scope.column(varno, varattno)?
            } else {
                scope.output(varno, varattno).ok_or(Reason::WholeRow)?
            });
            out.fetched.push(Fetched {
                name: column.name.clone(),
                target: place,
                of: of.to_u32(),
                typmod,
                text: column.travel == Travel::Text,
                state: None,
            });
            continue;
        }
        let name = format!("expression {}", place + 1);
        if let Kind::Aggregate(aggregate) = node.kind()
            && aggregate.partial
        {
            let (outputs, state) = partial::transition(converter, aggregate)?;
            out.outputs.extend(outputs);
            out.fetched.push(Fetched {
                name,
                target: place,
                of: of.to_u32(),
                typmod,
                text: false,
                state,
            });
            continue;
        }
        let expr = converter.clause(node)?;
        let text = travel(of) == Travel::Text;
        out.outputs.push(if text {
            Expr::Cast { arg: Box::new(expr), to: TypeName("text".to_owned()) }
        } else {
            expr
        });
        out.fetched.push(Fetched {
            name,
            target: place,
            of: of.to_u32(),
            typmod,
            text,
            state: None,
        });
    }
    Ok(out)
}

/// The columns of a SELECT of `remote`.
pub fn fetched(remote: &[&TableColumn]) -> Vec<Fetched> {
    remote
        .iter()
        .map(|column| Fetched {
            name: column.name.clone(),
            target: column.number as usize - 1,
            of: column.of.to_u32(),
            typmod: column.typmod,
            text: column.travel == Travel::Text,
            state: None,
        })
        .collect()
}

/// Those of `wanted` whose value is known.
pub fn constants(wanted: &[&TableColumn]) -> Vec<Constant> {
    wanted
        .iter()
        .filter_map(|column| match &column.source {
            ColumnSource::Constant(text) => Some(Constant {
                target: column.number as usize - 1,
                of: column.of.to_u32(),
                typmod: column.typmod,
                text: text.clone(),
            }),
            _ => None,
        })
        .collect()
}
