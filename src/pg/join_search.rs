//! The planner's search for the best order of joins, and what becomes of its result.
//!
//! Above the joins, Postgres forgets every path of a partitioned relation that does not join part by
//! part (apply_scanjoin_target_to_paths in planner.c). A node of ours that joins the whole of it has
//! been compared with those by then: where it is the cheapest, the relation stops being partitioned.

use super::join_node;
use pgrx::pg_sys::{self, List, PlannerInfo, RelOptInfo};
use std::cell::Cell;
use std::ffi::c_int;

thread_local! {
    // A backend is one thread; set once.
    static NEXT: Cell<pg_sys::join_search_hook_type> = const { Cell::new(None) };
}

unsafe extern "C-unwind" {
    /// optimizer/geqo.h
    fn geqo(root: *mut PlannerInfo, rels: c_int, initial: *mut List) -> *mut RelOptInfo;
}

/// Installs the hook. Called once, by `_PG_init`.
pub fn install() {
    // SAFETY: the hook variable belongs to this backend; the former hook is called by ours.
    unsafe {
        NEXT.set(pg_sys::join_search_hook);
        pg_sys::join_search_hook = Some(join_search);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn join_search(
    root: *mut PlannerInfo,
    levels: c_int,
    initial: *mut List,
) -> *mut RelOptInfo {
    // SAFETY: the planner's own pointers; the search is the one that make_rel_from_joinlist would do.
    unsafe {
        let found = match NEXT.get() {
            Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| next(root, levels, initial)),
            None if pg_sys::enable_geqo && levels >= pg_sys::geqo_threshold => {
                pg_sys::ffi::pg_guard_ffi_boundary(|| geqo(root, levels, initial))
            }
            // A bound function has its own guard; one within another would abort at an ERROR.
            None => pg_sys::standard_join_search(root, levels, initial),
        };
        let rel = &mut *found;
        let is_last = pg_sys::bms_equal(rel.relids, (*root).all_baserels);
        if is_last && join_node::is_ours(rel.cheapest_total_path) {
            rel.nparts = 0;
        }
        found
    }
}
