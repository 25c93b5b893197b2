//! Foreign data wrappers: what they share, and a folder each.

pub mod api;
pub mod convert;
pub mod replica;
