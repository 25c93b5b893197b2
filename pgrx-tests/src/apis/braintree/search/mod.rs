//! Searches: which records fulfil criteria, newest first, and what is left of them at the cap.

mod criteria;
mod fields;
mod row;

pub(super) use criteria::{Criteria, Refusal};

use super::store::{Kind, Store};
use row::Row;

/// The numbers of all records that match, newest first.
pub(super) fn matching(store: &Store, kind: Kind, criteria: &Criteria, fold: bool) -> Vec<usize> {
    let candidates: Vec<usize> = match criteria.ids() {
        Some(ids) => {
            let mut numbers: Vec<usize> =
                ids.iter().filter_map(|id| store.number(kind, id)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        }
        None => (0..store.count(kind)).collect(),
    };
    candidates
        .into_iter()
        .rev()
        .filter(|number| {
            let row = Row::new(store, kind, *number);
            // One that was changed may have been removed.
            (!store.is_changed(kind, *number) || row.record().is_some())
                && criteria.hold(&row, fold)
        })
        .collect()
}

/// At most `cap` of them. What is left out is spread over the whole range, as the service does it:
/// a capped answer is not the newest ones.
pub(super) fn capped(numbers: Vec<usize>, cap: usize) -> Vec<usize> {
    let total = numbers.len();
    if total <= cap {
        return numbers;
    }
    (0..cap).map(|place| numbers[place * total / cap.max(1)]).collect()
}
