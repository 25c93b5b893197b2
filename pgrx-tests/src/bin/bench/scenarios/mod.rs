//! What is measured: one scenario a file.

mod full_scan;
mod memory;
mod point_lookup;
mod selective_filter;
mod table_copy;

use anyhow::Result;

use crate::finding::Finding;
use crate::ground::Ground;

/// Something to measure.
pub struct Scenario {
    /// What `--only` calls it.
    pub key: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Checks that everybody gives the same result, then measures in so many rounds.
    pub run: fn(&Ground, usize) -> Result<Finding>,
}

/// All scenarios, in the order in which they run.
pub const ALL: [Scenario; 5] = [
    full_scan::SCENARIO,
    table_copy::SCENARIO,
    point_lookup::SCENARIO,
    selective_filter::SCENARIO,
    memory::SCENARIO,
];
