//! What the reference says of the gateway, one test each.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::braintree::{Options, PastTheEnd, Settings};
use warehouse_tests::apis::sdk::{Language, Sdk};
use warehouse_tests::apis::{Braintree, Emulator, Fault, What};

use super::{emulator, ids, sdk};
use crate::apis::LANGUAGES;
use crate::apis::plain::{Reply, send};

/// Asks by plain HTTP, as a merchant with the right keys.
fn post(emulator: &Emulator<Braintree>, path: &str, body: &Value) -> Result<Reply> {
    // public_key:private_key
    let key = "authorization: Basic cHVibGljX2tleTpwcml2YXRlX2tleQ==";
    let head = format!("POST /merchants/merchant7{path}");
    send(emulator.port(), &head, &[key, "content-type: application/json"], &body.to_string())
}

/// The texts of all elements of a tag.
fn elements(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned()))
        .collect()
}

fn newest_first(emulator: &Emulator<Braintree>) -> Result<Vec<String>> {
    let all = emulator.truth("transactions")?;
    all.iter().rev().map(|it| Ok(it["id"].as_str().context("no id")?.to_owned())).collect()
}

fn since(sdk: &mut Sdk, since: &str) -> Result<Vec<String>> {
    ids(sdk, "transactions", &json!([["created_at", "min", {"time": since}]]))
}

/// The same search in both dialects, with names and values written in every way that clients do.
#[test]
fn bodies_in_every_dialect() -> Result<()> {
    let emulator = emulator()?;
    let dates = [
        "2024-03-01T00:00:00Z",
        "2024-03-01T00:00:00.000Z",
        "2024-03-01T00:00:00+00:00",
        "2024-03-01 00:00:00 +0000",
        "2024-03-01",
    ];
    let mut answers = Vec::new();
    for date in dates {
        let body = json!({"search": {"created_at": {"min": date}}});
        answers.push(post(&emulator, "/transactions/advanced_search_ids", &body)?.text());
        for (name, kind) in [("created_at", " type=\"datetime\""), ("created-at", "")] {
            let body = format!("<search><{name}><min{kind}>{date}</min></{name}></search>");
            let key = "authorization: Basic cHVibGljX2tleTpwcml2YXRlX2tleQ==";
            let head = "POST /merchants/merchant7/transactions/advanced_search_ids/";
            let xml = "content-type: application/xml";
            answers.push(send(emulator.port(), head, &[key, xml], &body)?.text());
        }
    }
    ensure!(elements(&answers[0], "item").len() > 10, "{}", answers[0]);
    ensure!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // There are clients that GET with a body.
    let key = "authorization: Basic cHVibGljX2tleTpwcml2YXRlX2tleQ==";
    let head = "GET /merchants/merchant7/subscriptions/advanced_search?page=1";
    let body = json!({"search": {"status": ["Active"]}}).to_string();
    let got = send(emulator.port(), head, &[key], &body)?;
    ensure!(got.status == 200 && got.text().contains("<subscription>"), "{}", got.text());
    Ok(())
}

#[test]
fn a_minute_is_added_to_the_upper_bound_of_times() -> Result<()> {
    let emulator = emulator()?;
    let all = emulator.truth("transactions")?;
    let last_second = all
        .iter()
        .find(|it| it["created_at"].as_str().is_some_and(|at| at.ends_with(":59Z")))
        .context("none at the last second of a minute")?;
    let at = last_second["created_at"].as_str().context("no time")?;
    let minute = format!("{}:00Z", &at[..16]);
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let terms = json!([["created_at", "between", {"time": minute}, {"time": minute}]]);
        let found = ids(&mut sdk, "transactions", &terms)?;
        ensure!(found.iter().any(|id| last_second["id"] == *id), "{found:?}");
    }
    Ok(())
}

/// A capped answer leaves records out within its range; an answer below the cap is whole.
#[test]
fn caps_leave_gaps() -> Result<()> {
    let emulator = emulator()?;
    emulator.api().set(Settings { transaction_cap: 100, ..Settings::default() });
    let truth = newest_first(&emulator)?;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        let found = since(&mut sdk, "2020-01-01T00:00:00Z")?;
        ensure!(found.len() == 100, "{}", found.len());
        ensure!(found[..] != truth[..100], "the newest ones");
        let oldest = truth.iter().position(|id| *id == found[99]).context("not there")?;
        ensure!(oldest > 110, "no gaps: {oldest}");
        let few = ids(&mut sdk, "transactions", &json!([["id", "is", truth[250]]]))?;
        ensure!(few == [truth[250].clone()]);
    }
    Ok(())
}

/// More were created in one second than a small cap shows.
#[test]
fn a_burst_in_one_second() -> Result<()> {
    let emulator = emulator()?;
    let all = emulator.truth("transactions")?;
    let most =
        all.iter().map(|it| all.iter().filter(|other| other["created_at"] == it["created_at"]));
    let most = most.map(Iterator::count).max().unwrap_or(0);
    ensure!(most >= 40, "{most}");
    Ok(())
}

#[test]
fn both_steps_hold_the_criteria() -> Result<()> {
    let emulator = emulator()?;
    let truth = emulator.truth("transactions")?;
    let settled: Vec<&Value> = truth.iter().filter(|it| it["status"] == "settled").collect();
    let (kept, gone, changed) = (settled[0], settled[1], settled[2]);
    // Between the steps one is removed and one gets another status: both are silently missing.
    let change = |change: Value| {
        emulator.arm(Fault::new(What::Change(change)).on("/advanced_search").with_body("ids"));
    };
    let terms = json!([["status", "in", ["settled"]]]);
    for (number, language) in LANGUAGES.into_iter().enumerate() {
        if number == 0 {
            change(json!({"remove": "transactions", "id": gone["id"]}));
            change(
                json!({"update": "transactions", "id": changed["id"], "members": {"status": "voided"}}),
            );
        }
        let mut sdk = sdk(language, &emulator)?;
        let found = ids(&mut sdk, "transactions", &terms)?;
        ensure!(found.len() == settled.len() - 2, "{} of {}", found.len(), settled.len());
        ensure!(found.iter().any(|id| kept["id"] == *id));
        ensure!(!found.iter().any(|id| gone["id"] == *id || changed["id"] == *id));
    }
    // The ids alone are enough.
    let body = json!({"search": {"ids": [kept["id"], "nobody", gone["id"]]}});
    let answer = post(&emulator, "/transactions/advanced_search", &body)?.text();
    ensure!(answer.contains("<total-items type=\"integer\">1</total-items>"), "{answer}");
    Ok(())
}

#[test]
fn pages_by_number() -> Result<()> {
    let emulator = emulator()?;
    let everything = json!({"search": {}});
    let page = |number: usize| -> Result<Reply> {
        post(&emulator, &format!("/transactions/advanced_search?page={number}"), &everything)
    };
    // A dispute within a transaction names its transaction too.
    let count = |text: &str| text.matches("<transaction><ach-return-responses").count();
    let mut found = Vec::new();
    for number in 1..=8 {
        let text = page(number)?.text();
        ensure!(text.contains("<total-items type=\"integer\">400</total-items>"), "{text}");
        found.push(count(&text));
    }
    ensure!(found == [50; 8], "{found:?}");
    ensure!(count(&page(9)?.text()) == 50, "the last page is not repeated");
    emulator.api().set(Settings { past_the_end: PastTheEnd::Empty, ..Settings::default() });
    ensure!(count(&page(9)?.text()) == 0, "there are records past the end");
    ensure!(page(1_000)?.status == 200);
    ensure!(page(1_001)?.status == 422);
    Ok(())
}

#[test]
fn what_cannot_be_searched_is_refused() -> Result<()> {
    let emulator = emulator()?;
    let refused = [
        (json!({"search": {"colour": {"is": "red"}}}), 403),
        (json!({"search": {"credit_card_number": {"contains": "1"}}}), 403),
        (json!({"search": {"order_id": ["a"]}}), 403),
        (json!({"search": {"order_id": {"is": ""}}}), 422),
        (json!({"search": {"order_id": {"is": "x".repeat(256)}}}), 422),
        (json!({"search": {"order_id": {"is": "x".repeat(255)}}}), 200),
        (json!({"search": {"status": ["unheard_of"]}}), 422),
        (json!({"search": {"created_at": {"min": "yesterday"}}}), 422),
    ];
    for (body, status) in refused {
        let answer = post(&emulator, "/transactions/advanced_search_ids", &body)?;
        ensure!(answer.status == status, "{body}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

/// Too large a batch gets 500; smaller ones get through.
#[test]
fn large_batches_fail() -> Result<()> {
    let emulator = emulator()?;
    emulator.change(&json!({"settings": {"largest_batch": 10}}))?;
    let ids = newest_first(&emulator)?;
    let fetch = |count: usize| -> Result<u16> {
        let body = json!({"search": {"ids": ids[..count]}});
        Ok(post(&emulator, "/transactions/advanced_search", &body)?.status)
    };
    ensure!(fetch(11)? == 500);
    ensure!(fetch(10)? == 200);
    Ok(())
}

/// Without their type, card verifications come among others.
#[test]
fn verifications_may_be_mixed() -> Result<()> {
    let emulator = emulator()?;
    let ask = |search: Value| -> Result<String> {
        Ok(post(&emulator, "/verifications/advanced_search?page=1", &json!({"search": search}))?
            .text())
    };
    let mixed = ask(json!({}))?;
    ensure!(mixed.contains("<verification>") && mixed.contains("<us-bank-account-verification>"));
    let cards = ask(json!({"verification_type": ["credit_card"]}))?;
    ensure!(cards.contains("<verification>") && !cards.contains("<us-bank-account-verification>"));
    Ok(())
}

/// A setting says how text is compared, since it is not known.
#[test]
fn case_may_be_folded() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let terms = json!([["customer_first_name", "is", "ann"]]);
    let exact = ids(&mut sdk, "transactions", &terms)?.len();
    emulator.change(&json!({"settings": {"fold_case": true}}))?;
    let folded = ids(&mut sdk, "transactions", &terms)?.len();
    ensure!(exact > 0 && folded > exact, "{exact} {folded}");
    Ok(())
}

/// The same seed makes the same records, another one makes others, and the edge cases are there.
#[test]
fn records_are_decided_by_the_seed() -> Result<()> {
    let make = |seed: u64| -> Result<Vec<Value>> {
        Emulator::start(Braintree::new(Options::sized(300, seed)))?.truth("transactions")
    };
    let first = make(1)?;
    ensure!(first == make(1)? && first != make(2)?);
    let text = Value::from(first.clone()).to_string();
    // All that the SDKs know to pay with.
    for block in [
        "amex_express_checkout_card",
        "android_pay_card",
        "apple_pay",
        "credit_card",
        "europe_bank_account",
        "local_payment",
        "masterpass_card",
        "meta_checkout_card",
        "meta_checkout_token",
        "paypal",
        "paypal_here",
        "samsung_pay_card",
        "sepa_debit_account_detail",
        "us_bank_account",
        "venmo_account",
        "visa_checkout_card",
    ] {
        ensure!(text.contains(&format!("\"{block}\":{{")), "no {block}");
    }
    for detail in
        ["renewed_at", "9999999", "\"amount\":\"0.01\"", "T00:00:00Z", "authorization_adjustments"]
    {
        ensure!(text.contains(detail), "no {detail}");
    }
    let refund = first.iter().find(|it| it["type"] == "credit").context("no refund")?;
    let sale = first.iter().find(|it| it["id"] == refund["refunded_transaction_id"]);
    ensure!(sale.context("no sale")?["refund_ids"] == json!([refund["id"]]));
    Ok(())
}
