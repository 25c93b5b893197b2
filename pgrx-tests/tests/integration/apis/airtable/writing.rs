//! Records are created, changed, replaced, merged and removed.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::sdk::Language;

use super::{about, emulator, ids, sdk, truth};
use crate::apis::LANGUAGES;

#[test]
fn records_come_and_go() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let before = truth(&emulator, "Contacts")?.len();
        // Ten at a time; the SDK for Python cuts longer lists up, the other one does not.
        let count = if language == Language::Python { 23 } else { 10 };
        let new: Vec<Value> = (0..count)
            .map(|it| json!({"Name": format!("New '{it}'"), "Age": it, "Active": true, "Tags": ["new"]}))
            .collect();
        let made = sdk.must(&about(&emulator, "create", "Contacts", &json!({"records": new})))?;
        let made = ids(&made["records"])?;
        ensure!(made.len() == count && truth(&emulator, "Contacts")?.len() == before + count);
        let one = |id: &str| -> Result<Value> {
            let all = truth(&emulator, "Contacts")?;
            Ok(all.into_iter().find(|it| it["id"] == id).context("gone")?["fields"].take())
        };
        ensure!(one(&made[3])? == new[3]);
        let change = json!([{"id": made[3], "fields": {"Age": null, "Email": "x@example.com"}}]);
        sdk.must(&about(&emulator, "update", "Contacts", &json!({"records": change})))?;
        let wanted =
            json!({"Name": "New '3'", "Active": true, "Tags": ["new"], "Email": "x@example.com"});
        ensure!(one(&made[3])? == wanted, "{}", one(&made[3])?);
        let change = json!([{"id": made[3], "fields": {"Name": "Only"}}]);
        let replace = json!({"records": change, "replace": true});
        sdk.must(&about(&emulator, "update", "Contacts", &replace))?;
        ensure!(one(&made[3])? == json!({"Name": "Only"}));
        let gone = sdk.must(&about(&emulator, "delete", "Contacts", &json!({"ids": made})))?;
        ensure!(gone["records"].as_array().map(Vec::len) == Some(count), "{gone}");
        ensure!(truth(&emulator, "Contacts")?.len() == before);
    }
    Ok(())
}

#[test]
fn records_are_merged() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let existing = truth(&emulator, "Contacts")?;
    let known = existing.iter().find(|it| it["fields"]["Email"].is_string()).context("no one")?;
    let records = json!([
        {"fields": {"Email": known["fields"]["Email"], "Age": 77}},
        {"fields": {"Email": "fresh@example.com", "Age": 1}},
    ]);
    let merge = json!({"records": records, "on": ["Email"]});
    let result = sdk.must(&about(&emulator, "upsert", "Contacts", &merge))?;
    ensure!(result["updatedRecords"] == json!([known["id"]]), "{result}");
    ensure!(result["createdRecords"].as_array().map(Vec::len) == Some(1), "{result}");
    ensure!(result["records"][0]["fields"]["Age"] == 77);
    Ok(())
}

#[test]
fn what_cannot_be_written_is_refused() -> Result<()> {
    let emulator = emulator()?;
    let before = truth(&emulator, "Everything")?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for (fields, kind) in [
            (json!({"Nobody": 1}), "UNKNOWN_FIELD_NAME"),
            (json!({"Whole": "many"}), "INVALID_VALUE_FOR_COLUMN"),
            (json!({"Number": 5}), "INVALID_VALUE_FOR_COLUMN"),
            (json!({"Day": "someday"}), "INVALID_VALUE_FOR_COLUMN"),
        ] {
            let create = json!({"records": [fields]});
            let named = sdk.ask(&about(&emulator, "create", "Everything", &create))?;
            ensure!(named.to_string().contains(kind), "{create}: {named}");
        }
    }
    ensure!(truth(&emulator, "Everything")? == before);
    let mut sdk = sdk(Language::Python, &emulator)?;
    let create = json!({"records": [{"Whole": "12"}], "typecast": true});
    let made = sdk.must(&about(&emulator, "create", "Everything", &create))?;
    ensure!(made["records"][0]["fields"]["Whole"] == 12.0, "{made}");
    Ok(())
}
