//! Format-preserving encryption.

use super::prepared::{Call, Of, mask};
use super::quoted;
use super::result::FromMasked;
use crate::pg::varlena::Text;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

fn fpe<T: FromMasked>(of: Of, value: Value<'_>, domain: &str) -> Option<T> {
    let call = Call { function: "fpe", of, texts: &[domain], numbers: &[] };
    mask(call, || format!("fpe({})", quoted(domain)), value, &[])
}

/// The digits of a text encrypted as digits; what is between them stays.
#[pg_extern(name = "fpe", stable, strict, parallel_safe)]
fn fpe_text(value: &str, domain: &str) -> Option<Text> {
    fpe(Of::Text, Value::Text(value), domain)
}

/// A bigint encrypted as a bigint.
#[pg_extern(name = "fpe", stable, strict, parallel_safe)]
fn fpe_bigint(value: i64, domain: &str) -> Option<i64> {
    fpe(Of::Bigint, Value::Integer(value), domain)
}

/// An integer encrypted as an integer.
#[pg_extern(name = "fpe", stable, strict, parallel_safe)]
fn fpe_integer(value: i32, domain: &str) -> Option<i32> {
    fpe(Of::Integer, Value::Integer(value.into()), domain)
}

/// A text encrypted with the characters of an alphabet.
#[pg_extern(name = "fpe", stable, strict, parallel_safe)]
fn fpe_alphabet(value: &str, domain: &str, alphabet: &str) -> Option<Text> {
    let call = Call { function: "fpe", of: Of::Text, texts: &[domain, alphabet], numbers: &[] };
    let text = || format!("fpe({}, {})", quoted(domain), quoted(alphabet));
    mask(call, text, Value::Text(value), &[])
}
