//! What the API is asked for and what is checked here.
//!
//! Called by the callbacks of [`super::handler`], in the planner's order: [`size`], [`add_paths`], then
//! [`build`] for the path that was chosen. Nothing here sends a request. Every condition is checked here
//! again, whatever the API takes of it.

use super::handler;
use super::private::{Constant, Fetched, Kept, ScanPlan};
use super::source::{self, Source};
use super::table::{ApiTable, Scope};
use crate::pg::error::{Error, Result};
use crate::pg::join_node::{Equality, any_of};
use crate::pg::node::{Kind, Node};
use crate::pg::planner::{Clause, Cost, Outer, Planner, Rel, Way};
use crate::pg::{catalog, identity};
use crate::privacy::policy::Shown;
use crate::privacy::right::{self, Clear};
use crate::wrappers::callbacks::{Chosen, Path};
use crate::wrappers::convert::Converter;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use warehouse_core::connectors::{ApiError, Extent, Plan, Query, Taken};
use warehouse_core::masks::Mask;
use warehouse_core::predicate::Expr;

/// Rows that a table is taken to have: APIs do not tell.
const UNKNOWN_ROWS: f64 = 10_000.0;
/// Rows that come with one request.
const PAGE: f64 = 100.0;
/// Cost of one request, in the planner's units: a tenth of a second is much more than a page read.
const REQUEST: f64 = 1_000.0;
/// Cost of moving one row.
const ROW: f64 = 0.05;
/// Cost of what cannot be done.
const IMPOSSIBLE: f64 = 1e10;

/// What is kept with a relation that has been sized.
struct Sized {
    table: ApiTable,
    source: Source,
    clear: Vec<Clear>,
    cost: Cost,
}

/// GetForeignRelSize: reads the catalog and estimates rows and width.
pub fn size(planner: Planner<'_>, rel: Rel<'_>, relation: Oid) -> Result<()> {
    let source = source::planned(catalog::table(relation).server, identity::current())?;
    let table = ApiTable::load(relation, &source, right::may_see_clear())?;
    if table.columns.iter().any(|column| column.is_protected) {
        planner.depends_on_role();
    }
    if planner.locks_rows(rel.relid()) {
        return Err(Error::new(
            Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("rows of {} cannot be locked: its source is read-only", table.label),
        )
        .hint("Leave FOR UPDATE or FOR SHARE out, or name the other tables in FOR UPDATE OF."));
    }
    if rel.tuples() < 0.0 {
        let bytes = UNKNOWN_ROWS * (f64::from(rel.width().max(32)) + 24.0);
        rel.assume((bytes / f64::from(pg_sys::BLCKSZ)).ceil() as u32, UNKNOWN_ROWS);
    }
    rel.estimate_size(planner);
    let clear = shown(rel, &table)?;
    let clauses = restrictions(rel);
    let scope = Scope { relation: rel.relid(), table: &table };
    let (exprs, _) = converted(planner, &scope, clauses.iter().copied());
    let cost = cost(rel, rel.rows(), &planned(&source, &table, &exprs));
    rel.set_state(planner, Sized { table, source, clear, cost });
    Ok(())
}

/// The protected columns that the query reads in clear; an error if it reads one that is not shown.
fn shown(rel: Rel<'_>, table: &ApiTable) -> Result<Vec<Clear>> {
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
                    format!("column \"{}\" of {} is not shown: {reason}", column.name, table.label),
                )
                .hint("warehouse.classify() says what may be seen of it; warehouse.unclassified lists what waits."));
            }
            Shown::Clear => clear.push(Clear {
                label: format!("{}.{}", table.plain_label, column.name),
                relation: table.relation.to_u32(),
                number: column.number,
            }),
            _ => {}
        }
    }
    Ok(clear)
}

fn restrictions<'p>(rel: Rel<'p>) -> Vec<Clause<'p>> {
    rel.restrictions().into_iter().filter(|clause| !clause.is_constant()).collect()
}

/// The clauses that a connector may be told, each with its number among `clauses`.
fn converted<'p>(
    planner: Planner<'p>,
    scope: &Scope<'_>,
    clauses: impl Iterator<Item = Clause<'p>>,
) -> (Vec<Expr>, Vec<Node<'p>>) {
    let mut converter = Converter::new(planner, scope);
    let exprs = clauses.filter_map(|clause| converter.condition(clause.node()).ok()).collect();
    (exprs, converter.params)
}

/// What the connector would do for these conditions, whose parameters have no values yet.
fn planned(
    source: &Source,
    table: &ApiTable,
    conditions: &[Expr],
) -> std::result::Result<Plan, ApiError> {
    source.api.connector().plan(&Query {
        table: &table.table,
        columns: &[],
        conditions,
        params: &[],
        limit: None,
        changes: None,
    })
}

fn cost(rel: Rel<'_>, rows: f64, plan: &std::result::Result<Plan, ApiError>) -> Cost {
    let Ok(plan) = plan else {
        // It says so when it is executed.
        return Cost { rows, startup: IMPOSSIBLE, total: IMPOSSIBLE };
    };
    let moved = match plan.extent {
        Extent::Nothing => return Cost { rows: 1.0, startup: 0.0, total: ROW },
        Extent::Keys(keys) => keys as f64,
        Extent::Part => rows.max(rel.tuples() / 50.0),
        Extent::All => rel.tuples(),
    };
    let rows = rows.min(moved).max(1.0);
    let pages = (moved / PAGE).ceil().max(1.0);
    Cost { rows, startup: REQUEST, total: pages * REQUEST + moved * ROW }
}

fn sized<'p>(rel: Rel<'p>) -> Result<&'p Sized> {
    // SAFETY: the callbacks of this wrapper keep nothing else with its relations.
    unsafe { rel.state::<Sized>() }
        .ok_or_else(|| Error::bug("a relation of an API was planned before it was sized"))
}

/// GetForeignPaths: the plain scan, and the lookups that other relations feed.
pub fn add_paths(planner: Planner<'_>, rel: Rel<'_>) -> Result<()> {
    let sized = sized(rel)?;
    rel.add_path(planner, sized.cost, &[], None, &[]);
    let scope = Scope { relation: rel.relid(), table: &sized.table };
    let own = restrictions(rel);
    let mut seen: Vec<Outer<'_>> = Vec::new();
    let outers = rel.outers(planner, |clause, _| {
        let all = own.iter().copied().chain([clause]);
        let (exprs, _) = converted(planner, &scope, all);
        let asks = Converter::new(planner, &scope).condition(clause.node()).is_ok();
        asks && planned(&sized.source, &sized.table, &exprs)
            .is_ok_and(|plan| plan.taken.last().is_some_and(|taken| *taken != Taken::No))
    });
    for outer in outers {
        if seen.contains(&outer) {
            continue;
        }
        seen.push(outer);
        let all = own.iter().copied().chain(outer.clauses());
        let (exprs, _) = converted(planner, &scope, all);
        let plan = planned(&sized.source, &sized.table, &exprs);
        let cost = match &plan {
            Ok(plan) if plan.extent == Extent::Part => {
                let rows = outer.rows().max(1.0);
                let pages = (rows / PAGE).ceil();
                Cost { rows, startup: REQUEST, total: pages * REQUEST + rows * ROW }
            }
            _ => cost(rel, outer.rows(), &plan),
        };
        rel.add_path(planner, cost, &[], Some(outer), &[]);
    }
    Ok(())
}

/// Whether a relation is a table of an API.
pub fn is_ours(rel: Rel<'_>) -> bool {
    rel.is_planned_by(Some(handler::get_foreign_rel_size))
}

/// A way to read the rows that belong to a batch of keys, and what reading those of all keys costs; `None`
/// if the API takes no lists of any of the columns.
pub fn keyed<'p>(
    planner: Planner<'p>,
    rel: Rel<'p>,
    equalities: &[Equality<'p>],
    keys: f64,
) -> Option<(Way<'p>, Cost)> {
    let sized = sized(rel).ok()?;
    let scope = Scope { relation: rel.relid(), table: &sized.table };
    for (at, equality) in equalities.iter().enumerate() {
        let Some(condition) = any_of(equality, equality.inner, at) else { continue };
        let mut converter = Converter::new(planner, &scope);
        let Ok(Expr::AnyAll { left, .. }) = converter.clause(condition) else { continue };
        let Expr::Column(column) = plain(*left) else { continue };
        let connector = sized.source.api.connector();
        let Some(size) = connector.batch(&sized.table.table, &column.name) else { continue };
        let fraction = planner.selectivity(rel, &[equality.clause]).clamp(0.0, 1.0);
        let rows = (rel.rows() * (keys * fraction).min(1.0)).max(1.0);
        let requests = (keys / size.max(1) as f64).ceil().max(1.0) + (rows / PAGE).ceil();
        let cost = Cost { rows, startup: REQUEST, total: requests * REQUEST + rows * ROW };
        return Some((rel.keyed(planner, cost, &[], &[condition]), cost));
    }
    None
}

/// An expression under collations.
fn plain(expr: Expr) -> Expr {
    match expr {
        Expr::Collate { arg, .. } => plain(*arg),
        expr => expr,
    }
}

/// GetForeignPlan: writes the scan down.
pub fn build<'p>(planner: Planner<'p>, rel: Rel<'p>, path: Path<'p>) -> Result<Chosen<'p>> {
    let Path { clauses, keyed, .. } = path;
    let sized = sized(rel)?;
    let table = &sized.table;
    let scope = Scope { relation: rel.relid(), table };
    let mut converter = Converter::new(planner, &scope);
    let (mut conditions, mut places, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let mut local = Vec::new();
    for clause in clauses.into_iter().filter(|clause| !clause.is_constant()) {
        let at = local.len();
        match converter.condition(clause.node()) {
            Ok(expr) => {
                conditions.push(expr);
                places.push(at);
            }
            Err(reason) => kept.push(Kept { at, reason: reason.to_string() }),
        }
        local.push(clause.node());
    }
    let is_keyed = !keyed.is_empty();
    for node in keyed {
        conditions.push(converter.condition(node).map_err(|reason| {
            Error::bug(format!("keys were to be sent that cannot be: {reason}"))
        })?);
    }
    let batched =
        converter.params.iter().enumerate().filter_map(|(at, param)| match param.kind() {
            Kind::Batch { key } => Some((key, at)),
            _ => None,
        });
    let batched = batched.collect();
    let limit = if kept.is_empty() && !is_keyed { limit(planner, rel) } else { None };
    let needed = rel.needed_columns(&local);
    let (fetched, constants) = columns(table, &needed);
    let plan = ScanPlan {
        relation: table.relation.to_u32(),
        label: table.label.clone(),
        conditions,
        places,
        kept,
        fetched,
        constants,
        limit,
        batched,
        clear: sized.clear.clone(),
    };
    Ok(Chosen { note: plan.pack(), params: converter.params, local, target: None })
}

/// LIMIT and OFFSET together, where every row of the scan is a row of the result and no order is wanted.
fn limit(planner: Planner<'_>, rel: Rel<'_>) -> Option<u64> {
    let limit = planner.limit();
    let applies = planner.is_select()
        && planner.has_one_relation()
        && !rel.is_part()
        && planner.yields_what_it_reads()
        && planner.wanted_order().is_empty()
        && planner.final_order().is_empty()
        && !planner.rechecks_rows()
        && !limit.with_ties
        && rel.restrictions().iter().all(|clause| !clause.is_constant());
    if !applies {
        return None;
    }
    let offset = limit.offset.map_or(Some(0), |node| node.constant_int8())?;
    let all = limit.count?.constant_int8()?.checked_add(offset.max(0))?;
    u64::try_from(all).ok()
}

/// The columns to read, with those that masks need beside them; and those whose value is known.
pub fn columns(table: &ApiTable, needed: &[i16]) -> (Vec<Fetched>, Vec<Constant>) {
    let is_needed = |number: i16| needed.contains(&0) || needed.contains(&number);
    let (mut fetched, mut constants) = (Vec::new(), Vec::new());
    for column in table.columns.iter().filter(|column| is_needed(column.number)) {
        let target = column.number as usize - 1;
        let (of, typmod) = (column.of.to_u32(), column.typmod);
        match &column.shown {
            Shown::Null | Shown::Refused(_) => {}
            Shown::Constant(text) => {
                constants.push(Constant { target, of, typmod, text: text.clone() });
            }
            shown => fetched.push(Fetched {
                name: column.name.clone(),
                place: column.place,
                target: Some(target),
                of,
                typmod,
                mask: match shown {
                    Shown::Masked(mask) => Some(mask.to_string()),
                    _ => None,
                },
                others: Vec::new(),
            }),
        }
    }
    for at in 0..fetched.len() {
        let Some(mask) = fetched[at].mask.as_ref().and_then(|text| text.parse::<Mask>().ok())
        else {
            continue;
        };
        let mut others = Vec::new();
        for name in mask.columns() {
            let other = table.columns.iter().find(|column| column.name == name);
            others.push(other.map(|column| {
                fetched.iter().position(|known| known.place == column.place).unwrap_or_else(|| {
                    fetched.push(Fetched {
                        name: column.name.clone(),
                        place: column.place,
                        target: None,
                        of: column.of.to_u32(),
                        typmod: column.typmod,
                        mask: None,
                        others: Vec::new(),
                    });
                    fetched.len() - 1
                })
            }));
        }
        fetched[at].others = others;
    }
    (fetched, constants)
}
