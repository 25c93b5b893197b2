//! Values in memory that all backends share.
//!
//! Such memory exists only if the library is in `shared_preload_libraries`: it is asked for while the
//! postmaster loads the library ([`share`]) and set up when the server starts.

use super::process;
use pgrx::pg_sys;
use pgrx::{PGRXSharedMemory, PgLwLock, PgSharedMemoryInitialization};
use std::cell::{Cell, RefCell};

/// A value behind a lock.
trait Region {
    fn request(&'static self);
    fn start(&'static self);
}

impl<T: PGRXSharedMemory + Default> Region for PgLwLock<T> {
    fn request(&'static self) {
        // SAFETY: called from the request hook.
        unsafe { self.on_shmem_request() }
    }

    fn start(&'static self) {
        // SAFETY: called from the startup hook.
        unsafe { self.on_shmem_startup(T::default()) }
    }
}

thread_local! {
    // The postmaster is one thread; backends inherit what it set.
    static REGIONS: RefCell<Vec<&'static dyn Region>> = const { RefCell::new(Vec::new()) };
    static NEXT_REQUEST: Cell<pg_sys::shmem_request_hook_type> = const { Cell::new(None) };
    static NEXT_STARTUP: Cell<pg_sys::shmem_startup_hook_type> = const { Cell::new(None) };
}

/// Puts a value into shared memory if the library is being preloaded; returns whether it is. Called by
/// `_PG_init`.
pub fn share<T: PGRXSharedMemory + Default>(region: &'static PgLwLock<T>) -> bool {
    if !process::is_preloading() {
        return false;
    }
    REGIONS.with_borrow_mut(|regions| {
        if regions.is_empty() {
            // SAFETY: hook variables of this process; the former hooks are called by ours.
            unsafe {
                NEXT_REQUEST.set(pg_sys::shmem_request_hook);
                NEXT_STARTUP.set(pg_sys::shmem_startup_hook);
                pg_sys::shmem_request_hook = Some(request);
                pg_sys::shmem_startup_hook = Some(startup);
            }
        }
        regions.push(region);
    });
    true
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    if let Some(next) = NEXT_REQUEST.get() {
        // SAFETY: another hook, called as Postgres would.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| next()) }
    }
    REGIONS.with_borrow(|regions| regions.iter().for_each(|region| region.request()));
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup() {
    if let Some(next) = NEXT_STARTUP.get() {
        // SAFETY: as above.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| next()) }
    }
    REGIONS.with_borrow(|regions| regions.iter().for_each(|region| region.start()));
}
