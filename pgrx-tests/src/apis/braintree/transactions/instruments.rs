//! What a transaction was paid with: the sixteen kinds that the SDKs know.

use serde_json::{Map, Value, json};

use crate::apis::braintree::values::{FIRST_NAMES, LAST_NAMES, object, perhaps};
use crate::apis::braintree::world::ID_LETTERS;
use crate::apis::random::Random;

/// Name in `payment_instrument_type`, member that has the details, name in a search.
pub(in crate::apis::braintree) const KINDS: [(&str, &str, &str); 16] = [
    ("credit_card", "credit_card", "CreditCardDetail"),
    ("paypal_account", "paypal", "PayPalDetail"),
    ("apple_pay_card", "apple_pay", "ApplePayDetail"),
    ("android_pay_card", "android_pay_card", "AndroidPayDetail"),
    ("venmo_account", "venmo_account", "VenmoAccountDetail"),
    ("us_bank_account", "us_bank_account", "UsBankAccountDetail"),
    ("sepa_debit_account", "sepa_debit_account_detail", "SEPADebitAccount"),
    ("local_payment", "local_payment", "LocalPaymentDetail"),
    ("europe_bank_account", "europe_bank_account", "EuropeBankAccountDetail"),
    ("visa_checkout_card", "visa_checkout_card", "VisaCheckoutCardDetail"),
    ("masterpass_card", "masterpass_card", "MasterpassCardDetail"),
    ("samsung_pay_card", "samsung_pay_card", "SamsungPayCardDetail"),
    ("amex_express_checkout_card", "amex_express_checkout_card", "AmexExpressCheckoutCardDetail"),
    ("paypal_here", "paypal_here", "PayPalHereDetail"),
    ("meta_checkout_card", "meta_checkout_card", "MetaCheckout"),
    ("meta_checkout_token", "meta_checkout_token", "MetaCheckoutToken"),
];

/// Kinds of cards.
pub(in crate::apis::braintree) const CARD_TYPES: [&str; 5] =
    ["Visa", "MasterCard", "American Express", "Discover", "Maestro"];

const YES_NO: [&str; 3] = ["Yes", "No", "Unknown"];

/// Most pay by card, the rest is spread over all kinds.
pub(in crate::apis::braintree) fn kind(random: &mut Random) -> usize {
    if random.chance(60) { 0 } else { random.below(KINDS.len() as u64) as usize }
}

/// A card as every object shows it that has one.
pub(in crate::apis::braintree) fn card(random: &mut Random, token: Value) -> Map<String, Value> {
    let month = 1 + random.below(12);
    let year = 2022 + random.below(8);
    let expired = (year, month) < (2024, 7);
    let holder = format!("{} {}", random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES));
    let issuer = random.pick(&["Chase & Co", "Unknown", "Sparkasse Köln"]);
    let mut card = object([
        ("token", token),
        ("bin", json!(random.pick(&["411111", "555555", "378282", "601111"]))),
        ("last_4", json!(random.digits(4))),
        ("card_type", json!(random.pick(&CARD_TYPES))),
        ("expiration_month", json!(format!("{month:02}"))),
        ("expiration_year", json!(year.to_string())),
        ("expired", json!(expired)),
        ("cardholder_name", perhaps(random, &holder)),
        ("customer_location", json!(random.pick(&["US", "International"]))),
        ("unique_number_identifier", json!(random.text(ID_LETTERS, 16))),
        ("country_of_issuance", json!(random.pick(&["USA", "DEU", "Unknown"]))),
        ("issuing_bank", json!(issuer)),
        ("product_id", json!(random.pick(&["F", "Unknown"]))),
        ("image_url", json!("https://assets.example/card.png?a=1&b=2")),
    ]);
    for name in ["prepaid", "debit", "commercial", "healthcare", "payroll", "durbin_regulated"] {
        card.insert(name.to_owned(), json!(random.pick(&YES_NO)));
    }
    card
}

/// The details of an instrument of `kind`, an index of [`KINDS`].
pub(in crate::apis::braintree) fn details(
    kind: usize,
    random: &mut Random,
    token: Value,
) -> Map<String, Value> {
    let name = KINDS[kind].0;
    if name.ends_with("_card") {
        let mut card = card(random, token);
        match name {
            "apple_pay_card" | "android_pay_card" | "samsung_pay_card" => {
                let source = json!("Visa 1234 <virtual>");
                card.insert("source_description".to_owned(), source);
            }
            "visa_checkout_card" => {
                card.insert("call_id".to_owned(), json!(random.digits(12)));
            }
            _ => {}
        }
        if name == "android_pay_card" {
            card.insert("is_network_tokenized".to_owned(), json!(random.chance(50)));
            // What the SDKs call type and last four digits is that of the virtual card.
            for (name, what) in [("card_type", "card_type"), ("card_last_4", "last_4")] {
                let value = card.remove(what).unwrap_or_default();
                card.insert(format!("source_{name}"), value.clone());
                card.insert(format!("virtual_{name}"), value);
            }
        }
        return card;
    }
    let image = json!("https://assets.example/logo.png");
    let email = format!("payer{}@example.com", random.below(50));
    match name {
        "paypal_account" => object([
            ("token", token),
            ("payer_email", json!(email)),
            ("payer_id", json!(random.text(ID_LETTERS, 13))),
            ("payer_first_name", json!(random.pick(&FIRST_NAMES))),
            ("payer_last_name", json!(random.pick(&LAST_NAMES))),
            ("payment_id", json!(format!("PAY-{}", random.digits(10)))),
            ("authorization_id", json!(random.digits(12))),
            ("capture_id", Value::Null),
            ("refund_id", Value::Null),
            ("custom_field", perhaps(random, "a&b")),
            ("seller_protection_status", json!("ELIGIBLE")),
            ("transaction_fee_amount", json!("0.59")),
            ("transaction_fee_currency_iso_code", json!("USD")),
            ("image_url", image),
        ]),
        "venmo_account" => object([
            ("token", token),
            ("username", json!(format!("venmo_{}", random.below(90)))),
            ("venmo_user_id", json!(random.digits(16))),
            ("source_description", json!("Venmo Account: venmojoe")),
            ("image_url", image),
        ]),
        "us_bank_account" => object([
            ("token", token),
            ("routing_number", json!("021000021")),
            ("last_4", json!(random.digits(4))),
            ("account_type", json!(random.pick(&["checking", "savings"]))),
            ("account_holder_name", json!("Dan Schulman")),
            ("bank_name", json!("JPMORGAN CHASE")),
            ("ownership_type", json!(random.pick(&["personal", "business"]))),
            (
                "ach_mandate",
                json!({"text": "cl mandate text", "accepted_at": "2024-01-01T10:00:00Z"}),
            ),
            ("image_url", image),
        ]),
        "sepa_debit_account" => object([
            ("token", token),
            ("bank_reference_token", json!(random.text(ID_LETTERS, 10))),
            ("mandate_type", json!(random.pick(&["ONE_OFF", "RECURRENT"]))),
            ("last_4", json!(random.digits(4))),
            ("merchant_or_partner_customer_id", json!(random.digits(8))),
            ("paypal_v2_order_id", json!(random.text(ID_LETTERS, 12))),
            ("transaction_fee_amount", json!("0.01")),
            ("transaction_fee_currency_iso_code", json!("EUR")),
        ]),
        "local_payment" => object([
            ("funding_source", json!(random.pick(&["ideal", "bancontact"]))),
            ("payment_id", json!(format!("PAY-{}", random.digits(10)))),
            ("payer_id", json!(random.text(ID_LETTERS, 13))),
            ("capture_id", json!(random.digits(12))),
            ("custom_field", Value::Null),
        ]),
        "europe_bank_account" => object([
            ("token", token),
            ("masked_iban", json!(format!("DE89**********{}", random.digits(4)))),
            ("bic", json!("DEUTDEDB")),
            ("account_holder_name", json!("Jürgen Groß")),
            ("mandate_reference_number", json!(random.digits(8))),
        ]),
        "paypal_here" => object([
            ("authorization_id", json!(random.digits(12))),
            ("capture_id", json!(random.digits(12))),
            ("invoice_id", json!(random.digits(6))),
            ("last_4", json!(random.digits(4))),
            ("payment_id", json!(random.digits(10))),
            ("payment_type", json!("card")),
        ]),
        _ => object([
            ("container_id", json!(random.digits(8))),
            ("cryptogram", json!("ejJRWG9ZWjdqa2Z5dmVaZUdZUEE9")),
            ("ecommerce_indicator", json!("07")),
            ("expiration_month", json!("12")),
            ("expiration_year", json!("2027")),
            ("last_4", json!(random.digits(4))),
            ("expired", json!(false)),
        ]),
    }
}
