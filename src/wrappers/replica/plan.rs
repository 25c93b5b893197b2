//! What the source does and what stays here.
//!
//! Called by the callbacks of [`super::handler`], in the planner's order: [`size`] when the relation is
//! met, [`add_paths`] for the ways to scan it, [`add_final_path`] when LIMIT may go along, and
//! [`build`] for the way that was chosen. Nothing here connects.

use super::columns::{BaseColumns, ReplicaTable, TableColumn};
use super::cost::{self, Ask};
use super::decode::Travel;
use super::deparse::{Select, SortTerm, probe};
use super::options::{ColumnSource, ServerOptions};
use super::private::{Constant, Fetched, Local, PathNote, ScanPlan};
use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use crate::pg::node::Node;
use crate::pg::planner::{Clause, Cost, Outer, Planner, Rel, SortKey};
use crate::pg::types;
use crate::wrappers::convert::{Converted, Converter};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use warehouse_core::predicate::{Bound, Expr, Reason, bound};

/// Rows that a table nobody has analyzed is taken to have.
const UNKNOWN_ROWS: f64 = 10_000.0;

/// Cost of a LIMIT at the source relative to the same LIMIT here.
const SOURCE_LIMIT: f64 = 0.95;

/// What is found out once a relation and query.
pub struct Relation {
    table: ReplicaTable,
    options: ServerOptions,
}

/// A relation's clauses, judged.
struct Judged<'p> {
    remote: Vec<(Clause<'p>, Expr)>,
    local: Vec<Clause<'p>>,
}

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
    rel.set_state(planner, Relation { table, options });
    Ok(())
}

fn state<'p>(rel: Rel<'p>) -> Result<&'p Relation> {
    // SAFETY: the relations of this wrapper carry what `size` kept.
    unsafe { rel.state::<Relation>() }
        .ok_or_else(|| Error::bug("a foreign table was planned before it was sized"))
}

fn judge<'p>(
    converter: &mut Converter<'p, '_>,
    clauses: impl IntoIterator<Item = Clause<'p>>,
) -> Judged<'p> {
    let mut out = Judged { remote: Vec::new(), local: Vec::new() };
    for clause in clauses {
        match converter.clause(clause.node()) {
            Ok(expr) => out.remote.push((clause, expr)),
            Err(_) => out.local.push(clause),
        }
    }
    out
}

/// Cost of scanning with these clauses applied.
fn scan_cost<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    relation: &Relation,
    judged: &Judged<'p>,
    rows: f64,
) -> Cost {
    let remote: Vec<Clause<'p>> = judged.remote.iter().map(|(clause, _)| *clause).collect();
    let bounds: Vec<(String, Bound, f64)> = judged
        .remote
        .iter()
        .filter_map(|(clause, expr)| {
            let (column, kind) = bound(expr)?;
            Some((column.to_owned(), kind, planner.selectivity(rel, &[*clause])))
        })
        .collect();
    let access = cost::access(Ask {
        tuples: rel.tuples(),
        pages: rel.pages(),
        indexes: &relation.table.indexes,
        bounds: &bounds,
        conditions: remote.len(),
    });
    let received = if judged.local.is_empty() {
        rows
    } else {
        (rel.tuples() * planner.selectivity(rel, &remote)).max(rows)
    };
    let startup = relation.options.startup_cost;
    let per_row = relation.options.tuple_cost + rel.condition_cost(planner, &judged.local);
    Cost { rows, startup, total: startup + access + received * per_row }
}

/// GetForeignPaths: the plain scan, the sorted scan, and the lookups that other relations feed.
pub fn add_paths(planner: Planner<'_>, rel: Rel<'_>) -> Result<()> {
    let relation = state(rel)?;
    let columns = BaseColumns::new(rel.relid(), &relation.table);
    let restrictions = || rel.restrictions().into_iter().filter(|clause| !clause.is_constant());
    let judged = judge(&mut Converter::new(planner, &columns), restrictions());
    let plain = scan_cost(planner, rel, relation, &judged, rel.rows());
    rel.add_path(planner, plain, &[], None, &note(PathNote::default()));

    let order = planner.wanted_order();
    if !order.is_empty()
        && let Ok(terms) = sort_terms(planner, rel, &columns, &order)
    {
        let sorted = sorted_cost(relation, plain, &terms, planner.bound());
        let sorted_note = note(PathNote { sorted: true, limited: false });
        rel.add_path(planner, sorted, &order, None, &sorted_note);
    }

    let mut seen: Vec<Outer<'_>> = Vec::new();
    let outers = rel
        .outers(planner, |clause| Converter::new(planner, &columns).clause(clause.node()).is_ok());
    for outer in outers {
        if seen.contains(&outer) {
            continue;
        }
        seen.push(outer);
        let clauses = restrictions().chain(outer.clauses());
        let judged = judge(&mut Converter::new(planner, &columns), clauses);
        let cost = scan_cost(planner, rel, relation, &judged, outer.rows());
        rel.add_path(planner, cost, &[], Some(outer), &note(PathNote::default()));
    }
    Ok(())
}

/// Cost of the scan with its rows in the order of `terms`, of which only the first `bound` are wanted
/// if that is known.
fn sorted_cost(relation: &Relation, plain: Cost, terms: &[SortTerm], bound: Option<f64>) -> Cost {
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
    let whole = columns.len() == terms.len() && (forward || backward);
    if whole && cost::is_indexed(&relation.table.indexes, &columns) {
        // Following the index costs more a row than reading in order, but starts at once.
        return Cost { total: plain.startup + (plain.total - plain.startup) * 1.5, ..plain };
    }
    let sorting = cost::sort(plain.rows, bound);
    // The rows are found and sorted before the first one is sent.
    let sending = (plain.rows * relation.options.tuple_cost).min(plain.total - plain.startup);
    Cost {
        rows: plain.rows,
        startup: plain.total - sending + sorting,
        total: plain.total + sorting,
    }
}

/// GetForeignUpperPaths, final stage: LIMIT and OFFSET at the source, where nothing between the
/// table and the client drops, adds or reorders rows.
pub fn add_final_path(planner: Planner<'_>, table: Rel<'_>, upper: Rel<'_>) -> Result<()> {
    let limit = planner.limit();
    let applies = planner.is_select()
        && !planner.returns_sets()
        && !limit.with_ties
        && (limit.count.is_some() || limit.offset.is_some())
        && table.is_base()
        && !planner.locks_rows(table.relid());
    if !applies {
        return Ok(());
    }
    let relation = state(table)?;
    let columns = BaseColumns::new(table.relid(), &relation.table);
    let mut converter = Converter::new(planner, &columns);
    let restrictions = table.restrictions();
    if restrictions.iter().any(|clause| clause.is_constant()) {
        return Ok(());
    }
    let judged = judge(&mut converter, restrictions);
    let parts = [limit.count, limit.offset];
    let movable = parts.into_iter().flatten().all(|node| converter.clause(node).is_ok());
    let order = planner.wanted_order();
    let terms = sort_terms(planner, table, &columns, &order);
    let (true, true, Ok(terms)) = (judged.local.is_empty(), movable, terms) else {
        return Ok(());
    };
    let all = scan_cost(planner, table, relation, &judged, table.rows());
    let rows = limited_rows(limit.count, limit.offset, all.rows);
    let plain = if order.is_empty() { all } else { sorted_cost(relation, all, &terms, Some(rows)) };
    let fraction = if plain.rows > 0.0 { rows / plain.rows } else { 1.0 };
    let total = plain.startup + (plain.total - plain.startup) * fraction;
    // Stopping a scan half-way from here costs a cancel; let the source's own LIMIT win.
    let cost = Cost { rows, startup: plain.startup * SOURCE_LIMIT, total: total * SOURCE_LIMIT };
    let limited = note(PathNote { sorted: !order.is_empty(), limited: true });
    table.add_final_path(planner, upper, cost, &order, &limited);
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
    columns: &BaseColumns<'_>,
    order: &[SortKey<'p>],
) -> std::result::Result<Vec<SortTerm>, Reason> {
    let mut terms = Vec::new();
    for key in order {
        let mut term = None;
        rel.sort_expr(*key, |expr| {
            let mut converter = Converter::new(planner, columns);
            // A sort key is written once, so it must not hold run-time values.
            let converted =
                converter.clause(expr.node).ok().filter(|_| converter.params.is_empty());
            let Some(converted) = converted else { return false };
            let collation = converter.sort_collation(expr.node.result_collation());
            let same = expr.node.result_collation() == key.collation();
            let (Ok(collation), true) = (collation, same) else { return false };
            let Some(direction) = direction(key.operator(expr.sorted_as), &expr.node) else {
                return false;
            };
            term = Some(SortTerm {
                expr: converted,
                collation,
                direction,
                nulls_first: key.nulls_first(),
            });
            true
        });
        match term {
            None => return Err(Reason::Unsupported("this sort key")),
            // A constant sorts nothing, and a bare number would name an output column.
            Some(SortTerm { expr: Expr::Literal(_), .. }) => {}
            Some(term) => terms.push(term),
        }
    }
    Ok(terms)
}

/// ASC or DESC for the type's own order, USING for another built-in one.
fn direction(operator: Oid, node: &Node<'_>) -> Option<String> {
    if operator == Oid::INVALID || !types::is_builtin(operator) {
        return None;
    }
    let (less, greater) = types::default_order(node.result_type());
    if operator == less {
        Some("ASC".to_owned())
    } else if operator == greater {
        Some("DESC".to_owned())
    } else {
        types::operator(operator).map(|op| format!("USING OPERATOR(pg_catalog.{op})"))
    }
}

fn note(note: PathNote) -> String {
    serde_json::to_string(&note).expect("invariant: two booleans are always JSON")
}

/// A chosen scan: what goes to the source and which of the clauses stay.
pub struct Chosen<'p> {
    /// The scan.
    pub plan: ScanPlan,
    /// The expressions whose values are sent.
    pub params: Vec<Node<'p>>,
    /// The clauses that are checked here.
    pub local: Vec<Clause<'p>>,
}

/// GetForeignPlan: writes the scan down.
pub fn build<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    note: &str,
    clauses: Vec<Clause<'p>>,
) -> Result<Chosen<'p>> {
    let relation = state(rel)?;
    let table = &relation.table;
    let path: PathNote = serde_json::from_str(note).unwrap_or_default();
    let columns = BaseColumns::new(rel.relid(), table);
    let mut converter = Converter::new(planner, &columns);

    let mut conditions = Vec::new();
    let mut local = Vec::new();
    let mut reasons = Vec::new();
    for clause in clauses.into_iter().filter(|clause| !clause.is_constant()) {
        match converter.clause(clause.node()) {
            // Such as the constant column of a site compared with its own value.
            Ok(expr) if expr.is_always_true() => {}
            Ok(expr) => conditions.push(expr),
            Err(reason) => {
                reasons.push(Local { at: local.len(), reason: reason.to_string() });
                local.push(clause);
            }
        }
    }
    let order = if path.sorted {
        sort_terms(planner, rel, &columns, &planner.wanted_order())
            .map_err(|_| Error::bug("a sort order was sent that cannot be"))?
    } else {
        Vec::new()
    };
    let (limit, offset) = if path.limited {
        let limit = planner.limit();
        let mut part = |node: Option<Node<'p>>| -> std::result::Result<Option<Expr>, Reason> {
            node.map(|node| -> Converted { converter.clause(node) }).transpose()
        };
        let failed = |_| Error::bug("a limit was sent that cannot be");
        (part(limit.count).map_err(failed)?, part(limit.offset).map_err(failed)?)
    } else {
        (None, None)
    };

    let local_nodes: Vec<Node<'p>> = local.iter().map(|clause| clause.node()).collect();
    let needed = rel.needed_columns(&local_nodes);
    let whole_row = needed.contains(&0);
    let wanted: Vec<_> = table
        .columns
        .iter()
        .filter(|column| whole_row || needed.contains(&column.number))
        .collect();
    let remote: Vec<_> = wanted
        .iter()
        .copied()
        .filter(|column| matches!(column.source, ColumnSource::Remote { .. }))
        .collect();
    let touched: Vec<_> = table
        .columns
        .iter()
        .filter(|column| {
            remote.iter().any(|r| r.number == column.number)
                || conditions
                    .iter()
                    .chain(order.iter().map(|t| &t.expr))
                    .any(|e| e.mentions(column_name(column)))
        })
        .collect();
    let sql = Select {
        table,
        columns: &remote,
        conditions: &conditions,
        order: &order,
        limit: limit.as_ref(),
        offset: offset.as_ref(),
    }
    .template();
    let plan = ScanPlan {
        server: table.server.to_u32(),
        label: table.label(),
        sql,
        probe: probe(table, &touched),
        collation: if columns.relied.get() { table.remote_collation.clone() } else { None },
        fetched: fetched(&remote),
        constants: constants(&wanted),
        row_size: rel.width(),
        interleaved: planner.others_on_server(rel, table.server) > 0,
        local: reasons,
    };
    Ok(Chosen { plan, params: converter.params, local })
}

/// The name a column has in converted expressions.
fn column_name(column: &TableColumn) -> &str {
    match &column.source {
        ColumnSource::Remote { name, .. } => name,
        _ => "",
    }
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
