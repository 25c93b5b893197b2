//! Braintree: transactions and what belongs to them, read through its REST search.
//!
//! The protocol is that of the official SDKs: criteria go out as JSON, records come back as XML. The
//! shared reference's section 2 is the specification.

mod changes;
mod criteria;
mod derive;
mod options;
mod planner;
mod pushdown;
mod resource;
mod search;
mod tables;

pub use options::{Credential, Environment, Options};
pub use tables::tables;

use super::catalogue::Table;
use super::error::{ApiError, Endpoint};
use super::host::{Limit, LimitKey};
use super::http::{Client, Format};
use super::limit::Quota;
use super::plan::{Connector, Plan, Query};
use super::retry::Policy;
use super::secret::Secret;
use super::service::{Said, Service};
use super::tree;
use base64::Engine;
use sha2::{Digest, Sha256};
use std::rc::Rc;
use std::time::Duration;

/// Requests in flight by default, over all backends. The service publishes no number; others use 20.
const CONCURRENCY: u16 = 10;

/// A merchant's account with a credential.
#[derive(Debug, Clone)]
pub struct Braintree {
    service: Rc<Service>,
    limits: Rc<[Limit]>,
    fingerprint: [u8; 16],
    concurrency: usize,
    caps: Caps,
}

/// The most ids that a search lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caps {
    /// Of transactions.
    pub transactions: usize,
    /// Of everything else.
    pub others: usize,
}

impl Braintree {
    /// A connector. Sends nothing.
    pub fn new(options: Options, credential: Credential) -> Result<Braintree, ApiError> {
        let (public, private) = (credential.public_key.expose(), credential.private_key.expose());
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{public}:{private}"));
        let authorization = Secret::new(format!("Basic {pair}"));
        let base = options.base();
        let client = Client::new(
            &options.network,
            base.clone(),
            Format::Xml,
            &authorization,
            &[("x-apiversion", "6")],
        )?;
        let mut hash = Sha256::new();
        for part in [base.as_str(), public, private] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hash.finalize()[..16]);
        let network = &options.network;
        let concurrency = network.concurrency.unwrap_or(CONCURRENCY);
        let quota = Quota {
            rate: network.requests_per_second.unwrap_or(0),
            window: 1_050_000,
            concurrency,
        };
        let lease = network.request_timeout + network.connect_timeout + Duration::from_secs(5);
        let limit = Limit { key: LimitKey(fingerprint), quota, lease };
        let service = Service {
            client,
            policy: Policy::default(),
            retry_timeout: network.retry_timeout,
            said,
            secrets: vec![credential.private_key.clone(), Secret::new(pair)],
        };
        Ok(Braintree {
            service: Rc::new(service),
            limits: Rc::from(vec![limit]),
            fingerprint,
            concurrency: usize::from(concurrency),
            caps: Caps { transactions: options.transaction_cap, others: options.search_cap },
        })
    }
}

impl Connector for Braintree {
    fn plan(&self, query: &Query<'_>) -> Result<Plan, ApiError> {
        pushdown::plan(self, query)
    }

    fn sample(&self, query: &Query<'_>, records: usize) -> Result<Plan, ApiError> {
        planner::sample(self, query, records)
    }

    fn batch(&self, table: &Table, column: &str) -> Option<usize> {
        pushdown::batch(&table.column(column)?.1.filter)
    }

    fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint
    }
}

/// What an error's body says: a search that took too long is transient; validation has a message.
fn said(status: u16, body: &str) -> Said {
    let Ok(document) = tree::parse_xml(body) else { return Said::default() };
    let text = |name: &str| document.tree.text_of(name).map(str::to_owned);
    if status == 422 && document.root == "unprocessable_entity" {
        let reason = text("reason");
        let transient = reason.as_deref() == Some("timeout");
        return Said { code: reason.clone(), message: reason, transient };
    }
    Said { code: None, message: text("message"), transient: false }
}

/// An answer that is not what the API documents.
fn unexpected(endpoint: Endpoint, what: &'static str) -> ApiError {
    ApiError::Malformed { endpoint, what, cut: false }
}
