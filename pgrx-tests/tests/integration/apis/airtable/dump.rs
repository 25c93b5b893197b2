//! Everything that is there: the SDKs find what was generated.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::canonical::difference;
use warehouse_tests::apis::sdk::Language;

use super::{about, emulator, sdk, truth};
use crate::apis::LANGUAGES;

/// The types of fields that the service has.
const TYPES: usize = 34;

#[test]
fn records_are_whole() -> Result<()> {
    let emulator = emulator()?;
    let schema = emulator.truth("schema")?;
    let tables = schema[0]["tables"].as_array().context("no tables")?;
    ensure!(tables.len() == 4);
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for table in tables {
            // By name and by id.
            for key in ["name", "id"] {
                let name = table[key].as_str().context("no name")?;
                let by_id = if language == Language::Python {
                    "use_field_ids"
                } else {
                    "returnFieldsByFieldId"
                };
                let options = if key == "id" { json!({by_id: true}) } else { json!({}) };
                let found =
                    sdk.must(&about(&emulator, "list", name, &json!({"options": options})))?;
                let found = found["records"].as_array().context("not a list")?;
                let truth = truth(&emulator, name)?;
                ensure!(found.len() == truth.len(), "{name}: {} of {}", found.len(), truth.len());
                for (wanted, found) in truth.iter().zip(found) {
                    let fields =
                        if key == "id" { &wanted["fieldsById"] } else { &wanted["fields"] };
                    let wanted = json!({
                        "id": wanted["id"], "createdTime": wanted["createdTime"], "fields": fields,
                    });
                    if let Some(path) = difference(&wanted, found) {
                        anyhow::bail!("{language:?} {name} {}: {path}", wanted["id"]);
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn schemas_are_understood() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let bases = sdk.must(&json!({"do": "bases"}))?;
    ensure!(bases["records"] == Value::from(emulator.truth("bases")?), "{bases}");
    // Three pages of two.
    ensure!(emulator.log().count("/meta/bases") == 3);
    let found = sdk.must(&json!({"do": "schema", "base": emulator.api().base()}))?;
    ensure!(found["tables"] == emulator.truth("schema")?[0]["tables"]);
    // Every type has a class of its own in the SDK, but the one that does not exist yet.
    let classes = found["classes"].as_object().context("no classes")?;
    let unknown = classes.iter().filter(|(_, class)| class.as_str() == Some("UnknownFieldSchema"));
    ensure!(unknown.map(|(name, _)| name).collect::<Vec<_>>() == ["Future"], "{found}");
    let kinds: std::collections::BTreeSet<&str> =
        classes.values().filter_map(Value::as_str).collect();
    ensure!(kinds.len() == TYPES + 1, "{kinds:?}");
    let me = sdk.must(&json!({"do": "whoami"}))?;
    ensure!(me["id"].as_str().is_some_and(|id| id.starts_with("usr")), "{me}");
    Ok(())
}

#[test]
fn comments_are_whole() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let all = emulator.truth("comments")?;
    let with = all.iter().find(|it| it["reactions"].is_array()).context("no reactions")?;
    let mine: Vec<Value> = all
        .iter()
        .filter(|it| it["recordId"] == with["recordId"])
        .map(|it| {
            let mut comment = it.clone();
            let members = comment.as_object_mut();
            if let Some(it) = members {
                it.retain(|name, _| name != "recordId" && name != "tableId")
            }
            comment
        })
        .collect();
    ensure!(mine.len() == 3);
    let table = with["tableId"].as_str().context("no table")?;
    let command = about(&emulator, "comments", table, &json!({"id": with["recordId"]}));
    let found = sdk.must(&command)?;
    ensure!(found["records"] == Value::from(mine), "{found}");
    let command =
        about(&emulator, "comment", table, &json!({"id": with["recordId"], "text": "it's"}));
    ensure!(sdk.must(&command)?["text"] == "it's");
    // They are counted when that is asked for.
    let command = about(&emulator, "list", table, &json!({"options": {"count_comments": true}}));
    let found = sdk.must(&command)?;
    let counts = |records: &Value| -> Vec<Value> {
        let records = records.as_array().into_iter().flatten();
        records.map(|it| it["commentCount"].clone()).collect()
    };
    ensure!(counts(&found["records"]) == counts(&Value::from(truth(&emulator, table)?)));
    Ok(())
}

/// Values that are hard to keep are among the records.
#[test]
fn edge_cases_are_there() -> Result<()> {
    let emulator = emulator()?;
    let everything = Value::from(truth(&emulator, "Everything")?).to_string();
    for detail in [
        "{\"error\":\"#ERROR!\"}",
        "{\"specialValue\":\"NaN\"}",
        "{\"specialValue\":\"-Infinity\"}",
        "[{\"error\":\"#ERROR!\"}]",
        "9007199254740993",
        "1e+21",
        "[1,2.5,3]",
        "\"url\":null",
    ] {
        ensure!(everything.contains(detail), "no {detail}");
    }
    for table in ["Contacts", "Odd / \"names\" 100% & more?"] {
        let records = truth(&emulator, table)?;
        ensure!(records.iter().any(|it| it["fields"] == json!({})), "no blank record in {table}");
    }
    ensure!(truth(&emulator, "Contacts")?.len() > 230 && truth(&emulator, "Empty")?.is_empty());
    Ok(())
}
