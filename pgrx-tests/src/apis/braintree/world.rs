//! How many records there are, their ids and times, and how they belong together.
//!
//! A record is made when it is asked for, from its number. What others need to know of it (its id,
//! when it was created, to whom it belongs) is decided here.

use super::transactions::sketch::Sketch;
use super::{Buyer, Options, Sale};
use crate::apis::calendar::{DAY, SECOND, day_number};
use crate::apis::random::Random;

/// Letters of generated ids.
pub(super) const ID_LETTERS: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// Over so many days the records are spread.
const DAYS: i64 = 180;

/// Ids and times of one kind of record, oldest first.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub(super) ids: Vec<Box<str>>,
    pub(super) created: Vec<i64>,
}

/// Everything that records are made from.
#[derive(Debug)]
pub(super) struct World {
    pub(super) options: Options,
    pub(super) transactions: Numbered,
    pub(super) customers: Numbered,
    pub(super) subscriptions: Numbered,
    pub(super) disputes: Numbered,
    pub(super) verifications: Numbered,
    pub(super) bank_verifications: Numbered,
}

impl World {
    pub(super) fn new(options: Options) -> World {
        let numbered = |kind: &str, count: usize, burst: usize| Numbered {
            ids: ids(options.seed, kind, count),
            created: times(options.seed, kind, count, burst),
        };
        let told = |records: &mut dyn Iterator<Item = (&str, i64)>| {
            let (ids, created) = records.map(|(id, created)| (Box::from(id), created)).unzip();
            Numbered { ids, created }
        };
        let sales = &mut options.sales.iter().map(|sale| (sale.id.as_str(), sale.created));
        let buyers = &mut options.buyers.iter().map(|buyer| (buyer.id.as_str(), buyer.created));
        World {
            transactions: if options.sales.is_empty() {
                numbered("transaction", options.transactions, options.burst)
            } else {
                told(sales)
            },
            customers: if options.buyers.is_empty() {
                numbered("customer", options.customers, 0)
            } else {
                told(buyers)
            },
            subscriptions: numbered("subscription", options.subscriptions, 0),
            disputes: numbered("dispute", options.disputes, 0),
            verifications: numbered("verification", options.verifications, 0),
            bank_verifications: numbered("bank", options.bank_verifications, 0),
            options,
        }
    }

    /// The numbers that belong to a record.
    pub(super) fn random(&self, kind: &str, number: usize) -> Random {
        Random::of(self.options.seed, kind, number as u64)
    }

    pub(super) fn transaction_id(&self, number: usize) -> &str {
        &self.transactions.ids[number]
    }

    /// The transaction as it was told, if it was.
    pub(super) fn sale(&self, number: usize) -> Option<&Sale> {
        self.options.sales.get(number)
    }

    /// The customer as told, if told.
    pub(super) fn buyer(&self, number: usize) -> Option<&Buyer> {
        self.options.buyers.get(number)
    }

    /// What is known of a transaction without making it.
    pub(super) fn sketch(&self, number: usize) -> Sketch {
        Sketch::new(self, number)
    }

    /// The transaction that a dispute is about; no two disputes share one.
    pub(super) fn disputed(&self, dispute: usize) -> usize {
        dispute * self.disputed_every() + 1
    }

    /// The dispute about a transaction, if there is one.
    pub(super) fn dispute_about(&self, transaction: usize) -> Option<usize> {
        let every = self.disputed_every();
        (transaction % every == 1 % every).then_some(transaction / every).filter(|dispute| {
            *dispute < self.disputes.ids.len() && self.disputed(*dispute) == transaction
        })
    }

    fn disputed_every(&self) -> usize {
        (self.transactions.ids.len() / self.disputes.ids.len().max(1)).max(1)
    }

    /// The subscription that made a transaction.
    pub(super) fn subscription_of(&self, transaction: usize) -> Option<usize> {
        let count = self.subscriptions.ids.len();
        (count > 0 && transaction % 7 == 3).then(|| transaction / 7 % count)
    }

    /// The first transactions that a subscription made.
    pub(super) fn transactions_of(&self, subscription: usize) -> Vec<usize> {
        let count = self.subscriptions.ids.len().max(1);
        (0..2)
            .map(|turn| 7 * (subscription + turn * count) + 3)
            .filter(|transaction| *transaction < self.transactions.ids.len())
            .collect()
    }

    /// The customer of a subscription.
    pub(super) fn customer_of(&self, subscription: usize) -> usize {
        subscription % self.customers.ids.len().max(1)
    }

    /// The token of a customer's payment method.
    pub(super) fn token(&self, customer: usize, place: usize) -> String {
        let mut random = self.random("token", customer * 16 + place);
        random.text(ID_LETTERS, 6) + &place.to_string()
    }
}

/// Ids in no order, each once. Some are of a form that only merchants give.
fn ids(seed: u64, kind: &str, count: usize) -> Vec<Box<str>> {
    let mut taken = std::collections::HashSet::with_capacity(count);
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        let mut random = Random::of(seed, kind, number as u64);
        let mut id = random.text(ID_LETTERS, 8);
        if kind == "customer" && number % 10 == 3 {
            id = format!("Cust-{number}_{}", random.text(ID_LETTERS, 2));
        }
        while !taken.insert(id.clone()) {
            id = random.text(ID_LETTERS, 9);
        }
        ids.push(id.into_boxed_str());
    }
    ids
}

/// Times that never go back: many at the first and last second of a minute, many in one second, two
/// exactly at midnight, and a burst of `burst` in one second.
fn times(seed: u64, kind: &str, count: usize, burst: usize) -> Vec<i64> {
    let mut random = Random::of(seed, &format!("{kind} times"), 0);
    let minute = 60 * SECOND;
    let step = (DAYS * DAY / SECOND / count.max(1) as i64).max(1) as u64;
    let mut now = day_number(2024, 1, 1) * DAY;
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let in_burst = (count / 2 + 1..count / 2 + burst).contains(&number);
        if !in_burst && !random.chance(20) {
            now += (1 + random.below(step * 2)) as i64 * SECOND;
            match random.below(10) {
                0 => now += (minute - now.rem_euclid(minute)) % minute,
                1 => now += minute - SECOND - now.rem_euclid(minute),
                _ => {}
            }
        }
        if number > 0 && (number == count / 3 || number == count / 3 * 2) {
            now += (DAY - now.rem_euclid(DAY)) % DAY;
        }
        times.push(now);
    }
    times
}
