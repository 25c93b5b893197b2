//! Every request that an emulator has seen, and what can be counted from them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Only so much of a body is kept.
const LONGEST_BODY: usize = 64 << 10;

/// One request and how it was answered.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it arrived, since the emulator was started.
    pub at: Duration,
    /// How long the answer took; `None` while there is none, and for ever when it was stalled.
    pub took: Option<Duration>,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The body, up to 64 KiB of it.
    pub body: String,
    /// The status of the answer; 0 while there is none.
    pub status: u16,
    /// The size of the answer's body as it was sent.
    pub bytes: usize,
    /// The fault that was made of it, if any.
    pub fault: Option<&'static str>,
}

impl Entry {
    /// As the control endpoint shows it; times in milliseconds.
    pub fn to_json(&self) -> Value {
        json!({
            "at": self.at.as_secs_f64() * 1e3,
            "took": self.took.map(|took| took.as_secs_f64() * 1e3),
            "method": self.method,
            "target": self.target,
            "body": self.body,
            "status": self.status,
            "bytes": self.bytes,
            "fault": self.fault,
        })
    }
}

/// The requests of one emulator, those to `/__control` left out.
#[derive(Debug)]
pub struct RequestLog {
    start: Instant,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Counts how often the log was cleared, so that a request of before is not written into it.
    cleared: u64,
    list: Vec<Entry>,
}

/// Where a request stands in the log.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    cleared: u64,
    index: usize,
}

impl RequestLog {
    pub(super) fn new() -> RequestLog {
        RequestLog { start: Instant::now(), entries: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, method: &str, target: &str, body: &[u8]) -> Place {
        let body = &body[..body.len().min(LONGEST_BODY)];
        let mut entries = self.lock();
        // Under the lock, so that the log is in the order of time.
        let at = self.start.elapsed();
        entries.list.push(Entry {
            at,
            took: None,
            method: method.to_owned(),
            target: target.to_owned(),
            body: String::from_utf8_lossy(body).into_owned(),
            status: 0,
            bytes: 0,
            fault: None,
        });
        Place { cleared: entries.cleared, index: entries.list.len() - 1 }
    }

    pub(super) fn change(&self, place: Place, change: impl FnOnce(&mut Entry, Duration)) {
        let now = self.start.elapsed();
        let mut entries = self.lock();
        if entries.cleared == place.cleared
            && let Some(entry) = entries.list.get_mut(place.index)
        {
            change(entry, now);
        }
    }

    /// All requests since the last [`RequestLog::clear`], in the order of their arrival.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().list.clone()
    }

    /// Forgets all requests.
    pub fn clear(&self) {
        let mut entries = self.lock();
        entries.cleared += 1;
        entries.list.clear();
    }

    /// How many requests there are whose target contains `part`.
    pub fn count(&self, part: &str) -> usize {
        self.lock().list.iter().filter(|entry| entry.target.contains(part)).count()
    }

    /// The most requests whose target contains `part` that arrived within any one second.
    pub fn most_in_a_second(&self, part: &str) -> usize {
        let entries = self.lock();
        let times: Vec<Duration> = entries
            .list
            .iter()
            .filter(|entry| entry.target.contains(part))
            .map(|entry| entry.at)
            .collect();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in times.iter().enumerate() {
            while *at - times[first] >= Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    /// The most requests whose target contains `part` that were being answered at one moment.
    pub fn most_at_once(&self, part: &str) -> usize {
        let entries = self.lock();
        let mut changes: Vec<(Duration, i32)> = Vec::new();
        for entry in entries.list.iter().filter(|entry| entry.target.contains(part)) {
            changes.push((entry.at, 1));
            if let Some(took) = entry.took {
                changes.push((entry.at + took, -1));
            }
        }
        // At the same moment an end comes before a beginning.
        changes.sort();
        let mut open = 0;
        let mut most = 0;
        for (_, change) in changes {
            open += change;
            most = most.max(open);
        }
        usize::try_from(most).unwrap_or(0)
    }

    /// What was counted over the requests whose target contains `part`.
    pub fn figures(&self, part: &str) -> Value {
        let (mut requests, mut bytes, mut refused) = (0, 0, 0);
        for entry in self.entries().iter().filter(|entry| entry.target.contains(part)) {
            requests += 1;
            bytes += entry.bytes;
            refused += usize::from(entry.status == 429);
        }
        json!({
            "requests": requests,
            "bytes": bytes,
            "refused": refused,
            "most_in_a_second": self.most_in_a_second(part),
            "most_at_once": self.most_at_once(part),
        })
    }
}
