//! ZIP codes.

use super::prepared::{Call, mask};
use crate::pg::varlena::Text;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

/// The first three digits of a US ZIP code where more than 20,000 people live, else `000`: by the table
/// `warehouse.zip3_population`, or by the census of 2000 while that is empty.
#[pg_extern(stable, strict, parallel_safe)]
fn zip3(value: &str) -> Option<Text> {
    mask(Call::plain("zip3"), || "zip3".to_owned(), Value::Text(value), &[])
}
