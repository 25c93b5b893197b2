//! The server's log.

use pgrx::pg_sys;
use std::ffi::{CString, c_char, c_int};

unsafe extern "C-unwind" {
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// Writes a line to the server's log, and to no client that does not ask for it, without the statement and
/// its context: those hold values.
pub fn line(message: &str) {
    let text = CString::new(message.replace('\0', "")).unwrap_or_default();
    // SAFETY: as ereport() does it; a message of the level LOG returns. The format takes one string.
    unsafe {
        if errstart(pg_sys::LOG as c_int, std::ptr::null()) {
            pg_sys::errmsg_internal(c"%s".as_ptr(), text.as_ptr());
            pg_sys::errhidestmt(true);
            pg_sys::errhidecontext(true);
            errfinish(c"warehouse".as_ptr(), 0, c"warehouse".as_ptr());
        }
    }
}
