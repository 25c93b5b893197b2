//! The callbacks of `replica_fdw`, named as in Postgres. Each converts pointers, calls a safe function
//! and converts back.

use super::private::ScanPlan;
use super::scan::Scan;
use super::{analyze, asynchronous, build, explain, grouping, import, join, options, plan, remote};
use crate::pg::catalog;
use crate::pg::error::{Error, OrRaise};
use crate::pg::executor::{AsyncRequest, ScanNode};
use crate::pg::explain::Explain;
use crate::pg::join_node;
use crate::pg::list;
use crate::pg::node::Kind;
use crate::pg::planner::{self, Planner, Rel};
use crate::pg::types;
use pgrx::pg_sys::{Datum, Oid};
use pgrx::{PgSqlErrorCode as Code, pg_guard, pg_sys};
use std::ffi::{c_int, c_void};

/// The wrapper's callbacks.
pub fn routine() -> *mut pg_sys::FdwRoutine {
    // SAFETY: a zeroed node of its type in the current context, as makeNode makes it.
    let routine = unsafe {
        let node = pg_sys::palloc0(size_of::<pg_sys::FdwRoutine>()).cast::<pg_sys::FdwRoutine>();
        (*node).type_ = pg_sys::NodeTag::T_FdwRoutine;
        &mut *node
    };
    routine.GetForeignRelSize = Some(get_foreign_rel_size);
    routine.GetForeignPaths = Some(get_foreign_paths);
    routine.GetForeignJoinPaths = Some(get_foreign_join_paths);
    routine.GetForeignUpperPaths = Some(get_foreign_upper_paths);
    routine.GetForeignPlan = Some(get_foreign_plan);
    routine.BeginForeignScan = Some(begin_foreign_scan);
    routine.IterateForeignScan = Some(iterate_foreign_scan);
    routine.ReScanForeignScan = Some(rescan_foreign_scan);
    routine.EndForeignScan = Some(end_foreign_scan);
    routine.ExplainForeignScan = Some(explain_foreign_scan);
    routine.AnalyzeForeignTable = Some(analyze_foreign_table);
    routine.ImportForeignSchema = Some(import_foreign_schema);
    routine.IsForeignRelUpdatable = Some(is_foreign_rel_updatable);
    routine.PlanForeignModify = Some(plan_foreign_modify);
    routine.ExecForeignTruncate = Some(exec_foreign_truncate);
    routine.IsForeignPathAsyncCapable = Some(is_foreign_path_async_capable);
    routine.ForeignAsyncRequest = Some(foreign_async_request);
    routine.ForeignAsyncConfigureWait = Some(foreign_async_configure_wait);
    routine.ForeignAsyncNotify = Some(foreign_async_notify);
    routine
}

/// Checks the options of one object when they are declared.
pub fn validator(list: Datum, catalog: Oid) {
    let options = catalog::untransform(list);
    if let Some(owner) = options::Owner::of_catalog(catalog) {
        options::validate(&options, owner).or_raise();
    }
}

/// # Safety
/// Postgres calls it.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_rel_size(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    relation: Oid,
) {
    // SAFETY: the planner's own pointers.
    let (root, rel) = unsafe { (Planner::new(root), Rel::new(rel)) };
    plan::size(root, rel, relation).or_raise();
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_paths(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _relation: Oid,
) {
    // SAFETY: the planner's own pointers.
    let (root, rel) = unsafe { (Planner::new(root), Rel::new(rel)) };
    plan::add_paths(root, rel).or_raise();
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut c_void,
) {
    // SAFETY: the planner's own pointers; the groupings' extra data is what planner.c passes.
    unsafe {
        let (root, input, output) = (Planner::new(root), Rel::new(input), Rel::new(output));
        match stage {
            pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG => {
                let extra = extra.cast::<pg_sys::GroupPathExtraData>();
                let having = planner::conjuncts((*extra).havingQual);
                grouping::add_paths(root, input, output, having);
            }
            pg_sys::UpperRelationKind::UPPERREL_PARTIAL_GROUP_AGG => {
                grouping::add_partial_paths(root, input, output);
            }
            pg_sys::UpperRelationKind::UPPERREL_DISTINCT => {
                grouping::add_distinct(root, input, output);
            }
            pg_sys::UpperRelationKind::UPPERREL_ORDERED => {
                plan::add_ordered(root, input, output).or_raise();
            }
            pg_sys::UpperRelationKind::UPPERREL_FINAL => {
                plan::add_limited(root, input, output).or_raise();
            }
            _ => {}
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_join_paths(
    root: *mut pg_sys::PlannerInfo,
    join: *mut pg_sys::RelOptInfo,
    outer: *mut pg_sys::RelOptInfo,
    inner: *mut pg_sys::RelOptInfo,
    kind: pg_sys::JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    // SAFETY: the planner's own pointers.
    unsafe {
        let clauses = planner::clauses((*extra).restrictlist);
        let (outer, inner) = (Rel::new(outer), Rel::new(inner));
        join::add_paths(Planner::new(root), Rel::new(join), outer, inner, kind, clauses);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn get_foreign_plan(
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
        let rel = Rel::new(rel);
        let note = planner::note((*path).fdw_private);
        let keyed = planner::conjuncts((*path).fdw_private.cast()).into_iter().skip(1).collect();
        let clauses = planner::clauses(clauses);
        let (root, rows) = (Planner::new(root), (*path).path.rows);
        let chosen = build::build(root, rel, note, clauses, keyed, rows).or_raise();
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
            planner::note_list(&chosen.plan.pack()),
            chosen.target.map_or(std::ptr::null_mut(), |target| target.as_ptr()),
            std::ptr::null_mut(),
            outer,
        )
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin_foreign_scan(node: *mut pg_sys::ForeignScanState, flags: c_int) {
    if flags as u32 & pg_sys::EXEC_FLAG_EXPLAIN_ONLY != 0 {
        return;
    }
    // SAFETY: the executor's own node.
    let node = unsafe { ScanNode::new(node) };
    node.set_state(Scan::begin(node).or_raise());
}

#[pg_guard]
unsafe extern "C-unwind" fn iterate_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node with the state of begin_foreign_scan.
    let (node, scan) = unsafe {
        let node = ScanNode::new(node);
        (node, node.state::<Scan>())
    };
    scan.ok_or_else(|| Error::bug("a foreign scan was read before it began"))
        .and_then(|scan| scan.next(node))
        .or_raise()
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as above.
    if let Some(scan) = unsafe { ScanNode::new(node).state::<Scan>() } {
        scan.rescan();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: as above.
    if let Some(scan) = unsafe { ScanNode::new(node).state::<Scan>() } {
        scan.close();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
    state: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node and output.
    let (node, out, local, scan) = unsafe {
        let plan = (*node).ss.ps.plan;
        let node = ScanNode::new(node);
        let out = Explain::new(state);
        (node, out, out.conditions(plan, (*plan).qual), node.state::<Scan>())
    };
    if let Ok(plan) = ScanPlan::unpack(node.plan_note()) {
        explain::scan(out, &plan, &local, scan.as_deref());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn analyze_foreign_table(
    relation: pg_sys::Relation,
    function: *mut pg_sys::AcquireSampleRowsFunc,
    pages: *mut pg_sys::BlockNumber,
) -> bool {
    // SAFETY: out parameters of the caller.
    unsafe {
        *function = Some(acquire_sample_rows);
        *pages = analyze::pages((*relation).rd_id).or_raise();
    }
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn acquire_sample_rows(
    relation: pg_sys::Relation,
    level: c_int,
    rows: *mut pg_sys::HeapTuple,
    wanted: c_int,
    total: *mut f64,
    dead: *mut f64,
) -> c_int {
    // SAFETY: the caller's array has room for `wanted` rows.
    unsafe {
        let rows = std::slice::from_raw_parts_mut(rows, wanted as usize);
        let (count, all) = analyze::sample(relation, level, rows).or_raise();
        *total = all;
        *dead = 0.0;
        count as c_int
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn import_foreign_schema(
    statement: *mut pg_sys::ImportForeignSchemaStmt,
    server: Oid,
) -> *mut pg_sys::List {
    // SAFETY: the statement outlives the call; the list is made in the current context.
    unsafe {
        let request = catalog::ImportRequest::new(statement);
        let commands = import::commands(&request, server).or_raise();
        let mut out = std::ptr::null_mut();
        for command in commands {
            let text = std::ffi::CString::new(command).unwrap_or_default();
            out = list::push(out, pg_sys::pstrdup(text.as_ptr()));
        }
        out
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn is_foreign_path_async_capable(path: *mut pg_sys::ForeignPath) -> bool {
    // SAFETY: the planner's own path.
    unsafe {
        let rel = Rel::new((*path).path.parent);
        (*path).path.param_info.is_null() && remote::of(rel).is_none_or(|remote| !remote.rescanned)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn foreign_async_request(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: the executor's own request for a scan of ours.
    let request = unsafe { AsyncRequest::new(request) };
    asynchronous::request(request).or_raise();
}

#[pg_guard]
unsafe extern "C-unwind" fn foreign_async_configure_wait(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: as above.
    let request = unsafe { AsyncRequest::new(request) };
    asynchronous::configure_wait(request).or_raise();
}

#[pg_guard]
unsafe extern "C-unwind" fn foreign_async_notify(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: as above.
    let request = unsafe { AsyncRequest::new(request) };
    asynchronous::produce(request).or_raise();
}

#[pg_guard]
unsafe extern "C-unwind" fn is_foreign_rel_updatable(_relation: pg_sys::Relation) -> c_int {
    0
}

#[pg_guard]
unsafe extern "C-unwind" fn plan_foreign_modify(
    root: *mut pg_sys::PlannerInfo,
    _plan: *mut pg_sys::ModifyTable,
    relation: pg_sys::Index,
    _index: c_int,
) -> *mut pg_sys::List {
    // SAFETY: the planner's own range table.
    let relid = unsafe { (*pg_sys::planner_rt_fetch(relation, root)).relid };
    read_only("foreign table", "changed", relid).raise()
}

#[pg_guard]
unsafe extern "C-unwind" fn exec_foreign_truncate(
    relations: *mut pg_sys::List,
    _behavior: pg_sys::DropBehavior::Type,
    _restart: bool,
) {
    // SAFETY: a list of open relations, never empty.
    let first = unsafe { list::pointers::<pg_sys::RelationData>(relations).next() };
    if let Some(relation) = first {
        // SAFETY: an open relation.
        read_only("foreign table", "truncated", unsafe { (*relation).rd_id }).raise();
    }
}

/// The refusal to write.
pub fn read_only(kind: &str, verb: &str, relation: Oid) -> Error {
    Error::new(
        Code::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!(
            "{kind} {} cannot be {verb}: replica_fdw only reads",
            types::relation_label(relation)
        ),
    )
    .hint("Change the data at its source; here, write to a table of your own.")
}
