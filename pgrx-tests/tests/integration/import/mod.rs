//! IMPORT FOREIGN SCHEMA and what goes with it.
//!
//! `relations` is about which relations come and how they look here, `statistics` about what the
//! planner knows of them, `keys` about `warehouse.relationships`, and `dump` about pg_dump.

pub mod dump;
mod keys;
mod relations;
mod statistics;

use anyhow::Result;
use postgres::Client;

use crate::ask::run;
use crate::support::Pair;

/// A pair whose source has a schema `shop`, filled by `script`, and a session at its warehouse.
fn shop(test: &str, script: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(&mut pair.source()?, &format!("CREATE SCHEMA shop; SET search_path = shop; {script}"))?;
    let client = pair.warehouse()?;
    Ok((pair, client))
}

const IMPORT: &str = "CREATE SCHEMA here; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here";
