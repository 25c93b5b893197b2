//! What changed in a window: the reference's section 2.7.
//!
//! Braintree cannot be searched by `updated_at`. A transaction changed if one of its nine times lies in
//! the window, or if it was disbursed or disputed in the last days, which touches no time of its own.

use super::criteria::{Criteria, Node, Window, date_of, second_of};
use super::search::Arm;
use crate::connectors::plan::Changes;
use crate::connectors::time::second_text;

/// The times of a transaction that are searched besides `created_at`.
const TIMES: [&str; 8] = [
    "authorized_at",
    "submitted_for_settlement_at",
    "settled_at",
    "voided_at",
    "failed_at",
    "gateway_rejected_at",
    "processor_declined_at",
    "authorization_expired_at",
];

/// Dates of what touches no time.
const DATES: [&str; 2] = ["disbursement_date", "dispute_date"];

/// How far back a window begins before the end of the last one, in seconds: new and changed records
/// take seconds to appear in search, and the bounds are loose by a minute.
const LOOK_BACK: i64 = 120;
/// The same for dates, in days, with one for their unknown time zone.
const LOOK_BACK_DAYS: i64 = 4;
const DAY: i64 = 86_400;

/// The window in seconds since 2000-01-01, both inclusive.
fn seconds(changes: Changes) -> (i64, i64) {
    (second_of(changes.since) - LOOK_BACK, second_of(changes.until))
}

fn dates(changes: Changes) -> Node {
    let (_, until) = seconds(changes);
    let since = second_of(changes.since).min(until);
    Node::Range {
        min: Some(date_of(since - LOOK_BACK_DAYS * DAY)),
        max: Some(date_of(until + DAY)),
    }
}

/// New records, by `created_at`.
pub fn created(criteria: &Criteria, changes: Changes) -> Arm {
    let (from, until) = seconds(changes);
    let window = Window { from: Some(from), to: Some(until + 1) };
    Arm { criteria: criteria.clone(), window }
}

/// New and changed transactions: a union of searches.
pub fn transactions(criteria: &Criteria, changes: Changes) -> Vec<Arm> {
    let (from, until) = seconds(changes);
    let range = Node::Range { min: Some(second_text(from)), max: Some(second_text(until)) };
    let arm = |field: &str, node: Node| Arm {
        criteria: criteria.with(field, node),
        window: Window::default(),
    };
    let mut arms = vec![created(criteria, changes)];
    arms.extend(TIMES.iter().map(|field| arm(field, range.clone())));
    arms.extend(DATES.iter().map(|field| arm(field, dates(changes))));
    arms
}

/// New and changed disputes, by the dates of their events and of their receipt.
pub fn disputes(criteria: &Criteria, changes: Changes) -> Vec<Criteria> {
    ["effective_date", "received_date"]
        .iter()
        .map(|field| criteria.with(field, dates(changes)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::time::UNIX_TO_POSTGRES;

    #[test]
    fn nine_times_and_two_dates() {
        let at = |second: i64| ((second + UNIX_TO_POSTGRES) * 1_000_000) as u64;
        let changes = Changes { since: at(10 * DAY), until: at(10 * DAY + 600) };
        let arms = transactions(&Criteria::default(), changes);
        assert_eq!(arms.len(), 11);
        assert_eq!(arms[0].window, Window { from: Some(10 * DAY - 120), to: Some(10 * DAY + 601) });
        assert_eq!(
            arms[3].criteria.shown(),
            r#"{"settled_at":{"min":"2000-01-10T23:58:00Z","max":"2000-01-11T00:10:00Z"}}"#
        );
        assert_eq!(
            arms[9].criteria.shown(),
            r#"{"disbursement_date":{"min":"2000-01-07","max":"2000-01-12"}}"#
        );
    }
}
