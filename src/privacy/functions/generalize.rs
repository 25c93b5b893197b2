//! Steps, ranges and bands.

use super::prepared::{Call, Of, mask};
use super::quoted;
use super::result::FromMasked;
use crate::pg::error::{Error, OrRaise};
use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::{Array, Date, Timestamp, TimestampWithTimeZone};
use pgrx::prelude::*;
use warehouse_core::masks::Value;

fn by_width<T: FromMasked>(
    function: &'static str,
    of: Of,
    value: Value<'_>,
    step: i64,
) -> Option<T> {
    let call = Call { function, of, texts: &[], numbers: &[step] };
    mask(call, || format!("{function}({step})"), value, &[])
}

fn by_numeric<T: FromMasked>(
    function: &'static str,
    value: &AnyNumeric,
    step: &AnyNumeric,
) -> Option<T> {
    let (value, step) = (value.to_string(), step.to_string());
    let call = Call { function, of: Of::Numeric, texts: &[&step], numbers: &[] };
    mask(call, || format!("{function}({step})"), Value::Numeric(&value), &[])
}

fn by_unit<T: FromMasked>(
    function: &'static str,
    of: Of,
    value: Value<'_>,
    step: &str,
) -> Option<T> {
    let call = Call { function, of, texts: &[step], numbers: &[] };
    mask(call, || format!("{function}({})", quoted(step)), value, &[])
}

/// The greatest multiple of the step that is not above the value.
#[pg_extern(name = "generalize", immutable, strict, parallel_safe)]
fn generalize_integer(value: i32, step: i32) -> Option<i32> {
    by_width("generalize", Of::Integer, Value::Integer(value.into()), step.into())
}

/// The greatest multiple of the step that is not above the value.
#[pg_extern(name = "generalize", immutable, strict, parallel_safe)]
fn generalize_bigint(value: i64, step: i64) -> Option<i64> {
    by_width("generalize", Of::Bigint, Value::Integer(value), step)
}

/// The greatest multiple of the step that is not above the value.
#[pg_extern(name = "generalize", immutable, strict, parallel_safe)]
fn generalize_numeric(value: AnyNumeric, step: AnyNumeric) -> Option<AnyNumeric> {
    by_numeric("generalize", &value, &step)
}

/// The first day of the unit that a date lies in.
#[pg_extern(name = "generalize", immutable, strict, parallel_safe)]
fn generalize_date(value: Date, step: &str) -> Option<Date> {
    by_unit("generalize", Of::Date, Value::Date(value.into_inner()), step)
}

/// The begin of the unit that a time lies in.
#[pg_extern(name = "generalize", immutable, strict, parallel_safe)]
fn generalize_timestamp(value: Timestamp, step: &str) -> Option<Timestamp> {
    by_unit("generalize", Of::Timestamp, Value::Timestamp(value.into_inner()), step)
}

/// The begin of the unit, in UTC, that a moment lies in.
#[pg_extern(name = "generalize", immutable, strict, parallel_safe)]
fn generalize_timestamptz(
    value: TimestampWithTimeZone,
    step: &str,
) -> Option<TimestampWithTimeZone> {
    by_unit("generalize", Of::TimestampTz, Value::TimestampTz(value.into_inner()), step)
}

/// The step that a value lies in.
#[pg_extern(name = "generalize_range", immutable, strict, parallel_safe)]
fn generalize_range_integer(value: i32, step: i32) -> Option<Range<i32>> {
    by_width("generalize_range", Of::Integer, Value::Integer(value.into()), step.into())
}

/// The step that a value lies in.
#[pg_extern(name = "generalize_range", immutable, strict, parallel_safe)]
fn generalize_range_bigint(value: i64, step: i64) -> Option<Range<i64>> {
    by_width("generalize_range", Of::Bigint, Value::Integer(value), step)
}

/// The step that a value lies in.
#[pg_extern(name = "generalize_range", immutable, strict, parallel_safe)]
fn generalize_range_numeric(value: AnyNumeric, step: AnyNumeric) -> Option<Range<AnyNumeric>> {
    by_numeric("generalize_range", &value, &step)
}

/// The unit that a date lies in.
#[pg_extern(name = "generalize_range", immutable, strict, parallel_safe)]
fn generalize_range_date(value: Date, step: &str) -> Option<Range<Date>> {
    by_unit("generalize_range", Of::Date, Value::Date(value.into_inner()), step)
}

/// The unit that a time lies in.
#[pg_extern(name = "generalize_range", immutable, strict, parallel_safe)]
fn generalize_range_timestamp(value: Timestamp, step: &str) -> Option<Range<Timestamp>> {
    by_unit("generalize_range", Of::Timestamp, Value::Timestamp(value.into_inner()), step)
}

/// The unit, in UTC, that a moment lies in.
#[pg_extern(name = "generalize_range", immutable, strict, parallel_safe)]
fn generalize_range_timestamptz(
    value: TimestampWithTimeZone,
    step: &str,
) -> Option<Range<TimestampWithTimeZone>> {
    by_unit("generalize_range", Of::TimestampTz, Value::TimestampTz(value.into_inner()), step)
}

/// The range between two of the bounds, which ascend.
#[pg_extern(immutable, strict, parallel_safe)]
fn bands(value: i64, bounds: Array<'_, i64>) -> Option<Range<i64>> {
    let bounds: Option<Vec<i64>> = bounds.iter().collect();
    let refused = || {
        let message = "invalid argument of warehouse.bands: expected numbers that ascend";
        Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message)
    };
    let bounds = bounds.filter(|bounds| !bounds.is_empty()).ok_or_else(refused).or_raise();
    let call = Call { function: "bands", of: Of::Bigint, texts: &[], numbers: &bounds };
    let text = || {
        let bounds: Vec<_> = bounds.iter().map(i64::to_string).collect();
        format!("bands({})", bounds.join(", "))
    };
    mask(call, text, Value::Integer(value), &[])
}
