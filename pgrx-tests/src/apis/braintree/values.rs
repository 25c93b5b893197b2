//! Small pieces that records are made of: objects, money, names and places.

use serde_json::{Map, Value, json};

use crate::apis::random::Random;

pub(super) const FIRST_NAMES: [&str; 10] =
    ["Ann", "Bob", "ann", "José", "Zoë", "Nils", "D'Arcy", "王小明", "Anna-Lena", "ANN"];
pub(super) const LAST_NAMES: [&str; 10] = [
    "Smith",
    "O'Brien",
    "Müller & Søn",
    "Lee",
    "de la <Cruz>",
    "100%",
    "snake_case",
    "Ng",
    "\"Quoted\"",
    "Smithson",
];
const COMPANIES: [&str; 6] =
    ["Acme Inc", "acme inc", "Büro & Co", "50% off_ltd", "Back\\slash", "<Tags>"];
const CITIES: [(&str, &str, &str, &str, &str, &str); 5] = [
    ("Chicago", "IL", "60622", "US", "USA", "840"),
    ("Köln", "NRW", "50667", "DE", "DEU", "276"),
    ("São Paulo", "SP", "01310-100", "BR", "BRA", "076"),
    ("London", "", "SW1A 1AA", "GB", "GBR", "826"),
    ("東京", "13", "100-0001", "JP", "JPN", "392"),
];
const COUNTRIES: [&str; 5] =
    ["United States of America", "Germany", "Brazil", "United Kingdom", "Japan"];

/// An object of these members.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A text that is null when there is none.
pub(super) fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

/// Mostly `text`, sometimes empty, sometimes null.
pub(super) fn perhaps(random: &mut Random, text: &str) -> Value {
    match random.below(10) {
        0 => Value::Null,
        1 => json!(""),
        _ => json!(text),
    }
}

/// An amount of the smallest unit as decimal text; `digits` come after the point.
pub(super) fn money(units: i64, digits: u32) -> String {
    if digits == 0 {
        return units.to_string();
    }
    let scale = 10_i64.pow(digits);
    let sign = if units < 0 { "-" } else { "" };
    let units = units.abs();
    format!("{sign}{}.{:0width$}", units / scale, units % scale, width = digits as usize)
}

/// A company, which may be none.
pub(super) fn company(random: &mut Random) -> Value {
    let name = random.pick(&COMPANIES);
    perhaps(random, name)
}

/// A postal address without an id; every member is text or null.
pub(super) fn address(random: &mut Random) -> Map<String, Value> {
    let place = random.below(CITIES.len() as u64) as usize;
    let (city, region, postal, alpha2, alpha3, numeric) = CITIES[place];
    let street = format!("{} Main Street", 1 + random.below(300));
    object([
        ("first_name", json!(random.pick(&FIRST_NAMES))),
        ("last_name", json!(random.pick(&LAST_NAMES))),
        ("company", company(random)),
        ("street_address", json!(street)),
        ("extended_address", perhaps(random, "Suite 4\n2nd floor")),
        ("locality", json!(city)),
        ("region", if region.is_empty() { Value::Null } else { json!(region) }),
        ("postal_code", json!(postal)),
        ("country_name", json!(COUNTRIES[place])),
        ("country_code_alpha2", json!(alpha2)),
        ("country_code_alpha3", json!(alpha3)),
        ("country_code_numeric", json!(numeric)),
        ("phone_number", perhaps(random, "+1 312 555 0100")),
    ])
}

/// Custom fields: none, some, and names that look like what they are not.
pub(super) fn custom_fields(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!({}),
        1 => json!({"vat_id": random.digits(9)}),
        2 => json!({"renewed_at": "yesterday", "vat_id": "", "type": "gold"}),
        _ => json!({"cohort_2024": "a & b", "x": "1", "item": "2", "vat_id": "DE 7"}),
    }
}
