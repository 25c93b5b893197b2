//! Subscriptions.

use serde_json::{Map, Value, json};

use super::small::plan_id;
use super::transactions::record::transaction;
use super::transactions::sketch::merchant_account_id;
use super::values::{object, perhaps};
use super::world::World;
use crate::apis::calendar::{DAY, date, to_second};

pub(super) const STATUSES: [&str; 5] = ["Active", "Canceled", "Expired", "Past Due", "Pending"];

/// Makes subscription `number`.
pub(super) fn subscription(world: &World, number: usize) -> Value {
    let mut record = members(world, number);
    let transactions: Vec<Value> =
        world.transactions_of(number).into_iter().map(|it| transaction(world, it)).collect();
    record.insert("transactions".to_owned(), Value::from(transactions));
    Value::Object(record)
}

/// The same without its transactions, as payment methods show it.
pub(super) fn outline(world: &World, number: usize) -> Value {
    let mut record = members(world, number);
    record.insert("transactions".to_owned(), json!([]));
    Value::Object(record)
}

fn members(world: &World, number: usize) -> Map<String, Value> {
    let mut random = world.random("subscription record", number);
    let id = &*world.subscriptions.ids[number];
    let created = world.subscriptions.created[number];
    let status = STATUSES[number % STATUSES.len()];
    let day = |days: i64| json!(date(created + days * DAY));
    let price = ["9.99", "0.00", "120.00", "10.00"][number % 4];
    let pending = status == "Pending";
    let unless_pending = |value: Value| if pending { Value::Null } else { value };
    let trial = number.is_multiple_of(6);
    let cycles = if number.is_multiple_of(3) { json!(12) } else { Value::Null };
    let mut record = object([
        ("id", json!(id)),
        ("plan_id", json!(plan_id(number))),
        ("payment_method_token", json!(world.token(world.customer_of(number), 0))),
        ("merchant_account_id", json!(merchant_account_id(number % 2))),
        ("status", json!(status)),
        ("price", json!(price)),
        ("balance", json!(if status == "Past Due" { "-9.99" } else { "0.00" })),
        ("next_bill_amount", json!(price)),
        ("next_billing_period_amount", json!(price)),
        ("billing_day_of_month", json!(1 + number % 28)),
        ("billing_period_start_date", unless_pending(day(0))),
        ("billing_period_end_date", unless_pending(day(29))),
        ("first_billing_date", day(0)),
        ("next_billing_date", day(30)),
        ("paid_through_date", unless_pending(day(29))),
        ("current_billing_cycle", json!(if pending { 0 } else { 1 + number % 5 })),
        ("number_of_billing_cycles", cycles.clone()),
        ("never_expires", json!(cycles.is_null())),
        ("days_past_due", if status == "Past Due" { json!(number % 40) } else { Value::Null }),
        ("failure_count", json!(if status == "Past Due" { 2 } else { 0 })),
        ("trial_period", json!(trial)),
        ("trial_duration", if trial { json!(14) } else { Value::Null }),
        ("trial_duration_unit", if trial { json!("day") } else { Value::Null }),
        ("description", perhaps(&mut random, "Gold & more")),
        ("descriptor", json!({"name": null, "phone": null, "url": null})),
        ("created_at", json!(to_second(created))),
        ("updated_at", json!(to_second(created + DAY))),
    ]);
    for (name, kind) in [("add_ons", "add_on"), ("discounts", "discount")] {
        let list = if random.chance(20) {
            vec![json!({
                "id": format!("{kind}_2"),
                "amount": "10.00",
                "quantity": 1,
                "current_billing_cycle": 0,
                "never_expires": true,
                "number_of_billing_cycles": null,
                "kind": kind,
                "name": format!("{kind} two"),
            })]
        } else {
            Vec::new()
        };
        record.insert(name.to_owned(), Value::from(list));
    }
    let event = |status: &str, days: i64| {
        json!({
            "status": status,
            "balance": "0.00",
            "price": price,
            "currency_iso_code": "USD",
            "plan_id": plan_id(number),
            "subscription_source": if number.is_multiple_of(2) { "api" } else { "control_panel" },
            "user": if number.is_multiple_of(3) { Value::Null } else { json!("ann@example.com") },
            "timestamp": to_second(created + days * DAY),
        })
    };
    // Newest first, unlike the history of a transaction.
    let mut history = vec![event(if pending { "Pending" } else { "Active" }, 0)];
    if !matches!(status, "Active" | "Pending") {
        history.insert(0, event(status, 3));
    }
    record.insert("status_history".to_owned(), Value::from(history));
    record
}
