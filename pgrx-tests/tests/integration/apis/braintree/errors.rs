//! What goes wrong reaches the SDKs under the names that they have for it.

use anyhow::{Result, ensure};
use serde_json::json;
use warehouse_tests::apis::sdk::Language;
use warehouse_tests::apis::{Fault, What};

use super::{emulator, sdk, sdk_with_key};
use crate::apis::LANGUAGES;

/// Status, and what the SDKs for Python and JavaScript call it.
const NAMES: [(u16, &str, &str); 9] = [
    (401, "AuthenticationError", "authenticationError"),
    (403, "AuthorizationError", "authorizationError"),
    (404, "NotFoundError", "notFoundError"),
    (408, "RequestTimeoutError", "requestTimeoutError"),
    (426, "UpgradeRequiredError", "upgradeRequired"),
    (429, "TooManyRequestsError", "tooManyRequestsError"),
    (500, "ServerError", "serverError"),
    (503, "ServiceUnavailableError", "serviceUnavailableError"),
    (504, "GatewayTimeoutError", "gatewayTimeoutError"),
];

#[test]
fn statuses_have_names() -> Result<()> {
    let emulator = emulator()?;
    let search = json!({"do": "search", "kind": "transactions", "terms": [["amount", "min", "1"]]});
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for step in ["advanced_search_ids", "advanced_search"] {
            for (status, python, node) in NAMES {
                emulator.arm(Fault::new(What::Status(status, None)).on(step));
                let named = sdk.ask(&search)?;
                let wanted = if language == Language::Python { python } else { node };
                ensure!(named["error"] == wanted, "{language:?}: {status} is {named}");
                ensure!(emulator.faults().armed() == 0);
            }
        }
        sdk.must(&search)?;
    }
    Ok(())
}

#[test]
fn a_wrong_key_is_refused() -> Result<()> {
    let emulator = emulator()?;
    for (language, wanted) in
        [(Language::Python, "AuthenticationError"), (Language::Node, "authenticationError")]
    {
        let mut sdk = sdk_with_key(language, &emulator, "wrong")?;
        let named = sdk.ask(&json!({"do": "list", "kind": "plans"}))?;
        ensure!(named["error"] == wanted, "{named}");
    }
    Ok(())
}

#[test]
fn what_does_not_exist_is_not_found() -> Result<()> {
    let emulator = emulator()?;
    for (language, wanted) in
        [(Language::Python, "NotFoundError"), (Language::Node, "notFoundError")]
    {
        let mut sdk = sdk(language, &emulator)?;
        let kinds = ["transactions", "customers", "subscriptions", "disputes", "verifications"];
        for kind in kinds.into_iter().chain(["plans", "merchant_accounts", "payment_methods"]) {
            let named = sdk.ask(&json!({"do": "get", "kind": kind, "id": "nobody"}))?;
            ensure!(named["error"] == wanted, "{kind}: {named}");
        }
    }
    Ok(())
}

#[test]
fn a_search_that_takes_too_long() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let search = json!({"do": "search", "kind": "transactions", "terms": [["amount", "min", "1"]]});
    for step in ["advanced_search_ids", "advanced_search"] {
        emulator.arm(Fault::new(What::Named("search timeout".to_owned())).on(step));
        let named = sdk.ask(&search)?;
        ensure!(named["error"] == "RequestTimeoutError", "{named}");
        ensure!(named["message"] == "search timeout", "{named}");
    }
    Ok(())
}

#[test]
fn validation_is_a_result() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let result = sdk.must(&json!({"do": "sale", "transaction": {}}))?;
        ensure!(result["success"] == false, "{result}");
        ensure!(result["codes"] == json!(["81502"]), "{result}");
        ensure!(result["message"] == "Amount is required.", "{result}");
    }
    Ok(())
}

#[test]
fn broken_connections_and_answers() -> Result<()> {
    let emulator = emulator()?;
    let search = json!({"do": "search", "kind": "transactions", "terms": [["amount", "min", "1"]]});
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let faults = [
            What::Cut(100),
            What::Cut(0),
            What::TruncatedGzip(40),
            What::Html(200),
            What::Html(502),
        ];
        for what in faults {
            emulator.arm(Fault::new(what.clone()).on("advanced_search"));
            let named = sdk.ask(&search)?;
            ensure!(named.get("error").is_some(), "{language:?} noticed no {what:?}: {named}");
        }
        sdk.must(&search)?;
    }
    Ok(())
}
