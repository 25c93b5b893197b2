//! Any mask by its text.

use super::prepared::{Call, Of};
use crate::pg::varlena::Text;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

/// A text under a mask, as `partial(1, '***', 2)`.
#[pg_extern(name = "mask", stable, strict, parallel_safe)]
fn mask_text(value: &str, mask: &str) -> Option<Text> {
    let call = Call { function: "mask", of: Of::Text, texts: &[mask], numbers: &[] };
    super::prepared::mask(call, || mask.to_owned(), Value::Text(value), &[])
}
