//! The values that maskers take and give.
//!
//! They have Postgres's own units, so that nothing is converted on the way: dates are days and
//! timestamps microseconds since 2000-01-01, and the ends of their types are ±infinity.

use super::decimal::Decimal;
use std::fmt;
use std::net::IpAddr;

/// A date's `-infinity`.
pub const DATE_MINUS_INFINITY: i32 = i32::MIN;
/// A date's `infinity`.
pub const DATE_INFINITY: i32 = i32::MAX;
/// A timestamp's `-infinity`.
pub const TIMESTAMP_MINUS_INFINITY: i64 = i64::MIN;
/// A timestamp's `infinity`.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;

/// A value of a row. Its `Debug` says the type and hides the value.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// An integer of any width.
    Integer(i64),
    /// A numeric as its text, as Postgres writes it: `12.50`, `NaN`, `Infinity`.
    Numeric(&'a str),
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since 2000-01-01.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 UTC.
    TimestampTz(i64),
    /// An address with the bits of its netmask.
    Inet(Inet),
    /// A UUID.
    Uuid([u8; 16]),
    /// json or jsonb as text.
    Json(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Text(_) => "Text(…)",
            Value::Integer(_) => "Integer(…)",
            Value::Numeric(_) => "Numeric(…)",
            Value::Float(_) => "Float(…)",
            Value::Bool(_) => "Bool(…)",
            Value::Date(_) => "Date(…)",
            Value::Timestamp(_) => "Timestamp(…)",
            Value::TimestampTz(_) => "TimestampTz(…)",
            Value::Inet(_) => "Inet(…)",
            Value::Uuid(_) => "Uuid(…)",
            Value::Json(_) => "Json(…)",
            Value::Bytes(_) => "Bytes(…)",
        })
    }
}

/// An address and the bits of its netmask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inet {
    /// The address.
    pub address: IpAddr,
    /// Bits of the netmask, 0 to 32 or 128.
    pub bits: u8,
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// An integer.
    Integer(i64),
    /// A numeric.
    Numeric(Decimal),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since 2000-01-01.
    Timestamp(i64),
}

/// What a masker makes of a value. Text lies in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Masked<'o> {
    /// NULL.
    Null,
    /// The value as it was.
    Unchanged,
    /// The mask's constant, which the caller has read into the column's type once.
    Constant,
    /// Text.
    Text(&'o str),
    /// An integer that fits the width of the column.
    Integer(i64),
    /// A numeric as text.
    Numeric(&'o str),
    /// A float.
    Float(f64),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since 2000-01-01.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 UTC.
    TimestampTz(i64),
    /// An address with the bits of its netmask.
    Inet(Inet),
    /// A UUID.
    Uuid([u8; 16]),
    /// JSON text.
    Json(&'o str),
    /// Bytes.
    Bytes([u8; 32]),
    /// A range `[lower, upper)`; no end is unbounded.
    Range {
        /// The least value.
        lower: Option<Edge>,
        /// The value after the greatest.
        upper: Option<Edge>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_value() {
        assert_eq!(format!("{:?}", Value::Text("canary")), "Text(…)");
        assert_eq!(format!("{:?}", [Value::Integer(424242)]), "[Integer(…)]");
    }
}
