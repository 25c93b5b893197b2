//! Values of a column for detection to look at.
//!
//! They are looked at and dropped: never stored, returned, logged or part of an error. Only
//! [`survey`](super::survey) calls this, after it has checked that the caller may define the policy.

use pgrx::pg_sys::Oid;
use std::cell::Cell;

/// Up to so many values of a column of a foreign table as text, without NULLs.
pub type Sampler = fn(table: Oid, column: &str, at_most: usize) -> Vec<String>;

thread_local! {
    // A backend is one thread; set once, by the wrapper.
    static SAMPLER: Cell<Option<Sampler>> = const { Cell::new(None) };
}

/// Who reads them. Called once, by `_PG_init`.
pub fn read_by(sampler: Sampler) {
    SAMPLER.set(Some(sampler));
}

/// Some values of a column; none where the source cannot be asked: detection then goes by name, type and
/// comment.
pub fn samples(table: Oid, column: &str, at_most: usize) -> Vec<String> {
    SAMPLER.get().map_or_else(Vec::new, |sampler| sampler(table, column, at_most))
}
