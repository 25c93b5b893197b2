//! Rust values that live and die with a memory context.

use pgrx::pg_sys;
use std::ffi::c_void;

/// Moves `value` to the heap and drops it when `context` is reset or deleted, which also happens
/// after an ERROR, when the executor's own end callbacks are skipped.
///
/// # Safety
/// `context` is valid, and the pointer is not used after its reset.
pub unsafe fn leak_into<T>(context: pg_sys::MemoryContext, value: T) -> *mut T {
    unsafe extern "C-unwind" fn drop_it<T>(arg: *mut c_void) {
        // SAFETY: `arg` is the box leaked below, and the callback runs once.
        drop(unsafe { Box::from_raw(arg.cast::<T>()) });
    }
    let leaked = Box::into_raw(Box::new(value));
    // SAFETY: the callback structure lives in the context it belongs to.
    unsafe {
        let callback: *mut pg_sys::MemoryContextCallback =
            pg_sys::MemoryContextAllocZero(context, size_of::<pg_sys::MemoryContextCallback>())
                .cast();
        (*callback).func = Some(drop_it::<T>);
        (*callback).arg = leaked.cast();
        pg_sys::MemoryContextRegisterResetCallback(context, callback);
    }
    leaked
}

/// A memory context of our own, deleted on drop. Its parent must outlive it.
#[derive(Debug)]
pub struct Context(pg_sys::MemoryContext);

impl Context {
    /// A context under TopMemoryContext.
    pub fn new(name: &'static std::ffi::CStr) -> Context {
        // SAFETY: the name is static, the sizes are Postgres's defaults.
        Context(unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopMemoryContext,
                name.as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        })
    }

    /// Frees everything in it.
    pub fn reset(&self) {
        // SAFETY: valid context.
        unsafe { pg_sys::MemoryContextReset(self.0) }
    }

    /// The context itself.
    pub fn as_ptr(&self) -> pg_sys::MemoryContext {
        self.0
    }

    /// Runs `f` with this as the current context. The former one is current again afterwards, also
    /// when `f` raises.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        within(self.0, f)
    }
}

/// Runs `f` with `context`, which has to be valid, as the current one. The former one is current again
/// afterwards, also when `f` raises.
pub fn within<T>(context: pg_sys::MemoryContext, f: impl FnOnce() -> T) -> T {
    struct Back(pg_sys::MemoryContext);
    impl Drop for Back {
        fn drop(&mut self) {
            // SAFETY: the former context is still valid.
            unsafe { pg_sys::CurrentMemoryContext = self.0 };
        }
    }
    // SAFETY: switching contexts is a plain assignment.
    let _back = unsafe {
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = context;
        Back(before)
    };
    f()
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: valid context, not used again.
        unsafe { pg_sys::MemoryContextDelete(self.0) }
    }
}
