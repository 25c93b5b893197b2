//! The emulators are what the vendors' official SDKs take for the services themselves.
//!
//! The SDKs for Python and JavaScript read everything, search with every operator, and name every
//! error; what they find is compared with what the emulator generated. What the SDKs do not show
//! (compression, cut connections, rate limits) is asked by plain HTTP in `wire`.

mod airtable;
mod braintree;
mod plain;
mod wire;

use warehouse_tests::apis::sdk::Language;

/// The languages that the SDKs are driven in.
const LANGUAGES: [Language; 2] = [Language::Python, Language::Node];
