//! The rows of a query, kept aside under a name that SQL can use.
//!
//! They lie in a tuplestore (`work_mem`, then a temporary file) and are seen by statements as a
//! relation, as the transition tables of triggers are. So no table has to be made for them: the catalog
//! does not grow, and nothing is written to the WAL.

use super::error::{Error, Result};
use super::guc::Level;
use super::list;
use super::memory::Context;
use super::sink::{self, Sink};
use super::sql::owned;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, NodeTag};
use std::ffi::{CStr, CString};

/// Bytes of a row beside its values, about.
const HEADER: u64 = 16;

/// Rows kept aside. It has to be dropped in the (sub)transaction in which it was made.
#[derive(Debug)]
pub struct Delta {
    name: &'static CStr,
    store: *mut pg_sys::Tuplestorestate,
    desc: pg_sys::TupleDesc,
    context: Context,
    /// Rows.
    pub rows: u64,
    /// Bytes of their values, about.
    pub bytes: u64,
}

struct Filling<'d, 'p> {
    delta: &'d mut Delta,
    progress: &'p mut dyn FnMut(u64, u64),
}

impl Delta {
    /// The name that statements know it by.
    pub fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or_default()
    }

    /// No rows of no columns.
    fn empty(name: &'static CStr) -> Delta {
        let context = Context::new(c"warehouse delta");
        // SAFETY: the store lives in the context, which goes with it; 1 MB at least.
        let store = context.run(|| unsafe {
            pg_sys::tuplestore_begin_heap(true, false, pg_sys::work_mem.max(1024))
        });
        Delta { name, store, desc: std::ptr::null_mut(), context, rows: 0, bytes: 0 }
    }

    /// The rows of a query, which statements will see as the relation `name`. `progress` is told rows and
    /// bytes so far.
    pub fn of_query(
        name: &'static CStr,
        query: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Delta> {
        let mut delta = Delta::empty(name);
        sink::run(query, &mut Filling { delta: &mut delta, progress }, || ())?;
        Ok(delta)
    }

    /// The rows of a query that reads other deltas too.
    pub fn of_deltas(name: &'static CStr, query: &str, others: &[&Delta]) -> Result<Delta> {
        let mut delta = Delta::empty(name);
        let mut filling = Filling { delta: &mut delta, progress: &mut |_, _| () };
        // SAFETY: they outlive the query.
        sink::run(query, &mut filling, || unsafe { register(others) })?;
        Ok(delta)
    }
}

/// Runs a statement that may read these; the number of rows that it changed.
pub fn execute(statement: &str, deltas: &[&Delta]) -> Result<u64> {
    run(statement, deltas, || {
        // SAFETY: set by SPI_execute.
        unsafe { pg_sys::SPI_processed }
    })
}

/// What a merge has done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Merged {
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that are others than before.
    pub updated: u64,
}

/// Runs a MERGE that may read these.
///
/// SPI would say how many rows it wrote, not how many of them are new, so the executor is called here.
pub fn merge(statement: &str, deltas: &[&Delta]) -> Result<Merged> {
    let text = c_text(statement)?;
    // SAFETY: everything made here lives in SPI's memory, which an ERROR frees with its (sub)transaction;
    // snapshots are taken and given back in order.
    unsafe {
        pg_sys::SPI_connect();
        let environment = pg_sys::create_queryEnv();
        for relation in relations(deltas) {
            pg_sys::register_ENR(environment, relation);
        }
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let plan = planned(&text, environment)?;
        pg_sys::PopActiveSnapshot();

        // What has been written before counts.
        pg_sys::CommandCounterIncrement();
        pg_sys::PushCopiedSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::UpdateActiveSnapshotCommandId();
        let query = pg_sys::CreateQueryDesc(
            plan,
            text.as_ptr(),
            pg_sys::GetActiveSnapshot(),
            std::ptr::null_mut(),
            pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone),
            std::ptr::null_mut(),
            environment,
            0,
        );
        pg_sys::ExecutorStart(query, 0);
        pg_sys::ExecutorRun(query, pg_sys::ScanDirection::ForwardScanDirection, 0, true);
        pg_sys::ExecutorFinish(query);
        let state = (*query).planstate;
        let merged = ((*state).type_ == NodeTag::T_ModifyTableState).then(|| {
            let state = &*state.cast::<pg_sys::ModifyTableState>();
            Merged {
                inserted: state.mt_merge_inserted as u64,
                updated: state.mt_merge_updated as u64,
            }
        });
        pg_sys::ExecutorEnd(query);
        pg_sys::FreeQueryDesc(query);
        pg_sys::PopActiveSnapshot();
        pg_sys::CommandCounterIncrement();
        pg_sys::SPI_finish();
        merged.ok_or_else(|| Error::bug("a MERGE has another plan than one that writes".to_owned()))
    }
}

/// How many times a page costs that is read out of order, when a merge is planned.
const RANDOM_PAGE_COST: f64 = 1.1;

/// The plan of a MERGE.
///
/// It finds rows by an index unless they are many: the pages of those that have changed will be written to
/// in any case, so reading them costs it nothing more, as the planner would have it.
///
/// # Safety
/// A snapshot is active, `environment` is valid.
unsafe fn planned(
    text: &CStr,
    environment: *mut pg_sys::QueryEnvironment,
) -> Result<*mut pg_sys::PlannedStmt> {
    // SAFETY: the trees live in the current memory context.
    unsafe {
        let parsed =
            list::pointers::<pg_sys::RawStmt>(pg_sys::pg_parse_query(text.as_ptr())).next();
        let parsed = parsed.ok_or_else(|| Error::bug("a MERGE without a statement".to_owned()))?;
        let queries = pg_sys::pg_analyze_and_rewrite_fixedparams(
            parsed,
            text.as_ptr(),
            std::ptr::null(),
            0,
            environment,
        );
        let query = list::pointers::<pg_sys::Query>(queries).next();
        let query = query.ok_or_else(|| Error::bug("a MERGE that a rule took away".to_owned()))?;
        let level = Level::enter();
        let cost = CString::new(RANDOM_PAGE_COST.min(pg_sys::random_page_cost).to_string());
        if let Ok(cost) = &cost {
            level.set(c"random_page_cost", cost);
        }
        Ok(pg_sys::pg_plan_query(query, text.as_ptr(), 0, std::ptr::null_mut()))
    }
}

/// The one row of a statement that may read these, as text.
pub fn row(statement: &str, deltas: &[&Delta]) -> Result<Vec<Option<String>>> {
    run(statement, deltas, || {
        // SAFETY: SPI's table lives until SPI_finish; values are copied.
        unsafe {
            let table = pg_sys::SPI_tuptable;
            if table.is_null() || (*table).numvals == 0 {
                return Vec::new();
            }
            let (tuple, desc) = (*(*table).vals, (*table).tupdesc);
            (1..=(*desc).natts)
                .map(|at| {
                    let value = pg_sys::SPI_getvalue(tuple, desc, at);
                    (!value.is_null()).then(|| owned(value))
                })
                .collect()
        }
    })
}

fn run<T>(statement: &str, deltas: &[&Delta], take: impl FnOnce() -> T) -> Result<T> {
    let text = c_text(statement)?;
    // SAFETY: an ERROR ends the SPI connection with its (sub)transaction.
    unsafe {
        pg_sys::SPI_connect();
        register(deltas);
        let status = pg_sys::SPI_execute(text.as_ptr(), false, 0);
        if status < 0 {
            return Err(Error::bug(format!("a statement ended with SPI status {status}")));
        }
        let taken = take();
        pg_sys::SPI_finish();
        Ok(taken)
    }
}

fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| {
        Error::new(Code::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "a statement holds a NUL")
    })
}

/// Gives these their names in the current SPI connection.
///
/// # Safety
/// They outlive the connection.
unsafe fn register(deltas: &[&Delta]) {
    // SAFETY: the caller's promise.
    unsafe {
        for relation in relations(deltas) {
            pg_sys::SPI_register_relation(relation);
        }
    }
}

/// These as relations that a statement can name.
///
/// # Safety
/// They outlive the current memory context.
unsafe fn relations(deltas: &[&Delta]) -> impl Iterator<Item = pg_sys::EphemeralNamedRelation> {
    deltas.iter().filter(|delta| !delta.desc.is_null()).map(|delta| {
        let size = size_of::<pg_sys::EphemeralNamedRelationData>();
        // SAFETY: the structure lies in the current memory; what it points to outlives it.
        unsafe {
            let relation: pg_sys::EphemeralNamedRelation = pg_sys::palloc0(size).cast();
            (*relation).md.name = delta.name.as_ptr().cast_mut();
            (*relation).md.reliddesc = pg_sys::Oid::INVALID;
            (*relation).md.tupdesc = delta.desc;
            (*relation).md.enrtype = pg_sys::EphemeralNameRelationType::ENR_NAMED_TUPLESTORE;
            (*relation).md.enrtuples = delta.rows as f64;
            (*relation).reldata = delta.store.cast();
            relation
        }
    })
}

impl Sink for Filling<'_, '_> {
    unsafe fn start(&mut self, desc: pg_sys::TupleDesc) {
        // SAFETY: the query's own descriptor.
        self.delta.desc = self.delta.context.run(|| unsafe { pg_sys::CreateTupleDescCopy(desc) });
    }

    unsafe fn take(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the row is copied into the store.
        unsafe {
            pg_sys::slot_getallattrs(slot);
            let size = pg_sys::heap_compute_data_size(
                (*slot).tts_tupleDescriptor,
                (*slot).tts_values,
                (*slot).tts_isnull,
            );
            self.delta.bytes += HEADER + size as u64;
            pg_sys::tuplestore_puttupleslot(self.delta.store, slot);
        }
        self.delta.rows += 1;
        if self.delta.rows.is_multiple_of(1024) {
            (self.progress)(self.delta.rows, self.delta.bytes);
        }
    }

    fn finish(&mut self) {
        (self.progress)(self.delta.rows, self.delta.bytes);
    }
}

impl Drop for Delta {
    fn drop(&mut self) {
        // SAFETY: made by tuplestore_begin_heap and not used again; closes its file.
        unsafe { pg_sys::tuplestore_end(self.store) }
    }
}
