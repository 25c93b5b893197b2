//! Dates moved by their entity's own number of days.

use super::prepared::{Call, Of, mask};
use super::quoted;
use super::result::FromMasked;
use pgrx::datum::{Date, Timestamp, TimestampWithTimeZone};
use pgrx::prelude::*;
use warehouse_core::masks::Value;

fn date_shift<T: FromMasked>(
    of: Of,
    value: Value<'_>,
    entity: &str,
    days: i32,
    domain: &str,
) -> Option<T> {
    let numbers = [i64::from(days)];
    let call = Call { function: "date_shift", of, texts: &[domain], numbers: &numbers };
    let text = || format!("date_shift(entity, {days}, domain => {})", quoted(domain));
    mask(call, text, value, &[Some(Value::Text(entity))])
}

/// A date moved by 1 to `days` days to either side.
#[pg_extern(name = "date_shift", stable, strict, parallel_safe)]
fn date_shift_date(
    value: Date,
    entity: &str,
    days: i32,
    domain: default!(&str, "'warehouse'"),
) -> Option<Date> {
    date_shift(Of::Date, Value::Date(value.into_inner()), entity, days, domain)
}

/// A time moved by 1 to `days` days to either side.
#[pg_extern(name = "date_shift", stable, strict, parallel_safe)]
fn date_shift_timestamp(
    value: Timestamp,
    entity: &str,
    days: i32,
    domain: default!(&str, "'warehouse'"),
) -> Option<Timestamp> {
    date_shift(Of::Timestamp, Value::Timestamp(value.into_inner()), entity, days, domain)
}

/// A moment moved by 1 to `days` days to either side.
#[pg_extern(name = "date_shift", stable, strict, parallel_safe)]
fn date_shift_timestamptz(
    value: TimestampWithTimeZone,
    entity: &str,
    days: i32,
    domain: default!(&str, "'warehouse'"),
) -> Option<TimestampWithTimeZone> {
    date_shift(Of::TimestampTz, Value::TimestampTz(value.into_inner()), entity, days, domain)
}
