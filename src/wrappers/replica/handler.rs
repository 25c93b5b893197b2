//! What `replica_fdw` does at each callback, and the callbacks that it alone has.

use super::private::ScanPlan;
use super::scan::Scan;
use super::{analyze, asynchronous, build, explain, grouping, import, join, options, plan, remote};
use crate::pg::catalog::{self, ImportRequest};
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::executor::{AsyncRequest, ScanNode};
use crate::pg::explain::Explain;
use crate::pg::planner::{self, Planner, Rel};
use crate::pg::types;
use crate::wrappers::callbacks::{self, Chosen, Path, Wrapper};
use pgrx::pg_sys::{Datum, Oid};
use pgrx::{PgSqlErrorCode as Code, pg_guard, pg_sys};
use std::ffi::c_void;

/// The wrapper's callbacks.
pub fn routine() -> *mut pg_sys::FdwRoutine {
    let routine = callbacks::routine::<Replica>(Some(get_foreign_rel_size));
    routine.GetForeignJoinPaths = Some(get_foreign_join_paths);
    routine.GetForeignUpperPaths = Some(get_foreign_upper_paths);
    routine.IsForeignPathAsyncCapable = Some(is_foreign_path_async_capable);
    routine.ForeignAsyncRequest = Some(foreign_async_request);
    routine.ForeignAsyncConfigureWait = Some(foreign_async_configure_wait);
    routine.ForeignAsyncNotify = Some(foreign_async_notify);
    routine
}

/// `replica_fdw`.
struct Replica;

impl Wrapper for Replica {
    type Scan = Scan;

    fn add_paths(planner: Planner<'_>, rel: Rel<'_>) -> Result<()> {
        plan::add_paths(planner, rel)
    }

    fn build<'p>(planner: Planner<'p>, rel: Rel<'p>, path: Path<'p>) -> Result<Chosen<'p>> {
        build::build(planner, rel, path)
    }

    fn begin(node: ScanNode<'_>) -> Result<Scan> {
        Scan::begin(node)
    }

    fn next(scan: &mut Scan, node: ScanNode<'_>) -> Result<*mut pg_sys::TupleTableSlot> {
        scan.next(node)
    }

    fn rescan(scan: &mut Scan) {
        scan.rescan();
    }

    fn close(scan: &mut Scan) {
        scan.close();
    }

    fn explain(
        out: Explain<'_>,
        node: ScanNode<'_>,
        local: &[String],
        scan: Option<&Scan>,
    ) -> Result<()> {
        if let Ok(plan) = ScanPlan::unpack(node.plan_note()) {
            explain::scan(out, &plan, local, scan);
        }
        Ok(())
    }

    fn pages(relation: Oid) -> Result<Option<u32>> {
        analyze::pages(relation).map(Some)
    }

    unsafe fn sample(
        relation: pg_sys::Relation,
        rows: &mut [pg_sys::HeapTuple],
    ) -> Result<(usize, f64)> {
        // SAFETY: the caller's promise.
        unsafe { analyze::sample(relation, rows) }
    }

    fn import(request: &ImportRequest, server: Oid) -> Result<Vec<String>> {
        import::commands(request, server)
    }

    fn read_only(verb: &str, relation: Oid) -> Error {
        read_only("foreign table", verb, relation)
    }
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
