//! The harness does what its documentation says.

mod clusters;
mod endings;
mod network;
mod shared;
mod sites;
mod standbys;
