//! Lines of the server log that tell nothing but what they say.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

/// Writes a line to the server log, without the statement and the context, which may hold literals.
/// Clients are not sent it.
pub fn server_log(text: String) {
    // SAFETY: both are the backend's own; logging raises nothing, so that they are put back.
    unsafe {
        let (statement, context) = (pg_sys::debug_query_string, pg_sys::error_context_stack);
        pg_sys::debug_query_string = std::ptr::null();
        pg_sys::error_context_stack = std::ptr::null_mut();
        ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, text, "warehouse")
            .report(PgLogLevel::LOG_SERVER_ONLY);
        pg_sys::debug_query_string = statement;
        pg_sys::error_context_stack = context;
    }
}
