//! What may be seen of a column: classes and masks, keys, and who has the right to clear text.
//!
//! What masks do is `warehouse_core::masks`; here they meet keys, roles and SQL types. The wrappers ask
//! this module; it knows none of them.

pub mod error;
pub mod family;
mod functions;
pub mod keys;
pub mod policy;
pub mod right;
