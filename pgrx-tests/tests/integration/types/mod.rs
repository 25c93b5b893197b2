//! Types one by one: what is at the ends of their ranges, in arrays, in tables of unusual shapes, and
//! where both sides disagree about a column.
//!
//! `differential` tries what nobody thought of; here stands what somebody did.

mod disagreement;
mod foreign;
mod shapes;
mod values;

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::rows;
use crate::support::Pair;

/// Runs `setup` at the source, imports its schema `d`, and connects to both with that schema as the
/// only one.
fn imported(test: &str, setup: &str) -> Result<(Client, Client)> {
    let (mut source, mut warehouse) = declared(test, setup)?;
    warehouse.batch_execute("IMPORT FOREIGN SCHEMA d FROM SERVER src INTO d")?;
    // From here on both are asked.
    source.batch_execute("SET search_path = d, public")?;
    Ok((source, warehouse))
}

/// The same without the import.
fn declared(test: &str, setup: &str) -> Result<(Client, Client)> {
    let pair = Pair::new(test)?;
    let (mut source, mut warehouse) = (pair.source()?, pair.warehouse()?);
    source.batch_execute(&format!("CREATE SCHEMA d; SET search_path = d, public; {setup}"))?;
    warehouse.batch_execute("CREATE SCHEMA d; SET search_path = d, public")?;
    Ok((source, warehouse))
}

/// Fails unless a query has the same rows here and at the source.
fn same(source: &mut Client, warehouse: &mut Client, sql: &str) -> Result<()> {
    let (expected, found) = (rows(source, sql)?, rows(warehouse, sql)?);
    ensure!(found == expected, "{sql}\nexpected:\n{expected}\nfound:\n{found}");
    Ok(())
}
