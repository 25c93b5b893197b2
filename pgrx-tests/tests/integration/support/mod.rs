//! What tests share: clusters that are started when the first test asks for them and end with the
//! process. Every test works in databases of its own, so that they run side by side.
//!
//! A test that stops, pauses or reconfigures a server starts its own.

mod pair;
mod plain;
mod topology;

pub use pair::{Pair, READER, READER_PASSWORD};
pub use plain::PlainCopy;
pub use topology::Topology;

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

/// A value that is made once; if that failed, everybody gets the error.
pub struct Shared<T>(OnceLock<std::result::Result<T, String>>);

impl<T> Shared<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Shared(OnceLock::new())
    }

    /// The value, made by `make` if this is the first call.
    pub fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        self.0
            .get_or_init(|| make().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|message| anyhow!("{message}"))
    }
}
