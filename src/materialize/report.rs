//! What a run has done.

use crate::pg::error::Error;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// What became of one source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceOutcome {
    /// The site; empty for the query as a whole.
    pub source: String,
    /// The moment that its rows show.
    pub data_as_of: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What a run has done.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Report {
    pub strategy: &'static str,
    pub capture: &'static str,
    pub fetched: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub bytes: u64,
    pub sources: Vec<SourceOutcome>,
    /// Data tests that did not hold and only warn.
    pub warnings: Vec<String>,
    phases: Vec<(&'static str, f64)>,
    since: Instant,
}

impl Report {
    /// Nothing yet.
    pub fn new() -> Report {
        Report {
            strategy: "full",
            capture: "none",
            fetched: 0,
            inserted: 0,
            updated: 0,
            deleted: 0,
            bytes: 0,
            sources: Vec::new(),
            warnings: Vec::new(),
            phases: Vec::new(),
            since: Instant::now(),
        }
    }

    /// The time since the last phase belongs to this one.
    pub fn phase(&mut self, name: &'static str) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        match self.phases.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += seconds,
            None => self.phases.push((name, seconds)),
        }
    }

    /// Adds what one source has done.
    pub fn add(&mut self, other: Report) {
        self.fetched += other.fetched;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.bytes += other.bytes;
        self.sources.extend(other.sources);
        self.warnings.extend(other.warnings);
        for (name, seconds) in other.phases {
            match self.phases.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += seconds,
                None => self.phases.push((name, seconds)),
            }
        }
        self.since = Instant::now();
    }

    /// Rows that were fetched and were there already.
    pub fn unchanged(&self) -> u64 {
        self.fetched.saturating_sub(self.inserted + self.updated)
    }

    /// Rows that have changed in the table.
    pub fn changed(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    /// Whether some source failed.
    pub fn is_partial(&self) -> bool {
        self.sources.iter().any(|source| source.error.is_some())
    }

    /// `succeeded`, or `partial` if some source failed.
    pub fn status(&self) -> &'static str {
        if self.is_partial() { "partial" } else { "succeeded" }
    }

    /// The first error of a source.
    pub fn error(&self) -> Option<String> {
        let failed = self.sources.iter().find(|source| source.error.is_some())?;
        let error = failed.error.as_deref().unwrap_or_default();
        Some(if failed.source.is_empty() {
            error.to_owned()
        } else {
            format!("{}: {error}", failed.source)
        })
    }

    /// A source that was refreshed.
    pub fn succeeded(&mut self, source: &str, data_as_of: Option<String>) {
        self.sources.push(SourceOutcome { source: source.to_owned(), data_as_of, error: None });
    }

    /// A source that failed.
    pub fn failed(&mut self, source: &str, error: &Error) {
        let error = Some(error.told());
        self.sources.push(SourceOutcome { source: source.to_owned(), data_as_of: None, error });
    }

    /// Seconds by phase.
    pub fn phases(&self) -> Value {
        let mut map = Map::new();
        for (name, seconds) in &self.phases {
            map.insert((*name).to_owned(), json!((seconds * 1e6).round() / 1e6));
        }
        Value::Object(map)
    }
}
