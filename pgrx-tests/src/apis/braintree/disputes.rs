//! Disputes. Their times are unlike all others: see the XML writer.

use serde_json::{Value, json};

use super::transactions::sketch::CURRENCIES;
use super::values::{money, perhaps};
use super::world::World;
use crate::apis::calendar::{DAY, date, to_second};

const STATUSES: [&str; 8] =
    ["open", "lost", "won", "accepted", "auto_accepted", "disputed", "expired", "under_review"];
const KINDS: [&str; 3] = ["chargeback", "pre_arbitration", "retrieval"];
const REASONS: [&str; 6] =
    ["fraud", "not_recognized", "product_not_received", "duplicate", "general", "retrieval"];

/// Makes dispute `number`.
pub(super) fn dispute(world: &World, number: usize) -> Value {
    let mut random = world.random("dispute record", number);
    let id = &*world.disputes.ids[number];
    let about = world.disputed(number);
    let sketch = world.sketch(about);
    let digits = CURRENCIES[sketch.merchant_account].1;
    let amount = money(sketch.units, digits);
    let created = world.disputes.created[number];
    let day = |days: i64| date(created + days * DAY);
    let status = STATUSES[number % STATUSES.len()];
    let mut history = vec![json!({
        "status": "open",
        "timestamp": to_second(created),
        "effective_date": day(0),
        "disbursement_date": null,
    })];
    if status != "open" {
        history.push(json!({
            "status": status,
            "timestamp": to_second(created + 5 * DAY),
            // The date of what happened is not always the day it was told.
            "effective_date": day(if number.is_multiple_of(4) { 3 } else { 5 }),
            "disbursement_date": if number.is_multiple_of(3) { json!(day(6)) } else { Value::Null },
        }));
    }
    let evidence: Vec<Value> = (0..random.below(3))
        .map(|place| {
            let file = place == 0;
            json!({
                "id": format!("{id}e{place}"),
                "comment": if file { Value::Null } else { json!("text <evidence>\nsecond line") },
                "created_at": to_second(created + DAY),
                "sent_to_processor_at": null,
                "url": if file { json!("https://s3.example/evidence.png?sig=a&exp=1") } else { Value::Null },
                "category": if file { json!("GENERAL") } else { Value::Null },
                "sequence_number": null,
            })
        })
        .collect();
    json!({
        "id": id,
        "global_id": format!("ZGlzcHV0ZV8{id}"),
        "status": status,
        "kind": KINDS[number % KINDS.len()],
        "reason": REASONS[number % REASONS.len()],
        "reason_code": if number.is_multiple_of(3) { "83" } else { "10.4" },
        "reason_description": perhaps(&mut random, "Reason code 83 description"),
        "amount": amount,
        "amount_disputed": amount,
        "amount_won": if status == "won" { amount.clone() } else { money(0, digits) },
        "currency_iso_code": CURRENCIES[sketch.merchant_account].0,
        "case_number": format!("CB{:06}", number * 37),
        "reference_number": perhaps(&mut random, &format!("ref-{number}")),
        "merchant_account_id": sketch.merchant_account_id(),
        "original_dispute_id": null,
        "pre_dispute_program": if number.is_multiple_of(5) { "visa_rdr" } else { "none" },
        "chargeback_protection_level":
            if number.is_multiple_of(2) { json!("not_protected") } else { json!("standard") },
        "evidence_submittable": status == "open",
        "remaining_file_evidence_storage": 5_000_000_000_u64,
        "date_opened": day(0),
        "date_won": if status == "won" { json!(day(5)) } else { Value::Null },
        "received_date": day(0),
        "reply_by_date": if status == "open" { json!(day(14)) } else { Value::Null },
        "processor_reply_by_date": null,
        "response_deadline": to_second(created + 14 * DAY),
        "processor_comments": perhaps(&mut random, "processor & comments"),
        "created_at": to_second(created),
        "updated_at": to_second(created + 5 * DAY),
        "transaction": {
            "id": world.transaction_id(about),
            "global_id": format!("dHJhbnNhY3Rpb25f{}", world.transaction_id(about)),
            "amount": amount,
            "created_at": to_second(sketch.created),
            "order_id": null,
            "payment_instrument_subtype": "Visa",
            "purchase_order_number": null,
            "installment_count": null,
        },
        "evidence": evidence,
        "paypal_messages": if number.is_multiple_of(7) {
            json!([{"message": "hello", "sender": "buyer", "sent_at": to_second(created)}])
        } else {
            json!([])
        },
        "status_history": history,
    })
}
