//! `replica_fdw`: live tables over Postgres read replicas.
//!
//! The way of a scan: [`plan`] decides what the source does and writes it down as a
//! [`private::ScanPlan`]; [`scan`] executes that through a [`stream::Stream`] on the session's
//! [`connection::Connection`]; [`decode`] turns the bytes into values. The `handler` module holds the
//! callbacks, named as in Postgres.

pub mod collation;
pub mod columns;
pub mod connection;
pub mod decode;
pub mod deparse;
mod explain;
mod handler;
pub mod options;
mod plan;
mod private;
mod registry;
mod scan;
mod stream;
mod transaction;
