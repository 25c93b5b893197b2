//! Aggregates in two steps: each site computes transition values, which are combined here.
//!
//! The planner asks for the transition value of each aggregate, serialized where Postgres keeps it in
//! memory of its own. The source is asked for what that value consists of.

use super::private::State;
use crate::pg::node::Aggregate as Call;
use crate::pg::types;
use crate::wrappers::convert::Converter;
use pgrx::pg_sys::{self, Oid};
use warehouse_core::predicate::{Aggregate, Expr, Literal, OperatorName, Reason, TypeName};

/// What to ask the source for, and how to put it together.
pub fn transition<'p>(
    converter: &mut Converter<'p, '_>,
    aggregate: Call<'p>,
) -> Result<(Vec<Expr>, Option<State>), Reason> {
    let kept_as = aggregate.transtype;
    let has_final = types::has_final_function(aggregate.aggfnoid);
    let argument = aggregate.argtypes.first().copied().unwrap_or(Oid::INVALID);
    // The transition value is the result: count, min, max, sums of small numbers, bool_and, …
    if !has_final && kept_as != pg_sys::INTERNALOID {
        return Ok((vec![converter.result_of(aggregate)?], None));
    }
    let call = converter.call(aggregate)?;
    let count = || of(&call, "count", None);
    let sum = || of(&call, "sum", None);
    let squares = || of(&call, "sum", Some(square(&call, "numeric")));
    match (call.name.as_str(), argument, kept_as) {
        // {count, sum} of integers.
        ("avg", pg_sys::INT2OID | pg_sys::INT4OID, pg_sys::INT8ARRAYOID) => {
            let elements = vec![count(), or_zero(sum(), "bigint")];
            Ok((vec![array(elements, "bigint[]")], None))
        }
        // {count, sum, sum of squared differences} of floats.
        (name, pg_sys::FLOAT4OID | pg_sys::FLOAT8OID, pg_sys::FLOAT8ARRAYOID)
            if is_moment(name) =>
        {
            let float = |expr| cast(expr, "double precision");
            let sum = of(&call, "sum", Some(float(argument_of(&call)?)));
            let variance = of(&call, "var_pop", Some(float(argument_of(&call)?)));
            let squares = times(variance, float(count()));
            let zero = |expr| or_zero(expr, "double precision");
            let elements = vec![float(count()), zero(sum), zero(squares)];
            Ok((vec![array(elements, "double precision[]")], None))
        }
        ("sum" | "avg", pg_sys::INT8OID, pg_sys::INTERNALOID) => {
            Ok((vec![count(), sum()], Some(State::IntegerSum)))
        }
        ("sum" | "avg", pg_sys::NUMERICOID, pg_sys::INTERNALOID) => {
            Ok((vec![count(), sum()], Some(State::NumericSum)))
        }
        (name, pg_sys::INT2OID | pg_sys::INT4OID, pg_sys::INTERNALOID) if is_moment(name) => {
            let sum = cast(sum(), "numeric");
            Ok((vec![count(), sum, squares()], Some(State::IntegerSquares)))
        }
        (name, pg_sys::INT8OID | pg_sys::NUMERICOID, pg_sys::INTERNALOID) if is_moment(name) => {
            Ok((vec![count(), sum(), squares()], Some(State::NumericSquares)))
        }
        _ => Err(Reason::Unsupported("an aggregate in two steps")),
    }
}

/// avg, variance and their relatives.
fn is_moment(name: &str) -> bool {
    matches!(
        name,
        "avg" | "variance" | "var_pop" | "var_samp" | "stddev" | "stddev_pop" | "stddev_samp"
    )
}

/// Another aggregate over the same rows.
fn of(call: &Aggregate, name: &str, argument: Option<Expr>) -> Expr {
    let args = argument.map_or_else(|| call.args.clone(), |argument| vec![argument]);
    Expr::Aggregate(Box::new(Aggregate { name: name.to_owned(), args, ..call.clone() }))
}

fn argument_of(call: &Aggregate) -> Result<Expr, Reason> {
    call.args.first().cloned().ok_or(Reason::Unsupported("an aggregate without argument"))
}

fn cast(expr: Expr, to: &str) -> Expr {
    Expr::Cast { arg: Box::new(expr), to: TypeName(to.to_owned()) }
}

fn times(left: Expr, right: Expr) -> Expr {
    Expr::Operator { op: OperatorName::builtin("*"), args: vec![left, right] }
}

fn square(call: &Aggregate, as_type: &str) -> Expr {
    let value = || cast(call.args.first().cloned().unwrap_or(Expr::And(Vec::new())), as_type);
    times(value(), value())
}

fn or_zero(expr: Expr, of: &str) -> Expr {
    let zero = Literal { text: Some("0".to_owned()), of: TypeName(of.to_owned()) };
    Expr::Coalesce(vec![expr, Expr::Literal(zero)])
}

fn array(elements: Vec<Expr>, of: &str) -> Expr {
    Expr::Array { elements, of: TypeName(of.to_owned()) }
}
