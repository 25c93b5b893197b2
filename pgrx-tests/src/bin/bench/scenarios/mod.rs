//! What is measured: one scenario a file.

mod apis;
mod cross_server;
mod dashboard;
mod days;
mod endurance;
mod full_scan;
mod groups;
mod latest;
mod masks;
mod memory;
mod planning;
mod point_lookup;
mod pseudonym;
mod readers;
mod recent;
mod refresh;
mod selective_filter;
mod table_copy;
mod top;
mod tpch;
mod weekly;

use anyhow::Result;

use crate::apis::Apis;
use crate::finding::Finding;
use crate::sites::Sites;
use crate::table::Table;
use crate::tpch::Tpch;

/// Something to measure.
pub struct Scenario {
    /// What `--only` calls it.
    pub key: &'static str,
    /// What it is.
    pub title: &'static str,
    /// How it is measured.
    pub run: Run,
}

/// Checks that everybody gives the same result, then measures in so many rounds. Where depends on
/// the scenario.
#[derive(Clone, Copy)]
pub enum Run {
    /// On a single table.
    Table(fn(&Table, usize) -> Result<Finding>),
    /// On merged sites.
    Sites(fn(&Sites, usize) -> Result<Finding>),
    /// On the eight tables of TPC-H.
    Tpch(fn(&Tpch, usize) -> Result<Finding>),
    /// On APIs, once: the figures of an hour of requests are steady.
    Apis(fn(&Apis) -> Result<Finding>),
}

/// All scenarios, in the order in which they run: those on one ground together.
pub const ALL: [Scenario; 21] = [
    full_scan::SCENARIO,
    table_copy::SCENARIO,
    point_lookup::SCENARIO,
    selective_filter::SCENARIO,
    memory::SCENARIO,
    refresh::SCENARIO,
    readers::SCENARIO,
    endurance::SCENARIO,
    masks::SCENARIO,
    pseudonym::SCENARIO,
    groups::SCENARIO,
    weekly::SCENARIO,
    recent::SCENARIO,
    days::SCENARIO,
    top::SCENARIO,
    latest::SCENARIO,
    cross_server::SCENARIO,
    dashboard::SCENARIO,
    planning::SCENARIO,
    tpch::SCENARIO,
    apis::SCENARIO,
];
