//! The rows of a query, kept aside under a name that SQL can use.
//!
//! They lie in a tuplestore (`work_mem`, then a temporary file) and are seen by statements as a
//! relation, as the transition tables of triggers are. So no table has to be made for them: the catalog
//! does not grow, and nothing is written to the WAL.

use super::error::{Error, Result};
use super::memory::Context;
use super::sink::{self, Sink};
use super::sql::owned;
use pgrx::{PgSqlErrorCode as Code, pg_sys};
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

/// Runs a statement that may read these and returns for each row that it writes whether it is new.
pub fn merge(statement: &str, deltas: &[&Delta]) -> Result<Merged> {
    let mut merged = Merged::default();
    // SAFETY: they outlive the statement.
    sink::run(statement, &mut merged, || unsafe { register(deltas) })?;
    Ok(merged)
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
    // SAFETY: the relation's structure lies in SPI's memory; what it points to outlives it.
    unsafe {
        for delta in deltas.iter().filter(|delta| !delta.desc.is_null()) {
            let size = size_of::<pg_sys::EphemeralNamedRelationData>();
            let relation: pg_sys::EphemeralNamedRelation = pg_sys::palloc0(size).cast();
            (*relation).md.name = delta.name.as_ptr().cast_mut();
            (*relation).md.reliddesc = pg_sys::Oid::INVALID;
            (*relation).md.tupdesc = delta.desc;
            (*relation).md.enrtype = pg_sys::EphemeralNameRelationType::ENR_NAMED_TUPLESTORE;
            (*relation).md.enrtuples = delta.rows as f64;
            (*relation).reldata = delta.store.cast();
            pg_sys::SPI_register_relation(relation);
        }
    }
}

impl Sink for Merged {
    unsafe fn start(&mut self, _: pg_sys::TupleDesc) {}

    unsafe fn take(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the row has a column of boolean, which is not NULL.
        let is_new = unsafe {
            pg_sys::slot_getallattrs(slot);
            *(*slot).tts_values != pg_sys::Datum::from(0)
        };
        if is_new {
            self.inserted += 1;
        } else {
            self.updated += 1;
        }
    }

    fn finish(&mut self) {}
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
