//! What a scan did, for EXPLAIN ANALYZE and `warehouse.api_activity`.

use std::cell::Cell;
use std::time::Duration;

/// Counts of one scan. Shared by the requests of the scan, which run on one thread.
#[derive(Debug, Default)]
pub struct Statistics {
    requests: Cell<u64>,
    pages: Cell<u64>,
    rows: Cell<u64>,
    bytes: Cell<u64>,
    retries: Cell<u64>,
    waited: Cell<Duration>,
}

/// The counts at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests sent, with those that were sent again.
    pub requests: u64,
    /// Pages of rows.
    pub pages: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of answers as they came over the network.
    pub bytes: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Time spent waiting for permits and before retries.
    pub waited: Duration,
}

impl Statistics {
    pub(super) fn request(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    pub(super) fn page(&self, rows: usize) {
        self.pages.set(self.pages.get() + 1);
        self.rows.set(self.rows.get() + rows as u64);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    pub(super) fn retry(&self) {
        self.retries.set(self.retries.get() + 1);
    }

    pub(super) fn wait(&self, time: Duration) {
        self.waited.set(self.waited.get() + time);
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.get(),
            pages: self.pages.get(),
            rows: self.rows.get(),
            bytes: self.bytes.get(),
            retries: self.retries.get(),
            waited: self.waited.get(),
        }
    }
}
