//! The settlement batch summary: sums over what was settled on a day.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::gateway::{Call, records};
use super::refusal::validation;
use super::store::Kind;
use super::transactions::sketch::CURRENCIES;
use super::values::money;
use crate::apis::calendar::{DAY, parse};
use crate::apis::exchange::Answer;

pub(super) fn answer(call: &Call<'_>) -> Answer {
    let asked = &call.body["settlement_batch_summary"];
    let Some(day) = asked["settlement_date"].as_str().and_then(parse) else {
        let message = "Settlement Date is required";
        return validation("settlement_batch_summary", "settlement_date", "82301", message);
    };
    let field = asked["group_by_custom_field"].as_str();
    let mut groups: BTreeMap<[String; 4], (usize, i64, u32)> = BTreeMap::new();
    for number in 0..call.store.count(Kind::Transaction) {
        let sketch = call.store.world.sketch(number);
        let settled = sketch.moment_of("settled").map(|moment| moment.div_euclid(DAY) * DAY);
        if settled != Some(day.div_euclid(DAY) * DAY) {
            continue;
        }
        let Some(record) = call.store.record(Kind::Transaction, number) else { continue };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let card = match record["credit_card"]["card_type"].as_str() {
            Some(card) => card.to_owned(),
            None => text(&record["payment_instrument_type"]),
        };
        let key = [
            card,
            sketch.kind().to_owned(),
            sketch.merchant_account_id(),
            field.map_or_else(String::new, |field| text(&record["custom_fields"][field])),
        ];
        let group = groups.entry(key).or_insert((0, 0, CURRENCIES[sketch.merchant_account].1));
        group.0 += 1;
        group.1 += sketch.units;
    }
    let rows: Vec<Value> = groups
        .into_iter()
        .map(|([card, kind, account, custom], (count, units, digits))| {
            // All of it is text in the service's answer, numbers too.
            let mut row = Map::new();
            row.insert("card_type".to_owned(), json!(card));
            row.insert("kind".to_owned(), json!(kind));
            row.insert("merchant_account_id".to_owned(), json!(account));
            row.insert("count".to_owned(), json!(count.to_string()));
            row.insert("amount_settled".to_owned(), json!(money(units, digits)));
            if let Some(field) = field {
                row.insert(field.to_owned(), json!(custom));
            }
            Value::Object(row)
        })
        .collect();
    records("settlement-batch-summary", &rows)
}
