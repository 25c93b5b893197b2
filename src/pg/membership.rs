//! What the role that asks belongs to.

use pgrx::pg_sys::{self, Oid};
use std::ffi::CStr;

/// Whether the current user is a superuser.
pub fn is_superuser() -> bool {
    // SAFETY: a plain lookup.
    unsafe { pg_sys::superuser() }
}

/// Whether both the session's user and the current one were made members of a role. Being a superuser
/// does not count, and neither does a function that runs as its owner. `false` if there is no such role.
pub fn is_explicit(role: &'static CStr) -> bool {
    // SAFETY: plain lookups; a static name.
    unsafe {
        let role = pg_sys::get_role_oid(role.as_ptr(), true);
        role != Oid::INVALID
            && pg_sys::is_member_of_role_nosuper(pg_sys::GetUserId(), role)
            && pg_sys::is_member_of_role_nosuper(pg_sys::GetSessionUserId(), role)
    }
}

/// Whether a role was made a member of another. Being a superuser does not count.
pub fn has(member: Oid, role: &'static CStr) -> bool {
    // SAFETY: plain lookups; a static name.
    unsafe {
        let role = pg_sys::get_role_oid(role.as_ptr(), true);
        role != Oid::INVALID && pg_sys::is_member_of_role_nosuper(member, role)
    }
}
