//! Jobs: refreshes that run by themselves, in background workers.
//!
//! One [`launcher`] for the server starts a [`scheduler`] in every database that has the extension; the
//! scheduler starts a [`worker`] for each run. The scheduler alone changes where a job stands
//! ([`store`], by the rules of `warehouse_core::schedule`); workers write what became of their run. What the
//! processes have to know of each other, and what people ask for, lies in shared memory ([`board`]).
//!
//! The scheduler also writes down what was read in clear ([`audit`]).
//!
//! All of it takes `shared_preload_libraries`; nothing of it runs on a standby.

mod audit;
pub mod board;
mod by_hand;
mod failure;
pub mod functions;
mod launcher;
mod scheduler;
mod store;
mod way;
mod webhook;
mod worker;

use crate::materialize::by_hand as noted;
use crate::privacy::reads;

/// Installs all of it. Called once, by `_PG_init`.
pub fn install() {
    reads::install(board::want_scheduler);
    noted::install(board::want_scheduler);
    if board::install() {
        launcher::register();
        way::install();
    }
}
