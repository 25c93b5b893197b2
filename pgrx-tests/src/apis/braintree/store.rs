//! The records of an emulator: generated ones, and what has become of them since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::world::{Numbered, World};
use super::{customers, disputes, small, subscriptions, transactions};

/// So many made records are kept at hand, so that a small store is made once.
const KEPT: usize = 8_192;

/// What can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Transaction,
    Customer,
    Subscription,
    Dispute,
    Verification,
    BankVerification,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] = [
        Kind::Transaction,
        Kind::Customer,
        Kind::Subscription,
        Kind::Dispute,
        Kind::Verification,
        Kind::BankVerification,
    ];

    /// Its part of the path.
    pub(super) fn path(self) -> &'static str {
        match self {
            Kind::Transaction => "transactions",
            Kind::Customer => "customers",
            Kind::Subscription => "subscriptions",
            Kind::Dispute => "disputes",
            Kind::Verification => "verifications",
            Kind::BankVerification => "us_bank_account_verifications",
        }
    }

    pub(super) fn from_path(path: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.path() == path)
    }

    /// The tag of a page of them.
    pub(super) fn root(self) -> &'static str {
        match self {
            Kind::Transaction => "credit-card-transactions",
            Kind::Customer => "customers",
            Kind::Subscription => "subscriptions",
            Kind::Dispute => "disputes",
            Kind::Verification => "credit-card-verifications",
            Kind::BankVerification => "us-bank-account-verifications",
        }
    }

    /// The tag of one of them.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Kind::Transaction => "transaction",
            Kind::Customer => "customer",
            Kind::Subscription => "subscription",
            Kind::Dispute => "dispute",
            Kind::Verification => "verification",
            Kind::BankVerification => "us-bank-account-verification",
        }
    }
}

type Key = (Kind, usize);

#[derive(Debug)]
pub(super) struct Store {
    pub(super) world: World,
    index: HashMap<Kind, HashMap<Box<str>, usize>>,
    /// What was changed; `None` for what was removed.
    changed: Mutex<HashMap<Key, Option<Arc<Value>>>>,
    made: Mutex<HashMap<Key, Arc<Value>>>,
    tokens: OnceLock<HashMap<String, usize>>,
}

impl Store {
    pub(super) fn new(world: World) -> Store {
        let index = Kind::ALL
            .into_iter()
            .map(|kind| {
                let ids = &numbered(&world, kind).ids;
                (kind, ids.iter().cloned().zip(0..).collect())
            })
            .collect();
        Store {
            world,
            index,
            changed: Mutex::default(),
            made: Mutex::default(),
            tokens: OnceLock::new(),
        }
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.numbered(kind).ids.len()
    }

    pub(super) fn numbered(&self, kind: Kind) -> &Numbered {
        numbered(&self.world, kind)
    }

    /// The number of the record with this id, which may have been removed.
    pub(super) fn number(&self, kind: Kind, id: &str) -> Option<usize> {
        self.index[&kind].get(id).copied()
    }

    /// Whether a record is not what was generated any more.
    pub(super) fn is_changed(&self, kind: Kind, number: usize) -> bool {
        self.changed().contains_key(&(kind, number))
    }

    /// The record as it is now; `None` when it was removed.
    pub(super) fn record(&self, kind: Kind, number: usize) -> Option<Arc<Value>> {
        let key = (kind, number);
        if let Some(changed) = self.changed().get(&key) {
            return changed.clone();
        }
        let mut made = self.made();
        if let Some(record) = made.get(&key) {
            return Some(Arc::clone(record));
        }
        drop(made);
        let world = &self.world;
        let record = Arc::new(match kind {
            Kind::Transaction => transactions::record::transaction(world, number),
            Kind::Customer => customers::customer(world, number),
            Kind::Subscription => subscriptions::subscription(world, number),
            Kind::Dispute => disputes::dispute(world, number),
            Kind::Verification => small::verification(world, number),
            Kind::BankVerification => small::bank_verification(world, number),
        });
        made = self.made();
        if made.len() >= KEPT {
            made.clear();
        }
        made.insert(key, Arc::clone(&record));
        Some(record)
    }

    /// The record with this id.
    pub(super) fn find(&self, kind: Kind, id: &str) -> Option<Arc<Value>> {
        self.record(kind, self.number(kind, id)?)
    }

    /// Removes the record with this id.
    pub(super) fn remove(&self, kind: Kind, id: &str) -> Result<()> {
        let number = self.known(kind, id)?;
        self.changed().insert((kind, number), None);
        Ok(())
    }

    /// Gives members of a record other values.
    pub(super) fn update(&self, kind: Kind, id: &str, members: &Map<String, Value>) -> Result<()> {
        let number = self.known(kind, id)?;
        let record = self.record(kind, number).with_context(|| format!("{id} was removed"))?;
        let mut record = Value::clone(&record);
        if let Some(all) = record.as_object_mut() {
            all.extend(members.clone());
        }
        self.changed().insert((kind, number), Some(Arc::new(record)));
        Ok(())
    }

    fn known(&self, kind: Kind, id: &str) -> Result<usize> {
        self.number(kind, id).with_context(|| format!("no {} with id {id}", kind.tag()))
    }

    /// The customer who owns a payment method.
    pub(super) fn owner(&self, token: &str) -> Option<Arc<Value>> {
        let tokens = self.tokens.get_or_init(|| {
            let most = customers::METHODS.len() + 1;
            (0..self.count(Kind::Customer))
                .flat_map(|customer| (0..most).map(move |place| (customer, place)))
                .map(|(customer, place)| (self.world.token(customer, place), customer))
                .collect()
        });
        self.record(Kind::Customer, *tokens.get(token)?)
    }

    fn changed(&self) -> MutexGuard<'_, HashMap<Key, Option<Arc<Value>>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> MutexGuard<'_, HashMap<Key, Arc<Value>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn numbered(world: &World, kind: Kind) -> &Numbered {
    match kind {
        Kind::Transaction => &world.transactions,
        Kind::Customer => &world.customers,
        Kind::Subscription => &world.subscriptions,
        Kind::Dispute => &world.disputes,
        Kind::Verification => &world.verifications,
        Kind::BankVerification => &world.bank_verifications,
    }
}
