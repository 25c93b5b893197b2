//! Whether columns under the mask `shuffle` are shown: while a full refresh of a materialized table reads.
//!
//! Whoever could read such a column again and again would learn by comparing what belongs together.

use std::cell::Cell;

thread_local! {
    // A backend is one thread.
    static ALLOWED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; what it plans and executes may read such columns, in another order, if `allowed`.
pub fn allowed<T>(allowed: bool, f: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            ALLOWED.set(self.0);
        }
    }
    let _back = Back(ALLOWED.replace(allowed));
    f()
}

/// Whether they may be read now.
pub fn is_allowed() -> bool {
    ALLOWED.get()
}
