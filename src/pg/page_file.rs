//! Pages of bytes in a temporary file, read in any order.

use super::error::{Error, Result};
use super::memory::Context;
use pgrx::{PgSqlErrorCode, pg_sys};
use std::ffi::c_void;

/// A page of a [`PageFile`].
#[derive(Debug, Clone, Copy)]
pub struct Place {
    file: i32,
    offset: libc::off_t,
    len: usize,
}

/// A temporary file, deleted on drop. It counts for `temp_file_limit`.
#[derive(Debug)]
pub struct PageFile {
    file: *mut pg_sys::BufFile,
    end: (i32, libc::off_t),
    // Keeps the file's memory; dropped after it.
    context: Context,
}

impl PageFile {
    /// An empty file. Raises when there can be none.
    pub fn new() -> PageFile {
        let context = Context::new(c"warehouse pages");
        // The file belongs to no resource owner ("interXact"): it is closed with this value.
        // SAFETY: the file's memory lives in our own context.
        let file = context.run(|| unsafe { pg_sys::BufFileCreateTemp(true) });
        PageFile { file, end: (0, 0), context }
    }

    /// Appends a page. Raises when the file cannot grow.
    pub fn put(&mut self, page: &[u8]) -> Result<Place> {
        let (file, end) = (self.file, self.end);
        let mut after = end;
        let found = self.context.run(|| {
            // SAFETY: the file is open; the page is only read; the places are written to.
            unsafe {
                let found = pg_sys::BufFileSeek(file, end.0, end.1, libc::SEEK_SET) == 0;
                if found {
                    let from = page.as_ptr().cast_mut().cast::<c_void>();
                    pg_sys::BufFileWrite(file, from, page.len());
                    pg_sys::BufFileTell(file, &mut after.0, &mut after.1);
                }
                found
            }
        });
        if !found {
            return Err(unreadable());
        }
        self.end = after;
        Ok(Place { file: end.0, offset: end.1, len: page.len() })
    }

    /// A page.
    pub fn get(&self, place: Place) -> Result<Vec<u8>> {
        let mut page = vec![0_u8; place.len];
        let file = self.file;
        // SAFETY: the file is open, and the buffer has room for as many bytes as are read.
        let got = self.context.run(|| unsafe {
            if pg_sys::BufFileSeek(file, place.file, place.offset, libc::SEEK_SET) != 0 {
                return 0;
            }
            pg_sys::BufFileRead(file, page.as_mut_ptr().cast(), place.len)
        });
        if got == place.len { Ok(page) } else { Err(unreadable()) }
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        // SAFETY: open, and not used again.
        unsafe { pg_sys::BufFileClose(self.file) }
    }
}

fn unreadable() -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_IO_ERROR, "could not read a temporary file of pages")
}
