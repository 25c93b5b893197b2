//! a table is.
//!
//! Pure functions. Reading key files, roles and catalogs is the extension's; nothing here logs, and
//! no error and no `Debug` holds a key or a value of a row.

pub mod anonymity;
pub mod keys;

pub use keys::{Domain, KeyError, KeyState, KeyVersion, Keyring, Purpose, Shredded};
