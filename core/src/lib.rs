//! The part of `warehouse` that needs no Postgres.
//!
//! Nothing here touches a backend or unsafe code, and only [`connectors`] and [`webhook`] a socket, so all of it is
//! tested with plain `cargo test`. The extension crate converts Postgres's structures into these types
//! at its edges.

#![forbid(unsafe_code)]

pub mod arrays;
pub mod connectors;
pub mod copy;
pub mod masks;
pub mod pool;
pub mod predicate;
pub mod privacy;
pub mod quote;
pub mod refresh;
pub mod schedule;
pub mod webhook;
