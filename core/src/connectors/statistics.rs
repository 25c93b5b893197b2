//! What a scan did, for EXPLAIN ANALYZE and `warehouse.api_activity`; and since when nothing has
//! succeeded, by which its attempts come to an end.

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
    failing_since: Cell<Option<u64>>,
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

    /// Notes an answer.
    pub(super) fn succeeded(&self) {
        self.failing_since.set(None);
    }

    /// Notes a failure at this moment, in microseconds; the moment of the first one since the last
    /// answer.
    pub(super) fn failed(&self, now: u64) -> u64 {
        let since = self.failing_since.get().unwrap_or(now);
        self.failing_since.set(Some(since));
        since
    }

    /// How long nothing has succeeded at this moment: from the first failure on. A scan that nobody
    /// read for a while has not failed.
    pub(super) fn failing(&self, now: u64) -> Duration {
        let since = self.failing_since.get().unwrap_or(now);
        Duration::from_micros(now.saturating_sub(since))
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
