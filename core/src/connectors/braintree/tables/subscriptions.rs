//! Subscriptions and their events.

use super::{
    context, date, flag, integer, json, listed, number, numbers, personal, personal_json, table,
    text, time, timed,
};
use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Table};

/// The statuses, as searched and as answered.
const STATUSES: &[&str] = &["Active", "Canceled", "Expired", "Past Due", "Pending"];

pub fn tables() -> Vec<Table> {
    let mut events = table(
        "subscription_status_events",
        "What happened to each subscription, from its status_history",
        &["subscription_id", "seq"],
        Cursor::None,
        events(),
    );
    if let Some(attrs) = events.columns.last_mut() {
        *attrs = attrs.clone().public();
    }
    vec![
        table(
            "subscriptions",
            "Subscriptions to plans",
            &["id"],
            Cursor::Created("created_at".to_owned()),
            subscriptions(),
        ),
        events,
    ]
}

fn subscriptions() -> Vec<Column> {
    let mut all = vec![
        text("id").takes(Filter::Key),
        text("plan_id").takes(listed("plan_id")),
        text("payment_method_token"),
        text("merchant_account_id").takes(listed("merchant_account_id")),
        text("status").takes(Filter::OneOf("status".to_owned(), STATUSES)),
        number("price").takes(Filter::Number("price".to_owned())),
    ];
    all.extend(numbers(&["balance", "next_bill_amount", "next_billing_period_amount"]));
    all.extend([
        integer("billing_day_of_month"),
        date("billing_period_start_date"),
        date("billing_period_end_date"),
        date("first_billing_date"),
        date("next_billing_date").takes(Filter::Date("next_billing_date".to_owned())),
        date("paid_through_date"),
        integer("current_billing_cycle"),
        integer("number_of_billing_cycles"),
        flag("never_expires"),
        integer("days_past_due").takes(Filter::Number("days_past_due".to_owned())),
        integer("failure_count"),
        flag("trial_period"),
        integer("trial_duration"),
        text("trial_duration_unit"),
        text("description"),
        json("descriptor"),
        json("add_ons"),
        json("discounts"),
        json("status_history"),
        personal_json("transactions"),
        time("created_at").takes(timed("created_at")),
        time("updated_at"),
    ]);
    all
}

fn events() -> Vec<Column> {
    vec![
        context("subscription_id", ColumnType::Text).takes(Filter::Parent),
        context("seq", ColumnType::Integer).comment("From 1, in the order of the history"),
        text("status"),
        number("balance"),
        number("price"),
        text("currency_iso_code"),
        text("plan_id"),
        text("subscription_source"),
        personal("user").comment("Who of the merchant's users did it"),
        time("timestamp"),
    ]
}
