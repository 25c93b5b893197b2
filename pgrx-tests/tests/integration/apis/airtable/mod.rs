//! Airtable, read and written by the SDKs.

mod dump;
mod errors;
mod formulas;
mod listing;
mod writing;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use warehouse_tests::apis::airtable::{Options, Settings};
use warehouse_tests::apis::sdk::{Language, Sdk};
use warehouse_tests::apis::{Airtable, Emulator};

/// An emulator without limits: pyairtable keeps to none.
fn emulator() -> Result<Emulator<Airtable>> {
    let airtable = Airtable::new(Options::default());
    airtable.set(Settings::unlimited());
    Emulator::start(airtable)
}

/// The SDK of a language, with the right token.
fn sdk(language: Language, emulator: &Emulator<Airtable>) -> Result<Sdk> {
    sdk_with(language, emulator, &emulator.api().options().token, "")
}

fn sdk_with(
    language: Language,
    emulator: &Emulator<Airtable>,
    token: &str,
    retry: &str,
) -> Result<Sdk> {
    let url = emulator.url();
    let variables = [("EMULATOR_URL", url.as_str()), ("TOKEN", token), ("RETRY", retry)];
    Sdk::start(language, "airtable_reader", &variables)
}

/// A command about a table of the base that has some.
fn about(emulator: &Emulator<Airtable>, what: &str, table: &str, more: &Value) -> Value {
    let mut command = json!({"do": what, "base": emulator.api().base(), "table": table});
    if let (Some(command), Some(more)) = (command.as_object_mut(), more.as_object()) {
        command.extend(more.clone());
    }
    command
}

/// The records of a table as they are.
fn truth(emulator: &Emulator<Airtable>, table: &str) -> Result<Vec<Value>> {
    emulator.truth(&format!("{}/{table}", emulator.api().base()))
}

/// The ids of records.
fn ids(records: &Value) -> Result<Vec<String>> {
    let records = records.as_array().context("not a list")?;
    records.iter().map(|it| Ok(it["id"].as_str().context("no id")?.to_owned())).collect()
}
