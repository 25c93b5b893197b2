//! Results that are written once, into the memory that Postgres takes over.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pg_sys;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};

/// A `text` that a function returns.
#[derive(Debug)]
pub struct Text(pg_sys::Datum);

impl Text {
    /// A copy of a text in the current memory context.
    pub fn new(text: &str) -> Text {
        // SAFETY: copies that many bytes. No text is as long as an i32 counts: it came from one.
        let copy = unsafe {
            pg_sys::cstring_to_text_with_len(text.as_ptr().cast(), text.len() as std::ffi::c_int)
        };
        Text(pg_sys::Datum::from(copy))
    }
}

/// A `jsonb` that is an argument or a result, as it is.
#[derive(Debug)]
pub struct Jsonb(pg_sys::Datum);

impl Jsonb {
    /// From its text form.
    pub fn parse(text: &str) -> Jsonb {
        Jsonb(super::datum::from_text(text, pg_sys::JSONBOID, -1))
    }

    /// Its text form.
    pub fn to_text(&self) -> String {
        // SAFETY: the value came as an argument of that type, or from its input function.
        unsafe { super::datum::to_text(self.0, pg_sys::JSONBOID) }
    }
}

// SAFETY: the argument is declared as jsonb, whose output function detoasts it.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller's promise; the datum itself is taken.
        let datum = unsafe { arg.unbox_arg_using_from_datum::<pg_sys::Datum>() };
        Jsonb(datum.unwrap_or(pg_sys::Datum::null()))
    }
}

macro_rules! result {
    ($name:ident, $sql:literal) => {
        // SAFETY: the datum is of the type that the function is declared to return.
        unsafe impl BoxRet for $name {
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
                // SAFETY: as above.
                unsafe { fcinfo.return_raw_datum(self.0) }
            }
        }

        // SAFETY: it says which type that is.
        unsafe impl SqlTranslatable for $name {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($name);
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
            const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> =
                Ok(SqlMappingRef::literal($sql));
            const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
                Ok(ReturnsRef::One(SqlMappingRef::literal($sql)));
        }
    };
}

result!(Text, "text");
result!(Jsonb, "jsonb");
