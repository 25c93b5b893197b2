//! Customers with their addresses and payment methods.

use serde_json::{Map, Value, json};

use super::subscriptions;
use super::transactions::instruments::{self, KINDS};
use super::values::{FIRST_NAMES, LAST_NAMES, address, company, custom_fields, object, perhaps};
use super::world::World;
use crate::apis::calendar::{DAY, to_second};
use crate::apis::random::Random;

/// Lists of payment methods of a customer, the tag of one of them, and its kind among [`KINDS`].
pub(super) const METHODS: [(&str, &str, &str); 8] = [
    ("credit_cards", "credit_card", "credit_card"),
    ("paypal_accounts", "paypal_account", "paypal_account"),
    ("apple_pay_cards", "apple_pay_card", "apple_pay_card"),
    ("android_pay_cards", "android_pay_card", "android_pay_card"),
    ("venmo_accounts", "venmo_account", "venmo_account"),
    ("us_bank_accounts", "us_bank_account", "us_bank_account"),
    ("sepa_debit_accounts", "sepa_debit_account", "sepa_debit_account"),
    ("visa_checkout_cards", "visa_checkout_card", "visa_checkout_card"),
];

/// Makes customer `number`.
pub(super) fn customer(world: &World, number: usize) -> Value {
    let mut random = world.random("customer record", number);
    let id = &*world.customers.ids[number];
    let created = world.customers.created[number];
    let updated = created + random.below(30) as i64 * DAY;
    let email = format!("buyer{}@example.com", number % 200);
    let mut record = object([
        ("id", json!(id)),
        ("global_id", json!(format!("Y3VzdG9tZXJf{id}"))),
        ("merchant_id", json!(world.options.merchant_id)),
        ("first_name", json!(random.pick(&FIRST_NAMES))),
        ("last_name", json!(random.pick(&LAST_NAMES))),
        ("company", company(&mut random)),
        ("email", perhaps(&mut random, &email)),
        ("phone", perhaps(&mut random, "312.555.1234")),
        ("fax", json!("")),
        ("website", perhaps(&mut random, "https://example.com/?a=1&b=2")),
        ("custom_fields", custom_fields(&mut random)),
        ("created_at", json!(to_second(created))),
        ("updated_at", json!(to_second(updated))),
    ]);
    if let Some(buyer) = world.buyer(number) {
        for (name, text) in [
            ("first_name", &buyer.first_name),
            ("last_name", &buyer.last_name),
            ("email", &buyer.email),
        ] {
            record.insert(name.to_owned(), json!(text));
        }
    }
    let phone = if random.chance(30) {
        json!({"country_code": "1", "national_number": "3125551234"})
    } else {
        json!({})
    };
    record.insert("international_phone".to_owned(), phone);
    let mut addresses = Vec::new();
    for place in 0..random.below(3) {
        let mut address = address(&mut random);
        address.insert("id".to_owned(), json!(format!("a{place}")));
        address.insert("customer_id".to_owned(), json!(id));
        address.insert("created_at".to_owned(), json!(to_second(created)));
        address.insert("updated_at".to_owned(), json!(to_second(updated)));
        addresses.push(Value::Object(address));
    }
    methods(&mut record, world, number, &addresses, &mut random);
    record.insert("addresses".to_owned(), Value::from(addresses));
    Value::Object(record)
}

/// The payment methods. Some lists are left out, as they are for what a merchant does not take.
fn methods(
    record: &mut Map<String, Value>,
    world: &World,
    number: usize,
    addresses: &[Value],
    random: &mut Random,
) {
    let created = world.customers.created[number];
    let mut place = 0;
    for (list, _, kind) in METHODS {
        let is_card = list == "credit_cards";
        let count = if is_card { 1 + random.below(2) } else { u64::from(random.chance(12)) };
        if count == 0 && random.chance(50) {
            continue;
        }
        let mut all = Vec::new();
        for _ in 0..count {
            let kind = KINDS.iter().position(|(name, _, _)| *name == kind).unwrap_or(0);
            let token = json!(world.token(number, place));
            let mut method = instruments::details(kind, random, token);
            let more = object([
                ("global_id", json!(format!("cGF5bWVudF9tZXRob2Rf{number}_{place}"))),
                ("customer_id", json!(world.customers.ids[number])),
                ("default", json!(place == 0)),
                ("created_at", json!(to_second(created))),
                ("updated_at", json!(to_second(created + DAY))),
            ]);
            method.extend(more);
            if list == "paypal_accounts" {
                method.insert("email".to_owned(), json!("jane.doe@example.com"));
                method.insert("billing_agreement_id".to_owned(), json!("B-7"));
            }
            if list != "us_bank_accounts" {
                method.insert("subscriptions".to_owned(), subscribed(world, number, place));
            }
            if is_card {
                let billing = addresses.first().filter(|_| random.chance(60));
                if let Some(billing) = billing {
                    method.insert("billing_address".to_owned(), billing.clone());
                }
                method.insert("verifications".to_owned(), json!([]));
            }
            all.push(Value::Object(method));
            place += 1;
        }
        record.insert(list.to_owned(), Value::from(all));
    }
}

/// The subscription that is paid with a payment method; only the first one has any.
fn subscribed(world: &World, customer: usize, place: usize) -> Value {
    let has = place == 0 && customer < world.subscriptions.ids.len();
    let list: Vec<Value> =
        has.then(|| subscriptions::outline(world, customer)).into_iter().collect();
    Value::from(list)
}

/// The payment method with this token in a customer's record: its tag and itself.
pub(super) fn method<'a>(customer: &'a Value, token: &str) -> Option<(&'static str, &'a Value)> {
    METHODS.iter().find_map(|(list, tag, _)| {
        let methods = customer.get(list)?.as_array()?;
        let method = methods.iter().find(|method| method["token"] == token)?;
        Some((*tag, method))
    })
}
