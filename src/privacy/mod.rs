//! Privacy: classes and masks of columns, who sees what, how anonymous a table is.

mod audit;
mod classify;
mod columns;
pub mod family;
mod samples;
mod survey;
