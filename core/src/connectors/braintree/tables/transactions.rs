//! Transactions and what is made of them.

use super::{
    context, date, flag, integer, json, listed, number, numbers, personal, personal_json, searched,
    table, text, text_list, texts, time, timed,
};
use crate::connectors::braintree::derive;
use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Origin, Table};
use crate::privacy::Kind;

/// The statuses that the search knows.
pub const STATUSES: &[&str] = &[
    "authorization_expired",
    "authorized",
    "authorizing",
    "failed",
    "gateway_rejected",
    "processor_declined",
    "settled",
    "settlement_confirmed",
    "settlement_declined",
    "settlement_pending",
    "settling",
    "submitted_for_settlement",
    "voided",
];

/// The brands of cards, as searched and as answered.
pub const CARD_TYPES: &[&str] = &[
    "American Express",
    "Carte Blanche",
    "China UnionPay",
    "Diners Club",
    "Discover",
    "Elo",
    "Hiper",
    "Hipercard",
    "JCB",
    "Laser",
    "Maestro",
    "MasterCard",
    "Solo",
    "Switch",
    "Visa",
    "Unknown",
];

const CURSOR: Cursor = Cursor::Changes { settle: 900 };

pub fn tables() -> Vec<Table> {
    let mut events = table(
        "transaction_status_events",
        "What happened to each transaction, from its status_history",
        &["transaction_id", "seq"],
        CURSOR,
        events(),
    );
    // The raw event names its user, no customer.
    if let Some(attrs) = events.columns.last_mut() {
        *attrs = attrs.clone().public();
    }
    let mut lines = table(
        "transaction_line_items",
        "The lines of a transaction; read with transaction_id = … or IN (…)",
        &["transaction_id", "seq"],
        Cursor::None,
        lines(),
    );
    lines.needs = Some("transaction_id");
    vec![
        table("transactions", "Sales and credits, newest first", &["id"], CURSOR, columns()),
        table("refunds", "Transactions that refund another one", &["id"], CURSOR, columns()),
        events,
        lines,
    ]
}

fn disbursed(column: Column, member: &str) -> Column {
    column.at(&["disbursement_details", member])
}

/// A time that the status history tells.
fn at_status(
    name: &str,
    compute: fn(&crate::connectors::tree::Tree) -> crate::connectors::tree::Tree,
) -> Column {
    time(name)
        .from(Origin::Computed(compute))
        .takes(timed(name))
        .comment("The last event of this status in status_history")
}

fn columns() -> Vec<Column> {
    let mut all = vec![
        text("id").takes(Filter::Key).comment("The transaction's id"),
        text("global_id"),
        text("status").takes(Filter::OneOf("status".to_owned(), STATUSES)),
        text("type")
            .takes(Filter::OneOf("type".to_owned(), &["sale", "credit"]))
            .comment("sale or credit"),
        number("amount")
            .takes(Filter::Number("amount".to_owned()))
            .comment("In currency_iso_code, exact"),
        text("currency_iso_code").takes(searched("currency")),
        text("merchant_account_id").takes(listed("merchant_account_id")),
        text("order_id").takes(searched("order_id")),
        text("channel"),
        text("customer_id").at(&["customer", "id"]).takes(searched("customer_id")),
        Column::new("customer_email", ColumnType::Text)
            .at(&["customer", "email"])
            .kind(Kind::Email)
            .takes(searched("customer_email")),
        personal_json("customer"),
        personal_json("billing"),
        personal_json("shipping"),
        text("payment_instrument_type"),
        text("payment_method_token")
            .from(Origin::Computed(derive::payment_method_token))
            .takes(searched("payment_method_token")),
        text("card_type")
            .at(&["credit_card", "card_type"])
            .takes(Filter::OneOf("credit_card_card_type".to_owned(), CARD_TYPES)),
        personal("card_last_4").at(&["credit_card", "last_4"]),
        personal("card_bin").at(&["credit_card", "bin"]),
    ];
    for block in [
        "credit_card",
        "paypal",
        "apple_pay",
        "android_pay_card",
        "venmo_account",
        "us_bank_account",
        "sepa_debit_account_detail",
        "local_payment",
    ] {
        all.push(personal_json(block));
    }
    all.extend([
        text("plan_id"),
        text("subscription_id"),
        date("subscription_period_start").at(&["subscription", "billing_period_start_date"]),
        date("subscription_period_end").at(&["subscription", "billing_period_end_date"]),
        flag("recurring"),
        text("refund_id"),
        text_list("refund_ids"),
        text("refunded_transaction_id").takes(Filter::Presence("refund".to_owned())),
        flag("is_refund")
            .from(Origin::Computed(derive::is_refund))
            .takes(Filter::Flag("refund".to_owned()))
            .comment("A credit that refunds another transaction"),
        text("authorized_transaction_id"),
        text_list("partial_settlement_transaction_ids"),
        text("settlement_batch_id").takes(searched("settlement_batch_id")),
        disbursed(date("disbursement_date"), "disbursement_date")
            .takes(Filter::Date("disbursement_date".to_owned())),
        disbursed(number("settlement_amount"), "settlement_amount"),
        disbursed(text("settlement_currency_iso_code"), "settlement_currency_iso_code"),
        disbursed(number("settlement_currency_exchange_rate"), "settlement_currency_exchange_rate"),
        disbursed(
            number("settlement_base_currency_exchange_rate"),
            "settlement_base_currency_exchange_rate",
        ),
        disbursed(flag("funds_held"), "funds_held"),
        disbursed(flag("disbursement_success"), "success"),
        text("processor_authorization_code").takes(searched("processor_authorization_code")),
    ]);
    all.extend(texts(&[
        "processor_response_code",
        "processor_response_text",
        "processor_response_type",
        "processor_settlement_response_code",
        "processor_settlement_response_text",
        "additional_processor_response",
        "network_response_code",
        "network_response_text",
        "network_transaction_id",
        "merchant_advice_code",
        "merchant_advice_code_text",
        "gateway_rejection_reason",
        "cvv_response_code",
        "avs_error_response_code",
        "avs_postal_code_response_code",
        "avs_street_address_response_code",
    ]));
    all.extend([
        text("acquirer_reference_number").takes(searched("acquirer_reference_number")),
        text("retrieval_reference_number"),
        number("tax_amount"),
        flag("tax_exempt"),
    ]);
    all.extend(numbers(&[
        "shipping_amount",
        "shipping_tax_amount",
        "discount_amount",
        "surcharge_amount",
        "service_fee_amount",
    ]));
    all.extend([
        text("purchase_order_number"),
        text("ships_from_postal_code"),
        text("escrow_status"),
        text("sca_exemption_requested"),
        text("debit_network"),
        flag("processed_with_network_token"),
        integer("installment_count").at(&["installments", "count"]),
        flag("retried"),
        text("retried_transaction_id"),
        text_list("retry_ids"),
        personal_json("risk_data"),
        personal_json("three_d_secure_info"),
        json("descriptor"),
        personal_json("custom_fields").comment("The merchant's own fields"),
        json("add_ons"),
        json("discounts"),
        personal_json("disputes"),
        json("status_history"),
        json("authorization_adjustments"),
        json("ach_return_responses"),
        time("authorization_expires_at"),
        time("created_at").takes(timed("created_at")),
        time("updated_at"),
        at_status("authorized_at", derive::authorized_at),
        at_status("submitted_for_settlement_at", derive::submitted_for_settlement_at),
        at_status("settled_at", derive::settled_at),
        at_status("voided_at", derive::voided_at),
        at_status("failed_at", derive::failed_at),
        at_status("gateway_rejected_at", derive::gateway_rejected_at),
        at_status("processor_declined_at", derive::processor_declined_at),
        at_status("authorization_expired_at", derive::authorization_expired_at),
    ]);
    all
}

fn events() -> Vec<Column> {
    vec![
        context("transaction_id", ColumnType::Text).takes(Filter::Parent),
        context("seq", ColumnType::Integer).comment("From 1, in the order of the history"),
        text("status"),
        number("amount"),
        time("timestamp"),
        personal("user").comment("Who of the merchant's users did it"),
        text("transaction_source"),
    ]
}

fn lines() -> Vec<Column> {
    let mut all = vec![
        context("transaction_id", ColumnType::Text).takes(Filter::Parent),
        context("seq", ColumnType::Integer),
    ];
    all.extend(texts(&["kind", "name", "description", "product_code", "commodity_code"]));
    all.extend(numbers(&[
        "quantity",
        "unit_amount",
        "total_amount",
        "tax_amount",
        "unit_tax_amount",
        "discount_amount",
    ]));
    all.extend(texts(&["unit_of_measure", "upc_code", "upc_type", "url", "image_url"]));
    all
}
