//! The right to clear text.
//!
//! It takes the membership and the wish: a member of `warehouse_clear` who has said
//! `SET warehouse.clear = on`. Superusers are masked like everybody, so that nothing lands raw by
//! accident; so is what runs with somebody else's rights.

use crate::pg::error::{Error, Result};
use crate::pg::{catalog, plans};
use crate::settings;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys;

/// The role whose members may see clear text.
pub const ROLE: &str = "warehouse_clear";

/// Whether this session may see clear text now. The stricter of session and current user counts, and
/// within a SECURITY DEFINER function nobody may.
pub fn may_see_clear() -> bool {
    if !settings::clear() {
        return false;
    }
    let Some(role) = catalog::role_by_name(ROLE) else { return false };
    // SAFETY: plain questions about this session and its roles.
    unsafe {
        !pg_sys::InLocalUserIdChange()
            && [pg_sys::GetSessionUserId(), pg_sys::GetUserId()]
                .into_iter()
                .all(|user| pg_sys::is_member_of_role_nosuper(user, role))
    }
}

/// Refuses to run a plan that was made for clear text in a session that may not see it.
///
/// # Errors
/// 42501.
pub fn check(columns: &[String]) -> Result<()> {
    if columns.is_empty() || may_see_clear() {
        return Ok(());
    }
    Err(Error::new(
        Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("this statement was prepared for clear text of {}", columns.join(", ")),
    )
    .hint("Prepare it anew, or SET warehouse.clear = on as a member of warehouse_clear."))
}

/// `warehouse.clear` has changed: statements that were planned before are planned anew.
pub fn on_change() {
    plans::forget();
}
