//! What the wrappers of APIs do at each callback.

use super::plan;
use super::private::ScanPlan;
use super::scan::Scan;
use super::{analyze, explain, import, options, vendor::Vendor};
use crate::pg::catalog::{self, ImportRequest};
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::executor::ScanNode;
use crate::pg::explain::Explain;
use crate::pg::planner::{Planner, Rel};
use crate::pg::types;
use crate::wrappers::callbacks::{self, Chosen, Path, Wrapper};
use crate::wrappers::replica::options::Owner;
use pgrx::pg_sys::{Datum, Oid};
use pgrx::{PgSqlErrorCode as Code, pg_guard, pg_sys};

/// The wrappers' callbacks.
pub fn routine() -> *mut pg_sys::FdwRoutine {
    callbacks::routine::<Api>(Some(get_foreign_rel_size))
}

/// Any of the wrappers: the server's says which.
struct Api;

impl Wrapper for Api {
    type Scan = Scan;

    fn add_paths(planner: Planner<'_>, rel: Rel<'_>) -> Result<()> {
        plan::add_paths(planner, rel)
    }

    fn build<'p>(planner: Planner<'p>, rel: Rel<'p>, path: Path<'p>) -> Result<Chosen<'p>> {
        plan::build(planner, rel, path)
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
        match ScanPlan::unpack(node.plan_note()) {
            Ok(plan) => explain::scan(out, node, &plan, local, scan),
            Err(_) => Ok(()),
        }
    }

    fn pages(relation: Oid) -> Result<Option<u32>> {
        // An API has no pages; the number of rows is what counts.
        Ok(analyze::is_possible(relation)?.then_some(1))
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
        Error::new(
            Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!(
                "foreign table {} cannot be {verb}: tables of HTTP APIs are read-only",
                types::relation_label(relation)
            ),
        )
        .hint("Change the data at its source; here, write to a table of your own.")
    }
}

/// Checks the options of one object when they are declared.
pub fn validator(vendor: Vendor, list: Datum, catalog: Oid) {
    let options = catalog::untransform(list);
    if let Some(owner) = Owner::of_catalog(catalog) {
        options::validate(vendor, &options, owner).or_raise();
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
