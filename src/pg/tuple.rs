//! Tuples made from values.

use pgrx::pg_sys::{self, Datum};

/// A heap tuple of the values, in the current memory context.
///
/// # Safety
/// The slices hold one valid value and one flag for each column of `desc`.
pub unsafe fn form(
    desc: pg_sys::TupleDesc,
    values: &mut [Datum],
    nulls: &mut [bool],
) -> pg_sys::HeapTuple {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::heap_form_tuple(desc, values.as_mut_ptr(), nulls.as_mut_ptr()) }
}
