//! Free text without what identifies.

use super::prepared::{Call, mask};
use crate::pg::varlena::Text;
use pgrx::datum::Array;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

fn redact(value: &str, names: &[Option<Value<'_>>]) -> Option<Text> {
    mask(Call::plain("redact"), || "redact".to_owned(), Value::Text(value), names)
}

/// A text without e-mail addresses, numbers of phones, cards, accounts and the like.
#[pg_extern(name = "redact", immutable, strict, parallel_safe)]
fn redact_patterns(value: &str) -> Option<Text> {
    redact(value, &[])
}

/// The same, and without the words of these names.
#[pg_extern(name = "redact", immutable, strict, parallel_safe)]
fn redact_names(value: &str, names: Array<'_, &str>) -> Option<Text> {
    let names: Vec<_> = names.iter().map(|name| name.map(Value::Text)).collect();
    redact(value, &names)
}
