//! Notes that paths and plans carry, as bytes: small and quick to write, for a plan over many sites has
//! many of them. They are read by the library that wrote them, never stored.

use pgrx::pg_sys::{self, Datum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::c_int;

/// A note as bytes.
pub fn write(note: &impl Serialize) -> Vec<u8> {
    // Most fit, and need not move while they grow.
    postcard::to_extend(note, Vec::with_capacity(512))
        .expect("invariant: notes hold nothing that has no length")
}

/// The note that [`write()`] made these bytes of.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}

/// A bytea in the current memory context.
pub fn bytea(bytes: &[u8]) -> Datum {
    // SAFETY: copies that many bytes; a text and a bytea are laid out alike. No note is as long as an
    // i32 counts: it was made of a statement.
    Datum::from(unsafe {
        pg_sys::cstring_to_text_with_len(bytes.as_ptr().cast(), bytes.len() as c_int)
    })
}

/// The bytes of a bytea.
///
/// # Safety
/// It is one, neither compressed nor toasted, and lives for `'l`.
pub unsafe fn content<'l>(bytea: Datum) -> &'l [u8] {
    // SAFETY: the caller's promise.
    unsafe { pgrx::varlena_to_byte_slice(bytea.cast_mut_ptr()) }
}
