//! Values of a column for detection to look at.
//!
//! They are looked at and dropped: never stored, returned, logged or part of an error. Only
//! [`survey`](super::survey) calls this, after it has checked that the caller may define the policy.

use pgrx::pg_sys::Oid;
use std::cell::RefCell;

/// Who reads values of tables of a wrapper.
#[derive(Clone, Copy)]
pub struct Sampler {
    /// Reads.
    pub read: Read,
    /// Drops what was kept to be looked at once more.
    pub forget: fn(),
}

/// Up to so many values of a column of a foreign table as text, without NULLs; none of a table of
/// another wrapper.
pub type Read = fn(table: Oid, column: &str, at_most: usize) -> Vec<String>;

thread_local! {
    // A backend is one thread.
    static SAMPLERS: RefCell<Vec<Sampler>> = const { RefCell::new(Vec::new()) };
}

/// One more who reads them. Called once by each wrapper, when the library is loaded.
pub fn read_by(sampler: Sampler) {
    SAMPLERS.with_borrow_mut(|samplers| samplers.push(sampler));
}

/// Some values of a column; none where the source cannot be asked: detection then goes by name, type and
/// comment.
pub fn samples(table: Oid, column: &str, at_most: usize) -> Vec<String> {
    let samplers = SAMPLERS.with_borrow(Vec::clone);
    let mut found = samplers.iter().map(|sampler| (sampler.read)(table, column, at_most));
    found.find(|values| !values.is_empty()).unwrap_or_default()
}

/// As long as this lives, values may be kept to be looked at once more.
pub struct Looking;

impl Drop for Looking {
    fn drop(&mut self) {
        let samplers = SAMPLERS.with_borrow(Vec::clone);
        samplers.iter().for_each(|sampler| (sampler.forget)());
    }
}
