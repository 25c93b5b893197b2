//! The planner's stages above scans and joins, for relations whose parts are of several wrappers'
//! servers, where the wrappers themselves are not asked.

use super::list;
use super::node::Node;
use super::planner::{Planner, Rel, Way, conjuncts};
use pgrx::pg_sys::{self, UpperRelationKind};
use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;

/// A stage of planning.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'p> {
    /// The planner.
    pub planner: Planner<'p>,
    /// What it is.
    pub kind: UpperRelationKind::Type,
    /// The relation it starts from.
    pub input: Rel<'p>,
    /// The relation it makes.
    pub output: Rel<'p>,
    extra: *mut c_void,
    lives: PhantomData<&'p ()>,
}

/// What sees each stage.
type Watcher = fn(Stage<'_>);

thread_local! {
    // A backend is one thread; both are set once.
    static WATCHER: Cell<Option<Watcher>> = const { Cell::new(None) };
    static NEXT: Cell<pg_sys::create_upper_paths_hook_type> = const { Cell::new(None) };
}

// Not in pgrx's bindings; optimizer/prep.h. It does not raise.
unsafe extern "C-unwind" {
    fn get_agg_clause_costs(
        root: *mut pg_sys::PlannerInfo,
        split: pg_sys::AggSplit::Type,
        costs: *mut pg_sys::AggClauseCosts,
    );
}

/// Installs the hook. Called once, by `_PG_init`.
pub fn install(watcher: Watcher) {
    WATCHER.set(Some(watcher));
    // SAFETY: the hook variable belongs to this backend; the former hook is called by ours.
    unsafe {
        NEXT.set(pg_sys::create_upper_paths_hook);
        pg_sys::create_upper_paths_hook = Some(upper_paths);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn upper_paths(
    root: *mut pg_sys::PlannerInfo,
    kind: UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut c_void,
) {
    if let Some(next) = NEXT.get() {
        // SAFETY: another hook, called as Postgres would.
        unsafe {
            pg_sys::ffi::pg_guard_ffi_boundary(|| next(root, kind, input, output, extra));
        }
    }
    // SAFETY: the planner's own pointers.
    let stage = unsafe {
        let (input, output) = (Rel::new(input), Rel::new(output));
        let lives = PhantomData;
        Stage { planner: Planner::new(root), kind, input, output, extra, lives }
    };
    if let Some(watcher) = WATCHER.get() {
        watcher(stage);
    }
}

impl<'p> Stage<'p> {
    /// HAVING, of the grouping stage.
    pub fn having(&self) -> Vec<Node<'p>> {
        // SAFETY: what planner.c passes at that stage.
        unsafe {
            let extra = self.extra.cast::<pg_sys::GroupPathExtraData>();
            if extra.is_null() { Vec::new() } else { conjuncts((*extra).havingQual) }
        }
    }

    /// Rows of the relation it makes, as the planner expects; `None` if it has no way to make it.
    pub fn rows(&self) -> Option<f64> {
        // SAFETY: a list of paths.
        unsafe {
            let mut paths = list::pointers::<pg_sys::Path>((*self.output.as_ptr()).pathlist);
            paths.next().map(|path| (*path).rows)
        }
    }

    /// Offers to make the rows of `way` unique, for SELECT DISTINCT.
    pub fn add_distinct(&self, way: Way<'p>, rows: f64) {
        let root = self.planner.as_ptr();
        let output = self.output.as_ptr();
        // SAFETY: valid planner state, as create_final_distinct_paths in optimizer/plan/planner.c.
        unsafe {
            let clause = (*(*root).parse).distinctClause;
            let path = way.as_ptr();
            if pg_sys::grouping_is_hashable(clause) {
                let hashed = pg_sys::create_agg_path(
                    root,
                    output,
                    path,
                    (*path).pathtarget,
                    pg_sys::AggStrategy::AGG_HASHED,
                    pg_sys::AggSplit::AGGSPLIT_SIMPLE,
                    clause,
                    std::ptr::null_mut(),
                    std::ptr::null(),
                    rows,
                );
                pg_sys::add_path(output, hashed.cast());
            }
            if pg_sys::grouping_is_sortable(clause) {
                let keys = (*root).distinct_pathkeys;
                let sorted = sorted_by(root, output, path, keys);
                let count = pg_sys::list_length(keys);
                let unique =
                    pg_sys::create_upper_unique_path(root, output, sorted, count, rows).cast();
                pg_sys::add_path(output, unique);
            }
        }
    }

    /// Offers to group the rows of `way` by sorting them, if their keys can be sorted.
    pub fn add_grouped(&self, way: Way<'p>, rows: f64) {
        let root = self.planner.as_ptr();
        let output = self.output.as_ptr();
        // SAFETY: valid planner state, as add_paths_to_grouping_rel in optimizer/plan/planner.c.
        unsafe {
            let clause = (*(*root).parse).groupClause;
            if !clause.is_null() && !pg_sys::grouping_is_sortable(clause) {
                return;
            }
            let extra = self.extra.cast::<pg_sys::GroupPathExtraData>();
            let mut costs = pg_sys::AggClauseCosts::default();
            get_agg_clause_costs(root, pg_sys::AggSplit::AGGSPLIT_SIMPLE, &mut costs);
            let (path, strategy) = if clause.is_null() {
                (way.as_ptr(), pg_sys::AggStrategy::AGG_PLAIN)
            } else {
                let keys = (*root).group_pathkeys;
                let sorted = sorted_by(root, output, way.as_ptr(), keys);
                (sorted, pg_sys::AggStrategy::AGG_SORTED)
            };
            let grouped = pg_sys::create_agg_path(
                root,
                output,
                path,
                (*output).reltarget,
                strategy,
                pg_sys::AggSplit::AGGSPLIT_SIMPLE,
                clause,
                (*extra).havingQual.cast(),
                &costs,
                rows,
            );
            pg_sys::add_path(output, grouped.cast());
        }
    }
}

/// `path` in the order of `keys`. Keys that are constants leave none, and a sort without keys compares
/// memory that nobody has written.
///
/// # Safety
///
/// Valid planner state, and `path` is one of its paths.
unsafe fn sorted_by(
    root: *mut pg_sys::PlannerInfo,
    output: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::Path,
    keys: *mut pg_sys::List,
) -> *mut pg_sys::Path {
    if keys.is_null() {
        return path;
    }
    // SAFETY: the caller's.
    unsafe { pg_sys::create_sort_path(root, output, path, keys, -1.0).cast() }
}
