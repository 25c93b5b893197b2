//! What may be seen of a column: classes and masks, keys, and who has the right to clear text.
//!
//! The wrappers ask this module; it knows nothing of them.

pub mod family;
pub mod keys;
pub mod policy;
pub mod right;
