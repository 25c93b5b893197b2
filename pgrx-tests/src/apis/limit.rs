//! A limit on requests a second, and the penalty for going over it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many requests in any one second for each key, and how long a key is refused after one more.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    keys: Mutex<HashMap<String, Key>>,
}

#[derive(Debug, Default)]
struct Key {
    recent: VecDeque<Instant>,
    refused_until: Option<Instant>,
}

impl RateLimit {
    /// Whether a request for `key` may pass; `most` of 0 is no limit.
    pub(super) fn allows(&self, key: &str, most: usize, penalty: Duration) -> bool {
        if most == 0 {
            return true;
        }
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.entry(key.to_owned()).or_default();
        if key.refused_until.is_some_and(|until| now < until) {
            return false;
        }
        while key.recent.front().is_some_and(|at| now - *at >= Duration::from_secs(1)) {
            key.recent.pop_front();
        }
        if key.recent.len() >= most {
            key.refused_until = Some(now + penalty);
            return false;
        }
        key.recent.push_back(now);
        true
    }
}
