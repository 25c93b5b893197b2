//! A source that fails: each way gives one clear error that names server and relation, in time, and
//! the same session goes on.
//!
//! `connecting` is about sources that cannot be reached, `streaming` about those that go while rows
//! flow, `conflict` about standbys that cancel, `refusing` about those that answer with an error, and
//! `declaring` about what is refused before anything is asked.

mod conflict;
mod connecting;
mod declaring;
mod planning;
mod refusing;
mod streaming;
