//! Pages of rows that may be read again: a little in memory, the rest in a temporary file.

use crate::pg::error::{Error, Result};
use crate::pg::page_file::{PageFile, Place};
use std::cell::Cell;
use warehouse_core::connectors::{Row, codec};

/// Bytes that all stores of the session may take in memory.
const MEMORY: usize = 8 << 20;

thread_local! {
    static USED: Cell<usize> = const { Cell::new(0) };
}

enum Page {
    Here(Vec<u8>),
    InFile(Place),
}

/// Pages, in their order.
#[derive(Default)]
pub struct Store {
    pages: Vec<Page>,
    in_memory: usize,
    bytes: u64,
    file: Option<PageFile>,
}

impl Store {
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
            self.pages.push(Page::Here(page));
            return Ok(());
        }
        let place = self.file.get_or_insert_with(PageFile::new).put(&page)?;
        self.pages.push(Page::InFile(place));
        Ok(())
    }

    /// The rows of a page.
    pub fn get(&self, at: usize) -> Result<Vec<Row>> {
        match (&self.pages[at], &self.file) {
            (Page::Here(page), _) => rows(page),
            (Page::InFile(place), Some(file)) => rows(&file.get(*place)?),
            (Page::InFile(_), None) => Err(Error::bug("a page lies in a file that is not there")),
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

impl Drop for Store {
    fn drop(&mut self) {
        USED.set(USED.get().saturating_sub(self.in_memory));
    }
}
