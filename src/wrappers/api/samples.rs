//! A few raw values of the columns of a table, for the detection of what they hold.
//!
//! `classify_schema()` asks column by column; a table is read once in a statement, for all of them.

use super::row;
use super::session;
use super::source;
use super::table::ApiTable;
use super::vendor::Vendor;
use crate::pg::catalog;
use crate::pg::error::Result;
use crate::pg::identity;
use crate::privacy::samples::{self, Sampler};
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use warehouse_core::connectors::{Query, Scan, Value};

/// Characters of a value that are looked at.
const LENGTH: usize = 200;
/// The most rows of a table that are read: one page of an API, mostly.
const ROWS: usize = 100;

/// The values of each column, by its name.
type Values = HashMap<String, Vec<String>>;

thread_local! {
    /// What was read in a statement, and the servers that could not be asked in it.
    static READ: RefCell<Read> = RefCell::default();
}

#[derive(Default)]
struct Read {
    statement: i64,
    tables: HashMap<u32, Rc<Values>>,
    silent: Vec<Oid>,
}

/// Lets `classify_schema()` look at values. Called once, when the library is loaded.
pub fn install() {
    let forget = || READ.with_borrow_mut(|read| *read = Read::default());
    samples::read_by(Sampler { read: of_column, forget });
}

/// Up to so many values of a column.
fn of_column(table: Oid, column: &str, at_most: usize) -> Vec<String> {
    let Ok(server) = server(table) else { return Vec::new() };
    let values = of_table(table, server);
    let values = values.get(column).map_or(&[][..], Vec::as_slice);
    values[..values.len().min(at_most)].to_vec()
}

/// The server of a table of ours.
fn server(table: Oid) -> Result<Oid> {
    let server = catalog::table(table).server;
    Vendor::of_server(server).map(|_| server)
}

fn of_table(table: Oid, server: Oid) -> Rc<Values> {
    // SAFETY: a plain question.
    let statement = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    let known = READ.with_borrow_mut(|read| {
        if read.statement != statement {
            *read = Read { statement, ..Read::default() };
        }
        let silent = read.silent.contains(&server).then(Rc::default);
        read.tables.get(&table.to_u32()).cloned().or(silent)
    });
    if let Some(known) = known {
        return known;
    }
    let values = read(table, server);
    READ.with_borrow_mut(|read| {
        if values.is_err() {
            read.silent.push(server);
        }
        let values = Rc::new(values.unwrap_or_default());
        read.tables.insert(table.to_u32(), Rc::clone(&values));
        values
    })
}

fn read(relation: Oid, server: Oid) -> Result<Values> {
    let source = source::asked(server, identity::current())?;
    let table = ApiTable::load(relation, &source, false)?;
    if table.table.needs.is_some() {
        return Ok(Values::new());
    }
    let columns: Vec<usize> = table.columns.iter().map(|column| column.place).collect();
    let query = Query {
        table: &table.table,
        columns: &columns,
        conditions: &[],
        params: &[],
        limit: Some(ROWS as u64),
        changes: None,
    };
    let session = session::session()?;
    let plan = source.api.connector().plan(&query).map_err(super::error::of)?;
    let mut scan = Scan::open(&plan, session.host.clone());
    let mut values = Values::new();
    let mut rows = 0;
    while rows < ROWS
        && let Some(page) = session.wait(scan.next_page()).map_err(super::error::of)?
    {
        rows += page.rows.len();
        for row in page.rows {
            for (column, value) in table.columns.iter().zip(&row) {
                if !matches!(value, Value::Null) {
                    let text = row::text(value).chars().take(LENGTH).collect();
                    values.entry(column.name.clone()).or_default().push(text);
                }
            }
        }
    }
    Ok(values)
}
