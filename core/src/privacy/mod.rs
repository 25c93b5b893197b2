//! What the privacy policy knows: keys, classes of columns, how columns are recognized, how anonymous
//! a table is.
//!
//! Pure functions. Reading key files, roles and catalogs is the extension's; nothing here logs, and
//! no error and no `Debug` holds a key or a value of a row.

pub mod anonymity;
mod class;
pub mod detect;
mod keys;

pub use class::{Class, Kind, NotAClass};
pub use keys::{
    Domain, KeyError, KeyState, KeyVersion, Keyring, MIN_ROOT_BYTES, Purpose, Shredded,
};
