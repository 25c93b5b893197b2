//! Transactions: a sketch that searches can look at, the whole record, and its payment instrument.

pub(super) mod instruments;
pub(super) mod record;
pub(super) mod sketch;
