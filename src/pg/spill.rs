//! A queue of rows that grows in memory up to work_mem and on disk beyond.

use super::memory::Context;
use pgrx::pg_sys;

/// Rows put in at the end and taken from the front.
#[derive(Debug)]
pub struct Spill {
    store: *mut pg_sys::Tuplestorestate,
    // Keeps the store's memory; dropped after it.
    context: Context,
}

impl Spill {
    /// An empty queue.
    pub fn new() -> Spill {
        let context = Context::new(c"warehouse spilled rows");
        // SAFETY: allocated in a context that lives as long as the value. Temporary files belong to
        // no resource owner ("interXact"), so that a cursor may outlive the statement that made it.
        let store = context.run(|| unsafe {
            let owner = pg_sys::CurrentResourceOwner;
            let store = pg_sys::tuplestore_begin_heap(false, true, pg_sys::work_mem);
            pg_sys::CurrentResourceOwner = owner;
            store
        });
        Spill { store, context }
    }

    /// Appends a row.
    ///
    /// # Safety
    /// The arrays hold one valid value a column of `desc`.
    pub unsafe fn put(&mut self, desc: pg_sys::TupleDesc, values: &mut [pg_sys::Datum], nulls: &mut [bool]) {
        let store = self.store;
        // SAFETY: the caller's promise.
        self.context.run(|| unsafe {
            pg_sys::tuplestore_putvalues(store, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
        });
    }

    /// Moves the next row into `slot`; `false` when there is none.
    ///
    /// # Safety
    /// `slot` is a minimal-tuple slot of the same descriptor.
    pub unsafe fn take(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        // SAFETY: the caller's promise; the row is copied into the slot.
        unsafe { pg_sys::tuplestore_gettupleslot(self.store, true, true, slot) }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // SAFETY: valid store, not used again.
        unsafe { pg_sys::tuplestore_end(self.store) }
    }
}
