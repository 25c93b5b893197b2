//! Privacy: classes and masks of columns, who sees what, how anonymous a table is.

pub mod family;
