//! Noise that depends on the key and the entity.

use super::prepared::{Call, Of, mask};
use super::quoted;
use super::result::FromMasked;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use warehouse_core::masks::Value;
use warehouse_core::masks::decimal::Decimal;

fn noise<T: FromMasked>(
    of: Of,
    value: Value<'_>,
    amount: &str,
    entity: &str,
    domain: &str,
) -> Option<T> {
    let call = Call { function: "noise", of, texts: &[amount, domain], numbers: &[] };
    let text = || {
        let amount = match amount.trim().parse::<Decimal>() {
            Ok(number) => number.to_string(),
            Err(_) => quoted(amount),
        };
        format!("noise({amount}, entity, domain => {})", quoted(domain))
    };
    mask(call, text, value, &[Some(Value::Text(entity))])
}

/// A number with noise of at most so much.
#[pg_extern(name = "noise", stable, strict, parallel_safe)]
fn noise_integer(
    value: i32,
    amount: &str,
    entity: &str,
    domain: default!(&str, "'warehouse'"),
) -> Option<i32> {
    noise(Of::Integer, Value::Integer(value.into()), amount, entity, domain)
}

/// A number with noise of at most so much.
#[pg_extern(name = "noise", stable, strict, parallel_safe)]
fn noise_bigint(
    value: i64,
    amount: &str,
    entity: &str,
    domain: default!(&str, "'warehouse'"),
) -> Option<i64> {
    noise(Of::Bigint, Value::Integer(value), amount, entity, domain)
}

/// A number with noise of at most so much.
#[pg_extern(name = "noise", stable, strict, parallel_safe)]
fn noise_numeric(
    value: AnyNumeric,
    amount: &str,
    entity: &str,
    domain: default!(&str, "'warehouse'"),
) -> Option<AnyNumeric> {
    noise(Of::Numeric, Value::Numeric(&value.to_string()), amount, entity, domain)
}

/// A number with noise of at most so much.
#[pg_extern(name = "noise", stable, strict, parallel_safe)]
fn noise_float(
    value: f64,
    amount: &str,
    entity: &str,
    domain: default!(&str, "'warehouse'"),
) -> Option<f64> {
    noise(Of::Float, Value::Float(value), amount, entity, domain)
}

/// A moment with noise of at most so much.
#[pg_extern(name = "noise", stable, strict, parallel_safe)]
fn noise_timestamptz(
    value: TimestampWithTimeZone,
    amount: &str,
    entity: &str,
    domain: default!(&str, "'warehouse'"),
) -> Option<TimestampWithTimeZone> {
    noise(Of::TimestampTz, Value::TimestampTz(value.into_inner()), amount, entity, domain)
}
