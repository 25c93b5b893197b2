//! New contents for a table, made beside it and exchanged for the old ones in a moment.
//!
//! [`NewHeap`] is a transient table of the same columns. Rows are written into it as COPY FREEZE writes
//! them: visible to every snapshot, so that a reader whose snapshot is older than the exchange finds the
//! new rows rather than none. Its indexes are copies of the table's, built when the rows are there. The
//! exchange swaps the storage of table, TOAST table and indexes in `pg_class` (as `swap_relation_files` of
//! commands/cluster.c does): the table keeps its OID, and with it grants, comments, keys, views.
//!
//! Rows that were written frozen stay visible if their subtransaction fails. So whoever catches a failure
//! of loading drops the transient table and begins anew, unless nothing had been written.

use super::catalog;
use super::error::{Error, Result};
use super::memory::Context;
use super::sink::{self, Sink};
use super::types;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};

// Not in pgrx's bindings; commands/cluster.h.
unsafe extern "C-unwind" {
    fn make_new_heap(
        old_heap: Oid,
        tablespace: Oid,
        access_method: Oid,
        persistence: std::ffi::c_char,
        lockmode: pg_sys::LOCKMODE,
    ) -> Oid;
    // access/toast_internals.h
    fn toast_get_valid_index(toast: Oid, lockmode: pg_sys::LOCKMODE) -> Oid;
}

/// The index of a TOAST table.
///
/// # Safety
/// `toast` is a TOAST table that this transaction has locked.
unsafe fn toast_index(toast: Oid) -> Oid {
    // SAFETY: the caller's promise; raises ordinary ERRORs.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            toast_get_valid_index(toast, pg_sys::AccessShareLock as pg_sys::LOCKMODE)
        })
    }
}

/// Rows that are written at a time, and their bytes.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: u64 = 256 * 1024;
/// Written as COPY FREEZE does, without looking for free space.
const FROZEN: i32 = (pg_sys::TABLE_INSERT_SKIP_FSM | pg_sys::TABLE_INSERT_FROZEN) as i32;

/// A transient table with the columns of another.
#[derive(Debug)]
pub struct NewHeap {
    table: Oid,
    /// The transient table.
    pub oid: Oid,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
    indexes: Vec<(Oid, Oid)>,
}

impl NewHeap {
    /// An empty one. From now on the table's indexes stay as they are, and nobody vacuums it, until the
    /// transaction ends; readers and writers go on.
    pub fn of(table: Oid) -> Result<NewHeap> {
        // SAFETY: the table is open while its copy is made; the functions raise ordinary ERRORs.
        unsafe {
            let lock = pg_sys::ShareUpdateExclusiveLock as i32;
            let relation = pg_sys::relation_open(table, lock);
            let form = (*relation).rd_rel;
            let (space, method) = ((*form).reltablespace, (*form).relam);
            let persistence = (*form).relpersistence;
            let is_table = (*form).relkind as u8 == pg_sys::RELKIND_RELATION;
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            if !is_table {
                return Err(Error::new(
                    Code::ERRCODE_WRONG_OBJECT_TYPE,
                    format!("{} is no ordinary table", types::relation_label(table)),
                ));
            }
            let oid = pg_sys::ffi::pg_guard_ffi_boundary(|| {
                make_new_heap(table, space, method, persistence, lock)
            });
            pg_sys::CommandCounterIncrement();
            Ok(NewHeap { table, oid, rows: 0, bytes: 0, indexes: Vec::new() })
        }
    }

    /// Its qualified name.
    pub fn name(&self) -> String {
        // SAFETY: a plain lookup.
        let schema = types::namespace_name(unsafe { pg_sys::get_rel_namespace(self.oid) });
        super::keywords::qualified(&schema, &types::relation_name(self.oid))
    }

    /// Adds the rows of a query, whose columns go to the table's of the same names. `progress` is told
    /// rows and bytes so far.
    pub fn load(&mut self, query: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<u64> {
        let before = self.rows;
        // SAFETY: the relation is open while the writer lives.
        unsafe {
            let relation = pg_sys::relation_open(self.oid, pg_sys::AccessExclusiveLock as i32);
            let mut writer = Writer::new(self, relation, progress);
            let outcome = sink::run(query, &mut writer, || ());
            let failed = writer.failed.take();
            writer.end();
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            pg_sys::CommandCounterIncrement();
            outcome?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(self.rows - before)
    }

    /// Builds copies of the table's indexes. A key that is not unique raises 23505, with the values in its
    /// DETAIL.
    pub fn build_indexes(&mut self) -> Result<()> {
        // SAFETY: both relations are locked; lists and relations are released again.
        unsafe {
            let table = pg_sys::relation_open(self.table, pg_sys::AccessShareLock as i32);
            let list = pg_sys::RelationGetIndexList(table);
            let persistence = (*(*table).rd_rel).relpersistence;
            let indexes: Vec<Oid> = if list.is_null() {
                Vec::new()
            } else {
                (0..(*list).length as usize)
                    .map(|at| (*(*list).elements.add(at)).oid_value)
                    .collect()
            };
            for old in indexes {
                let name = std::ffi::CString::new(format!("warehouse_new_{}", old.to_u32()))
                    .map_err(|_| Error::bug("a name holds a NUL"))?;
                let space = pg_sys::get_rel_tablespace(old);
                let heap = pg_sys::relation_open(self.oid, pg_sys::AccessExclusiveLock as i32);
                let new = pg_sys::index_concurrently_create_copy(heap, old, space, name.as_ptr());
                pg_sys::relation_close(heap, pg_sys::NoLock as i32);
                pg_sys::CommandCounterIncrement();
                let mut params = pg_sys::ReindexParams::default();
                pg_sys::reindex_index(new, false, persistence, &mut params);
                pg_sys::CommandCounterIncrement();
                self.indexes.push((old, new));
            }
            pg_sys::relation_close(table, pg_sys::NoLock as i32);
        }
        Ok(())
    }

    /// Whether nothing of this session reads the table at the moment: a cursor would go on in other storage.
    pub fn is_exchangeable(&self) -> bool {
        // SAFETY: the relation is locked by this transaction.
        unsafe {
            let relation = pg_sys::relation_open(self.table, pg_sys::NoLock as i32);
            let references = (*relation).rd_refcnt;
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            references == 1
        }
    }

    /// Exchanges the contents and drops the transient table with the old ones. The caller holds an
    /// exclusive lock on the table.
    pub fn exchange(self) -> Result<()> {
        // SAFETY: both are locked exclusively by this transaction.
        unsafe {
            for (old, new) in &self.indexes {
                swap(*old, *new);
            }
            let (mine, its) = swap(self.table, self.oid);
            adopt_toast(self.table, self.oid, mine, its);
            pg_sys::RemoveStatistics(self.table, 0);
            pg_sys::CommandCounterIncrement();
            pg_sys::CopyStatistics(self.oid, self.table);
            pg_sys::CommandCounterIncrement();
            let rows = self.rows.min(i64::MAX as u64) as i64;
            let relation = pg_sys::relation_open(self.table, pg_sys::NoLock as i32);
            pg_sys::pgstat_report_analyze(relation, rows, 0, true);
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            self.drop_table();
        }
        Ok(())
    }

    /// Drops the transient table.
    pub fn discard(self) {
        // SAFETY: as in `exchange`.
        unsafe { self.drop_table() }
    }

    /// # Safety
    /// The transient table exists and this transaction holds its lock.
    unsafe fn drop_table(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            let object = pg_sys::ObjectAddress {
                classId: pg_sys::RelationRelationId,
                objectId: self.oid,
                objectSubId: 0,
            };
            pg_sys::performDeletion(
                &object,
                pg_sys::DropBehavior::DROP_RESTRICT,
                pg_sys::PERFORM_DELETION_INTERNAL as i32,
            );
            pg_sys::CommandCounterIncrement();
        }
    }
}

/// Swaps the storage of two relations; the TOAST tables that they have then.
///
/// # Safety
/// Both are locked exclusively and are of one kind.
unsafe fn swap(first: Oid, second: Oid) -> (Oid, Oid) {
    // SAFETY: the catalog's own rows, copied, changed and written back.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let catalog =
            pg_sys::table_open(pg_sys::RelationRelationId, pg_sys::RowExclusiveLock as i32);
        let one = pg_sys::SearchSysCacheCopy(cache, first.into(), 0.into(), 0.into(), 0.into());
        let two = pg_sys::SearchSysCacheCopy(cache, second.into(), 0.into(), 0.into(), 0.into());
        if one.is_null() || two.is_null() {
            Error::bug("a relation is gone whose storage was to be exchanged").raise();
        }
        let a = &mut *pg_sys::GETSTRUCT(one).cast::<pg_sys::FormData_pg_class>();
        let b = &mut *pg_sys::GETSTRUCT(two).cast::<pg_sys::FormData_pg_class>();
        std::mem::swap(&mut a.relfilenode, &mut b.relfilenode);
        std::mem::swap(&mut a.reltablespace, &mut b.reltablespace);
        std::mem::swap(&mut a.reltoastrelid, &mut b.reltoastrelid);
        std::mem::swap(&mut a.relpages, &mut b.relpages);
        std::mem::swap(&mut a.reltuples, &mut b.reltuples);
        std::mem::swap(&mut a.relallvisible, &mut b.relallvisible);
        std::mem::swap(&mut a.relfrozenxid, &mut b.relfrozenxid);
        std::mem::swap(&mut a.relminmxid, &mut b.relminmxid);
        let toast = (a.reltoastrelid, b.reltoastrelid);
        // That the storage is new in this transaction decides whether its changes skip the WAL.
        let (mine, its) = (
            pg_sys::relation_open(first, pg_sys::NoLock as i32),
            pg_sys::relation_open(second, pg_sys::NoLock as i32),
        );
        (*its).rd_createSubid = (*mine).rd_createSubid;
        (*its).rd_newRelfilenodeSubid = (*mine).rd_newRelfilenodeSubid;
        (*its).rd_firstRelfilenodeSubid = (*mine).rd_firstRelfilenodeSubid;
        pg_sys::RelationAssumeNewRelfilenode(mine);
        pg_sys::relation_close(mine, pg_sys::NoLock as i32);
        pg_sys::relation_close(its, pg_sys::NoLock as i32);
        let indexes = pg_sys::CatalogOpenIndexes(catalog);
        pg_sys::CatalogTupleUpdateWithInfo(catalog, &mut (*one).t_self, one, indexes);
        pg_sys::CatalogTupleUpdateWithInfo(catalog, &mut (*two).t_self, two, indexes);
        pg_sys::CatalogCloseIndexes(indexes);
        pg_sys::heap_freetuple(one);
        pg_sys::heap_freetuple(two);
        pg_sys::table_close(catalog, pg_sys::RowExclusiveLock as i32);
        pg_sys::RelationCloseSmgrByOid(first);
        pg_sys::RelationCloseSmgrByOid(second);
        pg_sys::CommandCounterIncrement();
        toast
    }
}

/// Writes down that the TOAST tables have changed owners, and gives the table's the name that goes with
/// its OID.
///
/// # Safety
/// As [`swap`].
unsafe fn adopt_toast(table: Oid, transient: Oid, mine: Oid, its: Oid) {
    // SAFETY: as in `swap`.
    unsafe {
        let address = |oid| pg_sys::ObjectAddress {
            classId: pg_sys::RelationRelationId,
            objectId: oid,
            objectSubId: 0,
        };
        for toast in [mine, its].into_iter().filter(|toast| *toast != Oid::INVALID) {
            pg_sys::deleteDependencyRecordsFor(pg_sys::RelationRelationId, toast, false);
        }
        for (owner, toast) in [(table, mine), (transient, its)] {
            if toast != Oid::INVALID {
                let kind = pg_sys::DependencyType::DEPENDENCY_INTERNAL;
                pg_sys::recordDependencyOn(&address(toast), &address(owner), kind);
            }
        }
        pg_sys::CommandCounterIncrement();
        let name = |toast: Oid, owner: Oid, suffix: &str| {
            if let Ok(name) = std::ffi::CString::new(format!("pg_toast_{}{suffix}", owner.to_u32()))
            {
                pg_sys::RenameRelationInternal(toast, name.as_ptr(), true, !suffix.is_empty());
                pg_sys::CommandCounterIncrement();
            }
        };
        // The old one first, out of the way.
        if its != Oid::INVALID {
            name(its, transient, "_old");
        }
        if mine != Oid::INVALID {
            name(mine, table, "");
            let index = toast_index(mine);
            if its != Oid::INVALID {
                let old = toast_index(its);
                name(old, transient, "_old_index");
            }
            name(index, table, "_index");
        }
    }
}

/// Writes rows in batches.
struct Writer<'w> {
    heap: &'w mut NewHeap,
    relation: pg_sys::Relation,
    /// For each column of the query, the column of the table, from 0.
    places: Vec<usize>,
    slots: Vec<*mut pg_sys::TupleTableSlot>,
    used: usize,
    unwritten: u64,
    command: pg_sys::CommandId,
    insertion: pg_sys::BulkInsertState,
    /// Holds the slots, which outlive the query.
    lasting: Context,
    /// What writing a batch takes.
    context: Context,
    progress: &'w mut dyn FnMut(u64, u64),
    failed: Option<Error>,
}

impl<'w> Writer<'w> {
    /// # Safety
    /// The relation is open, and stays so until [`Writer::end`].
    unsafe fn new(
        heap: &'w mut NewHeap,
        relation: pg_sys::Relation,
        progress: &'w mut dyn FnMut(u64, u64),
    ) -> Writer<'w> {
        // SAFETY: plain constructors.
        unsafe {
            Writer {
                heap,
                relation,
                places: Vec::new(),
                slots: Vec::new(),
                used: 0,
                unwritten: 0,
                command: {
                    // Neither can be had any more once a parallel plan runs.
                    pg_sys::GetCurrentTransactionId();
                    pg_sys::GetCurrentCommandId(true)
                },
                insertion: pg_sys::GetBulkInsertState(),
                lasting: Context::new(c"warehouse load slots"),
                context: Context::new(c"warehouse load"),
                progress,
                failed: None,
            }
        }
    }

    /// # Safety
    /// The relation is open.
    unsafe fn flush(&mut self) {
        if self.used == 0 {
            return;
        }
        let (relation, slots, used) = (self.relation, self.slots.as_mut_ptr(), self.used as i32);
        let (command, insertion) = (self.command, self.insertion);
        // SAFETY: the slots hold rows; the access method's own function, which raises ordinary ERRORs.
        unsafe {
            let insert = (*(*relation).rd_tableam).multi_insert;
            if let Some(insert) = insert {
                self.context.run(|| {
                    pg_sys::ffi::pg_guard_ffi_boundary(|| {
                        insert(relation, slots, used, command, FROZEN, insertion);
                    });
                });
            }
            for slot in &self.slots[..self.used] {
                pg_sys::ExecClearTuple(*slot);
            }
        }
        self.context.reset();
        self.used = 0;
        self.unwritten = 0;
        (self.progress)(self.heap.rows, self.heap.bytes);
    }

    /// # Safety
    /// The relation is still open.
    unsafe fn end(self) {
        // SAFETY: made by `new` and `take`.
        unsafe {
            pg_sys::FreeBulkInsertState(self.insertion);
            for slot in &self.slots {
                pg_sys::ExecDropSingleTupleTableSlot(*slot);
            }
        }
    }

    fn misses(&self, column: &str) -> Error {
        Error::new(
            Code::ERRCODE_NOT_NULL_VIOLATION,
            format!(
                "column \"{column}\" of {} must not be NULL, and the query gave a NULL",
                types::relation_label(self.heap.table)
            ),
        )
    }
}

impl Sink for Writer<'_> {
    unsafe fn start(&mut self, desc: pg_sys::TupleDesc) {
        // SAFETY: descriptors of the query and of the open relation.
        let (theirs, ours) =
            unsafe { (catalog::attributes(desc), catalog::attributes((*self.relation).rd_att)) };
        self.places.clear();
        for column in &theirs {
            match ours.iter().find(|own| own.name == column.name && own.of == column.of) {
                Some(own) => self.places.push(own.number as usize - 1),
                None => {
                    Error::new(
                        Code::ERRCODE_DATATYPE_MISMATCH,
                        format!(
                            "column \"{}\" of the query has no counterpart of its type in {}",
                            column.name,
                            types::relation_label(self.heap.table)
                        ),
                    )
                    .hint("Call warehouse.materialize() again with on_schema_change => 'sync_all_columns'.")
                    .raise();
                }
            }
        }
    }

    unsafe fn take(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the slot holds a row with as many columns as `start` saw; ours has the table's.
        unsafe {
            if self.used == self.slots.len() {
                let relation = self.relation;
                self.slots.push(
                    self.lasting.run(|| pg_sys::table_slot_create(relation, std::ptr::null_mut())),
                );
            }
            let own = self.slots[self.used];
            pg_sys::ExecClearTuple(own);
            pg_sys::slot_getallattrs(slot);
            let desc = (*self.relation).rd_att;
            let width = (*desc).natts as usize;
            let values = std::slice::from_raw_parts_mut((*own).tts_values, width);
            let nulls = std::slice::from_raw_parts_mut((*own).tts_isnull, width);
            nulls.fill(true);
            for (from, to) in self.places.iter().enumerate() {
                values[*to] = *(*slot).tts_values.add(from);
                nulls[*to] = *(*slot).tts_isnull.add(from);
            }
            let attributes = std::slice::from_raw_parts((*desc).attrs.as_ptr(), width);
            if let Some(at) = (0..width).find(|at| {
                nulls[*at] && attributes[*at].attnotnull && !attributes[*at].attisdropped
            }) {
                let name = super::sql::borrowed(attributes[at].attname.data.as_ptr());
                self.misses(&name).raise();
            }
            pg_sys::ExecStoreVirtualTuple(own);
            pg_sys::ExecMaterializeSlot(own);
            let mut free = false;
            let tuple = pg_sys::ExecFetchSlotHeapTuple(own, false, &mut free);
            let length = u64::from((*tuple).t_len);
            if free {
                pg_sys::heap_freetuple(tuple);
            }
            self.used += 1;
            self.unwritten += length;
            self.heap.rows += 1;
            self.heap.bytes += length;
            if self.used == BATCH_ROWS || self.unwritten >= BATCH_BYTES {
                self.flush();
            }
        }
    }

    fn finish(&mut self) {
        // SAFETY: the relation is open.
        unsafe { self.flush() }
    }
}
