//! Privacy: the keys of this server and the masks as SQL functions.
//!
//! What masks do is `warehouse_core::masks`; here they meet keys, roles and SQL types. The wrappers ask
//! this module; it knows none of them.

pub mod error;
pub mod functions;
pub mod keys;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
