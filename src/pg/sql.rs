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
