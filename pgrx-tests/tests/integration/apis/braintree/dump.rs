//! Everything that is there: the SDKs find what was generated, member by member.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::canonical::{camel_case, canonical, difference, missing};
use warehouse_tests::apis::sdk::{Language, Sdk};

use super::{emulator, sdk};
use crate::apis::LANGUAGES;

/// A search that finds all records of a kind.
const EVERYTHING: [(&str, &str, &str); 6] = [
    ("transactions", "created_at", "time"),
    ("customers", "created_at", "time"),
    ("subscriptions", "created_at", "time"),
    ("disputes", "received_date", "date"),
    ("verifications", "created_at", "time"),
    ("us_bank_account_verifications", "created_at", "time"),
];

/// Compares records as they came with the truth. The SDK for Python shows exactly what was sent;
/// the one for JavaScript adds members of its own.
fn compare(language: Language, kind: &str, truth: &[Value], found: &Value) -> Result<()> {
    let found = found.as_array().context("not a list")?;
    ensure!(found.len() == truth.len(), "{} {kind} instead of {}", found.len(), truth.len());
    for (wanted, found) in truth.iter().zip(found) {
        let different = match language {
            Language::Python => difference(&canonical(wanted), &canonical(found)),
            Language::Node => missing(&camel_case(wanted), &camel_case(found)),
        };
        if let Some(path) = different {
            anyhow::bail!("{language:?}, {kind} {}: {path}", wanted["id"]);
        }
    }
    Ok(())
}

fn list(sdk: &mut Sdk, kind: &str) -> Result<Value> {
    Ok(sdk.must(&json!({"do": "list", "kind": kind}))?["records"].take())
}

#[test]
fn searches_find_everything() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for (kind, field, form) in EVERYTHING {
            let since = if form == "time" { "2020-01-01T00:00:00Z" } else { "2020-01-01" };
            let terms = json!([[field, "min", {form: since}]]);
            let command = json!({"do": "search", "kind": kind, "terms": terms, "whole": true});
            let found = sdk.must(&command)?;
            // Newest first.
            let mut truth = emulator.truth(kind)?;
            truth.reverse();
            ensure!(!truth.is_empty(), "there are no {kind}");
            compare(language, kind, &truth, &found["records"])?;
        }
    }
    Ok(())
}

#[test]
fn lists_are_whole() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for kind in ["plans", "add_ons", "discounts", "merchant_accounts"] {
            let found = list(&mut sdk, kind)?;
            compare(language, kind, &emulator.truth(kind)?, &found)?;
        }
        // Three pages of merchant accounts, and not one more.
        ensure!(emulator.truth("merchant_accounts")?.len() == 45);
        ensure!(emulator.log().count("merchant_accounts") == 3, "{:?}", emulator.log().entries());
        emulator.log().clear();
    }
    Ok(())
}

#[test]
fn line_items_belong_to_transactions() -> Result<()> {
    let emulator = emulator()?;
    let all = emulator.truth("line_items")?;
    let with = all[0]["transaction_id"].as_str().context("no id")?.to_owned();
    let ids = emulator.truth("transactions")?;
    let without = ids
        .iter()
        .find(|it| all.iter().all(|item| item["transaction_id"] != it["id"]))
        .context("all have items")?;
    let mine: Vec<Value> = all
        .iter()
        .filter(|item| item["transaction_id"] == *with)
        .cloned()
        .map(|mut item| {
            item["transaction_id"].take();
            item
        })
        .collect();
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let command = json!({"do": "list", "kind": "line_items", "id": with});
        compare(language, "line_items", &mine, &sdk.must(&command)?["records"])?;
        let command = json!({"do": "list", "kind": "line_items", "id": without["id"]});
        ensure!(sdk.must(&command)?["records"] == json!([]));
    }
    Ok(())
}

#[test]
fn single_objects() -> Result<()> {
    let emulator = emulator()?;
    let kinds = EVERYTHING.iter().map(|(kind, _, _)| *kind).chain(["plans", "merchant_accounts"]);
    let kinds: Vec<&str> = kinds.collect();
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for kind in &kinds {
            let truth = emulator.truth(kind)?;
            for wanted in truth.iter().step_by(truth.len().div_ceil(7)) {
                let found = sdk.must(&json!({"do": "get", "kind": kind, "id": wanted["id"]}))?;
                compare(language, kind, std::slice::from_ref(wanted), &json!([found["record"]]))?;
            }
        }
    }
    Ok(())
}

/// Every kind of payment method is found by its token, and is what its customer shows.
#[test]
fn payment_methods_by_token() -> Result<()> {
    let emulator = emulator()?;
    let kinds = [
        ("credit_cards", "CreditCard"),
        ("paypal_accounts", "PayPalAccount"),
        ("apple_pay_cards", "ApplePayCard"),
        ("android_pay_cards", "AndroidPayCard"),
        ("venmo_accounts", "VenmoAccount"),
        ("us_bank_accounts", "UsBankAccount"),
        ("sepa_debit_accounts", "SepaD"),
        ("visa_checkout_cards", "VisaCheckoutCard"),
    ];
    let customers = emulator.truth("customers")?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for (list, class) in kinds {
            let wanted = customers
                .iter()
                .find_map(|customer| customer.get(list)?.as_array()?.first())
                .with_context(|| format!("nobody has {list}"))?;
            let command = json!({"do": "get", "kind": "payment_methods", "id": wanted["token"]});
            let found = sdk.must(&command)?;
            ensure!(found["class"].as_str().is_some_and(|it| it.starts_with(class)), "{found}");
            compare(language, list, std::slice::from_ref(wanted), &json!([found["record"]]))?;
        }
    }
    Ok(())
}

#[test]
fn cards_that_expire() -> Result<()> {
    let emulator = emulator()?;
    let customers = emulator.truth("customers")?;
    let cards = customers.iter().flat_map(|it| it["credit_cards"].as_array().into_iter().flatten());
    let month = |card: &Value| {
        let part = |name: &str| card[name].as_str().unwrap_or_default().to_owned();
        part("expiration_year") + &part("expiration_month")
    };
    let all: Vec<&Value> = cards.collect();
    let tokens = |first: &str, last: &str| {
        let mut tokens: Vec<Value> = all
            .iter()
            .filter(|card| (first..=last).contains(&month(card).as_str()))
            .map(|card| card["token"].clone())
            .collect();
        tokens.sort_by_key(Value::to_string);
        tokens
    };
    let mut sdk = sdk(Language::Python, &emulator)?;
    let mut ask = |command: Value| -> Result<Vec<Value>> {
        let found = sdk.must(&command)?;
        let found = found["records"].as_array().context("not a list")?;
        let mut found: Vec<Value> = found.iter().map(|card| card["token"].clone()).collect();
        found.sort_by_key(Value::to_string);
        Ok(found)
    };
    let expired = ask(json!({"do": "list", "kind": "expired"}))?;
    ensure!(!expired.is_empty() && expired == tokens("000000", "202406"), "{expired:?}");
    let span =
        json!({"do": "list", "kind": "expiring", "first": "2025-02-01", "last": "2026-03-01"});
    let expiring = ask(span)?;
    ensure!(!expiring.is_empty() && expiring == tokens("202502", "202603"), "{expiring:?}");
    Ok(())
}

#[test]
fn a_day_is_summed_up() -> Result<()> {
    let emulator = emulator()?;
    let settled_at = |it: &Value| {
        let events = it["status_history"].as_array().into_iter().flatten();
        let mut settled = events.filter(|event| event["status"] == "settled");
        settled
            .next_back()
            .and_then(|event| event["timestamp"].as_str())
            .map(|it| it[..10].to_owned())
    };
    let transactions = emulator.truth("transactions")?;
    let day = transactions.iter().rev().find_map(settled_at).context("nothing was settled")?;
    let count = transactions.iter().filter(|it| settled_at(it).as_ref() == Some(&day)).count();
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for field in [Value::Null, json!("vat_id")] {
            let command = json!({"do": "summary", "date": day, "field": field});
            let found = sdk.must(&command)?;
            let rows = found["records"].as_array().context("not a list")?;
            let counted =
                rows.iter().filter_map(|row| row["count"].as_str()?.parse::<usize>().ok());
            ensure!(counted.sum::<usize>() == count, "{found} instead of {count} on {day}");
        }
        let refused = sdk.must(&json!({"do": "summary", "date": "yesterday"}))?;
        ensure!(refused["success"] == false, "{refused}");
    }
    Ok(())
}
