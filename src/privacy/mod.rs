//! What may be seen of a column: classes and masks, keys, who has the right to clear text, how anonymous a
//! table is.
//!
//! What masks do is `warehouse_core::masks`; here they meet keys, roles and SQL types. The wrappers ask
//! this module; it knows none of them.

pub mod audit;
mod classify;
mod columns;
pub mod error;
pub mod family;
mod functions;
pub mod keys;
pub mod policy;
#[cfg(any(test, feature = "pg_test"))]
mod privacy_tests;
pub mod reads;
pub mod right;
pub mod samples;
pub mod shuffling;
pub mod sites;
mod survey;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
pub mod zip3;
