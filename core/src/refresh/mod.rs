//! Incremental refresh: what to fetch next, and the statements that apply it.
//!
//! Pure text and numbers; the extension runs the statements.

mod sql;
mod xids;

pub use sql::{Column, DELTA, Family, Ranges, Target, filtered, fingerprint};
pub use xids::{Mark, Window, is_older, window};
