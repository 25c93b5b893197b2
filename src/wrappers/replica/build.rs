//! The way that was chosen, written down: the SELECT, its columns and what stays here.

use super::columns::{Scope, TableColumn};
use super::decode::{Travel, travel};
use super::deparse;
use super::distinct::with_distinct_rows;
use super::masked;
use super::options::ColumnSource;
use super::partial;
use super::plan::{kept, sort_terms};
use super::private::{Constant, Fetched, Gate, Keyed, Local, PathNote, ScanPlan};
use super::pushdown;
use super::remote::{Condition, Remote, Shape};
use super::sought;
use super::taken;
use crate::pg::error::{Error, Result};
use crate::pg::node::{Kind, Node};
use crate::pg::packed;
use crate::pg::planner::{Planner, Rel, ScanTarget};
use crate::wrappers::callbacks::{Chosen, Path};
use crate::wrappers::convert::{Columns as _, Converter};
use warehouse_core::predicate::{Expr, OperatorName, Reason, Select, TypeName};

/// Bytes of an answer that may go through a spool where several reads take turns. An answer that may
/// be larger is read through a cursor then, for which the source uses no parallel workers.
const SPOOLED_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// Bytes of a row beside its values.
const ROW_OVERHEAD: i32 = 24;

/// GetForeignPlan: writes the scan down.
pub fn build<'p>(planner: Planner<'p>, rel: Rel<'p>, path: Path<'p>) -> Result<Chosen<'p>> {
    let Path { note, clauses, keyed, rows } = path;
    let path: PathNote = packed::read(note).unwrap_or_default();
    let kept = kept(rel)?;
    let distinct = if path.distinct { with_distinct_rows(planner, rel, kept) } else { None };
    let remote = distinct.as_ref().unwrap_or(kept);
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
            // What its own scan checks is known; what only this path checks is not.
            if let Some(known) = remote.conditions.iter().find(|known| known.is(clause)) {
                conditions.push(known.clone());
            } else if remote.local.iter().any(|known| known.is(clause)) {
                local.push(clause.node());
            } else {
                match converter.condition(clause.node()) {
                    Ok(_) => conditions.push(Condition::Clause(clause.node(), None)),
                    Err(_) => local.push(clause.node()),
                }
            }
        }
        converter.params.clear();
    }
    conditions.extend(keyed.into_iter().map(|node| Condition::Clause(node, None)));
    let reasons = reasons(planner, &scope, remote, &local);
    let source = Remote { conditions, ..remote.clone() };
    let sent_rows = if local.is_empty() { rows } else { remote.sent.max(rows) };
    let mut rows = source.rows(&mut converter).map_err(sent)?;
    // One group of no rows is a row: then the source has to be asked in any case.
    let may_be_empty = remote.grouping.as_ref().is_none_or(|g| g.partial || !g.keys.is_empty());
    let gates = if may_be_empty { take_gates(&mut rows.conditions) } else { Vec::new() };

    let target = match &remote.grouping {
        Some(grouping) => Some(grouping.target),
        None if rel.is_table() => None,
        None => Some(rel.scan_target(&local)),
    };
    let known = remote.grouping.as_ref().and_then(|grouping| grouping.converted.as_ref());
    let columns = match target {
        _ if known.is_some() => known.map(|known| known.columns(remote, &scope)),
        Some(target) => {
            let grouped = remote.grouping.is_some();
            Some(above(&scope, &mut converter, target, grouped).map_err(sent)?)
        }
        None => None,
    };
    let columns = columns.unwrap_or_else(|| of_table(rel, remote, &local));

    // All of it that differs between the parts of a merged table is FROM and WHERE.
    let written = known
        .and_then(|known| known.written())
        .filter(|_| path == PathNote::default() && !pushdown::is_described())
        .and_then(|lists| lists.select(&rows, &scope));
    let outputs = match known {
        Some(known) if written.is_none() => known.outputs(remote),
        _ => columns.outputs,
    };
    let mut query = Select::of(outputs, rows);
    if let Some(grouping) = remote.grouping.as_ref().filter(|_| written.is_none()) {
        query.group_by = Some(match known {
            Some(known) => known.keys(remote),
            None => keys(&scope, &mut converter, &grouping.keys).map_err(sent)?,
        });
        query.having = convert(&mut converter, &grouping.having).map_err(sent)?;
    }
    if path.sorted {
        let order = if path.limited || remote.grouping.is_some() {
            planner.final_order()
        } else {
            planner.wanted_order()
        };
        query.order = sort_terms(planner, rel, remote, &scope, &order, &mut converter.params)
            .map_err(sent)?;
    }
    if path.limited {
        let limit = planner.limit();
        query.limit = limit.count.map(|node| converter.clause(node)).transpose().map_err(sent)?;
        query.offset = limit.offset.map(|node| converter.clause(node)).transpose().map_err(sent)?;
    }
    if path.at_most {
        query.limit = Some(taken::expr(planner, &mut converter).map_err(sent)?);
    }
    // Last, so that no other condition takes a clear value for its own.
    let mut seeking = Vec::new();
    if rel.is_table() {
        for found in local.iter().filter_map(|node| sought::find(&scope, *node)) {
            let param = converter.params.len();
            converter.params.push(found.value);
            query.rows.conditions.push(found.condition(param));
            seeking.push(found.note(param));
        }
    }
    let keyed = path.keyed.map(|keyed| Keyed { keys: Vec::new(), ..keyed });
    let mut plan_keys = (keyed, Vec::new());
    for (at, param) in converter.params.iter().enumerate() {
        if let (Kind::Batch { key }, Some(keyed)) = (param.kind(), &mut plan_keys.0) {
            keyed.keys.push(key);
            plan_keys.1.push(at);
        }
    }
    let (sql, probe) =
        written.unwrap_or_else(|| (deparse::select(&query), deparse::probe(&query, &scope)));
    let collation = remote.tables.iter().find_map(|t| t.table.remote_collation.clone());
    let plan = ScanPlan {
        server: remote.server.to_u32(),
        label: remote.label(),
        sql,
        probe,
        collation: collation.filter(|_| scope.relied.get()),
        fetched: columns.fetched,
        constants: columns.constants,
        gates,
        sought: seeking,
        keyed: plan_keys.0,
        batched: plan_keys.1,
        row_size: rel.width(),
        large: sent_rows * f64::from(rel.width().max(1) + ROW_OVERHEAD) > SPOOLED_BYTES,
        interleaved: planner.others_on_server(rel, remote.server) > 0,
        local: reasons,
        clear: remote.clear.clone(),
        styled: scope.styled.get(),
        refused: remote.refused.borrow().clone(),
        relations: described(|| remote.tables.iter().map(|t| t.table.plain_label()).collect()),
        pushed: described(|| deparse::clauses(&query)),
    };
    Ok(Chosen { note: plan.pack(), params: converter.params, local, target })
}

/// What only `warehouse.explain_pushdown()` wants to know.
fn described(what: impl FnOnce() -> Vec<String>) -> Vec<String> {
    if pushdown::is_described() { what() } else { Vec::new() }
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

/// The keys of GROUP BY. A constant groups nothing: it is left out beside other keys.
pub fn keys<'p>(
    scope: &Scope<'_>,
    converter: &mut Converter<'p, '_>,
    keys: &[Node<'p>],
) -> std::result::Result<Vec<Expr>, Reason> {
    let keys = keys.iter().map(|key| key_expr(scope, converter, *key));
    let mut keys: Vec<Expr> = keys.collect::<std::result::Result<_, _>>()?;
    let is_constant = |key: &Expr| matches!(key, Expr::Literal(_));
    if keys.iter().all(is_constant) {
        keys.truncate(1);
    } else {
        keys.retain(|key| !is_constant(key));
    }
    Ok(keys)
}

fn convert<'p>(
    converter: &mut Converter<'p, '_>,
    nodes: &[Node<'p>],
) -> std::result::Result<Vec<Expr>, Reason> {
    nodes.iter().map(|node| converter.clause(*node)).collect()
}

/// Of a condition by which the source finds rows, and that is still checked.
const SOUGHT: &str = "the source is asked for the clear value, and what it finds is checked";

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
        let sought = remote.grouping.is_none()
            && matches!(remote.shape, Shape::Table(_))
            && sought::find(scope, *node).is_some();
        if sought {
            out.push(Local { at, reason: SOUGHT.to_owned() });
        } else if let Err(reason) = converter.clause(*node) {
            out.push(Local { at, reason: reason.to_string() });
        }
    }
    out
}

/// The select list, and where its values go.
pub struct Columns {
    /// The select list.
    pub outputs: Vec<Expr>,
    /// Where its values go.
    pub fetched: Vec<Fetched>,
    /// The columns whose values are known.
    pub constants: Vec<Constant>,
}

/// The needed columns of a table.
fn of_table<'p>(rel: Rel<'p>, remote: &Remote<'p>, local: &[Node<'p>]) -> Columns {
    let needed = rel.needed_columns(local);
    let whole_row = needed.contains(&0);
    let columns = remote.tables.iter().flat_map(|table| &table.table.columns);
    let wanted: Vec<_> =
        columns.filter(|column| whole_row || needed.contains(&column.number)).collect();
    let (fetched, all) = fetched(&wanted, remote.tables.first().map_or(&[], |t| &t.table.columns));
    Columns {
        outputs: all.iter().filter_map(|column| column.raw_output(rel.relid())).collect(),
        fetched,
        constants: constants(&wanted),
    }
}

/// The columns of a join or a grouping.
///
/// # Errors
/// Why one of them cannot be had from the source.
pub fn above<'p>(
    scope: &Scope<'_>,
    converter: &mut Converter<'p, '_>,
    target: ScanTarget<'p>,
    grouped: bool,
) -> std::result::Result<Columns, Reason> {
    let mut out = Columns { outputs: Vec::new(), fetched: Vec::new(), constants: Vec::new() };
    let mut origins: Vec<masked::Origin> = Vec::new();
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
            out.fetched.push(Fetched { of: of.to_u32(), typmod, ..Fetched::of(column, place) });
            origins.push(Some((varno, varattno)));
            continue;
        }
        origins.push(None);
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
                mask: None,
                hidden: false,
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
            mask: None,
            hidden: false,
        });
    }
    let columns_of = |relation: u32| {
        let table = scope.tables.iter().find(|table| table.relation == relation);
        table.map_or(&[][..], |table| &table.table.columns)
    };
    for companion in masked::companions(&mut out.fetched, &mut origins, columns_of) {
        out.outputs.extend(companion.column.raw_output(companion.relation));
    }
    Ok(out)
}

/// Those of `wanted` that a table's SELECT fetches, with the columns of `all` that their masks need beside
/// them; and the columns of the SELECT.
pub fn fetched<'t>(
    wanted: &[&'t TableColumn],
    all: &'t [TableColumn],
) -> (Vec<Fetched>, Vec<&'t TableColumn>) {
    let mut columns: Vec<&TableColumn> = wanted
        .iter()
        .copied()
        .filter(|column| matches!(column.source, ColumnSource::Remote { .. }))
        .collect();
    let mut fetched: Vec<Fetched> =
        columns.iter().map(|column| Fetched::of(column, column.number as usize - 1)).collect();
    let mut origins: Vec<masked::Origin> =
        columns.iter().map(|column| Some((0, column.number))).collect();
    let companions = masked::companions(&mut fetched, &mut origins, |_| all);
    columns.extend(companions.into_iter().map(|companion| companion.column));
    (fetched, columns)
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
