//! Materialization: ordinary tables that a query fills and that keep themselves fresh.
//!
//! [`define`] makes a table and its definition, [`refresh`] brings it up to date. What a refresh needs to
//! know of its sources is found by [`sources`]; changes are found in [`capture`] and applied in [`apply`],
//! or the contents are made anew and exchanged ([`full`]). Everything is one transaction: rows, watermarks
//! and what is told of them.
//!
//! Jobs call [`refresh::run`]; nothing here knows of them.

mod apply;
pub mod backfill;
mod book;
pub mod by_hand;
mod capture;
mod columns;
pub mod define;
pub mod definition;
mod dependents;
mod environment;
pub mod forget;
mod full;
pub mod functions;
mod microbatch;
pub mod progress;
pub mod refresh;
mod report;
mod sources;
mod verify;

pub use book::{as_extension_owner, json, run};
pub use report::Report;
