//! Tokens, and what they stand for.

use super::prepared::{Call, Of, mask};
use super::quoted;
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::membership;
use crate::pg::varlena::Text;
use crate::privacy::keys;
use pgrx::PgSqlErrorCode as Code;
use pgrx::prelude::*;
use std::cell::RefCell;
use warehouse_core::masks::{Tokens, Value};

/// The token of a text in a domain.
#[pg_extern(stable, strict, parallel_safe)]
fn token(value: &str, domain: &str) -> Option<Text> {
    let call = Call { function: "token", of: Of::Text, texts: &[domain], numbers: &[] };
    mask(call, || format!("token({})", quoted(domain)), Value::Text(value), &[])
}

/// What was used last: queries read one domain at a time.
struct Reader {
    domain: String,
    generation: u64,
    tokens: Tokens,
}

thread_local! {
    static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
}

/// The text that a token stands for, for members of `warehouse_clear`.
#[pg_extern(stable, strict, parallel_safe)]
fn reveal(token: &str, domain: &str) -> Text {
    clear(token, domain).or_raise()
}

fn clear(token: &str, domain: &str) -> Result<Text> {
    if !membership::is_explicit(c"warehouse_clear") {
        return Err(Error::new(
            Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "only members of warehouse_clear may reveal tokens",
        )
        .hint("Both the session's role and the current one have to be members; superusers too."));
    }
    let generation = keys::generation()?;
    let fits = |reader: &Reader| reader.domain == domain && reader.generation == generation;
    if !READER.with_borrow(|reader| reader.as_ref().is_some_and(fits)) {
        let tokens = Tokens::new(&*keys::required("token")?, &domain.parse()?)?;
        let reader = Reader { domain: domain.to_owned(), generation, tokens };
        READER.set(Some(reader));
    }
    READER.with_borrow_mut(|reader| {
        let reader = reader.as_mut().ok_or_else(|| Error::bug("no reader of tokens"))?;
        Ok(Text::new(&reader.tokens.reveal(token)?))
    })
}
