//! Postgres's `List` as an iterator.

use pgrx::pg_sys;

/// The pointers of a list.
///
/// # Safety
/// `list` is NULL or a valid pointer list whose elements are of type `T` and outlive the iterator.
pub unsafe fn pointers<T>(list: *const pg_sys::List) -> impl ExactSizeIterator<Item = *mut T> {
    // SAFETY: the caller's promise.
    let cells: &[pg_sys::ListCell] = unsafe {
        if list.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts((*list).elements, (*list).length as usize)
        }
    };
    // SAFETY: a pointer list holds pointers in its cells.
    cells.iter().map(|cell| unsafe { cell.ptr_value.cast::<T>() })
}

/// Appends a pointer, in the current memory context.
///
/// # Safety
/// `list` is NULL or a valid pointer list.
pub unsafe fn push<T>(list: *mut pg_sys::List, item: *mut T) -> *mut pg_sys::List {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::lappend(list, item.cast()) }
}
