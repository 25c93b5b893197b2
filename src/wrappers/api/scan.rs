//! The execution of a scan.

use super::cache::{self, Asked, From, Reader};
use super::changes;
use super::error;
use super::private::ScanPlan;
use super::row::RowMaker;
use super::session::{self, Session};
use super::source::{self, Source};
use super::table::ApiTable;
use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use crate::pg::executor::{Params, ScanNode};
use crate::privacy::right;
use crate::wrappers::batch::{self, Batch};
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;
use std::rc::Rc;
use warehouse_core::connectors::{Changes, Counts, Line, Param, Query, Row};

/// What a scan has cost so far.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// How often it was read from its beginning.
    pub reads: u64,
    /// How often another one had read it before, or was reading it.
    pub hits: u64,
    /// What was asked of the API.
    pub counts: Counts,
    /// The requests of the last read.
    pub lines: Vec<Line>,
}

/// A scan in execution.
pub struct Scan {
    plan: ScanPlan,
    server: Oid,
    user: Oid,
    table: ApiTable,
    params: Params,
    /// Only what changed in this window.
    window: Option<Changes>,
    /// The batch of keys whose rows it reads, of a plan that says so.
    batch: Option<Rc<RefCell<Batch>>>,
    maker: RowMaker,
    reader: Option<Reader>,
    /// The values of the parameters that the reader was begun with.
    values: Vec<Param>,
    page: std::vec::IntoIter<Row>,
    rows: u64,
    finished: bool,
    stats: Stats,
}

impl Scan {
    /// BeginForeignScan: prepares without asking.
    pub fn begin(node: ScanNode<'_>) -> Result<Scan> {
        let plan = ScanPlan::unpack(node.plan_note()).map_err(|error| {
            Error::bug(format!("the plan of a foreign scan is damaged: {error}"))
        })?;
        right::check(&plan.clear)?;
        let relation = Oid::from(plan.relation);
        let (server, user) = (catalog::table(relation).server, node.user());
        let source = source::planned(server, user)?;
        let table = ApiTable::load(relation, &source, false)?;
        let maker = RowMaker::new(node.width(), &plan.fetched, &plan.constants)
            .map_err(|error| error.within(&plan.label))?;
        Ok(Scan {
            server,
            user,
            table,
            params: node.params(),
            window: changes::current(relation),
            batch: if plan.batched.is_empty() { None } else { batch::current() },
            maker,
            reader: None,
            values: Vec::new(),
            page: Vec::new().into_iter(),
            rows: 0,
            finished: false,
            stats: Stats::default(),
            plan,
        })
    }

    /// IterateForeignScan: the next row in the node's slot, or an empty slot.
    pub fn next(&mut self, node: ScanNode<'_>) -> Result<*mut pg_sys::TupleTableSlot> {
        if self.finished {
            return Ok(node.empty_slot());
        }
        let session = session::session()?;
        if self.reader.is_none() && !self.open(node, session)? {
            self.finished = true;
            return Ok(node.empty_slot());
        }
        let row = loop {
            if let Some(row) = self.page.next() {
                break row;
            }
            let Some(reader) = self.reader.as_mut() else {
                return Err(Error::bug("a foreign scan has nothing to read"));
            };
            match reader
                .next_page(session)
                .map_err(|error| named(&self.plan, self.server, error))?
            {
                Some(rows) => self.page = rows.into_iter(),
                None => {
                    self.finished = true;
                    return Ok(node.empty_slot());
                }
            }
        };
        self.rows += 1;
        let (maker, label) = (&mut self.maker, &self.plan.label);
        node.store(|values, nulls| {
            maker.fill(&row, values, nulls).map_err(|error| error.within(label))
        })
    }

    /// Begins to read; false if there can be no row.
    fn open(&mut self, node: ScanNode<'_>, session: &Session) -> Result<bool> {
        let mut texts = node.texts(&self.params);
        if !self.plan.batched.is_empty() {
            let batch = self.batch.as_ref().ok_or_else(|| Error::bug("a scan lacks its batch"))?;
            let keys: Vec<usize> = self.plan.batched.iter().map(|(key, _)| *key).collect();
            let Some(arrays) = batch.borrow().arrays(&keys, &[]) else { return Ok(false) };
            for ((_, param), array) in self.plan.batched.iter().zip(arrays) {
                texts[*param] = Some(array);
            }
        }
        let values = texts.into_iter().map(|text| text.map_or(Param::Null, Param::Text)).collect();
        self.values = values;
        let source = source::asked(self.server, self.user)
            .map_err(|error| error.within(&self.plan.label))?;
        let plan = self.requests(&source, &self.values)?;
        self.stats.lines.clone_from(&plan.requests);
        right::record(&self.plan.clear, None);
        let asked = Asked {
            server: self.server.to_u32(),
            relation: self.plan.relation,
            source: source.api.connector().fingerprint(),
            plan: &plan,
            ttl: self.table.cache_ttl,
        };
        let reader = cache::read(session, asked)?;
        self.stats.reads += 1;
        self.stats.hits += u64::from(reader.from != From::Api);
        self.reader = Some(reader);
        Ok(true)
    }

    fn requests(
        &self,
        source: &Source,
        values: &[Param],
    ) -> Result<warehouse_core::connectors::Plan> {
        requests(&self.plan, &self.table, source, values, self.window)
            .map_err(|error| named(&self.plan, self.server, error))
    }

    /// ReScanForeignScan: the next row is the first one again, with the parameters as they are then.
    pub fn rescan(&mut self) {
        self.page = Vec::new().into_iter();
        self.finished = false;
        let again = self.values.is_empty() && self.reader.as_mut().is_some_and(Reader::rewind);
        if !again {
            self.close();
        }
    }

    /// EndForeignScan: gives the rest of the rows up.
    pub fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.stats.add(reader.counts());
            right::record(&self.plan.clear, Some(self.rows));
        }
        self.page = Vec::new().into_iter();
    }

    /// What it has cost so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        if let Some(reader) = &self.reader {
            stats.add(reader.counts());
        }
        stats
    }
}

impl Stats {
    fn add(&mut self, counts: Counts) {
        let own = &mut self.counts;
        own.requests += counts.requests;
        own.pages += counts.pages;
        own.rows += counts.rows;
        own.bytes += counts.bytes;
        own.retries += counts.retries;
        own.waited += counts.waited;
    }
}

/// What a scan asks for with these values of its parameters, in a window of changes or at all.
pub fn requests(
    plan: &ScanPlan,
    table: &ApiTable,
    source: &Source,
    values: &[Param],
    window: Option<Changes>,
) -> Result<warehouse_core::connectors::Plan> {
    let columns: Vec<usize> = plan.fetched.iter().map(|column| column.place).collect();
    let query = Query {
        table: &table.table,
        columns: &columns,
        conditions: &plan.conditions,
        params: values,
        limit: plan.limit,
        changes: window,
    };
    source.api.connector().plan(&query).map_err(error::of)
}

/// An error with the table and the server that it is about.
fn named(plan: &ScanPlan, server: Oid, error: Error) -> Error {
    let server = catalog::server(server).name;
    error.within(&format!("{} on server \"{server}\"", plan.label))
}
