//! Connectors against scripted servers on loopback, with a clock that nobody waits for.
//!
//! Where a new test goes: `engine.rs` for HTTP, retries, paging and cancellation; `braintree.rs` for
//! its search protocol, with `gateway.rs` as a small model of the gateway and `predicates.rs` for
//! random conditions; `airtable.rs` for listings, formulas and import; `help_desk.rs` for the API that
//! the documents take as an example.

mod airtable;
mod braintree;
mod clock;
mod engine;
mod gateway;
mod help_desk;
mod predicates;
mod server;
mod terms;

use std::future::Future;

/// Runs a future on a runtime like the one a backend has.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}
