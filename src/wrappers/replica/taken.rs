//! How many rows a query takes at most: no part of its relation has to send more.

use super::columns::Scope;
use super::remote::Remote;
use crate::pg::node::Node;
use crate::pg::planner::Planner;
use crate::wrappers::convert::Converter;
use warehouse_core::predicate::{Expr, Literal, OperatorName, Reason, TypeName};

/// The part of the rows that a LIMIT of unknown value is taken to leave, as Postgres takes it.
const UNKNOWN: f64 = 0.1;

/// How many rows the query takes of a part of its relation that has `rows`; `None` if it may need all
/// of them. (The planner's own bound is not known for a value that comes with the execution, and leaves
/// ties out.)
pub fn estimate<'p>(planner: Planner<'p>, remote: &Remote<'p>, rows: f64) -> Option<f64> {
    let limit = planner.limit();
    limit.count?;
    if limit.with_ties || !planner.yields_what_it_reads() {
        return None;
    }
    let scope = Scope::new(&remote.tables);
    match expr(planner, &mut Converter::new(planner, &scope)).ok()? {
        Expr::Literal(Literal { text: Some(text), .. }) => text.parse().ok(),
        // LIMIT NULL.
        Expr::Literal(_) => None,
        _ => Some((rows * UNKNOWN).max(1.0)),
    }
}

/// LIMIT and OFFSET together.
pub fn expr<'p>(planner: Planner<'p>, converter: &mut Converter<'p, '_>) -> Result<Expr, Reason> {
    let limit = planner.limit();
    let count = limit.count.ok_or(Reason::Unsupported("no LIMIT"))?;
    let known = |node: Option<Node<'p>>| node.map_or(Some(0), |node| node.constant_int8());
    let of = || TypeName("bigint".to_owned());
    if let (Some(count), Some(offset)) = (count.constant_int8(), known(limit.offset)) {
        let sum = count.checked_add(offset.max(0)).ok_or(Reason::Unsupported("a huge LIMIT"))?;
        return Ok(Expr::Literal(Literal { text: Some(sum.to_string()), of: of() }));
    }
    let count = converter.clause(count)?;
    let Some(offset) = limit.offset else { return Ok(count) };
    let offset = converter.clause(offset)?;
    // The sum need not be a bigint, and either may be NULL: LEAST leaves that out.
    let number = |text: &str, of: &str| {
        Expr::Literal(Literal { text: Some(text.to_owned()), of: TypeName(of.to_owned()) })
    };
    let numeric = |arg: Expr| Expr::Cast { arg: Box::new(arg), to: TypeName("numeric".to_owned()) };
    let offset = Expr::Coalesce(vec![numeric(offset), number("0", "numeric")]);
    let sum = Expr::Operator { op: OperatorName::builtin("+"), args: vec![numeric(count), offset] };
    let most = number(&i64::MAX.to_string(), "numeric");
    Ok(Expr::Cast { arg: Box::new(Expr::Least(vec![sum, most])), to: of() })
}
