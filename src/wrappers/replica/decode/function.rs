//! Values of all other types, by their own receive and input functions.

use super::malformed;
use crate::pg::error::{Error, Result};
use crate::pg::types;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{PgSqlErrorCode as Code, PgTryBuilder};
use std::panic::AssertUnwindSafe;

/// A type's function.
#[derive(Debug)]
pub(super) struct Function {
    info: pg_sys::FmgrInfo,
    io_param: Oid,
    typmod: i32,
}

impl Function {
    /// The one for its binary form.
    pub(super) fn receive(of: Oid, typmod: i32) -> Function {
        let mut function = Oid::INVALID;
        let mut out = Function { info: Default::default(), io_param: Oid::INVALID, typmod };
        // SAFETY: lookups by OID; the function's info lives as long as the session's top context.
        unsafe {
            pg_sys::getTypeBinaryInputInfo(of, &mut function, &mut out.io_param);
            pg_sys::fmgr_info(function, &mut out.info);
        }
        out
    }

    /// The one for its text.
    pub(super) fn input(of: Oid, typmod: i32) -> Function {
        let mut function = Oid::INVALID;
        let mut out = Function { info: Default::default(), io_param: Oid::INVALID, typmod };
        // SAFETY: as above.
        unsafe {
            pg_sys::getTypeInputInfo(of, &mut function, &mut out.io_param);
            pg_sys::fmgr_info(function, &mut out.info);
        }
        out
    }
}

/// The receive functions of text-like types convert from the *client's* encoding; what arrives from
/// a source is in the database's. While this lives, the two are the same.
pub(super) struct DatabaseEncoding(Option<i32>);

impl DatabaseEncoding {
    pub(super) fn enter() -> DatabaseEncoding {
        // SAFETY: setting the database's own encoding always succeeds and needs no catalog.
        unsafe {
            let (client, database) =
                (pg_sys::pg_get_client_encoding(), pg_sys::GetDatabaseEncoding());
            if client == database {
                return DatabaseEncoding(None);
            }
            pg_sys::SetClientEncoding(database);
            DatabaseEncoding(Some(client))
        }
    }
}

impl Drop for DatabaseEncoding {
    fn drop(&mut self) {
        if let Some(client) = self.0 {
            // SAFETY: it was the client's encoding before, so its conversions are at hand.
            unsafe { pg_sys::SetClientEncoding(client) };
        }
    }
}

/// Runs a type's function. What it finds wrong with the value is told without the value.
pub(super) fn told(column: &str, of: Oid, read: impl FnOnce() -> Result<Datum>) -> Result<Datum> {
    PgTryBuilder::new(AssertUnwindSafe(read))
        .catch_others(|caught| {
            let code = match &caught {
                CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                    report.sql_error_code()
                }
                CaughtError::RustPanic { .. } => caught.rethrow(),
            };
            if !is_data_exception(code) {
                caught.rethrow();
            }
            let of = types::type_name(of, -1);
            Err(Error::new(code, format!("column \"{column}\" holds a value that is none of type {of}"))
                .hint("If the source has changed: run warehouse.merge_schema() again, or IMPORT FOREIGN SCHEMA anew."))
        })
        .execute()
}

/// SQLSTATE class 22.
pub fn is_data_exception(code: Code) -> bool {
    let code = code as i32;
    code & 0x3f == i32::from(b'2' - b'0') && (code >> 6) & 0x3f == i32::from(b'2' - b'0')
}

pub(super) fn receive(
    function: &mut Function,
    bytes: &mut [u8],
    len: usize,
    column: &str,
) -> Result<Datum> {
    // Receive functions may rely on a NUL behind their data, as in a message from a client. libpq
    // keeps one behind the whole message; between two fields we lend them one.
    let lent = bytes.get(len).copied();
    if let Some(byte) = bytes.get_mut(len) {
        *byte = 0;
    }
    let mut info = pg_sys::StringInfoData {
        data: bytes.as_mut_ptr().cast(),
        len: len as i32,
        maxlen: len as i32,
        cursor: 0,
    };
    // SAFETY: the buffer holds `len` bytes; the function is the type's own.
    let value = unsafe {
        pg_sys::ReceiveFunctionCall(
            &mut function.info,
            &mut info,
            function.io_param,
            function.typmod,
        )
    };
    if let (Some(byte), Some(lent)) = (bytes.get_mut(len), lent) {
        *byte = lent;
    }
    if info.cursor == info.len { Ok(value) } else { Err(malformed(column)) }
}

pub(super) fn input(function: &mut Function, bytes: &[u8], column: &str) -> Result<Datum> {
    let text = std::ffi::CString::new(bytes).map_err(|_| malformed(column))?;
    if std::str::from_utf8(bytes).is_err() {
        return Err(malformed(column));
    }
    // SAFETY: NUL-terminated text in the database's encoding; the function is the type's own.
    Ok(unsafe {
        pg_sys::InputFunctionCall(
            &mut function.info,
            text.as_ptr().cast_mut(),
            function.io_param,
            function.typmod,
        )
    })
}
