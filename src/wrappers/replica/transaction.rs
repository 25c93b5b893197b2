//! What the end of a local transaction means to the connections.
//!
//! A read that is given up in a subtransaction that aborts is cancelled; the next read finds it stopped
//! half-way and goes back to its savepoint (see [`super::connection`]).

use super::registry;
use pgrx::pg_sys::{self, XactEvent};
use std::cell::Cell;
use std::ffi::c_void;

thread_local! {
    static INSTALLED: Cell<bool> = const { Cell::new(false) };
}

/// Registers the callbacks, once a session.
pub fn install() {
    if INSTALLED.replace(true) {
        return;
    }
    // SAFETY: the callbacks are static functions that neither wait nor raise.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_xact), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_subxact), std::ptr::null_mut());
        for cache in [
            pg_sys::SysCacheIdentifier::FOREIGNSERVEROID,
            pg_sys::SysCacheIdentifier::USERMAPPINGOID,
        ] {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(on_change), 0.into());
        }
    }
}

unsafe extern "C-unwind" fn on_xact(event: XactEvent::Type, _: *mut c_void) {
    let committed = match event {
        XactEvent::XACT_EVENT_COMMIT
        | XactEvent::XACT_EVENT_PARALLEL_COMMIT
        | XactEvent::XACT_EVENT_PREPARE => true,
        XactEvent::XACT_EVENT_ABORT | XactEvent::XACT_EVENT_PARALLEL_ABORT => false,
        _ => return,
    };
    for connection in registry::all() {
        connection.on_transaction_end(committed);
    }
}

unsafe extern "C-unwind" fn on_subxact(
    event: pg_sys::SubXactEvent::Type,
    subtransaction: pg_sys::SubTransactionId,
    _: pg_sys::SubTransactionId,
    _: *mut c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        for connection in registry::all() {
            connection.on_subtransaction_abort(subtransaction);
        }
    }
}

unsafe extern "C-unwind" fn on_change(_: pg_sys::Datum, cache: i32, hash: pg_sys::uint32) {
    registry::invalidate(cache, hash);
}
