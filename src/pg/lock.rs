//! Locks on tables, with a bound on how long others may have to wait behind the request.

use super::error::Result;
use super::guc::Level;
use super::subtransaction::attempt;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use std::ffi::CString;
use std::time::Duration;

/// Takes the exclusive lock on a table if it can be had within a time; it is kept until the transaction
/// ends. Others who come while it is waited for wait behind it.
pub fn exclusively(table: Oid, within: Duration) -> Result<bool> {
    let taken = attempt(|| {
        let level = Level::enter();
        let time = CString::new(format!("{}ms", within.as_millis().max(1)));
        level.set(c"lock_timeout", time.as_deref().unwrap_or(c"100ms"));
        // SAFETY: raises an ordinary ERROR if it cannot be had.
        unsafe { pg_sys::LockRelationOid(table, pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE) };
        drop(level);
        Ok(())
    });
    match taken {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Code::ERRCODE_LOCK_NOT_AVAILABLE => Ok(false),
        Err(error) => Err(error),
    }
}
