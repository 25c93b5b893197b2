//! Disputes.

use super::{date, flag, json, listed, number, personal_json, searched, table, text, texts, time};
use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Table};

const STATUSES: &[&str] =
    &["accepted", "auto_accepted", "disputed", "expired", "lost", "open", "under_review", "won"];
const KINDS: &[&str] = &["chargeback", "pre_arbitration", "retrieval"];

pub fn tables() -> Vec<Table> {
    vec![table(
        "disputes",
        "Chargebacks, pre-arbitrations and retrievals",
        &["id"],
        Cursor::Changes { settle: 900 },
        columns(),
    )]
}

fn columns() -> Vec<Column> {
    let mut all = vec![
        text("id").takes(Filter::Key),
        text("global_id"),
        text("status").takes(Filter::OneOf("status".to_owned(), STATUSES)),
        text("kind").takes(Filter::OneOf("kind".to_owned(), KINDS)),
        text("reason").takes(listed("reason")),
        text("reason_code").takes(listed("reason_code")),
        text("reason_description"),
        number("amount"),
        number("amount_disputed").takes(Filter::Number("amount_disputed".to_owned())),
        number("amount_won").takes(Filter::Number("amount_won".to_owned())),
        text("currency_iso_code"),
        text("case_number").takes(searched("case_number")),
        text("reference_number").takes(searched("reference_number")),
        text("merchant_account_id").takes(listed("merchant_account_id")),
    ];
    all.extend(texts(&[
        "original_dispute_id",
        "pre_dispute_program",
        "chargeback_protection_level",
    ]));
    all.extend([
        flag("evidence_submittable"),
        Column::new("remaining_file_evidence_storage", ColumnType::BigInt),
        date("date_opened"),
        date("date_won"),
        date("received_date").takes(Filter::Date("received_date".to_owned())),
        date("reply_by_date").takes(Filter::Date("reply_by_date".to_owned())),
        date("processor_reply_by_date"),
        time("response_deadline"),
        text("transaction_id").at(&["transaction", "id"]).takes(searched("transaction_id")),
        number("transaction_amount").at(&["transaction", "amount"]),
        personal_json("transaction"),
        personal_json("evidence").comment("Its urls are signed and expire"),
        personal_json("paypal_messages"),
        json("status_history"),
        text("processor_comments"),
        time("created_at"),
        time("updated_at"),
    ]);
    all
}
