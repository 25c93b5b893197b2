//! What goes wrong reaches the SDKs under the names that they have for it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::airtable::{Options, Settings};
use warehouse_tests::apis::sdk::Language;
use warehouse_tests::apis::{Airtable, Emulator, Fault, What};

use super::{about, emulator, sdk, sdk_with, truth};
use crate::apis::LANGUAGES;

/// Status, and what the SDK for JavaScript calls it.
const NAMES: [(u16, &str); 8] = [
    (401, "AUTHENTICATION_REQUIRED"),
    (403, "NOT_AUTHORIZED"),
    (404, "NOT_FOUND"),
    (413, "REQUEST_TOO_LARGE"),
    (422, "INVALID_REQUEST_UNKNOWN"),
    (429, "TOO_MANY_REQUESTS"),
    (500, "SERVER_ERROR"),
    (503, "SERVICE_UNAVAILABLE"),
];

#[test]
fn statuses_have_names() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for (status, name) in NAMES {
            emulator.arm(Fault::new(What::Status(status, None)));
            let named = sdk.ask(&about(&emulator, "list", "Contacts", &json!({})))?;
            let wanted = if language == Language::Python { "HTTPError" } else { name };
            ensure!(named["error"] == wanted && named["status"] == status, "{status}: {named}");
        }
        sdk.must(&about(&emulator, "list", "Contacts", &json!({})))?;
    }
    Ok(())
}

#[test]
fn what_does_not_exist() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let mut status =
            |command: Value| -> Result<Value> { Ok(sdk.ask(&command)?["status"].clone()) };
        ensure!(status(about(&emulator, "list", "Nobody", &json!({})))? == 403);
        let base = json!({"do": "list", "base": "appNobody00000000", "table": "Contacts"});
        ensure!(status(base)? == 403);
        let record = json!({"id": "recNobody00000000"});
        ensure!(status(about(&emulator, "get", "Contacts", &record))? == 404);
        let view = json!({"options": {"view": "Nobody"}});
        ensure!(status(about(&emulator, "list", "Contacts", &view))? == 422);
        let field = json!({"options": {"fields": ["Nobody"]}});
        ensure!(status(about(&emulator, "list", "Contacts", &field))? == 422);
        let known = truth(&emulator, "Contacts")?[0].clone();
        let found = sdk.must(&about(&emulator, "get", "Contacts", &json!({"id": known["id"]})))?;
        ensure!(found["record"]["fields"] == known["fields"], "{found}");
        let mut wrong = sdk_with(language, &emulator, "patWrong", "")?;
        let named = wrong.ask(&about(&emulator, "list", "Contacts", &json!({})))?;
        ensure!(named["status"] == 401, "{named}");
    }
    Ok(())
}

#[test]
fn broken_connections_and_answers() -> Result<()> {
    let emulator = emulator()?;
    let all = [What::Html(502), What::Cut(200), What::Html(200), What::TruncatedGzip(50)];
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        // The SDK for JavaScript waits for ever for a body that was cut, and dies of what is not JSON.
        let noticed = if language == Language::Python { &all[..] } else { &all[..1] };
        for what in noticed {
            emulator.arm(Fault::new(what.clone()).on("offset="));
            let named = sdk.ask(&about(&emulator, "list", "Contacts", &json!({})))?;
            ensure!(named.get("error").is_some(), "{language:?} noticed no {what:?}");
        }
        sdk.must(&about(&emulator, "list", "Contacts", &json!({})))?;
    }
    Ok(())
}

/// Five requests a second for each base; who asks more is shut out for a while.
#[test]
fn the_limit_is_kept() -> Result<()> {
    let airtable = Airtable::new(Options::default());
    airtable.set(Settings { penalty: Duration::from_millis(1_500), ..Settings::default() });
    let emulator = Emulator::start(airtable)?;
    let mut fast = sdk(Language::Python, &emulator)?;
    let many = about(&emulator, "list", "Contacts", &json!({"options": {"page_size": 10}}));
    let named = fast.ask(&many)?;
    ensure!(named["status"] == 429, "{named}");
    ensure!(emulator.log().most_in_a_second("") > 5);
    // Who tries again and waits gets through.
    std::thread::sleep(Duration::from_millis(1_600));
    let token = emulator.api().options().token.clone();
    let mut patient = sdk_with(Language::Python, &emulator, &token, "yes")?;
    let start = Instant::now();
    let some = json!({"options": {"page_size": 100, "max_records": 340}});
    for _ in 0..2 {
        patient.must(&about(&emulator, "list", "Contacts", &some))?;
    }
    ensure!(start.elapsed() > Duration::from_millis(1_000), "{:?}", start.elapsed());
    ensure!(emulator.log().figures("")["refused"].as_u64() >= Some(2));
    Ok(())
}
