//! Settings for a while.

use pgrx::pg_sys;
use std::ffi::CStr;

/// Settings made on it last until it is dropped, or until the transaction fails.
#[derive(Debug)]
pub struct Level(i32);

impl Level {
    /// A new level.
    pub fn enter() -> Level {
        // SAFETY: the level is left on drop.
        Level(unsafe { pg_sys::NewGUCNestLevel() })
    }

    /// Sets a setting.
    pub fn set(&self, name: &'static CStr, value: &CStr) {
        self.set_as(name, value, pg_sys::GucContext::PGC_USERSET);
    }

    /// Sets a setting that takes a superuser, whoever is asking.
    pub fn set_as_superuser(&self, name: &'static CStr, value: &CStr) {
        self.set_as(name, value, pg_sys::GucContext::PGC_SUSET);
    }

    fn set_as(&self, name: &'static CStr, value: &CStr, context: pg_sys::GucContext::Type) {
        // SAFETY: the strings are copied; GUC_ACTION_SAVE undoes it at the end of the nest level.
        unsafe {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                context,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the level was entered by `enter`.
            unsafe { pg_sys::AtEOXact_GUC(true, self.0) }
        }
    }
}
