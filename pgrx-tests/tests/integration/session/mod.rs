//! What a session sees of its sources over statements, transactions and cursors.
//!
//! `snapshots` is about what a transaction sees, `cursors` about rows that are taken in pieces,
//! `parameters` about prepared statements, `rescans` about scans that start again, `roles` about who
//! connects, `settings` about what a client sets, `connections` about how many there are, `refusals`
//! about writing, `memory` about the size of the backend, and `reinstall` about leaving.

mod connections;
mod cursors;
mod memory;
mod parameters;
mod refusals;
mod reinstall;
mod rescans;
mod roles;
mod settings;
mod snapshots;
