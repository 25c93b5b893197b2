//! Keyed hashes.

use super::prepared::{Call, Of, mask};
use super::quoted;
use crate::pg::varlena::Text;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

/// A keyed hash of the exact bytes.
#[pg_extern(name = "hash", stable, strict, parallel_safe)]
fn hash_text(value: &str, domain: &str) -> Option<Text> {
    let call = Call { function: "hash", of: Of::Text, texts: &[domain], numbers: &[] };
    mask(call, || format!("hash({})", quoted(domain)), Value::Text(value), &[])
}
