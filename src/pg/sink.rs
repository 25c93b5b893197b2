//! The rows of a query, given to something of ours row by row instead of to a client.
//!
//! The query runs through SPI with a `DestReceiver` of our own, so that rows are neither collected nor
//! copied on their way. The rows of a scan hold until the next one; a [`Sink`] copies what it keeps.

use super::error::{Error, Result};
use pgrx::{PgSqlErrorCode as Code, pg_sys};
use std::ffi::{CString, c_int};

/// Takes rows.
pub trait Sink {
    /// The query begins; its columns.
    ///
    /// # Safety
    /// `desc` is valid while the query runs.
    unsafe fn start(&mut self, desc: pg_sys::TupleDesc);

    /// A row.
    ///
    /// # Safety
    /// `slot` holds a row of the query.
    unsafe fn take(&mut self, slot: *mut pg_sys::TupleTableSlot);

    /// The query has given all its rows.
    fn finish(&mut self);
}

#[repr(C)]
struct Receiver<'s> {
    base: pg_sys::_DestReceiver,
    sink: &'s mut dyn Sink,
}

/// Runs a query and gives its rows to `sink`. `register` is called within the SPI connection before.
/// What is wrong with the query raises its own ERROR.
pub fn run(query: &str, sink: &mut dyn Sink, register: impl FnOnce()) -> Result<()> {
    let text = CString::new(query).map_err(|_| {
        Error::new(Code::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "a statement holds a NUL")
    })?;
    let mut receiver = Receiver {
        base: pg_sys::_DestReceiver {
            receiveSlot: Some(receive),
            rStartup: Some(startup),
            rShutdown: Some(shutdown),
            rDestroy: Some(destroy),
            mydest: pg_sys::CommandDest::DestNone,
        },
        sink,
    };
    // SAFETY: the receiver outlives the query; an ERROR ends the SPI connection with its
    // (sub)transaction.
    let status = unsafe {
        let options = pg_sys::SPIExecuteOptions {
            dest: (&raw mut receiver).cast(),
            must_return_tuples: true,
            ..Default::default()
        };
        pg_sys::SPI_connect();
        register();
        let status = pg_sys::SPI_execute_extended(text.as_ptr(), &options);
        pg_sys::SPI_finish();
        status
    };
    if status < 0 {
        return Err(Error::bug(format!("a query ended with SPI status {status}")));
    }
    Ok(())
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup(
    receiver: *mut pg_sys::DestReceiver,
    _operation: c_int,
    desc: pg_sys::TupleDesc,
) {
    // SAFETY: `run` made it, and it lives until `run` returns.
    unsafe { (*receiver.cast::<Receiver<'_>>()).sink.start(desc) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn receive(
    slot: *mut pg_sys::TupleTableSlot,
    receiver: *mut pg_sys::DestReceiver,
) -> bool {
    // SAFETY: as above.
    unsafe { (*receiver.cast::<Receiver<'_>>()).sink.take(slot) }
    true
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn shutdown(receiver: *mut pg_sys::DestReceiver) {
    // SAFETY: as above.
    unsafe { (*receiver.cast::<Receiver<'_>>()).sink.finish() }
}

unsafe extern "C-unwind" fn destroy(_: *mut pg_sys::DestReceiver) {}
