//! Privacy: classes and masks of columns, who sees what, how anonymous a table is.

mod audit;
mod classify;
mod columns;
pub mod family;
#[cfg(any(test, feature = "pg_test"))]
mod privacy_tests;
mod samples;
mod survey;
