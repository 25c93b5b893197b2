//! Which family of masks a type of Postgres belongs to.
//!
//! What is not known for certain is [`TypeFamily::Other`], which takes only the masks that treat a value
//! as a whole. Asked when a policy is written and when a scan is prepared.

use crate::pg::types;
use pgrx::pg_sys::{self, Oid};
use warehouse_core::masks::{IntWidth, TypeFamily};

/// The family of a type: of a domain that of its base type, of an array and a range that of what is in
/// them.
pub fn family(of: Oid) -> TypeFamily {
    let of = types::base_type(of);
    match of {
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::NAMEOID => {
            TypeFamily::Text
        }
        pg_sys::INT2OID => TypeFamily::Integer(IntWidth::Two),
        pg_sys::INT4OID => TypeFamily::Integer(IntWidth::Four),
        pg_sys::INT8OID => TypeFamily::Integer(IntWidth::Eight),
        pg_sys::NUMERICOID => TypeFamily::Numeric,
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID => TypeFamily::Float,
        pg_sys::BOOLOID => TypeFamily::Bool,
        pg_sys::DATEOID => TypeFamily::Date,
        pg_sys::TIMESTAMPOID => TypeFamily::Timestamp,
        pg_sys::TIMESTAMPTZOID => TypeFamily::TimestampTz,
        pg_sys::INETOID | pg_sys::CIDROID => TypeFamily::Inet,
        pg_sys::UUIDOID => TypeFamily::Uuid,
        pg_sys::JSONOID | pg_sys::JSONBOID => TypeFamily::Json,
        pg_sys::BYTEAOID => TypeFamily::Bytea,
        // Arrays with a form of their own; an array of masked elements would be none of them.
        pg_sys::INT2VECTOROID | pg_sys::OIDVECTOROID => TypeFamily::Other,
        _ => composed(of),
    }
}

fn composed(of: Oid) -> TypeFamily {
    let Some(facts) = types::facts(of) else { return TypeFamily::Other };
    match facts.kind {
        _ if facts.element != Oid::INVALID => TypeFamily::Array(Box::new(family(facts.element))),
        b'r' => TypeFamily::Range(Box::new(family(types::range_subtype(of)))),
        b'b' if types::is_of_extension(of, "citext") => TypeFamily::Text,
        _ => TypeFamily::Other,
    }
}

/// Whether values of a type may say who somebody is. Columns of other types are public until
/// somebody says otherwise; those of a type that may are closed. Unknown types may.
pub fn may_identify(of: Oid) -> bool {
    let base = types::base_type(of);
    match family(base).element() {
        TypeFamily::Range(of) => may(of),
        TypeFamily::Other => !is_harmless(base),
        of => may(of),
    }
}

fn may(family: &TypeFamily) -> bool {
    !matches!(
        family,
        TypeFamily::Bool
            | TypeFamily::Integer(_)
            | TypeFamily::Numeric
            | TypeFamily::Float
            | TypeFamily::Timestamp
            | TypeFamily::TimestampTz
    )
}

/// Enums, times of day, intervals and amounts of money, and arrays of them.
fn is_harmless(of: Oid) -> bool {
    let Some(facts) = types::facts(of) else { return false };
    if facts.element != Oid::INVALID {
        return is_harmless(types::base_type(facts.element));
    }
    facts.kind == b'e'
        || matches!(
            of,
            pg_sys::TIMEOID | pg_sys::TIMETZOID | pg_sys::INTERVALOID | pg_sys::MONEYOID
        )
}
