//! Everything that needs real servers, in one binary so that tests share them.
//!
//! `harness` tests the harness itself. `support` is what tests share; a test of the extension goes
//! into the module of the feature it is about.

mod api;
mod apis;
mod ask;
mod asynchronous;
mod bound;
mod cancel;
mod demo;
mod differential;
mod failure;
mod habits;
mod harness;
mod import;
mod jobs;
mod lookup;
mod materialize;
mod merge;
mod privacy;
mod session;
mod support;
mod types;
mod upgrade;
