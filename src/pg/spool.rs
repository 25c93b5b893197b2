//! A queue of byte messages that grows in memory up to work_mem and in a temporary file beyond.

use super::error::{Error, Result};
use super::memory::Context;
use pgrx::{PgSqlErrorCode, pg_sys};
use std::ffi::c_void;

/// Messages, written first and then read once in the same order.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    read: usize,
    file: *mut pg_sys::BufFile,
    in_file: u64,
    budget: usize,
    // Keeps the file's memory; dropped after it.
    context: Context,
}

impl Spool {
    /// An empty queue.
    pub fn new() -> Spool {
        // SAFETY: work_mem is a plain setting, in kilobytes.
        let budget = unsafe { pg_sys::work_mem } as usize * 1024;
        Spool {
            memory: Vec::new(),
            read: 0,
            file: std::ptr::null_mut(),
            in_file: 0,
            budget,
            context: Context::new(c"warehouse spool"),
        }
    }

    /// Appends a message. Raises when the temporary file cannot grow.
    pub fn put(&mut self, message: &[u8]) {
        let len = (message.len() as u32).to_ne_bytes();
        if self.file.is_null() {
            if self.memory.len() + message.len() + len.len() <= self.budget {
                self.memory.extend_from_slice(&len);
                self.memory.extend_from_slice(message);
                return;
            }
            // The file belongs to no resource owner ("interXact"): it is closed with this value, which
            // may outlive the subtransaction that wrote it.
            // SAFETY: the file's memory lives in our own context.
            self.file = self.context.run(|| unsafe { pg_sys::BufFileCreateTemp(true) });
        }
        let file = self.file;
        self.context.run(|| {
            for part in [&len[..], message] {
                // SAFETY: the file is open; the slice is read only.
                unsafe {
                    pg_sys::BufFileWrite(
                        file,
                        part.as_ptr().cast_mut().cast::<c_void>(),
                        part.len(),
                    );
                }
            }
        });
        self.in_file += 1;
    }

    /// Ends writing: [`Spool::take`] starts at the first message.
    pub fn rewind(&mut self) -> Result<()> {
        if self.file.is_null() {
            return Ok(());
        }
        // SAFETY: the file is open.
        let failed = unsafe { pg_sys::BufFileSeek(self.file, 0, 0, libc::SEEK_SET) } != 0;
        if failed { Err(unreadable()) } else { Ok(()) }
    }

    /// Moves the next message into `into`, followed by a NUL; `None` when there is none, else its
    /// length.
    pub fn take(&mut self, into: &mut Vec<u8>) -> Result<Option<usize>> {
        into.clear();
        if let Some(len) = self.memory.get(self.read..self.read + 4) {
            let len = u32::from_ne_bytes([len[0], len[1], len[2], len[3]]) as usize;
            let start = self.read + 4;
            into.extend_from_slice(&self.memory[start..start + len]);
            into.push(0);
            self.read = start + len;
            if self.read == self.memory.len() {
                self.memory = Vec::new();
                self.read = 0;
            }
            return Ok(Some(len));
        }
        if self.in_file == 0 {
            return Ok(None);
        }
        let mut len = [0u8; 4];
        self.read_file(&mut len)?;
        let len = u32::from_ne_bytes(len) as usize;
        into.resize(len + 1, 0);
        self.read_file(&mut into[..len])?;
        self.in_file -= 1;
        Ok(Some(len))
    }

    fn read_file(&mut self, into: &mut [u8]) -> Result<()> {
        let want = into.len();
        let file = self.file;
        // SAFETY: the file is open, and the buffer has room for `want` bytes.
        let got = self
            .context
            .run(|| unsafe { pg_sys::BufFileRead(file, into.as_mut_ptr().cast(), want) });
        if got == want { Ok(()) } else { Err(unreadable()) }
    }
}

fn unreadable() -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_IO_ERROR,
        "could not read a temporary file of a foreign scan",
    )
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.file.is_null() {
            // SAFETY: open, and not used again.
            unsafe { pg_sys::BufFileClose(self.file) }
        }
    }
}
