//! The network of an address.

use super::prepared::{Call, Of, mask};
use pgrx::datum::Inet;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

/// The network of the first `v4` or `v6` bits that an address lies in.
#[pg_extern(immutable, strict, parallel_safe)]
fn ip_prefix(value: Inet, v4: default!(i32, 24), v6: default!(i32, 48)) -> Option<Inet> {
    let numbers = [i64::from(v4), i64::from(v6)];
    let call = Call { function: "ip_prefix", of: Of::Text, texts: &[], numbers: &numbers };
    // In its text form, which the mask takes as well.
    let network: Option<String> =
        mask(call, || format!("ip_prefix({v4}, {v6})"), Value::Text(&value.0), &[]);
    network.map(Inet::from)
}
