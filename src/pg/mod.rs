//! The only home of unsafe helpers: what the features need of the backend and of libpq, with its
//! hazards handled once.
//!
//! Features call these modules; these modules call no feature.

pub mod catalog;
pub mod datum;
pub mod delta;
pub mod error;
pub mod executor;
pub mod explain;
pub mod guc;
pub mod hook;
pub mod identity;
pub mod join_node;
mod join_search;
pub mod join_state;
pub mod keywords;
pub mod libpq;
pub mod list;
pub mod lock;
pub mod log;
pub mod membership;
pub mod memory;
pub mod new_heap;
pub mod node;
pub mod notify;
pub mod packed;
pub mod page_file;
pub mod planner;
pub mod plans;
pub mod process;
pub mod query;
pub mod sha256;
pub mod shared;
pub mod sink;
pub mod spool;
pub mod sql;
pub mod statistics;
pub mod subtransaction;
pub mod temp_file;
pub mod tuple;
mod two_levels;
pub mod types;
pub mod upper_hook;
pub mod utility;
pub mod varlena;
pub mod wait;
pub mod worker;
