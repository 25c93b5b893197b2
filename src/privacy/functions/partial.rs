//! Parts of texts: some characters, and the kinds that know what they look at.

use super::prepared::{Call, Of, mask};
use super::quoted;
use crate::pg::varlena::Text;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

/// The first and last characters, with `pad` for all between.
#[pg_extern(immutable, strict, parallel_safe)]
fn partial(value: &str, prefix: i32, pad: &str, suffix: i32) -> Option<Text> {
    let numbers = [i64::from(prefix), i64::from(suffix)];
    let call = Call { function: "partial", of: Of::Text, texts: &[pad], numbers: &numbers };
    mask(call, || format!("partial({prefix}, {}, {suffix})", quoted(pad)), Value::Text(value), &[])
}

fn plain(function: &'static str, value: &str) -> Option<Text> {
    mask(Call::plain(function), || function.to_owned(), Value::Text(value), &[])
}

/// `an******@ex******.com`.
#[pg_extern(immutable, strict, parallel_safe)]
fn partial_email(value: &str) -> Option<Text> {
    plain("partial_email", value)
}

/// `******07`.
#[pg_extern(immutable, strict, parallel_safe)]
fn partial_phone(value: &str) -> Option<Text> {
    plain("partial_phone", value)
}

/// `************1111`.
#[pg_extern(immutable, strict, parallel_safe)]
fn partial_card(value: &str) -> Option<Text> {
    plain("partial_card", value)
}

/// Scheme and host of a URL.
#[pg_extern(immutable, strict, parallel_safe)]
fn partial_url(value: &str) -> Option<Text> {
    plain("partial_url", value)
}

/// The first letter of each word.
#[pg_extern(immutable, strict, parallel_safe)]
fn initial(value: &str) -> Option<Text> {
    plain("initial", value)
}
