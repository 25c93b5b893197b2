//! Plans that are kept.

use pgrx::pg_sys;

/// Has every kept plan made anew before it is used again.
pub fn forget() {
    // SAFETY: marks plans; neither waits nor raises.
    unsafe { pg_sys::ResetPlanCache() };
}
