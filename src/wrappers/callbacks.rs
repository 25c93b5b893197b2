//! The callbacks that every wrapper has, named as in Postgres. Each converts pointers, calls a safe
//! function of the wrapper and converts back.

use crate::pg::catalog::ImportRequest;
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::executor::ScanNode;
use crate::pg::explain::Explain;
use crate::pg::join_node;
use crate::pg::list;
use crate::pg::node::{Kind, Node};
use crate::pg::planner::{self, Clause, Planner, Rel, ScanTarget};
use pgrx::pg_sys::panic::pgrx_extern_c_guard as guard;
use pgrx::pg_sys::{self, Oid};
use std::ffi::c_int;

/// What a foreign data wrapper does.
pub trait Wrapper: 'static {
    /// A scan that runs.
    type Scan: 'static;

    /// GetForeignPaths.
    fn add_paths(planner: Planner<'_>, rel: Rel<'_>) -> Result<()>;

    /// GetForeignPlan.
    fn build<'p>(planner: Planner<'p>, rel: Rel<'p>, path: Path<'p>) -> Result<Chosen<'p>>;

    /// BeginForeignScan, unless it is only explained.
    fn begin(node: ScanNode<'_>) -> Result<Self::Scan>;

    /// IterateForeignScan.
    fn next(scan: &mut Self::Scan, node: ScanNode<'_>) -> Result<*mut pg_sys::TupleTableSlot>;

    /// ReScanForeignScan.
    fn rescan(scan: &mut Self::Scan);

    /// EndForeignScan.
    fn close(scan: &mut Self::Scan);

    /// ExplainForeignScan; `local` are the conditions that are checked here.
    fn explain(
        out: Explain<'_>,
        node: ScanNode<'_>,
        local: &[String],
        scan: Option<&Self::Scan>,
    ) -> Result<()>;

    /// AnalyzeForeignTable: the table's pages; `None` if no sample of it can be taken.
    fn pages(relation: Oid) -> Result<Option<u32>>;

    /// AcquireSampleRowsFunc: fills `rows` with at most as many rows as it holds; how many these are, and how
    /// many there are in all.
    ///
    /// # Safety
    /// `relation` is open.
    unsafe fn sample(
        relation: pg_sys::Relation,
        rows: &mut [pg_sys::HeapTuple],
    ) -> Result<(usize, f64)>;

    /// ImportForeignSchema: the statements that make the tables.
    fn import(request: &ImportRequest, server: Oid) -> Result<Vec<String>>;

    /// The refusal to write to a table; `verb` says what cannot be done.
    fn read_only(verb: &str, relation: Oid) -> Error;
}

/// A path that the planner has chosen.
pub struct Path<'p> {
    /// What was written down with it.
    pub note: &'p [u8],
    /// A table's conditions, with those that only this path can apply.
    pub clauses: Vec<Clause<'p>>,
    /// Those of a batch of keys, which the join checks.
    pub keyed: Vec<Node<'p>>,
    /// Rows that are expected.
    pub rows: f64,
}

/// A scan as it is planned.
pub struct Chosen<'p> {
    /// What is written down.
    pub note: Vec<u8>,
    /// The expressions whose values are sent.
    pub params: Vec<Node<'p>>,
    /// The conditions that are checked here.
    pub local: Vec<Node<'p>>,
    /// The columns of the scan, if it is no table's.
    pub target: Option<ScanTarget<'p>>,
}

/// The callbacks of a wrapper. By `size`, its own, others recognize its tables: the address of a function
/// that is made for each wrapper need not be the same everywhere.
pub fn routine<W: Wrapper>(
    size: pg_sys::GetForeignRelSize_function,
) -> &'static mut pg_sys::FdwRoutine {
    // SAFETY: a zeroed node of its type in the current context, as makeNode makes it.
    let routine = unsafe {
        let node = pg_sys::palloc0(size_of::<pg_sys::FdwRoutine>()).cast::<pg_sys::FdwRoutine>();
        (*node).type_ = pg_sys::NodeTag::T_FdwRoutine;
        &mut *node
    };
    routine.GetForeignRelSize = size;
    routine.GetForeignPaths = Some(get_foreign_paths::<W>);
    routine.GetForeignPlan = Some(get_foreign_plan::<W>);
    routine.BeginForeignScan = Some(begin_foreign_scan::<W>);
    routine.IterateForeignScan = Some(iterate_foreign_scan::<W>);
    routine.ReScanForeignScan = Some(rescan_foreign_scan::<W>);
    routine.EndForeignScan = Some(end_foreign_scan::<W>);
    routine.ExplainForeignScan = Some(explain_foreign_scan::<W>);
    routine.AnalyzeForeignTable = Some(analyze_foreign_table::<W>);
    routine.ImportForeignSchema = Some(import_foreign_schema::<W>);
    routine.IsForeignRelUpdatable = Some(is_foreign_rel_updatable);
    routine.PlanForeignModify = Some(plan_foreign_modify::<W>);
    routine.ExecForeignTruncate = Some(exec_foreign_truncate::<W>);
    routine
}

unsafe extern "C-unwind" fn get_foreign_paths<W: Wrapper>(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _relation: Oid,
) {
    // SAFETY: the planner's own pointers.
    unsafe { guard(|| W::add_paths(Planner::new(root), Rel::new(rel)).or_raise()) }
}

unsafe extern "C-unwind" fn get_foreign_plan<W: Wrapper>(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _relation: Oid,
    path: *mut pg_sys::ForeignPath,
    tlist: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    outer: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: the planner's own pointers; lists are made in its context.
    unsafe {
        guard(|| {
            let rel = Rel::new(rel);
            let keyed = planner::conjuncts((*path).fdw_private.cast());
            let path = Path {
                note: planner::note((*path).fdw_private),
                clauses: planner::clauses(clauses),
                keyed: keyed.into_iter().skip(1).collect(),
                rows: (*path).path.rows,
            };
            let chosen = W::build(Planner::new(root), rel, path).or_raise();
            let mut exprs = std::ptr::null_mut();
            for node in &chosen.params {
                exprs = list::push(
                    exprs,
                    match node.kind() {
                        Kind::Batch { .. } => join_node::placeholder(node.result_type()),
                        _ => node.as_ptr(),
                    },
                );
            }
            let mut local = std::ptr::null_mut();
            for node in &chosen.local {
                local = list::push(local, node.as_ptr());
            }
            pg_sys::make_foreignscan(
                tlist,
                local,
                if chosen.target.is_some() { 0 } else { rel.relid() },
                exprs,
                planner::note_list(&chosen.note),
                chosen.target.map_or(std::ptr::null_mut(), |target| target.as_ptr()),
                std::ptr::null_mut(),
                outer,
            )
        })
    }
}

unsafe extern "C-unwind" fn begin_foreign_scan<W: Wrapper>(
    node: *mut pg_sys::ForeignScanState,
    flags: c_int,
) {
    if flags as u32 & pg_sys::EXEC_FLAG_EXPLAIN_ONLY != 0 {
        return;
    }
    // SAFETY: the executor's own node.
    unsafe {
        guard(|| {
            let node = ScanNode::new(node);
            node.set_state(W::begin(node).or_raise());
        });
    }
}

unsafe extern "C-unwind" fn iterate_foreign_scan<W: Wrapper>(
    node: *mut pg_sys::ForeignScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node with the state of begin_foreign_scan.
    unsafe {
        guard(|| {
            let node = ScanNode::new(node);
            node.state::<W::Scan>()
                .ok_or_else(|| Error::bug("a foreign scan was read before it began"))
                .and_then(|scan| W::next(scan, node))
                .or_raise()
        })
    }
}

unsafe extern "C-unwind" fn rescan_foreign_scan<W: Wrapper>(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as above.
    unsafe { guard(|| ScanNode::new(node).state::<W::Scan>().map_or((), W::rescan)) }
}

unsafe extern "C-unwind" fn end_foreign_scan<W: Wrapper>(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as above.
    unsafe { guard(|| ScanNode::new(node).state::<W::Scan>().map_or((), W::close)) }
}

unsafe extern "C-unwind" fn explain_foreign_scan<W: Wrapper>(
    node: *mut pg_sys::ForeignScanState,
    state: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node and output.
    unsafe {
        guard(|| {
            let plan = (*node).ss.ps.plan;
            let (node, out) = (ScanNode::new(node), Explain::new(state));
            let local = out.conditions(plan, (*plan).qual);
            W::explain(out, node, &local, node.state::<W::Scan>().as_deref()).or_raise();
        });
    }
}

unsafe extern "C-unwind" fn analyze_foreign_table<W: Wrapper>(
    relation: pg_sys::Relation,
    function: *mut pg_sys::AcquireSampleRowsFunc,
    pages: *mut pg_sys::BlockNumber,
) -> bool {
    // SAFETY: an open relation, and out parameters of the caller.
    unsafe {
        guard(|| {
            let found = W::pages((*relation).rd_id).or_raise();
            *function = Some(acquire_sample_rows::<W>);
            *pages = found.unwrap_or(1);
            found.is_some()
        })
    }
}

unsafe extern "C-unwind" fn acquire_sample_rows<W: Wrapper>(
    relation: pg_sys::Relation,
    _level: c_int,
    rows: *mut pg_sys::HeapTuple,
    wanted: c_int,
    total: *mut f64,
    dead: *mut f64,
) -> c_int {
    // SAFETY: an open relation; the caller's array has room for `wanted` rows.
    unsafe {
        guard(|| {
            let rows = std::slice::from_raw_parts_mut(rows, wanted as usize);
            let (count, all) = W::sample(relation, rows).or_raise();
            *total = all;
            *dead = 0.0;
            count as c_int
        })
    }
}

unsafe extern "C-unwind" fn import_foreign_schema<W: Wrapper>(
    statement: *mut pg_sys::ImportForeignSchemaStmt,
    server: Oid,
) -> *mut pg_sys::List {
    // SAFETY: the statement outlives the call; the list is made in the current context.
    unsafe {
        guard(|| {
            let request = ImportRequest::new(statement);
            let mut out = std::ptr::null_mut();
            for command in W::import(&request, server).or_raise() {
                let text = std::ffi::CString::new(command).unwrap_or_default();
                out = list::push(out, pg_sys::pstrdup(text.as_ptr()));
            }
            out
        })
    }
}

unsafe extern "C-unwind" fn is_foreign_rel_updatable(_relation: pg_sys::Relation) -> c_int {
    0
}

unsafe extern "C-unwind" fn plan_foreign_modify<W: Wrapper>(
    root: *mut pg_sys::PlannerInfo,
    _plan: *mut pg_sys::ModifyTable,
    relation: pg_sys::Index,
    _index: c_int,
) -> *mut pg_sys::List {
    // SAFETY: the planner's own range table.
    unsafe {
        guard(|| {
            let relid = (*pg_sys::planner_rt_fetch(relation, root)).relid;
            W::read_only("changed", relid).raise()
        })
    }
}

unsafe extern "C-unwind" fn exec_foreign_truncate<W: Wrapper>(
    relations: *mut pg_sys::List,
    _behavior: pg_sys::DropBehavior::Type,
    _restart: bool,
) {
    // SAFETY: a list of open relations, never empty.
    unsafe {
        guard(|| {
            if let Some(relation) = list::pointers::<pg_sys::RelationData>(relations).next() {
                W::read_only("truncated", (*relation).rd_id).raise();
            }
        });
    }
}
