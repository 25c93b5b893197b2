//! ANALYZE of a table of an API: a sample of its records, read by the connector.
//!
//! Values are masked before a tuple is made of them, whoever asks, so that no statistics hold a raw one.

use super::error;
use super::plan;
use super::row::RowMaker;
use super::session;
use super::source;
use super::table::ApiTable;
use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use crate::pg::{identity, tuple};
use pgrx::pg_sys::{self, Oid};
use warehouse_core::connectors::{Host, Query, Scan, mixed};

/// The most records of a sample: sixty requests of Braintree, or six seconds of Airtable's limit.
const MOST: usize = 3_000;

/// AnalyzeForeignTable: whether there is anything to read without a key.
pub fn is_possible(relation: Oid) -> Result<bool> {
    let source = source::planned(catalog::table(relation).server, identity::current())?;
    Ok(ApiTable::load(relation, &source, false)?.table.needs.is_none())
}

/// AcquireSampleRows: fills `rows` with at most as many rows as it holds; returns how many there are and
/// how many the table is taken to have.
///
/// # Safety
/// `relation` is open.
pub unsafe fn sample(
    relation: pg_sys::Relation,
    rows: &mut [pg_sys::HeapTuple],
) -> Result<(usize, f64)> {
    // SAFETY: the caller's promise.
    let (oid, desc) = unsafe { ((*relation).rd_id, (*relation).rd_att) };
    let server = catalog::table(oid).server;
    let source = source::asked(server, identity::current())?;
    let table = ApiTable::load(oid, &source, false)?;
    let within = |error: Error| {
        let server = catalog::server(server).name;
        error.within(&format!("{} on server \"{server}\"", table.label))
    };
    let session = session::session()?;
    let (fetched, constants) = plan::columns(&table, &[0]);
    // SAFETY: the descriptor of an open relation.
    let width = unsafe { catalog::descriptor_width(desc) };
    let mut maker = RowMaker::new(width, &fetched, &constants).map_err(within)?;
    let columns: Vec<usize> = fetched.iter().map(|column| column.place).collect();
    let query = Query {
        table: &table.table,
        columns: &columns,
        conditions: &[],
        params: &[],
        limit: None,
        changes: None,
    };
    let plan = source.api.connector().sample(&query, rows.len().min(MOST));
    let plan = plan.map_err(|error| within(error::of(error)))?;
    let mut scan = Scan::open(&plan, session.host.clone());
    let mut values = vec![pg_sys::Datum::from(0); width];
    let mut nulls = vec![true; width];
    let mut chance = session.host.random();
    let (mut seen, mut kept) = (0_usize, 0_usize);
    while let Some(page) =
        session.wait(scan.next_page()).map_err(|error| within(error::of(error)))?
    {
        for row in page.rows {
            seen += 1;
            // Vitter's algorithm R: a record may give many rows.
            let place = if kept < rows.len() {
                kept += 1;
                kept - 1
            } else {
                chance = mixed(chance);
                match (chance % seen as u64) as usize {
                    place if place < rows.len() => place,
                    _ => continue,
                }
            };
            maker.fill(&row, &mut values, &mut nulls).map_err(within)?;
            // SAFETY: one value and one flag a column of the descriptor; a replaced tuple is ours.
            unsafe {
                if seen > kept {
                    pg_sys::heap_freetuple(rows[place]);
                }
                rows[place] = tuple::form(desc, &mut values, &mut nulls);
            }
        }
    }
    Ok((kept, (seen as f64 / scan.share()).round()))
}
