//! Values in their text form, the same on both sides whatever the session has set.

use super::guc::Level;
use super::sql::owned;
use pgrx::pg_sys::{self, Datum, Oid};
use std::ffi::CStr;

/// While it lives, values are written with ISO dates, Postgres intervals and exact floats, as the
/// session at the source reads them.
#[derive(Debug)]
pub struct TransmissionModes(#[allow(dead_code)] Level);

impl TransmissionModes {
    /// Sets the modes for as long as the value lives. An ERROR restores them with its transaction.
    pub fn enter() -> TransmissionModes {
        let level = Level::enter();
        level.set(c"datestyle", c"ISO");
        level.set(c"intervalstyle", c"postgres");
        level.set(c"extra_float_digits", c"3");
        level.set(c"search_path", c"pg_catalog");
        TransmissionModes(level)
    }
}

/// The text form of a value by its type's output function.
///
/// # Safety
/// `value` is a valid value of type `of`.
pub unsafe fn to_text(value: Datum, of: Oid) -> String {
    let mut function = Oid::INVALID;
    let mut varlena = false;
    // SAFETY: the caller's promise; the output function returns a palloc'd string.
    unsafe {
        pg_sys::getTypeOutputInfo(of, &mut function, &mut varlena);
        owned(pg_sys::OidOutputFunctionCall(function, value))
    }
}

/// The value of an option or setting, `None` if there is no such setting.
pub fn setting(name: &CStr) -> Option<String> {
    // SAFETY: a static name; the value is copied at once.
    let value = unsafe { pg_sys::GetConfigOption(name.as_ptr(), true, false) };
    (!value.is_null()).then(|| super::sql::borrowed(value))
}

/// The day on which the transaction began, UTC, in days since 2000-01-01.
pub fn today() -> i32 {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    // SAFETY: a plain question.
    (unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }).div_euclid(DAY) as i32
}

/// DateStyle and IntervalStyle.
pub fn styles() -> (String, String) {
    let of = |name| setting(name).unwrap_or_default();
    (of(c"DateStyle"), of(c"IntervalStyle"))
}

/// A value of type `of` from its text form, in the current memory context.
pub fn from_text(text: &str, of: Oid, typmod: i32) -> Datum {
    let mut function = Oid::INVALID;
    let mut io_param = Oid::INVALID;
    let text = std::ffi::CString::new(text).unwrap_or_default();
    // SAFETY: the type's own input function with NUL-terminated text; raises on bad input.
    unsafe {
        pg_sys::getTypeInputInfo(of, &mut function, &mut io_param);
        pg_sys::OidInputFunctionCall(function, text.as_ptr().cast_mut(), io_param, typmod)
    }
}

/// Types whose text form no setting changes.
pub fn is_plain(of: Oid) -> bool {
    matches!(
        of,
        pg_sys::BOOLOID
            | pg_sys::INT2OID
            | pg_sys::INT4OID
            | pg_sys::INT8OID
            | pg_sys::OIDOID
            | pg_sys::NUMERICOID
            | pg_sys::TEXTOID
            | pg_sys::VARCHAROID
            | pg_sys::BPCHAROID
            | pg_sys::UUIDOID
    )
}

/// Whether this database holds text in UTF-8.
pub fn is_utf8() -> bool {
    // SAFETY: a plain question.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// A text, in the current memory context.
pub fn text(text: &str) -> Datum {
    // SAFETY: copies the bytes.
    unsafe {
        let len = text.len() as std::ffi::c_int;
        Datum::from(pg_sys::cstring_to_text_with_len(text.as_ptr().cast(), len))
    }
}

/// The input function of a type, looked up once. It lives as long as the memory context that was current
/// when it was made.
pub struct Input {
    function: pg_sys::FmgrInfo,
    io_param: Oid,
    typmod: i32,
}

impl Input {
    /// Of a type that exists.
    pub fn new(of: Oid, typmod: i32) -> Input {
        let (mut function, mut io_param) = (Oid::INVALID, Oid::INVALID);
        let mut info = pg_sys::FmgrInfo::default();
        // SAFETY: lookups; what is kept lies in the current memory context.
        unsafe {
            pg_sys::getTypeInputInfo(of, &mut function, &mut io_param);
            pg_sys::fmgr_info(function, &mut info);
        }
        Input { function: info, io_param, typmod }
    }

    /// The value of a text, in the current memory context. Raises what the type does not take.
    pub fn read(&mut self, text: &str) -> Datum {
        let text = std::ffi::CString::new(text).unwrap_or_default();
        // SAFETY: the type's own function with NUL-terminated text.
        unsafe {
            let text = text.as_ptr().cast_mut();
            pg_sys::InputFunctionCall(&mut self.function, text, self.io_param, self.typmod)
        }
    }
}
