//! An emulator of the Braintree gateway: REST with XML answers, as the official SDKs speak it.
//!
//! Reading is whole; of writing there is what an error needs. Where the service's behaviour is not
//! known, a setting says which way it goes, so that a reader can be tested with both.
//!
//! [`Api::change`] takes `{"remove": "transactions", "id": "…"}`, `{"update": "transactions", "id":
//! "…", "members": {…}}` and `{"settings": {…}}` with the members of [`Settings`]. Named answers are
//! `search timeout` (422, transient) and `validation` (422). Records of [`Api::each`] are the kinds
//! that can be searched, and `plans`, `add_ons`, `discounts`, `merchant_accounts`, `line_items`.

mod body;
mod customers;
mod disputes;
mod gateway;
mod payment_methods;
mod refusal;
mod search;
mod settings;
mod small;
mod store;
mod subscriptions;
mod summary;
mod transactions;
mod values;
mod world;
mod xml;

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::exchange::{Answer, Request};
use super::limit::RateLimit;
use super::server::Api;
pub use settings::{Buyer, Options, PastTheEnd, Sale, Settings};
use store::{Kind, Store};
use world::World;

/// The emulated gateway.
#[derive(Debug)]
pub struct Braintree {
    store: Store,
    settings: Mutex<Settings>,
    limit: RateLimit,
}

impl Braintree {
    /// A gateway with generated records.
    pub fn new(options: Options) -> Braintree {
        Braintree {
            store: Store::new(World::new(options)),
            settings: Mutex::default(),
            limit: RateLimit::default(),
        }
    }

    /// What it was started with: among others the keys that a client has to show.
    pub fn options(&self) -> &Options {
        &self.store.world.options
    }

    /// How it behaves.
    pub fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes it behave otherwise.
    pub fn set(&self, settings: Settings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    fn is_authentic(&self, request: &Request) -> bool {
        let options = self.options();
        let pair =
            BASE64_STANDARD.encode(format!("{}:{}", options.public_key, options.private_key));
        let given = request.header("authorization").unwrap_or_default();
        given == format!("Basic {pair}") || given == format!("Bearer {}", options.access_token())
    }
}

impl Api for Braintree {
    fn answer(&self, request: &Request) -> Answer {
        if !self.is_authentic(request) {
            return self.refusal(401);
        }
        let settings = self.settings();
        if !self.limit.allows("", settings.requests_per_second, settings.penalty) {
            return self.refusal(429);
        }
        match request.path().as_slice() {
            ["merchants", merchant, path @ ..] if *merchant == self.options().merchant_id => {
                gateway::answer(&self.store, &settings, request, path)
            }
            ["merchants", ..] => self.refusal(403),
            _ => self.refusal(404),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        refusal::of_status(status)
    }

    fn named(&self, name: &str) -> Option<Answer> {
        match name {
            "search timeout" => Some(refusal::search_timeout()),
            "validation" => {
                Some(refusal::validation("transaction", "amount", "81502", "Amount is required."))
            }
            _ => None,
        }
    }

    fn change(&self, change: &Value) -> Result<()> {
        let kind = |name: &str| -> Result<Kind> {
            let path = change[name].as_str().with_context(|| format!("`{name}` is not text"))?;
            Kind::from_path(path).with_context(|| format!("{path} cannot be changed"))
        };
        let id = change["id"].as_str().unwrap_or_default();
        if change.get("remove").is_some() {
            self.store.remove(kind("remove")?, id)
        } else if change.get("update").is_some() {
            let members = change["members"].as_object().context("`members` is missing")?;
            self.store.update(kind("update")?, id, members)
        } else if let Some(members) = change.get("settings") {
            let mut settings = self.settings();
            settings.read(members)?;
            self.set(settings);
            Ok(())
        } else {
            bail!("a change has `remove`, `update` or `settings`")
        }
    }

    fn kinds(&self) -> Vec<String> {
        let lists = ["plans", "add_ons", "discounts", "merchant_accounts", "line_items"];
        Kind::ALL.iter().map(|kind| kind.path()).chain(lists).map(str::to_owned).collect()
    }

    fn each(&self, kind: &str, show: &mut dyn FnMut(&Value)) -> Result<()> {
        let world = &self.store.world;
        if let Some(kind) = Kind::from_path(kind) {
            for number in 0..self.store.count(kind) {
                if let Some(record) = self.store.record(kind, number) {
                    show(&record);
                }
            }
            return Ok(());
        }
        let list = match kind {
            "plans" => small::plans(world),
            "add_ons" => small::modifications(world, "add_on"),
            "discounts" => small::modifications(world, "discount"),
            "merchant_accounts" => small::merchant_accounts(world),
            "line_items" => {
                for number in 0..self.store.count(Kind::Transaction) {
                    for mut item in transactions::record::line_items(world, number) {
                        item["transaction_id"] = json!(world.transaction_id(number));
                        show(&item);
                    }
                }
                return Ok(());
            }
            _ => bail!("there are no {kind}"),
        };
        list.iter().for_each(show);
        Ok(())
    }
}
