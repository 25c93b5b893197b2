//! SaaS APIs as tables: the engine and one folder an API.
//!
//! [`Connector::plan`] makes a [`Plan`] of a [`Query`]: pure, nothing is sent. [`Scan::open`] begins to
//! read it, and [`Scan::next_page`] yields rows until there are none. All futures run on a
//! current-thread runtime of the caller, who also gives a [`Host`]: clock, sleep, permits. No thread is
//! started, dropping a future cancels it, and no error, plan or `Debug` shows a credential.
//!
//! ```no_run
//! # use std::rc::Rc;
//! # use warehouse_core::connectors::{ApiError, Connector, Query, Scan, SessionHost};
//! # use warehouse_core::connectors::braintree::{self, Braintree};
//! # fn main() -> Result<(), ApiError> {
//! let server = [("merchant_id", "m"), ("environment", "sandbox")];
//! let mapping = [("public_key", "…"), ("private_key", "…")];
//! let braintree = Braintree::new(
//!     braintree::Options::parse(server)?,
//!     braintree::Credential::parse(mapping)?,
//! )?;
//! let table = braintree::tables().into_iter().find(|t| t.name == "plans").map(Rc::new);
//! let table = table.ok_or(ApiError::Unknown("no such table".to_owned()))?;
//! let columns: Vec<usize> = (0..table.columns.len()).collect();
//! let query = Query {
//!     table: &table,
//!     columns: &columns,
//!     conditions: &[],
//!     params: &[],
//!     limit: None,
//!     changes: None,
//! };
//! let plan = braintree.plan(&query)?;
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
//! let runtime = runtime.map_err(|_| ApiError::Setup("no runtime"))?;
//! let mut scan = Scan::open(&plan, Rc::new(SessionHost::default()));
//! while let Some(page) = runtime.block_on(scan.next_page())? {
//!     for row in page.rows { /* values in the order of `columns` */ }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A new API is a folder: options and credential, tables as data, a planner from conditions to
//! requests, and a [`Cursor`] for its paging, mostly one of [`paging`]'s.

pub mod airtable;
pub mod braintree;
pub mod cache;
pub mod catalogue;
pub mod codec;
pub mod condition;
mod error;
mod host;
mod http;
pub mod limit;
mod options;
pub mod paging;
mod plan;
mod record;
mod retry;
mod scan;
mod secret;
mod service;
mod statistics;
pub mod time;
pub mod tree;
mod value;

pub use catalogue::{Column, ColumnType, Cursor as ChangeCursor, Table};
pub use error::{ApiError, Endpoint, ErrorKind};
pub use host::{
    Host, Limit, LimitKey, Limiters, Local, Notice, Permit, SessionHost, SessionLimiters, mixed,
    wait,
};
pub use http::{Client, Format, Method, Reply, Request, is_segment, segment};
pub use options::{Network, OptionError, duration};
pub use plan::{
    Changes, Connector, Extent, Line, Nothing, Param, Plan, Query, Strategy, Taken, Unknown,
};
pub use record::Record;
pub use retry::{Policy, Retries};
pub use scan::{Cursor, Page, Scan};
pub use secret::Secret;
pub use service::{Answer, Said, Service};
pub use statistics::{Counts, Statistics};
pub use value::{Misfit, Row, Value, decode, is_decimal};
