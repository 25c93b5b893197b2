//! Foreign data wrappers: what they share, and a folder each.

pub mod api;
pub mod batch;
pub mod callbacks;
pub mod convert;
pub mod lookup;
pub mod replica;
