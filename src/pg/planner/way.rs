//! Ways to compute relations that are put together before the planner is offered the whole.

use super::{Cost, Planner, Rel, note_list};
use crate::pg::list;
use crate::pg::node::Node;
use pgrx::pg_sys;
use std::marker::PhantomData;

/// A way to compute a relation, not yet offered to the planner.
#[derive(Debug, Clone, Copy)]
pub struct Way<'p>(*mut pg_sys::Path, PhantomData<&'p ()>);

impl Way<'_> {
    /// # Safety
    /// The path is valid while the query is planned.
    pub unsafe fn new(path: *mut pg_sys::Path) -> Self {
        Way(path, PhantomData)
    }

    /// The pointer, for handing it back to Postgres.
    pub fn as_ptr(self) -> *mut pg_sys::Path {
        self.0
    }
}

impl<'p> Rel<'p> {
    /// A way to scan it with conditions of its own that only this path applies. The note reaches
    /// GetForeignPlan through the path, as do the conditions.
    pub fn keyed(
        self,
        planner: Planner<'p>,
        cost: Cost,
        note: &[u8],
        conditions: &[Node<'p>],
    ) -> Way<'p> {
        // SAFETY: valid planner state; lists are made in the planner's context.
        unsafe {
            let mut private = note_list(note);
            for condition in conditions {
                private = list::push(private, condition.as_ptr());
            }
            let make = if self.is_table() {
                pg_sys::create_foreignscan_path
            } else {
                pg_sys::create_foreign_join_path
            };
            let path = make(
                planner.as_ptr(),
                self.as_ptr(),
                std::ptr::null_mut(),
                cost.rows,
                cost.startup,
                cost.total,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                private,
            );
            Way::new(path.cast())
        }
    }

    /// A way to compute from it at the source what is wanted of it.
    pub fn upper(self, planner: Planner<'p>, cost: Cost, note: &[u8]) -> Way<'p> {
        // SAFETY: as above.
        unsafe {
            let path = pg_sys::create_foreign_upper_path(
                planner.as_ptr(),
                self.as_ptr(),
                (*self.as_ptr()).reltarget,
                cost.rows,
                cost.startup,
                cost.total,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                note_list(note),
            );
            Way::new(path.cast())
        }
    }

    /// A way to compute a partitioned relation from its parts.
    pub fn append(self, planner: Planner<'p>, parts: &[Way<'p>]) -> Way<'p> {
        // SAFETY: as above.
        unsafe {
            let mut paths = std::ptr::null_mut();
            for part in parts {
                paths = list::push(paths, part.as_ptr());
            }
            let nothing = std::ptr::null_mut();
            let path = pg_sys::create_append_path(
                planner.as_ptr(),
                self.as_ptr(),
                paths,
                nothing,
                nothing,
                std::ptr::null_mut(),
                0,
                false,
                -1.0,
            );
            Way::new(path.cast())
        }
    }
}
