//! Small bridges between C strings, SPI and Rust.

use super::error::{Error, Result};
use pgrx::datum::DatumWithOid;
use pgrx::{FromDatum, IntoDatum, PgSqlErrorCode, Spi, pg_sys, spi};
use std::ffi::{CStr, CString, c_char};

/// Copies a palloc'd C string and frees it; NULL becomes the empty string.
pub fn owned(ptr: *mut c_char) -> String {
    if ptr.is_null() {
        return String::new();
    }
    // SAFETY: a palloc'd, NUL-terminated string that nobody else frees.
    unsafe {
        let text = CStr::from_ptr(ptr).to_string_lossy().into_owned();
        pg_sys::pfree(ptr.cast());
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
    let text = CString::new(text).map_err(|_| {
        Error::new(PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "a statement holds a NUL")
    })?;
    // SAFETY: parses a NUL-terminated text into a list in the current memory context.
    let parsed = unsafe { pg_sys::pg_parse_query(text.as_ptr()) };
    // SAFETY: NULL or a list.
    Ok(unsafe { super::list::pointers::<pg_sys::Node>(parsed) }.len())
}

/// The one value of a query that changes nothing; `None` for NULL or no row. Takes no transaction id,
/// so it works on a standby and within parallel queries.
pub fn value<T: FromDatum + IntoDatum>(
    query: &str,
    args: &[DatumWithOid<'_>],
) -> spi::Result<Option<T>> {
    let found = Spi::connect(|client| client.select(query, Some(1), args)?.first().get_one::<T>());
    match found {
        Err(spi::Error::InvalidPosition) => Ok(None),
        found => found,
    }
}

/// The one value of a query, which sees what the transaction has written so far; `None` for NULL or no row.
pub fn value_now<T: FromDatum + IntoDatum>(
    query: &str,
    args: &[DatumWithOid<'_>],
) -> spi::Result<Option<T>> {
    let found =
        Spi::connect_mut(|client| client.update(query, Some(1), args)?.first().get_one::<T>());
    match found {
        Err(spi::Error::InvalidPosition) => Ok(None),
        found => found,
    }
}

/// The plan of a statement as JSON, with VERBOSE. What is wrong with it raises its own ERROR.
pub fn explain(statement: &str) -> Result<String> {
    let sql = format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) {statement}");
    let sql = CString::new(sql).map_err(|_| {
        Error::new(PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "a statement holds a NUL")
    })?;
    // SAFETY: an ERROR ends the connection with its transaction; the text is copied. (SPI counts EXPLAIN
    // as no read-only statement, and pgrx gives every other one a transaction id.)
    unsafe {
        pg_sys::SPI_connect();
        let status = pg_sys::SPI_execute(sql.as_ptr(), false, 0);
        let table = pg_sys::SPI_tuptable;
        let text = if status < 0 || table.is_null() || (*table).numvals == 0 {
            String::new()
        } else {
            owned(pg_sys::SPI_getvalue(*(*table).vals, (*table).tupdesc, 1))
        };
        pg_sys::SPI_finish();
        Ok(text)
    }
}
