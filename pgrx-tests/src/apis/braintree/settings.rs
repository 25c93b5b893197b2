//! What a gateway is started with, and how it behaves.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What is generated, and who may ask for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides all records.
    pub seed: u64,
    /// The merchant, part of every path.
    pub merchant_id: String,
    /// The public key.
    pub public_key: String,
    /// The private key.
    pub private_key: String,
    /// How many transactions there are, and so on.
    pub transactions: usize,
    /// Of customers.
    pub customers: usize,
    /// Of subscriptions.
    pub subscriptions: usize,
    /// Of disputes.
    pub disputes: usize,
    /// Of card verifications.
    pub verifications: usize,
    /// Of bank account verifications.
    pub bank_verifications: usize,
    /// Of merchant accounts; four at least.
    pub merchant_accounts: usize,
    /// So many transactions in the middle were created in one second.
    pub burst: usize,
    /// Transactions that are told instead of generated, oldest first: if there are any, there are no
    /// others.
    pub sales: Vec<Sale>,
    /// Customers that are told, oldest first, in the same way.
    pub buyers: Vec<Buyer>,
}

/// A transaction that is told. Its amount is in US dollars.
#[derive(Debug, Clone)]
pub struct Sale {
    /// Its id, which no other has.
    pub id: String,
    /// When it was created, in milliseconds since 1970.
    pub created: i64,
    /// The status it has now; one that transactions can end in.
    pub status: String,
    /// Its amount in cents.
    pub cents: i64,
    /// Whose it is: a place in [`Options::buyers`].
    pub buyer: usize,
    /// The merchant's own number of it.
    pub order_id: String,
}

/// A customer who is told.
#[derive(Debug, Clone)]
pub struct Buyer {
    /// The id that the merchant gave, which no other has.
    pub id: String,
    /// When the customer was created, in milliseconds since 1970.
    pub created: i64,
    /// The e-mail address.
    pub email: String,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
}

impl Options {
    /// So many transactions, and of everything else in proportion.
    pub fn sized(transactions: usize, seed: u64) -> Options {
        Options {
            seed,
            merchant_id: "merchant7".to_owned(),
            public_key: "public_key".to_owned(),
            private_key: "private_key".to_owned(),
            transactions,
            customers: transactions / 10 + 3,
            subscriptions: transactions / 20 + 3,
            disputes: (transactions / 15).min(transactions),
            verifications: transactions / 20 + 3,
            bank_verifications: transactions / 50 + 2,
            merchant_accounts: 45,
            burst: (transactions / 10).min(120),
            sales: Vec::new(),
            buyers: Vec::new(),
        }
    }

    /// What a merchant has who sold this to these, and little else.
    pub fn told(sales: Vec<Sale>, buyers: Vec<Buyer>, seed: u64) -> Options {
        let (transactions, customers) = (sales.len(), buyers.len());
        Options {
            transactions,
            customers,
            subscriptions: 0,
            disputes: 0,
            verifications: 0,
            bank_verifications: 0,
            burst: 0,
            sales,
            buyers,
            ..Options::sized(transactions, seed)
        }
    }

    /// The token of a client that an OAuth application has let in.
    pub fn access_token(&self) -> String {
        format!("access_token$development${}$secret", self.merchant_id)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::sized(400, 7)
    }
}

/// What `?page=N` answers when there is no such page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastTheEnd {
    /// No records.
    Empty,
    /// The records of the last page, as the service was seen to do.
    Repeat,
}

/// How a gateway behaves where it can be one or the other.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most ids that a search for transactions answers.
    pub transaction_cap: usize,
    /// The most ids that any other search answers.
    pub other_cap: usize,
    /// So many records are on a page.
    pub page_size: usize,
    /// See [`PastTheEnd`].
    pub past_the_end: PastTheEnd,
    /// Whether text is compared without regard to case; what the service does is not known.
    pub fold_case: bool,
    /// A fetch of more records at once than this gets 500; 0 is no limit.
    pub largest_batch: usize,
    /// More requests in a second get 429; 0 is no limit.
    pub requests_per_second: usize,
    /// So long after that every request gets 429.
    pub penalty: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            transaction_cap: 50_000,
            other_cap: 10_000,
            page_size: 50,
            past_the_end: PastTheEnd::Repeat,
            fold_case: false,
            largest_batch: 0,
            requests_per_second: 0,
            penalty: Duration::ZERO,
        }
    }
}

impl Settings {
    /// Takes members with the names of the fields; `penalty_ms` in milliseconds, `past_the_end` as
    /// `empty` or `repeat`.
    pub(super) fn read(&mut self, members: &Value) -> Result<()> {
        for (name, value) in members.as_object().context("`settings` is not an object")? {
            let number = || -> Result<usize> {
                let number = value.as_u64().with_context(|| format!("{name} is not a number"))?;
                Ok(usize::try_from(number)?)
            };
            match name.as_str() {
                "transaction_cap" => self.transaction_cap = number()?,
                "other_cap" => self.other_cap = number()?,
                "page_size" => self.page_size = number()?.max(1),
                "largest_batch" => self.largest_batch = number()?,
                "requests_per_second" => self.requests_per_second = number()?,
                "penalty_ms" => self.penalty = Duration::from_millis(number()? as u64),
                "fold_case" => self.fold_case = value.as_bool().context("true or false")?,
                "past_the_end" => {
                    self.past_the_end = match value.as_str() {
                        Some("empty") => PastTheEnd::Empty,
                        Some("repeat") => PastTheEnd::Repeat,
                        _ => bail!("past_the_end is empty or repeat"),
                    }
                }
                _ => bail!("there is no setting {name}"),
            }
        }
        Ok(())
    }
}
