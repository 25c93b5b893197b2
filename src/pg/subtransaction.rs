//! Trying something that may raise, without losing the transaction.

use super::error::Error;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder};
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

/// Runs `f` in a subtransaction of its own. What it raises rolls the subtransaction back and is
/// returned; a cancel or a shutdown is raised on.
pub fn attempt<T>(f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // SAFETY: the subtransaction is released or rolled back on every way out, and the memory context
    // and resource owner are put back as the manual of SPI's own callers does.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        // What was done before must be visible in it and survive it.
        pg_sys::CommandCounterIncrement();
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = context;
        let interrupt = Mutex::new(None);
        let outcome = PgTryBuilder::new(AssertUnwindSafe(f))
            .catch_others(|caught| {
                let report = match &caught {
                    CaughtError::PostgresError(report)
                    | CaughtError::ErrorReport(report)
                    | CaughtError::RustPanic { ereport: report, .. } => report,
                };
                let error = Error::new(report.sql_error_code(), report.message());
                let error = match report.hint() {
                    Some(hint) => error.hint(hint),
                    None => error,
                };
                if is_interrupt(report.sql_error_code(), report.message()) {
                    *interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(caught);
                }
                Err(error)
            })
            .execute();
        if outcome.is_ok() {
            pg_sys::ReleaseCurrentSubTransaction();
        } else {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
        // The subtransaction has to be gone first: the end of the statement ends no more than one.
        let interrupt = interrupt.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(caught) = interrupt {
            caught.rethrow();
        }
        outcome
    }
}

/// Whether this session was cancelled or is to end. What a source says of itself has its name in front.
fn is_interrupt(code: PgSqlErrorCode, message: &str) -> bool {
    match code {
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED => message.starts_with("canceling "),
        PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
        | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
        | PgSqlErrorCode::ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT => true,
        _ => false,
    }
}

/// The number of the current subtransaction; numbers grow.
pub fn current() -> u32 {
    // SAFETY: a plain question.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}
