//! From what a masker gives to the SQL type that the function returns.

use crate::pg::error::{Error, Result};
use crate::pg::varlena::{Jsonb, Text};
use pgrx::datum::{Date, RangeBound, RangeSubType, Timestamp, TimestampWithTimeZone, Uuid};
use pgrx::prelude::{AnyNumeric, Range};
use warehouse_core::masks::{Edge, Masked};

/// A SQL type that masked values become.
pub trait FromMasked: Sized {
    /// # Errors
    /// XX000 for a value of another type: the function and its mask disagree.
    fn from_masked(masked: Masked<'_>) -> Result<Self>;
}

fn other<T>() -> Result<T> {
    Err(Error::bug("a mask gave a value of another type than its function"))
}

fn date(days: i32) -> Option<Date> {
    Date::try_from(days).ok()
}

fn timestamp(at: i64) -> Option<Timestamp> {
    Timestamp::try_from(at).ok()
}

fn timestamp_tz(at: i64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(at).ok()
}

fn numeric(text: &str) -> Option<AnyNumeric> {
    AnyNumeric::try_from(text).ok()
}

macro_rules! from_masked {
    ($($of:ty: $pattern:pat => $value:expr),* $(,)?) => {
        $(impl FromMasked for $of {
            fn from_masked(masked: Masked<'_>) -> Result<Self> {
                match masked {
                    $pattern => $value.map_or_else(other, Ok),
                    _ => other(),
                }
            }
        })*
    };
}

from_masked! {
    Text: Masked::Text(text) => Some(Text::new(text)),
    String: Masked::Text(text) => Some(text.to_owned()),
    Jsonb: Masked::Json(text) => Some(Jsonb::parse(text)),
    i32: Masked::Integer(number) => i32::try_from(number).ok(),
    i64: Masked::Integer(number) => Some(number),
    f64: Masked::Float(number) => Some(number),
    AnyNumeric: Masked::Numeric(text) => numeric(text),
    Date: Masked::Date(days) => date(days),
    Timestamp: Masked::Timestamp(at) => timestamp(at),
    TimestampWithTimeZone: Masked::TimestampTz(at) => timestamp_tz(at),
    Uuid: Masked::Uuid(bytes) => Some(Uuid::from_bytes(bytes)),
}

/// A type that ranges are of.
pub trait FromEdge: Sized {
    /// Nothing for an end of another type.
    fn from_edge(edge: Edge) -> Option<Self>;
}

macro_rules! from_edge {
    ($($of:ty: $pattern:pat => $value:expr),* $(,)?) => {
        $(impl FromEdge for $of {
            fn from_edge(edge: Edge) -> Option<Self> {
                match edge {
                    $pattern => $value,
                    _ => None,
                }
            }
        })*
    };
}

from_edge! {
    i32: Edge::Integer(number) => i32::try_from(number).ok(),
    i64: Edge::Integer(number) => Some(number),
    AnyNumeric: Edge::Numeric(number) => numeric(&number.to_string()),
    Date: Edge::Date(days) => date(days),
    Timestamp: Edge::Timestamp(at) => timestamp(at),
    TimestampWithTimeZone: Edge::Timestamp(at) => timestamp_tz(at),
}

impl<T: FromEdge + RangeSubType> FromMasked for Range<T> {
    fn from_masked(masked: Masked<'_>) -> Result<Self> {
        let Masked::Range { lower, upper } = masked else { return other() };
        let value = |edge| T::from_edge(edge).map_or_else(other, Ok);
        let lower = match lower {
            Some(edge) => RangeBound::Inclusive(value(edge)?),
            None => RangeBound::Infinite,
        };
        let upper = match upper {
            Some(edge) => RangeBound::Exclusive(value(edge)?),
            None => RangeBound::Infinite,
        };
        Ok(Range::new(lower, upper))
    }
}
