//! The keys that a source is asked for at a time.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use warehouse_core::arrays;

/// The keys of some rows of the outer side, as text; `None` where a row can have no partner.
#[derive(Debug, Default)]
pub struct Batch {
    rows: Vec<Option<Vec<String>>>,
}

thread_local! {
    // A backend is one thread. The batches whose inner side is being begun, the innermost last.
    static BEGINNING: RefCell<Vec<Rc<RefCell<Batch>>>> = const { RefCell::new(Vec::new()) };
}

/// The batch that a scan which begins now belongs to.
pub fn current() -> Option<Rc<RefCell<Batch>>> {
    BEGINNING.with_borrow(|all| all.last().cloned())
}

/// Runs `begin` so that scans that begin in it belong to `batch`.
pub fn with(batch: &Rc<RefCell<Batch>>, begin: impl FnOnce()) {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            BEGINNING.with_borrow_mut(|all| all.pop());
        }
    }
    BEGINNING.with_borrow_mut(|all| all.push(Rc::clone(batch)));
    let _pop = Pop;
    begin();
}

impl Batch {
    /// No keys.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// Adds a row's keys.
    pub fn push(&mut self, keys: Option<Vec<String>>) {
        self.rows.push(keys);
    }

    /// Whether any row can have a partner.
    pub fn is_void(&self) -> bool {
        self.rows.iter().all(Option::is_none)
    }

    /// For each key of `wanted` its values in the text form of an array, each once, of the rows whose
    /// other keys are as `only` says; `None` if there is no such row.
    pub fn arrays(&self, wanted: &[usize], only: &[(usize, String)]) -> Option<Vec<String>> {
        let rows: Vec<&Vec<String>> = self
            .rows
            .iter()
            .flatten()
            .filter(|keys| only.iter().all(|(at, text)| keys[*at] == *text))
            .collect();
        if rows.is_empty() {
            return None;
        }
        let array = |at: &usize| {
            let mut seen = HashSet::new();
            let keys = rows.iter().map(|keys| keys[*at].as_str());
            arrays::text(keys.filter(|key| seen.insert(*key)))
        };
        Some(wanted.iter().map(array).collect())
    }
}
