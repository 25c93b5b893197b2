//! The right to clear text.
//!
//! It takes the membership and the wish: a member of `warehouse_clear` who has said
//! `SET warehouse.clear = on`. Superusers are masked like everybody, so that nothing lands raw by
//! accident; so is what runs with somebody else's rights.

use crate::pg::error::{Error, Result};
use crate::pg::{catalog, identity, log, membership, plans};
use crate::privacy::reads;
use crate::settings;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::ffi::CStr;

/// The role whose members may see clear text.
pub const ROLE: &CStr = c"warehouse_clear";

thread_local! {
    /// Set while a materialization runs that was allowed to keep clear text.
    static GRANTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; it sees clear text if `role` is given and still is a member of `warehouse_clear`. Only for
/// definitions that a member has made so.
///
/// # Errors
/// 42501 if the role is no member.
pub fn granted<T>(role: Option<Oid>, f: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            GRANTED.set(self.0);
        }
    }
    if let Some(role) = role
        && !membership::has(role, ROLE)
    {
        return Err(Error::new(
            Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!(
                "role \"{}\" is no member of warehouse_clear, so that nothing may be kept in clear for it",
                catalog::role_name(role).unwrap_or_default()
            ),
        )
        .hint("GRANT warehouse_clear TO the role, or materialize without clear => true."));
    }
    let _back = Back(GRANTED.replace(role.is_some()));
    f()
}

/// Whether this session may see clear text now. The stricter of session and current user counts, and
/// within a SECURITY DEFINER function nobody may.
pub fn may_see_clear() -> bool {
    if GRANTED.get() {
        return true;
    }
    // SAFETY: a plain question about this session.
    settings::clear() && !unsafe { pg_sys::InLocalUserIdChange() } && membership::is_explicit(ROLE)
}

/// A protected column that is read in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clear {
    /// Schema, table, site and column, as people read them.
    pub label: String,
    /// The foreign table.
    pub relation: u32,
    /// The number of the column there.
    pub number: i16,
}

fn labels(columns: &[Clear]) -> String {
    columns.iter().map(|column| column.label.as_str()).collect::<Vec<_>>().join(", ")
}

/// Refuses to run a plan that was made for clear text in a session that may not see it.
///
/// # Errors
/// 42501.
pub fn check(columns: &[Clear]) -> Result<()> {
    if columns.is_empty() || may_see_clear() {
        return Ok(());
    }
    Err(Error::new(
        Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("this statement was prepared for clear text of {}", labels(columns)),
    )
    .hint("Prepare it anew, or SET warehouse.clear = on as a member of warehouse_clear."))
}

/// Records that these columns are read in clear, in the server log and for `warehouse.audit`: before the
/// first row with `rows` unknown, since what has been read is not unread by an error, and at the end with
/// their number.
pub fn record(columns: &[Clear], rows: Option<u64>) {
    if columns.is_empty() {
        return;
    }
    // SAFETY: a plain question.
    let query = unsafe { pg_sys::pgstat_get_my_query_id() };
    let name = |role| catalog::role_name(role).unwrap_or_default();
    let what = match rows {
        None => "reads in clear".to_owned(),
        Some(rows) => format!("has read {rows} rows in clear"),
    };
    log::server_log(format!(
        "warehouse audit: role \"{}\" (session of \"{}\") {what}: {} (query {query})",
        name(identity::current()),
        name(identity::session()),
        labels(columns)
    ));
    reads::leave(columns, rows);
}

/// `warehouse.clear` has changed: statements that were planned before are planned anew.
pub fn on_change() {
    plans::forget();
}
