//! The short lists: plans, add-ons, discounts, merchant accounts; and card verifications.

use serde_json::{Map, Value, json};

use super::transactions::instruments::card;
use super::transactions::sketch::{CURRENCIES, merchant_account_id};
use super::values::{address, object, perhaps};
use super::world::World;
use crate::apis::calendar::{DAY, day_number, to_second};

/// How many plans there are.
const PLANS: usize = 6;

/// The plan of subscription `number`.
pub(super) fn plan_id(number: usize) -> String {
    format!("plan_{}", number % PLANS)
}

fn opened() -> i64 {
    day_number(2023, 5, 5) * DAY
}

/// All plans.
pub(super) fn plans(world: &World) -> Vec<Value> {
    (0..PLANS)
        .map(|number| {
            let trial = number.is_multiple_of(2);
            json!({
                "id": plan_id(number),
                "merchant_id": world.options.merchant_id,
                "name": format!("Plan <{number}>"),
                "description": if number == 1 { json!("") } else if number == 2 { Value::Null } else { json!("A plan") },
                // A price may be missing, and has more digits than a float keeps.
                "price": match number { 3 => Value::Null, 4 => json!("99999999999999.99"), _ => json!("9.99") },
                "currency_iso_code": CURRENCIES[number % 2].0,
                "billing_frequency": 1 + number,
                "billing_day_of_month": if number == 0 { json!(31) } else { Value::Null },
                "number_of_billing_cycles": if number == 5 { json!(12) } else { Value::Null },
                "trial_period": trial,
                "trial_duration": if trial { json!(14) } else { Value::Null },
                "trial_duration_unit": if trial { json!("day") } else { Value::Null },
                "add_ons": if number == 0 { json!([modification(world, "add_on", 0)]) } else { json!([]) },
                "discounts": if number == 0 { json!([modification(world, "discount", 0)]) } else { json!([]) },
                "created_at": to_second(opened()),
                "updated_at": to_second(opened() + DAY),
            })
        })
        .collect()
}

/// All add-ons or discounts, by their kind.
pub(super) fn modifications(world: &World, kind: &str) -> Vec<Value> {
    (0..4).map(|number| modification(world, kind, number)).collect()
}

fn modification(world: &World, kind: &str, number: usize) -> Value {
    json!({
        "id": format!("{kind}_{number}"),
        "merchant_id": world.options.merchant_id,
        "kind": kind,
        "name": format!("{kind} & {number}"),
        "description": if number == 1 { Value::Null } else { json!("what it is") },
        "amount": format!("{number}.50"),
        "quantity": null,
        "never_expires": number.is_multiple_of(2),
        "number_of_billing_cycles": if number.is_multiple_of(2) { Value::Null } else { json!(3) },
        "current_billing_cycle": null,
        "plan_id": null,
        "created_at": to_second(opened()),
        "updated_at": to_second(opened()),
    })
}

/// All merchant accounts.
pub(super) fn merchant_accounts(world: &World) -> Vec<Value> {
    (0..world.options.merchant_accounts.max(CURRENCIES.len()))
        .map(|number| {
            json!({
                "id": merchant_account_id(number),
                "currency_iso_code": CURRENCIES[number % CURRENCIES.len()].0,
                "status": (["active", "pending", "suspended"][number % 3]),
                "default": number == 0,
                "sub_merchant_account": number > 40,
                "accepted_payment_methods": if number == 2 { json!([]) } else { json!(["credit_card", "paypal"]) },
            })
        })
        .collect()
}

/// Makes card verification `number`.
pub(super) fn verification(world: &World, number: usize) -> Value {
    let mut random = world.random("verification record", number);
    let id = &*world.verifications.ids[number];
    let created = world.verifications.created[number];
    let status = ["verified", "processor_declined", "gateway_rejected", "failed"][number % 4];
    let verified = status == "verified";
    let customer = number % world.customers.ids.len().max(1);
    let mut card = card(&mut random, json!(world.token(customer, 0)));
    card.insert("customer_id".to_owned(), json!(world.customers.ids.get(customer)));
    let mut record: Map<String, Value> = object([
        ("id", json!(id)),
        ("global_id", json!(format!("dmVyaWZpY2F0aW9uXw{id}"))),
        ("status", json!(status)),
        ("amount", json!(if number.is_multiple_of(3) { "0.00" } else { "1.02" })),
        ("currency_iso_code", json!("USD")),
        ("merchant_account_id", json!(merchant_account_id(number % 2))),
        ("processor_response_code", json!(if verified { "1000" } else { "2000" })),
        ("processor_response_text", json!(if verified { "Approved" } else { "Do Not Honor" })),
        ("processor_response_type", json!(if verified { "approved" } else { "soft_declined" })),
        ("network_response_code", json!("XX")),
        ("network_response_text", json!("sample network text")),
        ("avs_error_response_code", Value::Null),
        ("avs_postal_code_response_code", json!("M")),
        ("avs_street_address_response_code", json!("I")),
        ("cvv_response_code", json!("M")),
        (
            "gateway_rejection_reason",
            if status == "gateway_rejected" { json!("cvv") } else { Value::Null },
        ),
        ("credit_card", Value::Object(card)),
        ("created_at", json!(to_second(created))),
        ("updated_at", json!(to_second(created))),
    ]);
    record.insert("billing".to_owned(), Value::Object(address(&mut random)));
    if random.chance(30) {
        let risk = json!({"id": "r1", "decision": "Approve", "device_data_captured": true});
        record.insert("risk_data".to_owned(), risk);
    }
    record.insert("three_d_secure_info".to_owned(), Value::Null);
    Value::Object(record)
}

/// Makes bank account verification `number`.
pub(super) fn bank_verification(world: &World, number: usize) -> Value {
    let mut random = world.random("bank record", number);
    let created = world.bank_verifications.created[number];
    let method = ["network_check", "micro_transfers", "tokenized_check"][number % 3];
    let customer = number % world.customers.ids.len().max(1);
    json!({
        "id": world.bank_verifications.ids[number],
        "global_id": format!("YmFua18{number}"),
        "status": (["verified", "pending", "failed", "gateway_rejected"][number % 4]),
        "verification_method": method,
        "verification_determined_at": if number % 4 == 1 { Value::Null } else { json!(to_second(created)) },
        "gateway_rejection_reason": null,
        "merchant_account_id": merchant_account_id(0),
        "processor_response_code": perhaps(&mut random, "1000"),
        "us_bank_account": {
            "token": world.token(customer, 3),
            "customer_id": world.customers.ids.get(customer),
            "routing_number": "021000021",
            "last_4": random.digits(4),
            "account_type": if number.is_multiple_of(2) { "checking" } else { "savings" },
            "account_holder_name": "Dan Schulman",
            "bank_name": "JPMORGAN CHASE",
            "ownership_type": "personal",
        },
        "created_at": to_second(created),
        "updated_at": to_second(created),
    })
}
