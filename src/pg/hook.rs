//! The planner's hook.

use super::guc::Level;
use super::{list, two_levels};
use pgrx::pg_sys::{self, Oid};
use std::cell::Cell;
use std::ffi::c_char;

/// The partitioned tables in a query.
#[derive(Debug, Default)]
pub struct Seen {
    /// All of them.
    pub tables: Vec<Oid>,
    /// Those that it would change.
    pub changed: Vec<Oid>,
}

/// What sees a query before it is planned. What it returns lasts until the query is planned.
type Watcher = fn(&Seen) -> Option<Level>;

thread_local! {
    // A backend is one thread; both are set once.
    static WATCHER: Cell<Option<Watcher>> = const { Cell::new(None) };
    static NEXT: Cell<pg_sys::planner_hook_type> = const { Cell::new(None) };
}

/// Installs the hook, before any other that is installed later. Called once, by `_PG_init`.
pub fn on_planning(watcher: Watcher) {
    WATCHER.set(Some(watcher));
    // SAFETY: the hook variable belongs to this backend; the former hook is called by ours.
    unsafe {
        NEXT.set(pg_sys::planner_hook);
        pg_sys::planner_hook = Some(planner);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn planner(
    query: *mut pg_sys::Query,
    text: *const c_char,
    options: i32,
    params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    let mut seen = Seen::default();
    // SAFETY: the planner's own query.
    unsafe { look(query, &mut seen) };
    let watcher = WATCHER.get().filter(|_| !seen.tables.is_empty());
    let level = watcher.and_then(|watcher| watcher(&seen));
    let plan = |query: *mut pg_sys::Query| match NEXT.get() {
        // SAFETY: another hook, called as Postgres would.
        Some(next) => unsafe {
            pg_sys::ffi::pg_guard_ffi_boundary(|| next(query, text, options, params))
        },
        // SAFETY: as Postgres calls it without a hook.
        None => unsafe { pg_sys::standard_planner(query, text, options, params) },
    };
    // SAFETY: the planner's own query, which is copied before it is planned.
    let other = if level.is_some() { unsafe { two_levels::of(query) } } else { None };
    let planned = plan(query);
    let Some(other) = other.map(plan) else { return planned };
    // SAFETY: two plans.
    unsafe {
        let cost = |plan: *mut pg_sys::PlannedStmt| (*(*plan).planTree).total_cost;
        if cost(other) < cost(planned) { other } else { planned }
    }
}

/// # Safety
/// `query` is NULL or a valid query.
pub(super) unsafe fn look(query: *mut pg_sys::Query, seen: &mut Seen) {
    // SAFETY: the range tables and CTEs of a valid query; deep nesting raises an ordinary ERROR.
    unsafe {
        pg_sys::check_stack_depth();
        if query.is_null() {
            return;
        }
        let target = (*query).resultRelation as usize;
        for (at, entry) in list::pointers::<pg_sys::RangeTblEntry>((*query).rtable).enumerate() {
            match (*entry).rtekind {
                pg_sys::RTEKind::RTE_RELATION
                    if (*entry).relkind as u8 == pg_sys::RELKIND_PARTITIONED_TABLE =>
                {
                    seen.tables.push((*entry).relid);
                    if at + 1 == target {
                        seen.changed.push((*entry).relid);
                    }
                }
                pg_sys::RTEKind::RTE_SUBQUERY => look((*entry).subquery, seen),
                _ => {}
            }
        }
        for cte in list::pointers::<pg_sys::CommonTableExpr>((*query).cteList) {
            look((*cte).ctequery.cast(), seen);
        }
    }
}
