//! Small bridges between C strings, SPI and Rust.

use super::error::{Error, Result};
use pgrx::{PgSqlErrorCode, Spi};
use std::ffi::{CStr, c_char};

/// Copies a palloc'd C string and frees it; NULL becomes the empty string.
pub fn owned(ptr: *mut c_char) -> String {
    if ptr.is_null() {
        return String::new();
    }
    // SAFETY: a palloc'd, NUL-terminated string that nobody else frees.
    unsafe {
        let text = CStr::from_ptr(ptr).to_string_lossy().into_owned();
        pgrx::pg_sys::pfree(ptr.cast());
        text
    }
}

/// Copies a C string that somebody else owns; NULL becomes the empty string.
pub fn borrowed(ptr: *const c_char) -> String {
    if ptr.is_null() {
        return String::new();
    }
    // SAFETY: a NUL-terminated string that outlives the call.
    unsafe { CStr::from_ptr(ptr) }.to_string_lossy().into_owned()
}

/// Runs one statement through SPI for its effect. A failing statement raises its own ERROR.
pub fn execute(sql: &str) -> Result<()> {
    Spi::run(sql).map_err(|e| {
        Error::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, format!("statement failed: {e}"))
    })
}

/// How many statements a text holds. A syntax error raises its own ERROR.
pub fn statements(text: &str) -> Result<usize> {
    let text = std::ffi::CString::new(text).map_err(|_| {
        Error::new(PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "a statement holds a NUL")
    })?;
    // SAFETY: parses a NUL-terminated text into a list in the current memory context.
    let parsed = unsafe { pgrx::pg_sys::pg_parse_query(text.as_ptr()) };
    // SAFETY: NULL or a list.
    Ok(unsafe { super::list::pointers::<pgrx::pg_sys::Node>(parsed) }.len())
}

/// The plan of a statement as JSON, with VERBOSE. What is wrong with it raises its own ERROR.
pub fn explain(statement: &str) -> Result<String> {
    let failed = |error: pgrx::spi::Error| {
        Error::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, format!("EXPLAIN failed: {error}"))
    };
    let sql = format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) {statement}");
    let found: Option<pgrx::datum::Json> = Spi::connect_mut(|client| {
        client.update(&sql, None, &[])?.first().get_one::<pgrx::datum::Json>()
    })
    .map_err(failed)?;
    Ok(found.map_or_else(String::new, |json| json.0.to_string()))
}
