//! Each mask as a SQL function, one file a family, thin over `warehouse_core::masks`.
//!
//! A function is the mask of the same name with the mask's arguments behind the value; what a mask takes
//! from another column of the row is an argument too. Results are those of the mask on a column, so that
//! a value masked here joins one masked by a wrapper. Functions without a key are immutable, but for
//! those that read the clock or `warehouse.zip3_population`. Those with one
//! are stable, and `sql/privacy_functions.sql` takes them from PUBLIC: whoever may compute pseudonyms can
//! try a dictionary.

mod age;
mod fake;
mod fpe;
mod generalize;
mod generic;
mod hash;
mod json;
mod network;
mod noise;
mod partial;
mod postal;
mod prepared;
mod pseudonym;
mod redact;
mod result;
mod shift;
mod token;

/// A string of a mask's text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
