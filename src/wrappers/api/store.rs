//! Pages of rows that may be read again: a little in memory, the rest in a temporary file.

use crate::pg::error::{Error, Result};
use crate::pg::memory::Context;
use pgrx::{PgSqlErrorCode as Code, pg_sys};
use std::cell::Cell;
use std::ffi::c_void;
use warehouse_core::connectors::codec;
use warehouse_core::connectors::Row;

/// Bytes that all stores of the session may take in memory.
const MEMORY: usize = 8 << 20;

thread_local! {
    static USED: Cell<usize> = const { Cell::new(0) };
}

enum Place {
    Memory(Vec<u8>),
    File { file: i32, offset: libc::off_t, len: usize },
}

/// Pages, in their order.
pub struct Store {
    pages: Vec<Place>,
    in_memory: usize,
    bytes: u64,
    file: *mut pg_sys::BufFile,
    end: (i32, libc::off_t),
    // Keeps the file's memory; dropped after it.
    context: Option<Context>,
}

impl Store {
    /// An empty one.
    pub fn new() -> Store {
        Store {
            pages: Vec::new(),
            in_memory: 0,
            bytes: 0,
            file: std::ptr::null_mut(),
            end: (0, 0),
            context: None,
        }
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Bytes of all pages.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a page. Raises when the temporary file cannot grow.
    pub fn put(&mut self, rows: &[Row]) -> Result<()> {
        let mut page = Vec::new();
        rows.iter().for_each(|row| codec::encode(row, &mut page));
        self.bytes += page.len() as u64;
        if USED.get() + page.len() <= MEMORY {
            page.shrink_to_fit();
            USED.set(USED.get() + page.len());
            self.in_memory += page.len();
            self.pages.push(Place::Memory(page));
            return Ok(());
        }
        let context = self.context.get_or_insert_with(|| Context::new(c"warehouse api cache"));
        if self.file.is_null() {
            // The file belongs to no resource owner ("interXact"): it is closed with this value.
            // SAFETY: the file's memory lives in our own context.
            self.file = context.run(|| unsafe { pg_sys::BufFileCreateTemp(true) });
        }
        let (file, end) = (self.file, self.end);
        let mut after = end;
        let failed = context.run(|| {
            // SAFETY: the file is open; the page is read only; the place is written to.
            unsafe {
                let failed = pg_sys::BufFileSeek(file, end.0, end.1, libc::SEEK_SET) != 0;
                if !failed {
                    let from = page.as_ptr().cast_mut().cast::<c_void>();
                    pg_sys::BufFileWrite(file, from, page.len());
                    pg_sys::BufFileTell(file, &mut after.0, &mut after.1);
                }
                failed
            }
        });
        if failed {
            return Err(unreadable());
        }
        self.pages.push(Place::File { file: end.0, offset: end.1, len: page.len() });
        self.end = after;
        Ok(())
    }

    /// The rows of a page.
    pub fn get(&self, at: usize) -> Result<Vec<Row>> {
        match &self.pages[at] {
            Place::Memory(page) => rows(page),
            Place::File { file, offset, len } => {
                let mut page = vec![0_u8; *len];
                let context = self.context.as_ref().ok_or_else(unreadable)?;
                let open = self.file;
                // SAFETY: the file is open, and the buffer has room for `len` bytes.
                let got = context.run(|| unsafe {
                    if pg_sys::BufFileSeek(open, *file, *offset, libc::SEEK_SET) != 0 {
                        return 0;
                    }
                    pg_sys::BufFileRead(open, page.as_mut_ptr().cast(), *len)
                });
                if got != *len {
                    return Err(unreadable());
                }
                rows(&page)
            }
        }
    }
}

fn rows(mut page: &[u8]) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    while let Some(row) = codec::decode(&mut page).map_err(|error| Error::bug(error.to_string()))? {
        out.push(row);
    }
    Ok(out)
}

fn unreadable() -> Error {
    Error::new(Code::ERRCODE_IO_ERROR, "could not read a temporary file of cached API answers")
}

impl Drop for Store {
    fn drop(&mut self) {
        USED.set(USED.get().saturating_sub(self.in_memory));
        if !self.file.is_null() {
            // SAFETY: open, and not used again.
            unsafe { pg_sys::BufFileClose(self.file) }
        }
    }
}
