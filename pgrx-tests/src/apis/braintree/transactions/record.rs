//! A whole transaction, and its line items.

use serde_json::{Map, Value, json};

use super::instruments;
use super::sketch::{CURRENCIES, Sketch};
use crate::apis::braintree::disputes;
use crate::apis::braintree::values::{
    FIRST_NAMES, LAST_NAMES, address, custom_fields, money, object, optional, perhaps,
};
use crate::apis::braintree::world::{ID_LETTERS, World};
use crate::apis::calendar::{DAY, SECOND, date, to_second};
use crate::apis::random::Random;

/// Makes transaction `number`.
pub(in crate::apis::braintree) fn transaction(world: &World, number: usize) -> Value {
    let sketch = world.sketch(number);
    let mut random = world.random("transaction record", number);
    let mut record = heart(world, &sketch, &mut random);
    record.append(&mut answers(&sketch, &mut random));
    record.append(&mut relations(world, &sketch));
    record.append(&mut money_members(&sketch, &mut random));
    parties(&mut record, world, &sketch, &mut random);
    lists(&mut record, world, &sketch, &mut random);
    Value::Object(record)
}

fn amount(sketch: &Sketch) -> String {
    money(sketch.units, CURRENCIES[sketch.merchant_account].1)
}

fn heart(world: &World, sketch: &Sketch, random: &mut Random) -> Map<String, Value> {
    let id = world.transaction_id(sketch.number);
    let last = sketch.history.last().map_or(sketch.created, |(_, moment)| *moment);
    // A dispute or a payout changes a record without a new status.
    let updated = if random.chance(10) { last + 3 * DAY } else { last };
    let settled = sketch.moment_of("settled");
    object([
        ("id", json!(id)),
        ("global_id", json!(format!("dHJhbnNhY3Rpb25f{id}"))),
        ("status", json!(sketch.status())),
        ("type", json!(sketch.kind())),
        ("amount", json!(amount(sketch))),
        ("currency_iso_code", json!(CURRENCIES[sketch.merchant_account].0)),
        ("merchant_account_id", json!(sketch.merchant_account_id())),
        ("sub_merchant_account_id", Value::Null),
        ("master_merchant_account_id", Value::Null),
        ("order_id", sketch.order_id(world)),
        ("channel", perhaps(random, "shop")),
        ("recurring", json!(world.subscription_of(sketch.number).is_some())),
        ("created_at", json!(to_second(sketch.created))),
        ("updated_at", json!(to_second(updated))),
        ("authorization_expires_at", json!(to_second(sketch.created + 7 * DAY))),
        (
            "settlement_batch_id",
            settled.map_or(Value::Null, |moment| {
                json!(format!("{}_{}_{}", date(moment), sketch.merchant_account_id(), "x1"))
            }),
        ),
        ("custom_fields", custom_fields(random)),
        ("purchase_order_number", perhaps(random, "PO 7")),
        ("ships_from_postal_code", perhaps(random, "02115")),
        ("escrow_status", Value::Null),
        ("store_id", perhaps(random, random_store(sketch))),
        ("acquirer_reference_number", perhaps(random, "Ref 74 1234")),
        ("retrieval_reference_number", json!(random.digits(12))),
        ("debit_network", if random.chance(10) { json!("NYCE") } else { Value::Null }),
        ("processed_with_network_token", json!(random.chance(20))),
        ("sca_exemption_requested", Value::Null),
    ])
}

fn random_store(sketch: &Sketch) -> &'static str {
    ["store-a", "store-b", "Store-A"][sketch.number % 3]
}

/// What the processor, the network and the gateway said.
fn answers(sketch: &Sketch, random: &mut Random) -> Map<String, Value> {
    let status = sketch.status();
    let (code, text, kind) = match status {
        "processor_declined" => ("2000", "Do Not Honor", "soft_declined"),
        "failed" => ("3000", "Processor Network Unavailable - Try Again", "soft_declined"),
        _ => ("1000", "Approved", "approved"),
    };
    let rejected = status == "gateway_rejected";
    let settled = sketch.moment_of("settled").is_some();
    object([
        ("processor_response_code", if rejected { json!("") } else { json!(code) }),
        ("processor_response_text", if rejected { json!("") } else { json!(text) }),
        ("processor_response_type", if rejected { Value::Null } else { json!(kind) }),
        ("processor_authorization_code", perhaps(random, &format!("A{}", sketch.number % 97))),
        ("processor_settlement_response_code", json!(if settled { "4000" } else { "" })),
        ("processor_settlement_response_text", json!(if settled { "Confirmed" } else { "" })),
        (
            "additional_processor_response",
            if code == "2000" { json!("05 : DO NOT HONOR") } else { Value::Null },
        ),
        ("network_response_code", if rejected { Value::Null } else { json!("XX") }),
        (
            "network_response_text",
            if rejected { Value::Null } else { json!("sample network text") },
        ),
        ("network_transaction_id", perhaps(random, "020240101120000")),
        ("merchant_advice_code", if code == "2000" { json!("01") } else { Value::Null }),
        (
            "merchant_advice_code_text",
            if code == "2000" { json!("New account information available") } else { Value::Null },
        ),
        (
            "gateway_rejection_reason",
            if rejected {
                json!(random.pick(&["cvv", "avs", "fraud", "duplicate"]))
            } else {
                Value::Null
            },
        ),
        ("cvv_response_code", json!(random.pick(&["M", "N", "I", "U"]))),
        ("avs_error_response_code", Value::Null),
        ("avs_postal_code_response_code", json!(random.pick(&["M", "N", "I"]))),
        ("avs_street_address_response_code", json!(random.pick(&["M", "N", "I"]))),
        ("voice_referral_number", Value::Null),
    ])
}

/// Other transactions, and the subscription.
fn relations(world: &World, sketch: &Sketch) -> Map<String, Value> {
    let number = sketch.number;
    let count = world.transactions.ids.len();
    let id = |other: usize| world.transaction_id(other);
    // One that was told stands alone.
    let is = |place: usize, of: usize| number % of == place && world.sale(number).is_none();
    let parts = if is(20, 50) && number + 2 < count { vec![id(number + 2)] } else { vec![] };
    let whole = is(22, 50).then(|| id(number - 2));
    let retried_by = if is(13, 40) && number + 1 < count { vec![id(number + 1)] } else { vec![] };
    let subscription = world.subscription_of(number).filter(|_| sketch.refunds.is_none());
    let refund = sketch.refunded_by.map(id);
    let period = |days: i64| json!(date(sketch.created + days * DAY));
    let mut members = object([
        ("refund_id", optional(refund)),
        ("refund_ids", refund.into_iter().collect()),
        ("refunded_transaction_id", optional(sketch.refunds.map(id))),
        ("partial_settlement_transaction_ids", Value::from(parts)),
        ("authorized_transaction_id", optional(whole)),
        ("retried", json!(!retried_by.is_empty())),
        ("retry_ids", Value::from(retried_by)),
        ("retried_transaction_id", optional(is(14, 40).then(|| id(number - 1)))),
        ("plan_id", subscription.map_or(Value::Null, |it| json!(super::super::small::plan_id(it)))),
        ("subscription_id", optional(subscription.map(|it| &*world.subscriptions.ids[it]))),
    ]);
    let billing = match subscription {
        Some(_) => object([
            ("billing_period_start_date", period(0)),
            ("billing_period_end_date", period(29)),
        ]),
        None => object([
            ("billing_period_start_date", Value::Null),
            ("billing_period_end_date", Value::Null),
        ]),
    };
    members.insert("subscription".to_owned(), Value::Object(billing));
    members
}

fn money_members(sketch: &Sketch, random: &mut Random) -> Map<String, Value> {
    let digits = CURRENCIES[sketch.merchant_account].1;
    let some = |units: i64, random: &mut Random| {
        if random.chance(30) { json!(money(units, digits)) } else { Value::Null }
    };
    let disbursed = sketch.disbursed();
    let when = |value: Value| if disbursed.is_some() { value } else { Value::Null };
    let disbursement = object([
        ("disbursement_date", disbursed.map_or(Value::Null, |day| json!(date(day)))),
        ("settlement_amount", when(json!(amount(sketch)))),
        ("settlement_currency_iso_code", when(json!("USD"))),
        ("settlement_currency_exchange_rate", when(json!("1.0847"))),
        ("settlement_base_currency_exchange_rate", when(json!("1"))),
        ("funds_held", when(json!(false))),
        ("success", when(json!(!sketch.number.is_multiple_of(9)))),
    ]);
    object([
        ("tax_amount", some(sketch.units / 5, random)),
        ("tax_exempt", json!(random.chance(10))),
        ("shipping_amount", some(499, random)),
        ("shipping_tax_amount", some(0, random)),
        ("discount_amount", some(250, random)),
        ("surcharge_amount", some(25, random)),
        ("service_fee_amount", Value::Null),
        ("installment_count", if random.chance(10) { json!(3) } else { Value::Null }),
        ("disbursement_details", Value::Object(disbursement)),
    ])
}

/// Who paid, where it goes, and with what.
fn parties(record: &mut Map<String, Value>, world: &World, sketch: &Sketch, random: &mut Random) {
    let number = sketch.number;
    let kind = instruments::kind(random);
    let (instrument, member, _) = instruments::KINDS[kind];
    let token = match sketch.customer {
        Some(customer) => json!(world.token(customer, 0)),
        None => Value::Null,
    };
    let mut details = instruments::details(kind, random, token);
    details.insert("global_id".to_owned(), json!(format!("cGF5bWVudF9tZXRob2Rf{number}")));
    record.insert("payment_instrument_type".to_owned(), json!(instrument));
    record.insert(member.to_owned(), Value::Object(details));
    if sketch.tells_customer(world) {
        let mut customer = object([
            ("id", optional(sketch.customer.map(|it| &*world.customers.ids[it]))),
            ("first_name", json!(random.pick(&FIRST_NAMES))),
            ("last_name", json!(random.pick(&LAST_NAMES))),
            ("company", super::super::values::company(random)),
            ("email", sketch.customer_email(world)),
            ("phone", perhaps(random, "312.555.1234")),
            ("fax", json!("")),
            ("website", perhaps(random, "https://example.com/?a=1&b=2")),
        ]);
        if sketch.customer.is_some() {
            customer.insert("global_id".to_owned(), json!(format!("Y3VzdG9tZXJf{number}")));
        }
        if let Some(buyer) = sketch.customer.and_then(|it| world.buyer(it)) {
            customer.insert("first_name".to_owned(), json!(buyer.first_name));
            customer.insert("last_name".to_owned(), json!(buyer.last_name));
        }
        record.insert("customer".to_owned(), Value::Object(customer));
    }
    for name in ["billing", "shipping"] {
        if random.chance(80) {
            let mut address = address(random);
            address.insert("id".to_owned(), perhaps(random, "7x"));
            record.insert(name.to_owned(), Value::Object(address));
        }
    }
    let descriptor = if random.chance(50) {
        json!({"name": "CMP*product", "phone": "3125551212", "url": "cmp.example"})
    } else {
        json!({"name": null, "phone": null, "url": null})
    };
    record.insert("descriptor".to_owned(), descriptor);
    if random.chance(40) {
        let risk = json!({
            "id": random.text(ID_LETTERS, 8),
            "decision": random.pick(&["Approve", "Decline", "Not Evaluated"]),
            "transaction_risk_score": random.below(99).to_string(),
            "device_data_captured": random.chance(50),
            "fraud_service_provider": "kount",
            "decision_reasons": ["reason & more"],
        });
        record.insert("risk_data".to_owned(), risk);
    }
    let secure = if random.chance(20) {
        json!({
            "enrolled": "Y",
            "status": "authenticate_successful",
            "liability_shifted": true,
            "liability_shift_possible": true,
            "cavv": "somebase64value==",
            "eci_flag": "05",
            "three_d_secure_version": "2.2.0",
            "ds_transaction_id": random.text(ID_LETTERS, 20),
        })
    } else {
        Value::Null
    };
    record.insert("three_d_secure_info".to_owned(), secure);
}

fn lists(record: &mut Map<String, Value>, world: &World, sketch: &Sketch, random: &mut Random) {
    let sum = amount(sketch);
    let sources = ["api", "control_panel", "recurring"];
    let history: Vec<Value> = sketch
        .history
        .iter()
        .map(|(status, moment)| {
            json!({
                "status": status,
                "amount": sum,
                "timestamp": to_second(*moment),
                "user": if sketch.number.is_multiple_of(3) { Value::Null } else { json!("ann@example.com") },
                "transaction_source": sources[sketch.number % 3],
            })
        })
        .collect();
    record.insert("status_history".to_owned(), Value::from(history));
    let modifications = world.subscription_of(sketch.number).is_some();
    for (name, kind) in [("add_ons", "add_on"), ("discounts", "discount")] {
        let list = if modifications {
            vec![json!({
                "id": format!("{kind}_1"),
                "amount": "1.50",
                "quantity": 2,
                "current_billing_cycle": 1,
                "never_expires": true,
                "number_of_billing_cycles": null,
                "kind": kind,
                "name": format!("{kind} <one>"),
            })]
        } else {
            Vec::new()
        };
        record.insert(name.to_owned(), Value::from(list));
    }
    let disputes: Vec<Value> = world
        .dispute_about(sketch.number)
        .map(|dispute| disputes::dispute(world, dispute))
        .into_iter()
        .collect();
    record.insert("disputes".to_owned(), Value::from(disputes));
    let adjustments = if random.chance(5) {
        vec![json!({
            "amount": "-2.50",
            "success": true,
            "timestamp": to_second(sketch.created + 60 * SECOND),
            "processor_response_code": "1000",
            "processor_response_text": "Approved",
            "processor_response_type": "approved",
        })]
    } else {
        Vec::new()
    };
    record.insert("authorization_adjustments".to_owned(), Value::from(adjustments));
    let returns = if random.chance(3) {
        vec![json!({"created_at": to_second(sketch.created + 4 * DAY), "reason_code": "R01"})]
    } else {
        Vec::new()
    };
    record.insert("ach_return_responses".to_owned(), Value::from(returns));
    record.insert("shipments".to_owned(), json!([]));
}

/// The line items of transaction `number`; most have none.
pub(in crate::apis::braintree) fn line_items(world: &World, number: usize) -> Vec<Value> {
    let mut random = world.random("line items", number);
    let count = if random.chance(40) { random.below(4) } else { 0 };
    (0..count)
        .map(|place| {
            json!({
                "kind": if place == 2 { "credit" } else { "debit" },
                "name": format!("Thing <{place}>"),
                "description": perhaps(&mut random, "A thing & more"),
                "product_code": random.digits(5),
                "commodity_code": random.digits(4),
                "quantity": "1.0232",
                "unit_amount": "45.1232",
                "total_amount": "45.15",
                "tax_amount": perhaps(&mut random, "3.70"),
                "unit_tax_amount": "1.23",
                "discount_amount": "1.02",
                "unit_of_measure": "gallon",
                "upc_code": random.digits(12),
                "upc_type": "UPC-A",
                "url": perhaps(&mut random, "https://example.com/?a=1&b=2"),
                "image_url": null,
            })
        })
        .collect()
}
