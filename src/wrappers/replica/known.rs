//! The foreign tables that this session has planned with, kept until the catalog changes.
//!
//! A merged query reads the same dozen tables and servers from the catalog each time it is planned, with
//! the options of every column. Any change of the table, its server, a schema or a type forgets them.

use super::columns::{Eyes, ReplicaTable};
use super::options::ServerOptions;
use crate::pg::{catalog, types};
use pgrx::pg_sys::{self, Oid, SysCacheIdentifier as Cache};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// A table and the options of its server.
#[derive(Debug, Clone)]
pub struct Known {
    /// The table.
    pub table: Rc<ReplicaTable>,
    /// Its server's options.
    pub options: Rc<ServerOptions>,
}

thread_local! {
    // A backend is one thread. Nothing reads the catalog while this is borrowed.
    static TABLES: RefCell<HashMap<(u32, Eyes), Known>> = RefCell::default();
    /// Changes of the catalog so far: what was read while one came in is not kept.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static INSTALLED: Cell<bool> = const { Cell::new(false) };
}

/// A table as the catalog describes it now, for these eyes.
pub fn table(relation: Oid, eyes: Eyes) -> Known {
    install();
    let key = (relation.to_u32(), eyes);
    if let Some(known) = TABLES.with_borrow(|tables| tables.get(&key).cloned()) {
        return known;
    }
    let before = CHANGES.get();
    let server = catalog::table(relation).server;
    let options = ServerOptions::parse(&catalog::server(server).options);
    let mut table = ReplicaTable::load(relation, eyes, options.unclassified);
    table.extensions =
        options.extensions.iter().filter_map(|name| types::extension(name)).collect();
    // Nobody tells when an extension comes or goes.
    let lasts = options.extensions.is_empty();
    let known = Known { table: Rc::new(table), options: Rc::new(options) };
    if lasts && before == CHANGES.get() {
        TABLES.with_borrow_mut(|tables| tables.insert(key, known.clone()));
    }
    known
}

fn install() {
    if INSTALLED.replace(true) {
        return;
    }
    // SAFETY: the callbacks are static functions that neither wait, raise nor read the catalog.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_relation), 0.into());
        for cache in
            [Cache::FOREIGNTABLEREL, Cache::FOREIGNSERVEROID, Cache::NAMESPACEOID, Cache::TYPEOID]
        {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(on_catalog), 0.into());
        }
    }
}

unsafe extern "C-unwind" fn on_relation(_: pg_sys::Datum, relation: Oid) {
    CHANGES.set(CHANGES.get() + 1);
    TABLES.with_borrow_mut(|tables| match relation {
        Oid::INVALID => tables.clear(),
        _ => tables.retain(|(known, _), _| *known != relation.to_u32()),
    });
}

unsafe extern "C-unwind" fn on_catalog(_: pg_sys::Datum, _: i32, _: pg_sys::uint32) {
    CHANGES.set(CHANGES.get() + 1);
    TABLES.with_borrow_mut(HashMap::clear);
}
