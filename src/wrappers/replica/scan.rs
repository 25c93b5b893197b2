//! The execution of a scan.

use super::connection::Connection;
use super::decode::{Column, Decoder, Travel};
use super::masked::{self, ColumnMasker};
use super::private::{Constant, Fetched, Gate, ScanPlan};
use super::registry;
use super::shuffle::Shuffle;
use super::sought::Seeker;
use super::stream::{Request, Stats, Stream};
use crate::pg::datum;
use crate::pg::error::{Error, Result};
use crate::pg::executor::{self, Asker, Params, ScanNode};
use crate::pg::types;
use crate::pg::wait::AlwaysReady;
use crate::privacy::right;
use crate::wrappers::batch::{self, Batch};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Datum, Oid};
use std::cell::RefCell;
use std::rc::Rc;
use warehouse_core::copy::Field;
use warehouse_core::masks::LANES;
use warehouse_core::quote;

/// Turns the rows of a stream into rows of a table: what is fetched, what is constant, and NULL.
pub struct RowReader {
    decoder: Decoder,
    /// Whether it is faster if it sees the rows that come next.
    looks_ahead: bool,
    values: Vec<Datum>,
    nulls: Vec<bool>,
}

impl RowReader {
    /// A reader for rows of `width` columns. Constants are read now, in the current memory context.
    ///
    /// # Errors
    /// 55000 where a mask needs a key and there is none.
    pub fn new(width: usize, fetched: &[Fetched], constants: &[Constant]) -> Result<RowReader> {
        let mut columns: Vec<Column> = fetched
            .iter()
            .map(|column| {
                let travel = if column.text { Travel::Text } else { Travel::Binary };
                let of = Oid::from(column.of);
                match column.state {
                    Some(state) => Column::state(&column.name, state, column.target),
                    None => Column::new(&column.name, of, column.typmod, travel, column.target),
                }
            })
            .collect();
        let mut positions = Vec::with_capacity(columns.len());
        let mut next = 0;
        for column in &columns {
            positions.push(next);
            next += column.parts();
        }
        for (at, column) in columns.iter_mut().enumerate() {
            column.hidden = fetched[at].hidden;
            column.mask = ColumnMasker::new(fetched, at, &positions)?;
        }
        let mut decoder = Decoder::new(columns);
        let mut reader = RowReader {
            looks_ahead: decoder.looks_ahead(),
            decoder,
            values: vec![Datum::from(0); width],
            nulls: vec![true; width],
        };
        for constant in constants {
            reader.values[constant.target] =
                datum::from_text(&constant.text, Oid::from(constant.of), constant.typmod);
            reader.nulls[constant.target] = false;
        }
        Ok(reader)
    }

    /// The first fields of the columns.
    fn positions(fetched: &[Fetched]) -> Vec<usize> {
        let parts = |column: &Fetched| match column.state {
            Some(state) => Column::state(&column.name, state, column.target).parts(),
            None => 1,
        };
        let first = |next: &mut usize, width: usize| {
            *next += width;
            Some(*next - width)
        };
        fetched.iter().map(parts).scan(0, first).collect()
    }

    /// How many columns are fetched.
    pub fn fetched(&self) -> usize {
        self.decoder.width()
    }

    /// Fills one row. Values by reference hold until the next call.
    pub fn read(
        &mut self,
        bytes: &mut [u8],
        fields: &[Field],
        values: &mut [Datum],
        nulls: &mut [bool],
    ) -> Result<()> {
        values.copy_from_slice(&self.values);
        nulls.copy_from_slice(&self.nulls);
        self.decoder.row(bytes, fields, values, nulls)
    }
}

/// Rows that an Append gets from one of its parts before it looks at the others.
const ROWS_IN_A_ROW: u32 = 1_000;

/// A scan in execution.
pub struct Scan {
    plan: ScanPlan,
    params: Params,
    rows: RowReader,
    /// Has columns change places with other rows'.
    shuffle: Option<Shuffle>,
    user: Oid,
    /// What makes values clear before they are sent.
    seekers: Vec<Seeker>,
    /// The batch of keys whose rows it reads, of a plan that says so.
    batch: Option<Rc<RefCell<Batch>>>,
    connection: Option<Rc<Connection>>,
    stream: Option<Rc<RefCell<Stream>>>,
    finished: bool,
    /// The Append that asks for rows without waiting for them.
    asker: Option<Asker>,
    ready: Option<AlwaysReady>,
    /// Rows that it has been asked for since it last let the others have a turn.
    in_a_row: u32,
    stats: Stats,
}

impl Scan {
    /// BeginForeignScan: prepares without connecting.
    pub fn begin(node: ScanNode<'_>) -> Result<Scan> {
        let plan = ScanPlan::unpack(node.plan_note()).map_err(|error| {
            Error::bug(format!("the plan of a foreign scan is damaged: {error}"))
        })?;
        right::check(&plan.clear)?;
        let shuffle = Shuffle::of(&plan.fetched, &RowReader::positions(&plan.fetched))
            .map_err(|error| error.within(&plan.label))?;
        Ok(Scan {
            shuffle,
            params: node.params(),
            rows: RowReader::new(node.width(), &plan.fetched, &plan.constants)
                .map_err(|error| error.within(&plan.label))?,
            seekers: plan
                .sought
                .iter()
                .map(Seeker::new)
                .collect::<Result<_>>()
                .map_err(|error| error.within(&plan.label))?,
            user: node.user(),
            batch: plan.keyed.as_ref().and_then(|_| batch::current()),
            connection: None,
            stream: None,
            finished: false,
            asker: None,
            ready: None,
            in_a_row: 0,
            stats: Stats::default(),
            plan,
        })
    }

    /// IterateForeignScan: the next row in the node's slot, or an empty slot.
    pub fn next(&mut self, node: ScanNode<'_>) -> Result<*mut pg_sys::TupleTableSlot> {
        if self.finished {
            return Ok(node.empty_slot());
        }
        let stream = match &self.stream {
            Some(stream) => Rc::clone(stream),
            None => match self.open(node)? {
                Some(stream) => stream,
                None => {
                    self.finished = true;
                    return Ok(node.empty_slot());
                }
            },
        };
        let mut stream = stream.borrow_mut();
        if self.asker.is_some() && self.shuffle.is_none() && !stream.is_ready()? {
            // No row now; the Append comes again when there is input.
            return Ok(node.empty_slot());
        }
        let is_there = match &mut self.shuffle {
            Some(shuffle) => shuffle.advance(&mut stream)?,
            None => stream.advance()?,
        };
        if !is_there {
            self.finished = true;
            return Ok(node.empty_slot());
        }
        if self.rows.looks_ahead && self.shuffle.is_none() && stream.look_ahead(LANES - 1)? {
            self.rows.decoder.ahead(stream.rows());
        }
        let (bytes, fields) = match &mut self.shuffle {
            Some(shuffle) => shuffle.row()?,
            None => stream.row(),
        };
        let (rows, label) = (&mut self.rows, &self.plan.label);
        let server = self.connection.as_ref().map_or("", |connection| &connection.server.name);
        node.store(|values, nulls| {
            rows.read(bytes, fields, values, nulls)
                .map_err(|error| error.within(&format!("{label} on server \"{server}\"")))
        })
    }

    /// The styles that the source has to write in, if they differ from those it always has.
    fn styles(&self) -> Result<Option<(String, String)>> {
        if !self.plan.styled {
            return Ok(None);
        }
        let (dates, intervals) = datum::styles();
        if dates.starts_with("ISO") && intervals == "postgres" {
            return Ok(None);
        }
        // Its abbreviations of time zones need not mean the same here.
        let risky =
            |column: &&Fetched| column.text && types::may_hold_instant(Oid::from(column.of));
        if let Some(column) = self.plan.fetched.iter().find(risky) {
            return Err(Error::new(
                Code::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!(
                    "column {} travels as text and cannot be read under this DateStyle and IntervalStyle together with a date written as text",
                    column.name
                ),
            )
            .hint("SET DateStyle = ISO; SET IntervalStyle = postgres."));
        }
        Ok(Some((dates, intervals)))
    }

    /// Begins to read; `None` if there can be no row.
    fn open(&mut self, node: ScanNode<'_>) -> Result<Option<Rc<RefCell<Stream>>>> {
        let texts = node.texts(&self.params);
        let literal = |text: &Option<String>| {
            text.as_ref().map_or_else(|| "NULL".to_owned(), |text| quote::literal(text))
        };
        let mut values: Vec<String> = texts.iter().map(literal).collect();
        for seeker in &mut self.seekers {
            let at = seeker.param();
            let masked = texts.get(at).and_then(Option::as_deref);
            let Some(clear) = seeker.literal(masked) else { return Ok(None) };
            if let Some(value) = values.get_mut(at) {
                *value = clear;
            }
        }
        if let Some(keyed) = &self.plan.keyed {
            let batch = self.batch.as_ref().ok_or_else(|| Error::bug("a scan lacks its batch"))?;
            let Some(arrays) = batch.borrow().arrays(&keyed.keys, &keyed.only) else {
                return Ok(None);
            };
            for (at, array) in self.plan.batched.iter().zip(arrays) {
                values[*at] = quote::literal(&array);
            }
        }
        let is_open = |gate: &Gate| {
            values.get(gate.param).is_some_and(|value| *value == quote::literal(&gate.text))
        };
        if !self.plan.gates.iter().all(is_open) {
            return Ok(None);
        }
        let connection = self.connect()?;
        let sql = self
            .plan
            .sql
            .fill(|index| values.get(index).cloned().unwrap_or_else(|| "NULL".to_owned()));
        let styles = self.styles()?;
        right::record(&self.plan.clear, None);
        // Giving a portal up in the middle must not have to wait for the source, as giving a COPY up has.
        let in_pieces = executor::is_read_in_pieces() || self.plan.interleaved && self.plan.large;
        let stream = Stream::open(
            &connection,
            Request {
                sql,
                probe: self.plan.probe.clone(),
                collation: self.plan.collation.clone(),
                label: self.plan.label.clone(),
                width: self.rows.fetched(),
                row_size: self.plan.row_size.max(1) as usize,
                // A cursor would outlast the styles.
                piecewise: in_pieces && styles.is_none(),
                styles,
                withheld: masked::any(&self.plan.fetched),
            },
            self.asker.is_some(),
        )?;
        stream.borrow_mut().set_left(node.left());
        if let Some(asker) = self.asker {
            stream.borrow_mut().set_asker(asker);
        }
        self.stream = Some(Rc::clone(&stream));
        Ok(Some(stream))
    }

    fn connect(&mut self) -> Result<Rc<Connection>> {
        if let Some(connection) = &self.connection {
            return Ok(Rc::clone(connection));
        }
        let connection = registry::connection(Oid::from(self.plan.server), self.user)
            .map_err(|error| error.within(&self.plan.label))?;
        self.connection = Some(Rc::clone(&connection));
        Ok(connection)
    }

    /// ForeignAsyncRequest: the next row if it is there, else the promise of one.
    pub fn request(&mut self, asker: Asker) {
        self.asker = Some(asker);
    }

    /// Whether the wire is taken by another part of the same Append: this part waits for its turn. A part
    /// that the Append has left, because it need not be read any more, is not waited for.
    pub fn waits_for_turn(&mut self) -> Result<bool> {
        let Some(request) = self.asker.filter(|_| self.stream.is_none() && !self.finished) else {
            return Ok(false);
        };
        let owner = self.connect()?.asked_owner();
        Ok(owner.is_some_and(|owner| owner.is_beside(request) && owner.is_live()))
    }

    /// Whether it answers later although it may have a row: an Append does not look at its other parts as
    /// long as one has rows, so a site that fails or stalls would not be noticed behind one that never
    /// does.
    pub fn lets_others_have_a_turn(&mut self) -> bool {
        self.in_a_row = (self.in_a_row + 1) % ROWS_IN_A_ROW;
        self.in_a_row == 0
    }

    /// Whether the part that has the wire has answered.
    pub fn is_behind_an_answer(&mut self) -> Result<bool> {
        Ok(self.connect()?.asked_owner().is_some_and(|owner| !owner.is_pending()))
    }

    /// Whether there will be no more rows.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The socket to watch for input; `None` if the next step is due already.
    pub fn awaited(&mut self) -> Result<Option<i32>> {
        let Some(stream) = &self.stream else { return Ok(None) };
        let mut stream = stream.borrow_mut();
        Ok(if stream.is_ready()? { None } else { stream.socket() })
    }

    /// Something of its own that is always ready.
    pub fn ready(&mut self) -> Result<&AlwaysReady> {
        if self.ready.is_none() {
            self.ready = Some(AlwaysReady::new()?);
        }
        self.ready.as_ref().ok_or_else(|| Error::bug("nothing is ready"))
    }

    /// ReScanForeignScan: the next row is the first one again, with the parameters as they are then.
    pub fn rescan(&mut self) {
        self.close();
        self.finished = false;
    }

    /// EndForeignScan: gives the rest of the rows up.
    pub fn close(&mut self) {
        if let Some(shuffle) = &mut self.shuffle {
            shuffle.clear();
        }
        if let Some(stream) = self.stream.take() {
            let mut stream = stream.borrow_mut();
            stream.close();
            self.stats.add(&stream.stats);
            right::record(&self.plan.clear, Some(stream.stats.rows));
        }
    }

    /// What it has cost so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        if let Some(stream) = &self.stream {
            stats.add(&stream.borrow().stats);
        }
        stats
    }
}
