//! JSON with a mask for each path.

use super::prepared::{Call, Of, today};
use crate::pg::varlena::Jsonb;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

/// JSON under a mask, as `json('$.email' => pseudonym(person), rest => keep)`.
#[pg_extern(stable, strict, parallel_safe)]
fn mask_json(value: Jsonb, mask: &str) -> Option<Jsonb> {
    let call = Call { function: "mask_json", of: Of::Json, texts: &[mask], numbers: &[today()] };
    super::prepared::mask(call, || mask.to_owned(), Value::Json(&value.to_text()), &[])
}
