//! The parameters of a listing, and paging.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::sdk::Language;
use warehouse_tests::apis::{Fault, What};

use super::{about, emulator, ids, sdk, truth};
use crate::apis::LANGUAGES;
use crate::apis::plain::send;

/// The same options in the names of both SDKs.
fn options(language: Language, options: Value) -> Value {
    let Value::Object(members) = options else { return json!({}) };
    if language == Language::Python {
        return Value::Object(members);
    }
    members
        .into_iter()
        .map(|(name, value)| match name.as_str() {
            "formula" => ("filterByFormula".to_owned(), value),
            "max_records" => ("maxRecords".to_owned(), value),
            "page_size" => ("pageSize".to_owned(), value),
            "cell_format" => ("cellFormat".to_owned(), value),
            "time_zone" => ("timeZone".to_owned(), value),
            "user_locale" => ("userLocale".to_owned(), value),
            "count_comments" => ("recordMetadata".to_owned(), json!(["commentCount"])),
            "sort" => {
                let fields = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                let sort = fields.map(|field| match field.strip_prefix('-') {
                    Some(field) => json!({"field": field, "direction": "desc"}),
                    None => json!({"field": field, "direction": "asc"}),
                });
                (name, sort.collect())
            }
            _ => (name, value),
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn pages_and_their_sizes() -> Result<()> {
    let emulator = emulator()?;
    let cases = [
        (json!({"page_size": 10, "max_records": 25}), vec![10, 10, 5]),
        (json!({"max_records": 3}), vec![3]),
        (json!({"page_size": 100}), vec![100, 100, 100, 40]),
        (json!({"max_records": 200}), vec![100, 100]),
    ];
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for (wanted, pages) in &cases {
            let options = options(language, wanted.clone());
            let found =
                sdk.must(&about(&emulator, "list", "Contacts", &json!({"options": options})))?;
            ensure!(found["pages"] == json!(pages), "{wanted}: {}", found["pages"]);
            let mut unique = ids(&found["records"])?;
            unique.sort();
            unique.dedup();
            ensure!(unique.len() == pages.iter().sum::<usize>());
        }
    }
    Ok(())
}

#[test]
fn fields_sort_and_view() -> Result<()> {
    let emulator = emulator()?;
    let all = truth(&emulator, "Contacts")?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let mut list = |wanted: Value| -> Result<Value> {
            let options = options(language, wanted);
            let found =
                sdk.must(&about(&emulator, "list", "Contacts", &json!({"options": options})))?;
            Ok(found["records"].clone())
        };
        let found = list(json!({"fields": ["Age", "Active"]}))?;
        for (wanted, found) in all.iter().zip(found.as_array().context("not a list")?) {
            for (name, value) in found["fields"].as_object().context("no fields")? {
                ensure!(
                    ["Age", "Active"].contains(&name.as_str()) && wanted["fields"][name] == *value
                );
            }
        }
        let found = list(json!({"sort": ["-Age", "Name"]}))?;
        let ages: Vec<f64> = found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["fields"]["Age"].as_f64())
            .collect();
        ensure!(ages.len() > 200 && ages.is_sorted_by(|left, right| left >= right), "{ages:?}");
        ensure!(ids(&found)?.len() == all.len());
        let found = list(json!({"view": "Filled & short"}))?;
        let filled = all.iter().filter(|it| it["fields"].get("Email").is_some()).count();
        ensure!(ids(&found)?.len() == filled && filled < all.len());
    }
    Ok(())
}

#[test]
fn cells_as_text() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let wanted = json!({"cell_format": "string", "time_zone": "utc", "user_locale": "en"});
        let options = options(language, wanted);
        let found =
            sdk.must(&about(&emulator, "list", "Everything", &json!({"options": options})))?;
        for record in found["records"].as_array().context("not a list")? {
            let fields = record["fields"].as_object().context("no fields")?;
            ensure!(fields.values().all(Value::is_string), "{record}");
        }
        let text = found.to_string();
        ensure!(text.contains("\"Percent\":\"50%\"") && text.contains("\"Done\":\"checked\""));
    }
    Ok(())
}

/// A query that is too long for a URL becomes a POST, and finds the same.
#[test]
fn long_queries_are_posted() -> Result<()> {
    let emulator = emulator()?;
    let all = truth(&emulator, "Contacts")?;
    for language in LANGUAGES {
        emulator.log().clear();
        let mut sdk = sdk(language, &emulator)?;
        let wanted: Vec<&Value> = all.iter().step_by(3).collect();
        let arms: Vec<String> = (0..5)
            .flat_map(|_| wanted.iter())
            .map(|it| format!("RECORD_ID()='{}'", it["id"].as_str().unwrap_or_default()))
            .collect();
        let formula = format!("OR({})", arms.join(","));
        ensure!(formula.len() > 16_000);
        let wanted_options = json!({"formula": formula, "sort": ["Name"], "page_size": 50});
        let options = options(language, wanted_options);
        let found =
            sdk.must(&about(&emulator, "list", "Contacts", &json!({"options": options})))?;
        let mut found = ids(&found["records"])?;
        found.sort();
        let mut wanted = ids(&Value::from(wanted.into_iter().cloned().collect::<Vec<_>>()))?;
        wanted.sort();
        ensure!(found == wanted);
        ensure!(emulator.log().entries().iter().all(|it| it.method == "POST"));
        ensure!(emulator.log().count("/listRecords") == 3);
        // Two parameters stay in the query even then.
        let text = json!({
            "formula": formula, "cell_format": "string", "time_zone": "utc", "user_locale": "en",
        });
        let options = self::options(language, text);
        let found =
            sdk.must(&about(&emulator, "list", "Contacts", &json!({"options": options})))?;
        ensure!(ids(&found["records"])?.len() == wanted.len());
        let last = emulator.log().entries().pop().context("nothing was asked")?;
        ensure!(last.target.contains("timeZone=utc"), "{}", last.target);
    }
    Ok(())
}

/// Who does not post what is too long is refused.
#[test]
fn long_targets_are_refused() -> Result<()> {
    let emulator = emulator()?;
    let token = format!("authorization: Bearer {}", emulator.api().options().token);
    let ask = |length: usize| -> Result<u16> {
        let formula = "1".repeat(length);
        let base = emulator.api().base();
        let head = format!("GET /v0/{base}/Contacts?pageSize=1&filterByFormula={formula}");
        Ok(send(emulator.port(), &head, &[&token], "")?.status)
    };
    ensure!(ask(15_000)? == 200 && ask(16_000)? == 413);
    Ok(())
}

/// The order is that of the first page; values are those of now, and what is gone is missing.
#[test]
fn a_listing_is_frozen() -> Result<()> {
    let emulator = emulator()?;
    let all = truth(&emulator, "Contacts")?;
    let (gone, changed) = (all[250]["id"].clone(), all[251]["id"].clone());
    let arm = |change: Value| emulator.arm(Fault::new(What::Change(change)).on("offset="));
    arm(json!({"remove": "Contacts", "id": gone}));
    arm(json!({"update": "Contacts", "id": changed, "fields": {"Name": "Changed"}}));
    let mut sdk = sdk(Language::Python, &emulator)?;
    let found = sdk.must(&about(&emulator, "list", "Contacts", &json!({})))?;
    ensure!(found["pages"] == json!([100, 100, 99, 40]), "{}", found["pages"]);
    let found = found["records"].as_array().context("not a list")?;
    ensure!(found.iter().all(|it| it["id"] != gone));
    let record = found.iter().find(|it| it["id"] == changed).context("gone")?;
    ensure!(record["fields"]["Name"] == "Changed");
    Ok(())
}

#[test]
fn an_offset_expires() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let expire = json!({"expire_offsets": true});
        emulator.arm(Fault::new(What::Change(expire)).on("offset=").after(1));
        let named = sdk.ask(&about(&emulator, "list", "Contacts", &json!({})))?;
        ensure!(named.to_string().contains("LIST_RECORDS_ITERATOR_NOT_AVAILABLE"), "{named}");
        ensure!(named["status"] == 422, "{named}");
        sdk.must(&about(&emulator, "list", "Contacts", &json!({})))?;
    }
    emulator.change(&json!({"settings": {"offset_lifetime_ms": 0}}))?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let named = sdk.ask(&about(&emulator, "list", "Contacts", &json!({})))?;
    ensure!(named["status"] == 422, "{named}");
    Ok(())
}

/// A field that was renamed keeps its id.
#[test]
fn fields_are_renamed_and_dropped() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let before = truth(&emulator, "Contacts")?;
    emulator.change(&json!({"rename_field": "Contacts", "field": "Age", "name": "Years"}))?;
    let command =
        about(&emulator, "list", "Contacts", &json!({"options": {"use_field_ids": true}}));
    let found = sdk.must(&command)?;
    let found = found["records"].as_array().context("not a list")?;
    ensure!(
        found.iter().zip(&before).all(|(found, before)| found["fields"] == before["fieldsById"])
    );
    let named =
        sdk.ask(&about(&emulator, "list", "Contacts", &json!({"options": {"fields": ["Age"]}})))?;
    ensure!(named.to_string().contains("UNKNOWN_FIELD_NAME"), "{named}");
    emulator.change(&json!({"drop_field": "Contacts", "field": "Years"}))?;
    let found = sdk.must(&about(&emulator, "list", "Contacts", &json!({})))?;
    ensure!(!found.to_string().contains("\"Years\""));
    emulator.change(&json!({"rename_table": "Contacts", "name": "People"}))?;
    let named = sdk.ask(&about(&emulator, "list", "Contacts", &json!({})))?;
    ensure!(named["status"] == 403, "{named}");
    Ok(())
}
