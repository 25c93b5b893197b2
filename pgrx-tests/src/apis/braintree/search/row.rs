//! The values that a record has for a field.
//!
//! What the sketch of a transaction knows is taken from there, so that a search over a hundred
//! thousand of them makes few.

use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value;

use super::super::store::{Kind, Store};
use super::super::transactions::instruments::KINDS;
use super::super::transactions::sketch::{CURRENCIES, Sketch};
use super::super::values::money;
use super::fields::Field;
use crate::apis::calendar::{date, to_second};

/// A record that may match.
pub(super) struct Row<'a> {
    store: &'a Store,
    kind: Kind,
    number: usize,
    sketch: Option<Sketch>,
    record: OnceCell<Option<Arc<Value>>>,
}

impl<'a> Row<'a> {
    pub(super) fn new(store: &'a Store, kind: Kind, number: usize) -> Row<'a> {
        let sketched = kind == Kind::Transaction && !store.is_changed(kind, number);
        let sketch = sketched.then(|| store.world.sketch(number));
        Row { store, kind, number, sketch, record: OnceCell::new() }
    }

    /// The whole record; `None` when it was removed.
    pub(super) fn record(&self) -> Option<&Arc<Value>> {
        self.record.get_or_init(|| self.store.record(self.kind, self.number)).as_ref()
    }

    /// Its values for a field: none, one, or as many as its lists have.
    pub(super) fn values(&self, field: Field) -> Vec<String> {
        let (name, _, path) = field;
        if let Some(values) = self.sketch.as_ref().and_then(|sketch| sketched(self, sketch, name)) {
            return values;
        }
        let Some(record) = self.record() else {
            return Vec::new();
        };
        if path.is_empty() {
            return self.computed(record, name);
        }
        let mut values = Vec::new();
        collect(record, path, &mut values);
        values
    }

    fn computed(&self, record: &Value, name: &str) -> Vec<String> {
        match (self.kind, name) {
            (Kind::Transaction, _) => transaction(record, name),
            (Kind::Customer, "credit_card_number") => cards(&record["credit_cards"]),
            (Kind::Customer, "credit_card_expiration_date") => expirations(&record["credit_cards"]),
            (Kind::Subscription, "billing_cycles_remaining") => {
                let all = record["number_of_billing_cycles"].as_i64();
                let gone = record["current_billing_cycle"].as_i64();
                all.zip(gone).map(|(all, gone)| (all - gone).to_string()).into_iter().collect()
            }
            (Kind::Dispute, "customer_id" | "transaction_source") => {
                let transaction = record["transaction"]["id"].as_str();
                let transaction = transaction.and_then(|id| self.store.find(Kind::Transaction, id));
                let path = if name == "customer_id" {
                    "customer.id"
                } else {
                    "status_history.transaction_source"
                };
                let mut values = Vec::new();
                if let Some(transaction) = transaction {
                    collect(&transaction, path, &mut values);
                }
                values
            }
            (Kind::Dispute, "protection_level") => {
                let level = match record["chargeback_protection_level"].as_str() {
                    Some("standard") => "Chargeback Protection tool",
                    Some("effortless") => "Effortless Chargeback Protection tool",
                    _ => "No Protection",
                };
                vec![level.to_owned()]
            }
            (Kind::Verification, "credit_card_number") => cards(&record["credit_card"]),
            (Kind::Verification, "credit_card_expiration_date") => {
                expirations(&record["credit_card"])
            }
            (Kind::Verification, "verification_type") => vec!["credit_card".to_owned()],
            (Kind::BankVerification, "verification_type") => vec!["us_bank_account".to_owned()],
            (Kind::Verification | Kind::BankVerification, "customer_email") => {
                let account =
                    if self.kind == Kind::Verification { "credit_card" } else { "us_bank_account" };
                let customer = record[account]["customer_id"].as_str();
                let customer = customer.and_then(|id| self.store.find(Kind::Customer, id));
                customer.and_then(|it| text(&it["email"])).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What the sketch knows; `None` when it does not.
fn sketched(row: &Row<'_>, sketch: &Sketch, name: &str) -> Option<Vec<String>> {
    let one = |value: String| Some(vec![value]);
    let world = &row.store.world;
    let told = sketch.tells_customer(world);
    match name {
        "order_id" => Some(text(&sketch.order_id(world)).into_iter().collect()),
        "customer_id" => {
            let customer = sketch.customer.filter(|_| told);
            Some(customer.map(|it| world.customers.ids[it].to_string()).into_iter().collect())
        }
        "customer_email" => {
            Some(told.then(|| text(&sketch.customer_email(world))).flatten().into_iter().collect())
        }
        "id" | "ids" => one(world.transaction_id(sketch.number).to_owned()),
        "created_at" => one(to_second(sketch.created)),
        "status" => one(sketch.status().to_owned()),
        "type" => one(sketch.kind().to_owned()),
        "amount" => one(money(sketch.units, CURRENCIES[sketch.merchant_account].1)),
        "currency" => one(CURRENCIES[sketch.merchant_account].0.to_owned()),
        "merchant_account_id" => one(sketch.merchant_account_id()),
        "disbursement_date" => Some(sketch.disbursed().map(date).into_iter().collect()),
        "refund" => one(sketch.refunds.is_some().to_string()),
        _ => {
            let status = status_of(name)?;
            Some(sketch.moment_of(status).map(to_second).into_iter().collect())
        }
    }
}

/// The status whose time a field is.
fn status_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "authorized_at" => "authorized",
        "authorization_expired_at" => "authorization_expired",
        "submitted_for_settlement_at" => "submitted_for_settlement",
        "settled_at" => "settled",
        "voided_at" => "voided",
        "failed_at" => "failed",
        "gateway_rejected_at" => "gateway_rejected",
        "processor_declined_at" => "processor_declined",
        _ => return None,
    })
}

fn transaction(record: &Value, name: &str) -> Vec<String> {
    let one = |value: Option<String>| value.into_iter().collect();
    let history = record["status_history"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(status) = status_of(name) {
        let last = history.iter().rev().find(|event| event["status"] == status);
        return one(last.and_then(|event| text(&event["timestamp"])));
    }
    match name {
        "credit_card_number" => cards(&record["credit_card"]),
        "credit_card_expiration_date" => expirations(&record["credit_card"]),
        "source" => one(history.first().and_then(|event| text(&event["transaction_source"]))),
        "refund" => {
            let refund =
                record["type"] == "credit" && record["refunded_transaction_id"].is_string();
            vec![refund.to_string()]
        }
        "payment_instrument_type" => {
            let kind = record["payment_instrument_type"].as_str();
            let names = KINDS.iter().find(|(answered, _, _)| Some(*answered) == kind);
            one(names.map(|(_, _, searched)| (*searched).to_owned()))
        }
        "created_using" => {
            let mut tokens = Vec::new();
            collect(record, "*.token", &mut tokens);
            vec![if tokens.is_empty() { "full_information" } else { "token" }.to_owned()]
        }
        "credit_card_customer_location" => {
            let place = text(&record["credit_card"]["customer_location"]);
            one(place.map(|place| place.to_lowercase()))
        }
        "reason_code" => {
            let mut codes = Vec::new();
            collect(record, "ach_return_responses.reason_code", &mut codes);
            if !codes.is_empty() {
                codes.push("any_reason_code".to_owned());
            }
            codes
        }
        _ => Vec::new(),
    }
}

/// Numbers of one card or of several, as far as they are kept.
fn cards(value: &Value) -> Vec<String> {
    each(value)
        .filter_map(|card| {
            Some(format!("{}******{}", card["bin"].as_str()?, card["last_4"].as_str()?))
        })
        .collect()
}

/// Month and year of one card or of several.
fn expirations(value: &Value) -> Vec<String> {
    each(value)
        .filter_map(|card| {
            let month = card["expiration_month"].as_str()?;
            Some(format!("{month}/{}", card["expiration_year"].as_str()?))
        })
        .collect()
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(items) => items.iter(),
        other => std::slice::from_ref(other).iter(),
    }
}

/// Everything at the end of a path.
fn collect(value: &Value, path: &str, values: &mut Vec<String>) {
    if let Value::Array(items) = value {
        for item in items {
            collect(item, path, values);
        }
        return;
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if path.is_empty() {
        values.extend(text(value));
    } else if first == "*" {
        if let Value::Object(members) = value {
            for member in members.values().filter(|it| it.is_object() || it.is_array()) {
                collect(member, rest, values);
            }
        }
    } else if let Some(member) = value.get(first) {
        collect(member, rest, values);
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
