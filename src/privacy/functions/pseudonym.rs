//! Pseudonyms.

use super::prepared::{Call, Of, mask};
use super::quoted;
use super::result::FromMasked;
use crate::pg::varlena::Text;
use pgrx::datum::Uuid;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

fn pseudonym<T: FromMasked>(of: Of, value: Value<'_>, domain: &str) -> Option<T> {
    let call = Call { function: "pseudonym", of, texts: &[domain], numbers: &[] };
    mask(call, || format!("pseudonym({})", quoted(domain)), value, &[])
}

/// The pseudonym of a text in a domain.
#[pg_extern(name = "pseudonym", stable, strict, parallel_safe)]
fn pseudonym_text(value: &str, domain: &str) -> Option<Text> {
    pseudonym(Of::Text, Value::Text(value), domain)
}

/// The pseudonym of a number: that of its digits as text.
#[pg_extern(name = "pseudonym", stable, strict, parallel_safe)]
fn pseudonym_bigint(value: i64, domain: &str) -> Option<Text> {
    pseudonym(Of::Bigint, Value::Integer(value), domain)
}

/// The pseudonym of a UUID, which is one too.
#[pg_extern(name = "pseudonym", stable, strict, parallel_safe)]
fn pseudonym_uuid(value: Uuid, domain: &str) -> Option<Uuid> {
    pseudonym(Of::Uuid, Value::Uuid(*value.as_bytes()), domain)
}
