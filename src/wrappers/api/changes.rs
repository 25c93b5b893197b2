//! What incremental materialization asks of an API that tells what is new and what has changed.
//!
//! The rule is the API's own and lies with its connector: a union of windows over nine times for
//! transactions of Braintree, the time of the last change for records of Airtable. A window ends a while
//! before now, since records take time to appear in a search.

use super::limits;
use super::source;
use super::table::ApiTable;
use super::vendor::Vendor;
use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;
use warehouse_core::connectors::time::{UNIX_TO_POSTGRES, postgres_text, timestamp};
use warehouse_core::connectors::{ChangeCursor, Changes};

thread_local! {
    // A backend is one thread.
    static WINDOWS: RefCell<Vec<(Oid, Changes)>> = const { RefCell::new(Vec::new()) };
}

/// A window of changes of a table: what is to be read, and what to remember for the next one.
#[derive(Debug, Clone)]
pub struct Window {
    /// `None` where there was no window before: everything is to be read.
    pub changes: Option<Changes>,
    /// The end of the window, as a time.
    pub until: String,
}

/// Whether a relation is a table of an API.
pub fn is_api(relation: Oid) -> bool {
    // SAFETY: a plain lookup.
    let kind = unsafe { pg_sys::get_rel_relkind(relation) } as u8;
    kind == pg_sys::RELKIND_FOREIGN_TABLE
        && Vendor::of_server(catalog::table(relation).server).is_ok()
}

/// How far before now windows end, in seconds; `None` if the API tells no changes of this table, or it is
/// no table of an API.
pub fn settle(relation: Oid) -> Result<Option<u32>> {
    if !is_api(relation) {
        return Ok(None);
    }
    // SAFETY: a plain question.
    let user = unsafe { pg_sys::GetUserId() };
    let source = source::planned(catalog::table(relation).server, user)?;
    match ApiTable::load(relation, &source, false)?.table.cursor {
        ChangeCursor::Changes { settle } => Ok(Some(settle)),
        ChangeCursor::None | ChangeCursor::Created(_) => Ok(None),
    }
}

/// The window after the one that ended at `last`. To be asked for before anything is read.
///
/// # Errors
/// 55000 if the API tells no changes of this table, XX000 if `last` is no time.
pub fn window(relation: Oid, last: Option<&str>) -> Result<Window> {
    let settle = settle(relation)?.ok_or_else(|| {
        Error::new(
            Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the API does not tell what has changed in this table",
        )
    })?;
    let since = last.map(micros).transpose()?;
    let until = limits::now().saturating_sub(u64::from(settle) * 1_000_000);
    // The clock may have been set back: what was read is not forgotten.
    let until = since.map_or(until, |since| until.max(since));
    let changes = since.map(|since| Changes { since, until });
    Ok(Window { changes, until: postgres_text(until as i64 - UNIX_TO_POSTGRES * 1_000_000) })
}

fn micros(text: &str) -> Result<u64> {
    let since = timestamp(text).map(|micros| micros + UNIX_TO_POSTGRES * 1_000_000);
    since
        .and_then(|micros| u64::try_from(micros).ok())
        .ok_or_else(|| Error::bug(format!("the end of the last window is \"{text}\"")))
}

/// Runs `f`; scans that begin in it read of a foreign table only what changed in a window.
pub fn only_within<T>(table: Oid, changes: Changes, f: impl FnOnce() -> T) -> T {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            WINDOWS.with_borrow_mut(Vec::pop);
        }
    }
    WINDOWS.with_borrow_mut(|all| all.push((table, changes)));
    let _back = Back;
    f()
}

/// The window that a scan of a table reads.
pub fn current(table: Oid) -> Option<Changes> {
    WINDOWS.with_borrow(|all| {
        all.iter().rev().find(|(oid, _)| *oid == table).map(|(_, changes)| *changes)
    })
}
