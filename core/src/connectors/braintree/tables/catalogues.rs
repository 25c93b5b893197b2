//! What a merchant has few of: plans, add-ons, discounts, merchant accounts; and the daily summary.

use super::{context, flag, integer, number, table, text, text_list, texts, time};
use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Table};

pub fn tables() -> Vec<Table> {
    let mut summary = table(
        "settlement_batch_summary",
        "What was settled on a day; read with settlement_date = … or IN (…)",
        &["settlement_date", "merchant_account_id", "card_type", "kind"],
        Cursor::None,
        vec![
            context("settlement_date", ColumnType::Date).takes(Filter::Parent),
            text("card_type"),
            text("kind"),
            text("merchant_account_id"),
            integer("count"),
            number("amount_settled"),
        ],
    );
    summary.needs = Some("settlement_date");
    let mut all = vec![
        table("plans", "Plans of subscriptions", &["id"], Cursor::None, plans()),
        table("add_ons", "Add-ons of plans", &["id"], Cursor::None, modifications()),
        table("discounts", "Discounts of plans", &["id"], Cursor::None, modifications()),
        table(
            "merchant_accounts",
            "Accounts of the merchant, one a currency",
            &["id"],
            Cursor::None,
            vec![
                text("id"),
                text("currency_iso_code"),
                text("status").comment("active, pending or suspended"),
                flag("default"),
                flag("sub_merchant_account"),
                text_list("accepted_payment_methods"),
            ],
        ),
        summary,
    ];
    for table in &mut all {
        if let Some(attrs) = table.columns.last_mut() {
            *attrs = attrs.clone().public();
        }
    }
    all
}

fn plans() -> Vec<Column> {
    vec![
        text("id"),
        text("merchant_id"),
        text("name"),
        text("description"),
        number("price"),
        text("currency_iso_code"),
        integer("billing_frequency").comment("In months"),
        integer("billing_day_of_month"),
        integer("number_of_billing_cycles"),
        flag("trial_period"),
        integer("trial_duration"),
        text("trial_duration_unit"),
        super::json("add_ons"),
        super::json("discounts"),
        time("created_at"),
        time("updated_at"),
    ]
}

fn modifications() -> Vec<Column> {
    let mut all = texts(&["id", "merchant_id", "kind", "name", "description"]);
    all.extend([
        number("amount"),
        integer("quantity"),
        flag("never_expires"),
        integer("number_of_billing_cycles"),
        integer("current_billing_cycle"),
        text("plan_id"),
        time("created_at"),
        time("updated_at"),
    ]);
    all
}
