//! Payment methods: one by its token, and the cards that expire.

use serde_json::Value;

use super::customers::method;
use super::gateway::{Call, document, fetched};
use super::refusal::of_status;
use super::store::Kind;
use crate::apis::exchange::Answer;

/// Cards that end before this month, July 2024, have expired.
const NOW: (i64, i64) = (2024, 7);

/// The payment method with a token, whatever its kind.
pub(super) fn any(call: &Call<'_>, token: &str) -> Answer {
    let owner = call.store.owner(token);
    match owner.as_deref().and_then(|customer| method(customer, token)) {
        Some((tag, method)) => document(&tag.replace('_', "-"), method),
        None => of_status(404),
    }
}

/// `expired_ids`, `expiring_ids?start=MMYYYY&end=MMYYYY`, and the fetches of both.
pub(super) fn listed(call: &Call<'_>, list: &str) -> Answer {
    let month = |name: &str| call.request.parameter(name).and_then(month_of);
    let span = match list {
        "expired_ids" | "expired" => Some(((0, 0), (NOW.0, NOW.1 - 1))),
        "expiring_ids" | "expiring" => month("start").zip(month("end")),
        _ => return of_status(404),
    };
    let Some((first, last)) = span else {
        return of_status(403);
    };
    let mut cards: Vec<Value> = Vec::new();
    for number in (0..call.store.count(Kind::Customer)).rev() {
        let Some(customer) = call.store.record(Kind::Customer, number) else { continue };
        let all = customer["credit_cards"].as_array().map_or(&[][..], Vec::as_slice);
        cards.extend(all.iter().filter(|card| expires_in(card, first, last)).cloned());
    }
    let token = |card: &Value| card["token"].as_str().unwrap_or_default().to_owned();
    if list.ends_with("_ids") {
        let tokens: Vec<String> = cards.iter().map(token).collect();
        return call.ids(&tokens.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let asked = call.asked_ids();
    let shown: Vec<(&str, &Value)> = cards
        .iter()
        .filter(|card| asked.contains(&token(card)))
        .map(|card| ("credit-card", card))
        .collect();
    fetched("payment-methods", call.settings.page_size, &shown)
}

fn expires_in(card: &Value, first: (i64, i64), last: (i64, i64)) -> bool {
    let part = |name: &str| card[name].as_str().and_then(|text| text.parse::<i64>().ok());
    let month = part("expiration_year").zip(part("expiration_month"));
    month.is_some_and(|month| first <= month && month <= last)
}

/// Year and month of `MMYYYY`.
fn month_of(text: &str) -> Option<(i64, i64)> {
    let (month, year) = text.split_at_checked(2)?;
    Some((year.parse().ok()?, month.parse().ok()?))
}
