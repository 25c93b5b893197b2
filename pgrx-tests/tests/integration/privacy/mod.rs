//! Privacy: who may say what a column is, and who sees what of it.
//!
//! `policy` is about classes, rights, restrictions to sites and the audit.

mod policy;
