//! Pages of rows that may be read again: on the shelf of all backends, or the session's own, a little in
//! memory, the rest in a temporary file, sealed.

use super::shelf::Pages;
use crate::pg::error::{Error, Result};
use crate::pg::page_file::{PageFile, Place};
use pgrx::PgSqlErrorCode as Code;
use std::cell::Cell;
use warehouse_core::connectors::cache::Sealer;
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
pub enum Store {
    /// This session's.
    Own(Box<Own>),
    /// All backends'.
    Shared(Box<Pages>),
}

/// Pages of this session.
#[derive(Default)]
pub struct Own {
    pages: Vec<Page>,
    in_memory: usize,
    bytes: u64,
    file: Option<(PageFile, Sealer)>,
}

impl Default for Store {
    fn default() -> Store {
        Store::Own(Box::default())
    }
}

impl Store {
    /// Bytes of all pages.
    pub fn bytes(&self) -> u64 {
        match self {
            Store::Own(own) => own.bytes,
            Store::Shared(pages) => pages.bytes(),
        }
    }

    /// Whether other sessions may have it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Store::Shared(_))
    }

    /// Appends a page. Raises when the temporary file cannot grow.
    pub fn put(&mut self, rows: &[Row]) -> Result<()> {
        match self {
            Store::Own(own) => own.put(rows),
            Store::Shared(pages) => pages.put(rows),
        }
    }

    /// The rows of a page; `None` after the last one.
    pub fn get(&mut self, at: usize) -> Result<Option<Vec<Row>>> {
        match self {
            Store::Own(own) => own.get(at),
            Store::Shared(pages) => match pages.has(at)? {
                true => pages.get(at).map(Some),
                false => Ok(None),
            },
        }
    }

    /// All pages are there.
    pub fn finish(&mut self, rows: u64) {
        if let Store::Shared(pages) = self {
            pages.finish(rows);
        }
    }
}

impl Own {
    fn put(&mut self, rows: &[Row]) -> Result<()> {
        let mut page = encoded(rows);
        self.bytes += page.len() as u64;
        if USED.get() + page.len() <= MEMORY {
            page.shrink_to_fit();
            USED.set(USED.get() + page.len());
            self.in_memory += page.len();
            self.pages.push(Page::Here(page));
            return Ok(());
        }
        if self.file.is_none() {
            let key = Sealer::random_key().map_err(|error| {
                Error::new(
                    Code::ERRCODE_SYSTEM_ERROR,
                    format!("there are no random numbers for the key of a temporary file: {error}"),
                )
            })?;
            self.file = Some((PageFile::new(), Sealer::new(&key)));
        }
        let place = self.pages.len() as u64;
        let (file, sealer) = self.file.as_mut().ok_or_else(no_file)?;
        let place = file.put(&sealer.seal(0, place, &page))?;
        self.pages.push(Page::InFile(place));
        Ok(())
    }

    fn get(&mut self, at: usize) -> Result<Option<Vec<Row>>> {
        match (self.pages.get(at), &mut self.file) {
            (None, _) => Ok(None),
            (Some(Page::Here(page)), _) => decoded(page).map(Some),
            (Some(Page::InFile(place)), Some((file, sealer))) => {
                let page = sealer.open(0, at as u64, file.get(*place)?);
                decoded(&page.map_err(|error| Error::bug(error.to_string()))?).map(Some)
            }
            (Some(Page::InFile(_)), None) => Err(no_file()),
        }
    }
}

fn no_file() -> Error {
    Error::bug("a page lies in a file that is not there")
}

/// Rows as a page.
pub fn encoded(rows: &[Row]) -> Vec<u8> {
    let mut page = Vec::new();
    rows.iter().for_each(|row| codec::encode(row, &mut page));
    page
}

/// The rows of a page.
pub fn decoded(mut page: &[u8]) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    while let Some(row) = codec::decode(&mut page).map_err(|error| Error::bug(error.to_string()))? {
        out.push(row);
    }
    Ok(out)
}

impl Drop for Own {
    fn drop(&mut self) {
        USED.set(USED.get().saturating_sub(self.in_memory));
    }
}
