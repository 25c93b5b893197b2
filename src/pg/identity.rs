//! Who is asking, and acting as somebody else for a moment.

use pgrx::pg_sys::{self, Oid};
use std::ffi::CString;

/// The role whose rights count now.
pub fn current() -> Oid {
    // SAFETY: a plain question.
    unsafe { pg_sys::GetUserId() }
}

/// The role that logged in.
pub fn session() -> Oid {
    // SAFETY: a plain question.
    unsafe { pg_sys::GetSessionUserId() }
}

/// The role that logged in, or that SET ROLE chose: whom functions with the rights of their owner
/// hide.
pub fn outer() -> Oid {
    // SAFETY: a plain question.
    unsafe { pg_sys::GetOuterUserId() }
}

/// Whether a role has the rights of the role of this name. Superusers have all.
pub fn has_rights_of(member: Oid, role: &str) -> bool {
    let Ok(role) = CString::new(role) else { return false };
    // SAFETY: plain lookups; a missing role is allowed, and nobody has its rights.
    unsafe {
        let role = pg_sys::get_role_oid(role.as_ptr(), true);
        if role == Oid::INVALID {
            return pg_sys::superuser_arg(member);
        }
        pg_sys::has_privs_of_role(member, role)
    }
}

/// Does something with the rights of another role, as maintenance commands do: what it runs can
/// neither change the role nor leave anything behind in the session. An ERROR puts the role back as
/// it ends the (sub)transaction.
pub fn acting_as<T>(role: Oid, f: impl FnOnce() -> T) -> T {
    let (mut before, mut context) = (Oid::INVALID, 0);
    // SAFETY: sets what AbortTransaction and AbortSubTransaction restore by themselves.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut before, &mut context);
        let bits = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
        pg_sys::SetUserIdAndSecContext(role, context | bits as i32);
    }
    let outcome = f();
    // SAFETY: as above.
    unsafe { pg_sys::SetUserIdAndSecContext(before, context) };
    outcome
}
