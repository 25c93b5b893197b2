//! What is asked of a connector, and what it makes of it.

use super::catalogue::Table;
use super::condition::Condition;
use super::error::ApiError;
use super::host::Limit;
use super::scan::Cursor;
use super::service::Service;
use crate::predicate::Expr;
use std::rc::Rc;

/// The value of a run-time parameter of a condition.
#[derive(Clone, PartialEq, Eq)]
pub enum Param {
    /// Not known yet: the plan is for EXPLAIN alone.
    Unknown,
    /// NULL.
    Null,
    /// The text form of its type, as of a [`Literal`](crate::predicate::Literal).
    Text(String),
}

impl std::fmt::Debug for Param {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Param::Unknown => "Unknown",
            Param::Null => "Null",
            Param::Text(_) => "Text(…)",
        })
    }
}

/// A window of changes, in microseconds since 1970, as given by [`Host::now`](super::Host::now).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// The end of the last window; the connector looks back as far as its API needs.
    pub since: u64,
    /// The end of this window, to be kept as the next one's `since`.
    pub until: u64,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The table.
    pub table: &'a Rc<Table>,
    /// Indexes of the columns wanted, in the order of a row's values.
    pub columns: &'a [usize],
    /// Conditions, joined by AND. All of them are to be evaluated again on the rows: what the API
    /// takes may be wider. Comparisons under a nondeterministic collation must not be among them.
    pub conditions: &'a [Expr],
    /// The values of [`Expr::Param`]s; those behind the end are unknown.
    pub params: &'a [Param],
    /// No more than so many rows are needed, if `conditions` is all that rows are tested for, and no
    /// order is asked for.
    pub limit: Option<u64>,
    /// Only new and changed records, by the API's own rule. A record may come that did not change,
    /// and its key only once.
    pub changes: Option<Changes>,
}

/// What the API takes of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nothing.
    No,
    /// Something wider.
    Wider,
    /// All of it.
    Exactly,
}

/// A request as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The criteria, formula or fields; empty for none.
    pub criteria: String,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if !self.criteria.is_empty() {
            write!(f, " {}", self.criteria)?;
        }
        Ok(())
    }
}

/// About how many records a plan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// None: no request is sent.
    Nothing,
    /// At most so many, found by key.
    Keys(u64),
    /// What a search by conditions finds.
    Part,
    /// Everything.
    All,
}

/// How a plan begins to read.
pub trait Strategy {
    /// A cursor at the beginning. `now` is in microseconds since 1970.
    fn start(&self, now: u64) -> Box<dyn Cursor>;
}

/// What a connector will do for a query. It borrows nothing, so that it can be kept and started again.
#[derive(Clone)]
pub struct Plan {
    /// The table.
    pub table: Rc<Table>,
    /// The columns of rows, as asked for.
    pub columns: Vec<usize>,
    /// What the API takes of each condition, in their order.
    pub taken: Vec<Taken>,
    /// The requests, for EXPLAIN; the pages that follow are not listed.
    pub requests: Vec<Line>,
    /// What was pushed, in a normal form by which the cache tells wider from narrower.
    pub pushed: Vec<Condition>,
    /// The limit, where it may be applied.
    pub limit: Option<u64>,
    /// About how much is read.
    pub extent: Extent,
    /// Whether the rows may be used again; those of a window of changes may not.
    pub cacheable: bool,
    /// The service.
    pub service: Rc<Service>,
    /// The limits its requests fall under.
    pub limits: Rc<[Limit]>,
    /// The most requests in flight.
    pub concurrency: usize,
    /// How it begins.
    pub strategy: Rc<dyn Strategy>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("table", &self.table.name)
            .field("extent", &self.extent)
            .finish()
    }
}

/// An API, with its options and credential.
pub trait Connector {
    /// Plans a query. Sends nothing.
    fn plan(&self, query: &Query<'_>) -> Result<Plan, ApiError>;

    /// How many values a condition `column = ANY (…)` may have so that a join asks for its keys instead
    /// of everything: the size of a batch. `None` if the API takes no list on the column.
    fn batch(&self, table: &Table, column: &str) -> Option<usize>;

    /// Plans a sample of a table for its statistics: about so many records, as evenly spread as the API
    /// lets one choose, or all of them. [`Scan::share`](super::Scan::share) says which part of the
    /// table it was. The query has neither conditions nor a limit.
    fn sample(&self, query: &Query<'_>, records: usize) -> Result<Plan, ApiError> {
        let _ = records;
        self.plan(query)
    }

    /// A digest of the endpoint, account and credential: the source of a
    /// [`Question`](super::cache::Question).
    fn fingerprint(&self) -> [u8; 16];
}

/// A strategy that asks nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Strategy for Nothing {
    fn start(&self, _now: u64) -> Box<dyn Cursor> {
        Box::new(Nothing)
    }
}

impl Cursor for Nothing {
    fn next(&mut self, _room: usize) -> Result<Vec<super::http::Request>, ApiError> {
        Ok(Vec::new())
    }

    fn answered(&mut self, _: super::service::Answer) -> Result<Vec<super::Record>, ApiError> {
        Err(ApiError::Bug("an answer to nothing"))
    }
}

/// The strategy of a plan that was made for EXPLAIN: a parameter has no value yet.
#[derive(Debug, Clone, Copy)]
pub struct Unknown;

impl Strategy for Unknown {
    fn start(&self, _now: u64) -> Box<dyn Cursor> {
        Box::new(Unknown)
    }
}

impl Cursor for Unknown {
    fn next(&mut self, _room: usize) -> Result<Vec<super::http::Request>, ApiError> {
        Err(ApiError::Bug("a plan is executed whose parameters have no values"))
    }

    fn answered(&mut self, _: super::service::Answer) -> Result<Vec<super::Record>, ApiError> {
        Err(ApiError::Bug("an answer to nothing"))
    }
}
