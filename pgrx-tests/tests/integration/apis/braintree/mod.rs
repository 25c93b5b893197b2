//! The gateway, read by the SDKs.

mod dump;
mod errors;
mod gateway;
mod searches;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use warehouse_tests::apis::braintree::Options;
use warehouse_tests::apis::sdk::{Language, Sdk};
use warehouse_tests::apis::{Braintree, Emulator};

/// An emulator of some hundred records.
fn emulator() -> Result<Emulator<Braintree>> {
    Emulator::start(Braintree::new(Options::default()))
}

/// The SDK of a language, with the right keys.
fn sdk(language: Language, emulator: &Emulator<Braintree>) -> Result<Sdk> {
    sdk_with_key(language, emulator, &emulator.api().options().private_key)
}

fn sdk_with_key(language: Language, emulator: &Emulator<Braintree>, key: &str) -> Result<Sdk> {
    let port = emulator.port().to_string();
    let options = emulator.api().options();
    let variables = [
        ("EMULATOR_PORT", port.as_str()),
        ("MERCHANT_ID", &options.merchant_id),
        ("PUBLIC_KEY", &options.public_key),
        ("PRIVATE_KEY", key),
        ("TIMEOUT", "10"),
    ];
    Sdk::start(language, "braintree_reader", &variables)
}

/// The ids that a search finds.
fn ids(sdk: &mut Sdk, kind: &str, terms: &Value) -> Result<Vec<String>> {
    let found = sdk.must(&json!({"do": "search", "kind": kind, "terms": terms}))?;
    strings(&found["ids"])
}

fn strings(list: &Value) -> Result<Vec<String>> {
    let list = list.as_array().context("not a list")?;
    list.iter().map(|item| Ok(item.as_str().context("not text")?.to_owned())).collect()
}
