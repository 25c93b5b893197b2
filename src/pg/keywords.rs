//! Identifiers as Postgres itself would quote them.

use super::sql::borrowed;
use pgrx::pg_sys;
use std::ffi::CString;
use warehouse_core::quote;

/// An identifier, quoted where it needs it.
pub fn ident(name: &str) -> String {
    let Ok(text) = CString::new(name) else { return quote::identifier(name) };
    // SAFETY: returns its argument or a palloc'd string; either is copied at once.
    borrowed(unsafe { pg_sys::quote_identifier(text.as_ptr()) })
}

/// A qualified name, each part quoted where it needs it.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}
