//! Which sites a role sees: `warehouse.restrict_sites()`.
//!
//! A merged table's part of another site is planned as empty. The plan depends on the role and on the table
//! of restrictions, whose changes have every session plan anew.

use crate::pg::{catalog, identity, sql};
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};

/// What was found for a statement of two roles.
#[derive(Default)]
struct Found {
    statement: i64,
    roles: (u32, u32),
    sites: Option<Vec<String>>,
}

/// The table of restrictions.
#[derive(Debug, Clone, Copy)]
pub struct Restrictions {
    /// The table, on which every plan over a site depends.
    pub table: Oid,
    /// Whether anybody was ever restricted.
    pub are_any: bool,
}

thread_local! {
    // A statement plans a dozen parts: it asks once.
    static FOUND: RefCell<Found> = RefCell::default();
    /// The statement that has looked for the table, and what it found.
    static TABLE: Cell<(i64, Option<Restrictions>)> = const { Cell::new((0, None)) };
}

/// The table of restrictions, if the extension has it.
pub fn restrictions() -> Option<Restrictions> {
    // SAFETY: reads a plain variable.
    let statement = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    let (asked, found) = TABLE.get();
    if statement != 0 && asked == statement && found.is_some() {
        return found;
    }
    let found = catalog::relation_by_name("warehouse", "site_restrictions")
        .map(|table| Restrictions { table, are_any: catalog::has_pages(table) });
    TABLE.set((statement, found));
    found
}

/// Whether the current and the session user may both see a site.
pub fn sees(site: &str) -> bool {
    let roles = (identity::current().to_u32(), identity::session().to_u32());
    // SAFETY: reads a plain variable.
    let statement = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    let fresh = FOUND.with_borrow(|found| {
        statement != 0 && found.statement == statement && found.roles == roles
    });
    if !fresh {
        // What cannot be read allows nothing.
        let sites = sql::value::<Vec<String>>("SELECT warehouse.visible_sites()", &[])
            .unwrap_or_else(|_| Some(Vec::new()));
        FOUND.with_borrow_mut(|found| *found = Found { statement, roles, sites });
    }
    FOUND.with_borrow(|found| {
        found.sites.as_ref().is_none_or(|sites| sites.iter().any(|known| known == site))
    })
}

/// Has every session plan anew what depends on the restrictions.
#[pg_extern(name = "restrictions_changed", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn restrictions_changed() {
    FOUND.with_borrow_mut(|found| *found = Found::default());
    TABLE.set((0, None));
    if let Some(Restrictions { table, .. }) = restrictions() {
        // SAFETY: queues a message that is sent at commit.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(table) };
    }
}
