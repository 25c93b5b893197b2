//! The harness of the integration tests: throwaway clusters, real standbys and fault tools.
//!
//! Everything a test or the demo starts lives in one private directory of the process
//! ([`run_dir`]) and ends with it, however the process ends. Clusters are real: `initdb`,
//! `postgres`, streaming replication, passwords over TCP. Run as root, the server programs are
//! started as the operating system user `postgres`, since Postgres refuses to run as root.
//!
//! This crate cannot link the extension; it talks to it the way its users do, through SQL.

pub mod apis;
pub mod cluster;
pub mod faults;
pub mod install;
mod listener;
mod process;
pub mod psql;
pub mod run_dir;
pub mod shop;
pub mod sites;
pub mod standby;
pub mod timing;

pub use cluster::{Cluster, Stop};
pub use run_dir::RunDir;
pub use standby::Standby;
