//! Customers, their payment methods and addresses; verifications.

use super::transactions::CARD_TYPES;
use super::{
    context, date, flag, listed, number, personal, personal_json, searched, table, text, texts,
    time, timed,
};
use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Table};
use crate::privacy::Kind;

fn of_kind(name: &str, kind: Kind) -> Column {
    Column::new(name, ColumnType::Text).kind(kind)
}

fn created() -> Cursor {
    Cursor::Created("created_at".to_owned())
}

pub fn tables() -> Vec<Table> {
    vec![
        table("customers", "Customers of the vault", &["id"], created(), customers()),
        table(
            "payment_methods",
            "The payment methods of the vault's customers",
            &["token"],
            Cursor::None,
            payment_methods(),
        ),
        table(
            "addresses",
            "The addresses of the vault's customers",
            &["customer_id", "id"],
            Cursor::None,
            addresses(),
        ),
        table("verifications", "Verifications of cards", &["id"], created(), verifications()),
        table(
            "us_bank_account_verifications",
            "Verifications of US bank accounts",
            &["id"],
            created(),
            bank_verifications(),
        ),
    ]
}

fn customers() -> Vec<Column> {
    let mut all = vec![
        text("id").takes(Filter::Key),
        text("global_id"),
        text("merchant_id"),
        of_kind("first_name", Kind::FirstName).takes(searched("first_name")),
        of_kind("last_name", Kind::LastName).takes(searched("last_name")),
        of_kind("company", Kind::Organization).takes(searched("company")),
        of_kind("email", Kind::Email).takes(searched("email")),
        of_kind("phone", Kind::Phone).takes(searched("phone")),
        personal_json("international_phone"),
        of_kind("fax", Kind::Phone).takes(searched("fax")),
        personal("website").takes(searched("website")),
        personal_json("custom_fields").comment("The merchant's own fields"),
        time("created_at").takes(timed("created_at")),
        time("updated_at"),
        personal_json("addresses"),
    ];
    for list in [
        "credit_cards",
        "paypal_accounts",
        "apple_pay_cards",
        "android_pay_cards",
        "venmo_accounts",
        "us_bank_accounts",
        "sepa_debit_accounts",
        "visa_checkout_cards",
        "samsung_pay_cards",
    ] {
        all.push(personal_json(list));
    }
    all
}

fn payment_methods() -> Vec<Column> {
    let mut all = vec![
        text("token").takes(Filter::Key),
        text("global_id"),
        text("customer_id").takes(Filter::Parent),
        context("kind", ColumnType::Text).comment("credit_card, paypal_account, …"),
        flag("default"),
        text("card_type"),
        personal("bin"),
        personal("last_4"),
        text("expiration_month"),
        text("expiration_year"),
        flag("expired"),
        of_kind("cardholder_name", Kind::FullName),
        personal("unique_number_identifier"),
    ];
    all.extend(texts(&[
        "customer_location",
        "prepaid",
        "debit",
        "commercial",
        "healthcare",
        "payroll",
        "durbin_regulated",
        "issuing_bank",
        "country_of_issuance",
        "product_id",
    ]));
    all.extend([
        of_kind("email", Kind::Email),
        text("image_url"),
        personal_json("billing_address"),
        personal_json("subscriptions"),
        personal_json("verifications"),
        time("created_at"),
        time("updated_at"),
    ]);
    all
}

fn addresses() -> Vec<Column> {
    vec![
        text("id"),
        text("customer_id").takes(Filter::Parent),
        of_kind("first_name", Kind::FirstName),
        of_kind("last_name", Kind::LastName),
        of_kind("company", Kind::Organization),
        of_kind("street_address", Kind::Address),
        of_kind("extended_address", Kind::Address),
        of_kind("locality", Kind::City),
        text("region"),
        of_kind("postal_code", Kind::PostalCode),
        text("country_name"),
        text("country_code_alpha2"),
        text("country_code_alpha3"),
        text("country_code_numeric"),
        of_kind("phone_number", Kind::Phone),
        time("created_at"),
        time("updated_at"),
    ]
}

/// The statuses of verifications.
const VERIFICATION: &[&str] = &["failed", "gateway_rejected", "processor_declined", "verified"];

fn verification_head() -> Vec<Column> {
    vec![
        text("id").takes(Filter::Key),
        text("status"),
        number("amount"),
        text("currency_iso_code"),
        text("merchant_account_id"),
        text("processor_response_code"),
        text("processor_response_text"),
        text("processor_response_type"),
        text("gateway_rejection_reason"),
    ]
}

fn verifications() -> Vec<Column> {
    let mut all = verification_head();
    for column in &mut all {
        if column.name == "status" {
            column.filter = Filter::OneOf("status".to_owned(), VERIFICATION);
        }
    }
    all.extend(texts(&[
        "network_response_code",
        "network_response_text",
        "network_transaction_id",
        "avs_error_response_code",
        "avs_postal_code_response_code",
        "avs_street_address_response_code",
        "cvv_response_code",
    ]));
    all.extend([
        text("card_type")
            .at(&["credit_card", "card_type"])
            .takes(Filter::OneOf("credit_card_card_type".to_owned(), CARD_TYPES)),
        personal_json("credit_card"),
        personal_json("billing"),
        personal_json("risk_data"),
        time("created_at").takes(timed("created_at")),
        time("updated_at"),
    ]);
    all
}

fn bank_verifications() -> Vec<Column> {
    let mut all = verification_head();
    all.extend([
        text("verification_method").takes(listed("verification_method")),
        date("verification_determined_at"),
        personal_json("us_bank_account"),
        time("created_at").takes(timed("created_at")),
        time("updated_at"),
    ]);
    for column in &mut all {
        // Not in the reference's list of what can be searched.
        if matches!(column.name.as_str(), "status" | "verification_method") {
            column.filter = Filter::None;
        }
        if column.name == "verification_determined_at" {
            column.of = ColumnType::Timestamp;
        }
    }
    all
}
