//! `braintree_fdw` and `airtable_fdw`: HTTP APIs as tables.
//!
//! What an API is lies in [`warehouse_core::connectors`]; this folder makes foreign tables of it. The
//! way of a scan: [`plan`] converts what the query asks and writes it down as a
//! [`private::ScanPlan`]; [`scan`] has the connector plan the requests with the values of the
//! execution and reads pages through [`cache`], which drives them on the [`session`]'s runtime;
//! [`row`] masks the values and makes datums of them.

mod activity;
mod analyze;
pub mod cache;
pub mod changes;
mod drift;
mod error;
mod explain;
mod functions;
pub mod handler;
pub mod import;
mod limits;
mod options;
pub mod plan;
mod private;
mod row;
mod samples;
mod scan;
mod session;
mod shelf;
mod source;
mod store;
mod table;
mod vendor;

/// Asks for shared memory, if the library is being preloaded. Called once, by `_PG_init`.
pub fn install() {
    limits::install();
    activity::install();
    shelf::install();
    samples::install();
}
