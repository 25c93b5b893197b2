//! `NOTIFY`.

use super::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use std::ffi::{CStr, CString, c_char};

// Not in pgrx's bindings; commands/async.h.
unsafe extern "C-unwind" {
    fn Async_Notify(channel: *const c_char, payload: *const c_char);
}

/// Tells who listens on a channel, when the transaction commits. The payload has less than 8000 bytes.
pub fn notify(channel: &'static CStr, payload: &str) -> Result<()> {
    let payload = CString::new(payload).map_err(|_| {
        Error::new(Code::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "a notification holds a NUL")
    })?;
    // SAFETY: both are copied; raises ordinary ERRORs.
    unsafe {
        pgrx::pg_sys::ffi::pg_guard_ffi_boundary(|| {
            Async_Notify(channel.as_ptr(), payload.as_ptr())
        });
    }
    Ok(())
}
