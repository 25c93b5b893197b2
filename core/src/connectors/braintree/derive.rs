//! What is computed of a record: times from the status history, child rows, flags.

use crate::connectors::tree::Tree;
use crate::connectors::{Record, time};

/// The last event of a status.
fn at_status(record: &Tree, status: &str) -> Tree {
    let events = record.get("status_history").map(Tree::items).unwrap_or_default();
    let stamps = events
        .iter()
        .filter(|event| event.text_of("status") == Some(status))
        .filter_map(|event| event.text_of("timestamp"))
        .filter_map(|text| Some((time::timestamp(text)?, text)));
    stamps.max_by_key(|(micros, _)| *micros).map_or(Tree::Null, |(_, text)| Tree::text(text))
}

macro_rules! at_statuses {
    ($($name:ident $status:literal)*) => {
        $(
            /// When the transaction last came to this status.
            pub fn $name(record: &Tree) -> Tree {
                at_status(record, $status)
            }
        )*
    };
}

at_statuses! {
    authorized_at "authorized"
    submitted_for_settlement_at "submitted_for_settlement"
    settled_at "settled"
    voided_at "voided"
    failed_at "failed"
    gateway_rejected_at "gateway_rejected"
    processor_declined_at "processor_declined"
    authorization_expired_at "authorization_expired"
}

/// Whether a transaction refunds another one.
pub fn is_refund(record: &Tree) -> Tree {
    let refunds = record.text_of("refunded_transaction_id").is_some_and(|id| !id.is_empty());
    Tree::Bool(record.text_of("type") == Some("credit") && refunds)
}

/// The token of whichever payment instrument the transaction has.
pub fn payment_method_token(record: &Tree) -> Tree {
    let Tree::Object(members) = record else { return Tree::Null };
    let known = |name: &str| {
        matches!(
            name,
            "credit_card"
                | "paypal"
                | "paypal_here"
                | "apple_pay"
                | "android_pay_card"
                | "venmo_account"
                | "us_bank_account"
                | "sepa_debit_account_detail"
                | "local_payment"
                | "visa_checkout_card"
                | "samsung_pay_card"
                | "masterpass_card"
                | "meta_checkout_card"
                | "meta_checkout_token"
        )
    };
    let tokens = members
        .iter()
        .filter(|(name, _)| known(name))
        .filter_map(|(_, block)| block.text_of("token"))
        .find(|token| !token.is_empty());
    tokens.map_or(Tree::Null, Tree::text)
}

fn number(n: usize) -> Tree {
    Tree::Number((n + 1).to_string())
}

/// A record as itself.
pub fn itself(record: Tree) -> Vec<Record> {
    vec![Record::of(record)]
}

fn events(mut record: Tree, parent: &'static str) -> Vec<Record> {
    let id = record.get("id").cloned().unwrap_or(Tree::Null);
    let history = record.take("status_history").unwrap_or(Tree::Null);
    let events = match history {
        Tree::List(events) => events,
        single @ Tree::Object(_) => vec![single],
        _ => Vec::new(),
    };
    let with = |(n, tree)| Record { tree, context: vec![(parent, id.clone()), ("seq", number(n))] };
    events.into_iter().enumerate().map(with).collect()
}

/// The status events of a transaction.
pub fn transaction_events(record: Tree) -> Vec<Record> {
    events(record, "transaction_id")
}

/// The status events of a subscription.
pub fn subscription_events(record: Tree) -> Vec<Record> {
    events(record, "subscription_id")
}

/// Lists of payment methods in a customer, and what one is called.
const INSTRUMENTS: &[(&str, &str)] = &[
    ("credit_cards", "credit_card"),
    ("paypal_accounts", "paypal_account"),
    ("apple_pay_cards", "apple_pay_card"),
    ("android_pay_cards", "android_pay_card"),
    ("venmo_accounts", "venmo_account"),
    ("us_bank_accounts", "us_bank_account"),
    ("sepa_debit_accounts", "sepa_debit_account"),
    ("visa_checkout_cards", "visa_checkout_card"),
    ("samsung_pay_cards", "samsung_pay_card"),
    ("masterpass_cards", "masterpass_card"),
];

/// The payment methods of a customer.
pub fn payment_methods(mut customer: Tree) -> Vec<Record> {
    let id = customer.get("id").cloned().unwrap_or(Tree::Null);
    let mut out = Vec::new();
    for (list, kind) in INSTRUMENTS {
        if let Some(Tree::List(items)) = customer.take(list) {
            out.extend(items.into_iter().map(|item| payment_method(item, kind, Some(&id))));
        }
    }
    out
}

/// A payment method; the lists of a customer may leave out whose it is.
pub fn payment_method(mut tree: Tree, kind: &str, customer: Option<&Tree>) -> Record {
    if let (Tree::Object(members), Some(id)) = (&mut tree, customer)
        && !members.iter().any(|(name, _)| name == "customer_id")
    {
        members.push(("customer_id".to_owned(), id.clone()));
    }
    Record { tree, context: vec![("kind", Tree::text(kind))] }
}

/// The addresses of a customer.
pub fn addresses(mut customer: Tree) -> Vec<Record> {
    let id = customer.get("id").cloned().unwrap_or(Tree::Null);
    let Some(Tree::List(items)) = customer.take("addresses") else { return Vec::new() };
    items
        .into_iter()
        .map(|mut tree| {
            if let Tree::Object(members) = &mut tree
                && !members.iter().any(|(name, _)| name == "customer_id")
            {
                members.push(("customer_id".to_owned(), id.clone()));
            }
            Record::of(tree)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::tree::parse_json;

    fn tree(text: &str) -> Tree {
        parse_json(text).expect("JSON")
    }

    #[test]
    fn the_last_event_of_a_status_counts() {
        let record = tree(
            r#"{"id":"t","status_history":[
                {"status":"authorized","timestamp":"2024-01-02T00:00:00Z"},
                {"status":"settled","timestamp":"2024-01-04T00:00:00Z"},
                {"status":"authorized","timestamp":"2024-01-03T00:00:00Z"}]}"#,
        );
        assert_eq!(authorized_at(&record), Tree::text("2024-01-03T00:00:00Z"));
        assert_eq!(voided_at(&record), Tree::Null);
        let events = transaction_events(record);
        assert_eq!(events.len(), 3);
        assert_eq!(events[2].context[1], ("seq", Tree::Number("3".into())));
    }

    #[test]
    fn refunds() {
        let of = |text| is_refund(&tree(text));
        assert_eq!(of(r#"{"type":"credit","refunded_transaction_id":"x"}"#), Tree::Bool(true));
        assert_eq!(of(r#"{"type":"credit","refunded_transaction_id":null}"#), Tree::Bool(false));
        assert_eq!(of(r#"{"type":"sale","refunded_transaction_id":"x"}"#), Tree::Bool(false));
    }

    #[test]
    fn methods_know_their_customer() {
        let customer = tree(
            r#"{"id":"c","credit_cards":[{"token":"a"},{"token":"b","customer_id":"c"}],"paypal_accounts":[{"token":"p"}]}"#,
        );
        let methods = payment_methods(customer);
        assert_eq!(methods.len(), 3);
        assert!(methods.iter().all(|m| m.tree.text_of("customer_id") == Some("c")));
        assert_eq!(methods[2].context[0], ("kind", Tree::text("paypal_account")));
    }
}
