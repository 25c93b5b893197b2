//! `replica_fdw`: live tables over Postgres read replicas.
//!
//! The way of a scan: [`plan`] decides what the source does and writes it down as a
//! [`private::ScanPlan`]; [`scan`] executes that through a [`stream::Stream`] on the session's
//! [`connection::Connection`]; [`decode`] turns the bytes into values. The `handler` module holds the
//! callbacks, named as in Postgres.

mod ahead;
mod alike;
mod analyze;
mod asynchronous;
mod build;
pub mod capture;
pub mod collation;
pub mod columns;
pub mod connection;
mod cost;
pub mod decode;
pub mod deparse;
pub mod distinct;
mod enums;
mod explain;
pub mod functions;
mod grouping;
mod groups;
mod handler;
mod import;
mod introspect;
mod join;
pub mod keyed;
mod keys;
mod known;
pub mod local;
mod masked;
mod merge;
mod opening;
pub mod options;
mod partial;
pub mod partitionwise;
mod plan;
pub mod pool;
mod private;
mod probe;
pub mod pushdown;
mod query;
mod registry;
mod remote;
pub mod samples;
mod scan;
mod session;
mod shuffle;
mod sought;
mod state;
mod statistics;
mod status;
mod stream;
mod taken;
mod transaction;
