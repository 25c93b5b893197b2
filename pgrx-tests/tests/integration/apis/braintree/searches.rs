//! Searches with every operator on every kind of field, stated in the SDKs' own language and checked
//! against the generated records.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use warehouse_tests::apis::braintree::Options;
use warehouse_tests::apis::sdk::Language;
use warehouse_tests::apis::{Braintree, Emulator};

use super::{ids, sdk};
use crate::apis::LANGUAGES;

type Wanted = fn(&Value) -> bool;

/// Fields that the SDK for JavaScript does not have.
const NOT_IN_NODE: [&str; 1] = ["europe_bank_account_iban"];

fn text<'a>(record: &'a Value, path: &str) -> &'a str {
    path.split('.').fold(record, |value, name| &value[name]).as_str().unwrap_or_default()
}

fn number(record: &Value, name: &str) -> Option<f64> {
    text(record, name).parse().ok()
}

fn any(list: &Value, wanted: impl Fn(&Value) -> bool) -> bool {
    list.as_array().is_some_and(|items| items.iter().any(wanted))
}

/// The time of the last status event of a status.
fn moment<'a>(record: &'a Value, status: &str) -> Option<&'a str> {
    let events = record["status_history"].as_array()?;
    events.iter().rev().find(|it| it["status"] == status)?["timestamp"].as_str()
}

/// Kind, terms, and the records that they mean.
fn searches() -> Vec<(&'static str, Value, Wanted)> {
    vec![
        // Text.
        ("transactions", json!([["order_id", "is", "order-00007"]]), |it| {
            text(it, "order_id") == "order-00007"
        }),
        (
            "transactions",
            json!([["customer_last_name", "is_not", "Smith"], ["amount", "min", "1"]]),
            |it| text(it, "customer.last_name") != "Smith" && number(it, "amount") >= Some(1.0),
        ),
        ("transactions", json!([["customer_first_name", "starts_with", "An"]]), |it| {
            text(it, "customer.first_name").starts_with("An")
        }),
        ("transactions", json!([["billing_locality", "ends_with", "o"]]), |it| {
            text(it, "billing.locality").ends_with('o')
        }),
        ("transactions", json!([["customer_last_name", "contains", "& S"]]), |it| {
            text(it, "customer.last_name").contains("& S")
        }),
        ("transactions", json!([["shipping_company", "contains", "%"]]), |it| {
            text(it, "shipping.company").contains('%')
        }),
        ("transactions", json!([["customer_last_name", "is", "\"Quoted\""]]), |it| {
            text(it, "customer.last_name") == "\"Quoted\""
        }),
        ("transactions", json!([["customer_first_name", "is", "王小明"]]), |it| {
            text(it, "customer.first_name") == "王小明"
        }),
        ("transactions", json!([["currency", "is", "JPY"]]), |it| {
            text(it, "currency_iso_code") == "JPY"
        }),
        ("transactions", json!([["paypal_payer_email", "starts_with", "payer1"]]), |it| {
            text(it, "paypal.payer_email").starts_with("payer1")
        }),
        ("transactions", json!([["europe_bank_account_iban", "starts_with", "DE"]]), |it| {
            text(it, "europe_bank_account.masked_iban").starts_with("DE")
        }),
        // Partial, equality.
        ("transactions", json!([["credit_card_number", "starts_with", "411111"]]), |it| {
            text(it, "credit_card.bin") == "411111"
        }),
        ("transactions", json!([["credit_card_number", "ends_with", "7"]]), |it| {
            text(it, "credit_card.last_4").ends_with('7')
        }),
        ("transactions", json!([["credit_card_expiration_date", "is", "05/2025"]]), |it| {
            text(it, "credit_card.expiration_month") == "05"
                && text(it, "credit_card.expiration_year") == "2025"
        }),
        // Lists.
        ("transactions", json!([["status", "in", ["settled", "voided"]]]), |it| {
            ["settled", "voided"].contains(&text(it, "status"))
        }),
        ("transactions", json!([["type", "in", ["credit"]]]), |it| text(it, "type") == "credit"),
        ("transactions", json!([["merchant_account_id", "in", ["shop_eur", "nobody"]]]), |it| {
            text(it, "merchant_account_id") == "shop_eur"
        }),
        (
            "transactions",
            json!([["payment_instrument_type", "in", ["ApplePayDetail", "SEPADebitAccount"]]]),
            |it| {
                ["apple_pay_card", "sepa_debit_account"]
                    .contains(&text(it, "payment_instrument_type"))
            },
        ),
        ("transactions", json!([["credit_card_card_type", "in", ["Visa"]]]), |it| {
            text(it, "credit_card.card_type") == "Visa"
        }),
        ("transactions", json!([["source", "in", ["api"]]]), |it| {
            text(&it["status_history"][0], "transaction_source") == "api"
        }),
        ("transactions", json!([["user", "in", ["ann@example.com"]]]), |it| {
            any(&it["status_history"], |event| event["user"] == "ann@example.com")
        }),
        // True or false.
        ("transactions", json!([["refund", "is", true]]), |it| {
            it["refunded_transaction_id"].is_string()
        }),
        // Ranges of numbers.
        ("transactions", json!([["amount", "is", "100.00"]]), |it| {
            number(it, "amount") == Some(100.0)
        }),
        ("transactions", json!([["amount", "min", "400"]]), |it| {
            number(it, "amount") >= Some(400.0)
        }),
        ("transactions", json!([["amount", "max", "0.01"]]), |it| {
            number(it, "amount") <= Some(0.01)
        }),
        ("transactions", json!([["amount", "between", "10.00", "99.99"]]), |it| {
            number(it, "amount").is_some_and(|amount| (10.0..=99.99).contains(&amount))
        }),
        // Ranges of times: the upper bound lets the minute after it in.
        (
            "transactions",
            json!([["created_at", "between", {"time": "2024-02-01T00:00:00Z"}, {"time": "2024-03-01T00:00:00Z"}]]),
            |it| ("2024-02-01T00:00:00Z".."2024-03-01T00:01:00Z").contains(&text(it, "created_at")),
        ),
        ("transactions", json!([["settled_at", "min", {"time": "2024-05-01T00:00:00Z"}]]), |it| {
            moment(it, "settled") >= Some("2024-05-01T00:00:00Z")
        }),
        ("transactions", json!([["voided_at", "max", {"time": "2024-05-01T00:00:00Z"}]]), |it| {
            moment(it, "voided").is_some_and(|at| at < "2024-05-01T00:01:00Z")
        }),
        (
            "transactions",
            json!([["authorized_at", "max", {"time": "2024-02-01T00:00:00Z"}], ["status", "in", ["settled"]]]),
            |it| {
                moment(it, "authorized").is_some_and(|at| at < "2024-02-01T00:01:00Z")
                    && it["status"] == "settled"
            },
        ),
        (
            "transactions",
            json!([["disbursement_date", "between", {"date": "2024-03-01"}, {"date": "2024-03-31"}]]),
            |it| {
                ("2024-03-01"..="2024-03-31")
                    .contains(&text(it, "disbursement_details.disbursement_date"))
            },
        ),
        ("transactions", json!([["dispute_date", "min", {"date": "2024-04-01"}]]), |it| {
            any(&it["disputes"], |dispute| text(dispute, "received_date") >= "2024-04-01")
        }),
        ("customers", json!([["email", "ends_with", "7@example.com"]]), |it| {
            text(it, "email").ends_with("7@example.com")
        }),
        ("customers", json!([["company", "is", "acme inc"]]), |it| {
            text(it, "company") == "acme inc"
        }),
        ("customers", json!([["cardholder_name", "contains", "'"]]), |it| {
            any(&it["credit_cards"], |card| text(card, "cardholder_name").contains('\''))
        }),
        ("customers", json!([["address_country_name", "is", "Japan"]]), |it| {
            any(&it["addresses"], |address| address["country_name"] == "Japan")
        }),
        ("customers", json!([["created_at", "max", {"time": "2024-02-01T00:00:00Z"}]]), |it| {
            text(it, "created_at") < "2024-02-01T00:01:00Z"
        }),
        ("subscriptions", json!([["plan_id", "is", "plan_2"]]), |it| it["plan_id"] == "plan_2"),
        ("subscriptions", json!([["plan_id", "in", ["plan_1", "plan_3"]]]), |it| {
            it["plan_id"] == "plan_1" || it["plan_id"] == "plan_3"
        }),
        ("subscriptions", json!([["status", "in", ["Past Due", "Active"]]]), |it| {
            it["status"] == "Past Due" || it["status"] == "Active"
        }),
        ("subscriptions", json!([["in_trial_period", "in", [true]]]), |it| {
            it["trial_period"] == true
        }),
        ("subscriptions", json!([["price", "between", "9.99", "10"]]), |it| {
            number(it, "price").is_some_and(|price| (9.99..=10.0).contains(&price))
        }),
        ("subscriptions", json!([["days_past_due", "min", "1"]]), |it| {
            it["days_past_due"].as_i64() >= Some(1)
        }),
        ("subscriptions", json!([["next_billing_date", "max", {"date": "2024-05-01"}]]), |it| {
            text(it, "next_billing_date") <= "2024-05-01"
        }),
        ("subscriptions", json!([["billing_cycles_remaining", "is", "10"]]), |it| {
            it["number_of_billing_cycles"]
                .as_i64()
                .zip(it["current_billing_cycle"].as_i64())
                .is_some_and(|(all, gone)| all - gone == 10)
        }),
        ("disputes", json!([["status", "in", ["open", "won"]]]), |it| {
            it["status"] == "open" || it["status"] == "won"
        }),
        ("disputes", json!([["kind", "in", ["retrieval"]]]), |it| it["kind"] == "retrieval"),
        ("disputes", json!([["reason", "in", ["fraud"]]]), |it| it["reason"] == "fraud"),
        ("disputes", json!([["case_number", "starts_with", "CB0000"]]), |it| {
            text(it, "case_number").starts_with("CB0000")
        }),
        ("disputes", json!([["amount_disputed", "min", "100"]]), |it| {
            number(it, "amount_disputed") >= Some(100.0)
        }),
        (
            "disputes",
            json!([["received_date", "between", {"date": "2024-02-01"}, {"date": "2024-04-01"}]]),
            |it| ("2024-02-01"..="2024-04-01").contains(&text(it, "received_date")),
        ),
        ("disputes", json!([["effective_date", "min", {"date": "2024-05-01"}]]), |it| {
            any(&it["status_history"], |event| text(event, "effective_date") >= "2024-05-01")
        }),
        ("verifications", json!([["status", "in", ["verified"]]]), |it| it["status"] == "verified"),
        ("verifications", json!([["credit_card_card_type", "in", ["Visa", "Discover"]]]), |it| {
            ["Visa", "Discover"].contains(&text(it, "credit_card.card_type"))
        }),
        ("verifications", json!([["billing_address_details_postal_code", "is", "60622"]]), |it| {
            text(it, "billing.postal_code") == "60622"
        }),
        (
            "us_bank_account_verifications",
            json!([["verification_method", "in", ["micro_transfers"]]]),
            |it| it["verification_method"] == "micro_transfers",
        ),
        ("us_bank_account_verifications", json!([["account_type", "is", "savings"]]), |it| {
            text(it, "us_bank_account.account_type") == "savings"
        }),
    ]
}

#[test]
fn every_operator_finds_what_it_means() -> Result<()> {
    // The SDK for Python takes a third of a second for a page, so there are few.
    let emulator = Emulator::start(Braintree::new(Options::sized(200, 7)))?;
    let mut records: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (kind, _, _) in searches() {
        if !records.contains_key(kind) {
            records.insert(kind, emulator.truth(kind)?);
        }
    }
    let mut found_something = 0;
    for language in LANGUAGES {
        let mut sdk = sdk(language, &emulator)?;
        for (kind, terms, wanted) in searches() {
            let field = terms[0][0].as_str().unwrap_or_default();
            if language == Language::Node && NOT_IN_NODE.contains(&field) {
                continue;
            }
            let matching = records[kind].iter().rev().filter(|record| wanted(record));
            let truth: Vec<String> = matching.map(|it| text(it, "id").to_owned()).collect();
            let found = ids(&mut sdk, kind, &terms)?;
            ensure!(found == truth, "{language:?} {kind} {terms}: {found:?} instead of {truth:?}");
            found_something += usize::from(!truth.is_empty());
        }
    }
    // A search that finds nothing shows little.
    let all = searches().len() * 2;
    ensure!(found_something * 10 >= all * 9, "only {found_something} of {all} found something");
    Ok(())
}
