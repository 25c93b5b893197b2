//! What can be listed, how, and which table is made of what. The reference's section 2.3.

use super::criteria::{Criteria, Node};
use super::derive;
use crate::connectors::Record;
use crate::connectors::tree::Tree;

/// How a resource is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Ids by criteria, then records by ids.
    Search,
    /// Numbered pages of a search.
    SearchedPages,
    /// Numbered pages.
    Pages,
    /// One answer with everything.
    Whole,
    /// A summary of one day, asked for by its date.
    Summary,
    /// The lines of one transaction, asked for by its id.
    Lines,
}

/// A resource.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    /// The path of its listing and, before an id, of its records.
    pub path: &'static str,
    /// How it is listed.
    pub listing: Listing,
    /// The element that holds records.
    pub root: &'static str,
    /// The element of a record; others are skipped.
    pub tag: &'static str,
    /// Whether its search lists more ids than others.
    pub is_transactions: bool,
    /// Where a single record is found.
    pub single: Option<&'static str>,
    /// Requests in flight at most; others were asked to go lower on disputes.
    pub concurrency: usize,
}

const fn searched(path: &'static str, root: &'static str, tag: &'static str) -> Resource {
    Resource {
        path,
        listing: Listing::Search,
        root,
        tag,
        is_transactions: false,
        single: Some(path),
        concurrency: usize::MAX,
    }
}

const fn listed(
    path: &'static str,
    listing: Listing,
    root: &'static str,
    tag: &'static str,
) -> Resource {
    Resource { listing, single: None, ..searched(path, root, tag) }
}

const TRANSACTIONS: Resource = Resource {
    is_transactions: true,
    ..searched("transactions", "credit_card_transactions", "transaction")
};
const CUSTOMERS: Resource = searched("customers", "customers", "customer");
const SUBSCRIPTIONS: Resource = searched("subscriptions", "subscriptions", "subscription");
const VERIFICATIONS: Resource =
    searched("verifications", "credit_card_verifications", "verification");
const BANK_VERIFICATIONS: Resource = Resource {
    single: None,
    ..searched(
        "us_bank_account_verifications",
        "us_bank_account_verifications",
        "us_bank_account_verification",
    )
};
const DISPUTES: Resource = Resource {
    single: Some("disputes"),
    concurrency: 3,
    ..listed("disputes/advanced_search", Listing::SearchedPages, "disputes", "dispute")
};
const MERCHANT_ACCOUNTS: Resource =
    listed("merchant_accounts", Listing::Pages, "merchant_accounts", "merchant_account");
const PLANS: Resource = listed("plans", Listing::Whole, "plans", "plan");
const ADD_ONS: Resource = listed("add_ons", Listing::Whole, "add_ons", "add_on");
const DISCOUNTS: Resource = listed("discounts", Listing::Whole, "discounts", "discount");
const SUMMARY: Resource =
    listed("settlement_batch_summary", Listing::Summary, "settlement_batch_summary", "record");
const LINES: Resource = listed("transactions", Listing::Lines, "line_items", "line_item");

/// How a table is made of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The resource.
    pub resource: Resource,
    /// Which records belong to the table.
    pub keep: fn(&Tree) -> bool,
    /// The rows of a record.
    pub rows: fn(Tree) -> Vec<Record>,
    /// Whether the key is a token of a payment method, which has a lookup of its own.
    pub by_token: bool,
}

fn everything(_: &Tree) -> bool {
    true
}

fn is_refund(record: &Tree) -> bool {
    derive::is_refund(record) == Tree::Bool(true)
}

/// The shape of a table.
pub fn shape(table: &str) -> Option<Shape> {
    let of = |resource| Shape { resource, keep: everything, rows: derive::itself, by_token: false };
    Some(match table {
        "transactions" => of(TRANSACTIONS),
        "refunds" => Shape { keep: is_refund, ..of(TRANSACTIONS) },
        "transaction_status_events" => {
            Shape { rows: derive::transaction_events, ..of(TRANSACTIONS) }
        }
        "transaction_line_items" => of(LINES),
        "customers" => of(CUSTOMERS),
        "payment_methods" => {
            Shape { rows: derive::payment_methods, by_token: true, ..of(CUSTOMERS) }
        }
        "addresses" => Shape { rows: derive::addresses, ..of(CUSTOMERS) },
        "subscriptions" => of(SUBSCRIPTIONS),
        "subscription_status_events" => {
            Shape { rows: derive::subscription_events, ..of(SUBSCRIPTIONS) }
        }
        "verifications" => of(VERIFICATIONS),
        "us_bank_account_verifications" => of(BANK_VERIFICATIONS),
        "disputes" => of(DISPUTES),
        "merchant_accounts" => of(MERCHANT_ACCOUNTS),
        "plans" => of(PLANS),
        "add_ons" => of(ADD_ONS),
        "discounts" => of(DISCOUNTS),
        "settlement_batch_summary" => of(SUMMARY),
        _ => return None,
    })
}

/// Criteria that belong to a table whatever is asked.
pub fn fixed(table: &str) -> Criteria {
    let mut criteria = Criteria::default();
    match table {
        "refunds" => criteria.add("refund", Node::Flag(true)),
        "verifications" => {
            criteria.add("verification_type", Node::List(vec!["credit_card".to_owned()]));
        }
        _ => {}
    }
    criteria
}
