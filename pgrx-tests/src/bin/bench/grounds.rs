//! The grounds of the scenarios, made when the first scenario that needs one comes.

use anyhow::{Context, Result};

use crate::apis::Apis;
use crate::finding::Finding;
use crate::options::Options;
use crate::scenarios::{Run, Scenario};
use crate::sites::Sites;
use crate::table::Table;
use crate::tpch::Tpch;

/// What has been started so far.
#[derive(Default)]
pub struct Grounds {
    table: Option<Table>,
    sites: Option<Sites>,
    tpch: Option<Tpch>,
    apis: Option<Apis>,
    /// The version of the servers.
    version: String,
}

impl Grounds {
    /// Runs a scenario on its ground. Other grounds end, unless they are to be kept.
    pub fn run(&mut self, scenario: &Scenario, options: &Options) -> Result<Finding> {
        if !options.keep {
            self.leave(&scenario.run);
        }
        match scenario.run {
            Run::Table(run) => {
                if self.table.is_none() {
                    self.table = Some(Table::prepare(options)?);
                }
                let table = self.table.as_ref().context("invariant: prepared above")?;
                self.version = table.warehouse.value("postgres", "SHOW server_version")?;
                run(table, options.rounds)
            }
            Run::Sites(run) => {
                if self.sites.is_none() {
                    self.sites = Some(Sites::prepare(options)?);
                }
                let sites = self.sites.as_ref().context("invariant: prepared above")?;
                self.version = sites.warehouse.value("postgres", "SHOW server_version")?;
                run(sites, options.rounds)
            }
            Run::Tpch(run) => {
                if self.tpch.is_none() {
                    self.tpch = Some(Tpch::prepare(options)?);
                }
                let tpch = self.tpch.as_ref().context("invariant: prepared above")?;
                self.version = tpch.warehouse.value("postgres", "SHOW server_version")?;
                run(tpch, options.rounds)
            }
            Run::Apis(run) => {
                if self.apis.is_none() {
                    self.apis = Some(Apis::prepare(options)?);
                }
                let apis = self.apis.as_ref().context("invariant: prepared above")?;
                self.version = apis.warehouse.value("postgres", "SHOW server_version")?;
                run(apis)
            }
        }
    }

    /// The version of the servers that ran last.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// For whoever wants to look around after `--keep`.
    pub fn tell_how_to_connect(&self) {
        if let Some(table) = &self.table {
            table.tell_how_to_connect();
        }
        if let Some(sites) = &self.sites {
            sites.tell_how_to_connect();
        }
        if let Some(tpch) = &self.tpch {
            tpch.tell_how_to_connect();
        }
    }

    /// Ends what `run` does not need.
    fn leave(&mut self, run: &Run) {
        if !matches!(run, Run::Table(_)) {
            self.table = None;
        }
        if !matches!(run, Run::Sites(_)) {
            self.sites = None;
        }
        if !matches!(run, Run::Tpch(_)) {
            self.tpch = None;
        }
        if !matches!(run, Run::Apis(_)) {
            self.apis = None;
        }
    }
}
