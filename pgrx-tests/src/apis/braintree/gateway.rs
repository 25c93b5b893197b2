//! Which path answers what.

use std::sync::Arc;

use serde_json::{Value, json};

use super::refusal::{XML, of_status, validation};
use super::search::{Criteria, Refusal, capped, matching};
use super::settings::{PastTheEnd, Settings};
use super::store::{Kind, Store};
use super::transactions::record::line_items;
use super::{body, payment_methods, small, summary, xml};
use crate::apis::exchange::{Answer, Request};

/// The last page of a search that can be asked for.
const LAST_PAGE: usize = 1_000;

/// So many merchant accounts are on a page.
const ACCOUNTS_ON_A_PAGE: usize = 20;

/// One request that is being answered.
pub(super) struct Call<'a> {
    pub(super) store: &'a Store,
    pub(super) settings: &'a Settings,
    pub(super) request: &'a Request,
    /// Its body, read.
    pub(super) body: Value,
}

/// Answers a request; `path` is what follows the merchant. A slash at its end makes no difference.
pub(super) fn answer(
    store: &Store,
    settings: &Settings,
    request: &Request,
    path: &[&str],
) -> Answer {
    let Ok(body) = body::read(&request.body) else {
        return of_status(403);
    };
    let call = Call { store, settings, request, body };
    let world = &store.world;
    match (request.method.as_str(), path) {
        ("POST", [kind, "advanced_search_ids"]) => call.search_ids(kind),
        // There are clients that GET with a body.
        ("POST" | "GET", [kind, "advanced_search"]) => call.search(kind),
        ("GET", ["plans"]) => whole_list("plans", "plan", &small::plans(world)),
        ("GET", ["add_ons"]) => {
            whole_list("add-ons", "add-on", &small::modifications(world, "add_on"))
        }
        ("GET", ["discounts"]) => {
            whole_list("discounts", "discount", &small::modifications(world, "discount"))
        }
        ("GET", ["plans", id]) => one("plan", small::plans(world), id),
        ("GET", ["merchant_accounts"]) => call.merchant_accounts(),
        ("GET", ["merchant_accounts", id]) => {
            one("merchant-account", small::merchant_accounts(world), id)
        }
        ("GET", ["transactions", id, "line_items"]) => {
            match store
                .number(Kind::Transaction, id)
                .filter(|_| store.find(Kind::Transaction, id).is_some())
            {
                Some(number) => whole_list("line-items", "line-item", &line_items(world, number)),
                None => of_status(404),
            }
        }
        ("POST", ["settlement_batch_summary"]) => summary::answer(&call),
        ("POST" | "GET", ["payment_methods", "all", list]) => payment_methods::listed(&call, list),
        ("GET", ["payment_methods", "any", token]) => payment_methods::any(&call, token),
        ("GET", ["payment_methods", "credit_card", token]) => payment_methods::any(&call, token),
        ("GET", [kind, id]) => match Kind::from_path(kind)
            .and_then(|kind| store.find(kind, id).map(|record| document(kind.tag(), &record)))
        {
            Some(answer) => answer,
            None => of_status(404),
        },
        ("POST", ["transactions"]) => call.sale(),
        _ => of_status(404),
    }
}

/// An answer of one object.
pub(super) fn document(tag: &str, record: &Value) -> Answer {
    Answer::new(200, XML, xml::document(tag, record))
}

fn whole_list(tag: &str, child: &str, records: &[Value]) -> Answer {
    Answer::new(200, XML, xml::list(tag, child, records))
}

fn one(tag: &str, records: Vec<Value>, id: &str) -> Answer {
    match records.iter().find(|record| record["id"] == id) {
        Some(record) => document(tag, record),
        None => of_status(404),
    }
}

impl Call<'_> {
    /// The first step of a search.
    fn search_ids(&self, path: &str) -> Answer {
        let Some(kind) = Kind::from_path(path).filter(|kind| *kind != Kind::Dispute) else {
            return of_status(404);
        };
        let found = match self.found(kind) {
            Ok(found) => found,
            Err(refusal) => return refused(kind, refusal),
        };
        let cap = match kind {
            Kind::Transaction => self.settings.transaction_cap,
            _ => self.settings.other_cap,
        };
        let numbers = capped((0..found.len()).collect(), cap);
        let ids: Vec<&str> = numbers
            .into_iter()
            .map(|place| {
                let (kind, number) = found[place];
                &*self.store.numbered(kind).ids[number]
            })
            .collect();
        Answer::new(200, XML, xml::search_results(self.settings.page_size, &ids))
    }

    /// The second step, by `ids`, or pages by `?page=N`.
    fn search(&self, path: &str) -> Answer {
        let Some(kind) = Kind::from_path(path) else {
            return of_status(404);
        };
        let page = match self.request.parameter("page").map(str::parse::<usize>) {
            None => 1,
            Some(Ok(page)) if page > 0 => page,
            Some(_) => return of_status(403),
        };
        if page > LAST_PAGE {
            return validation(path, "page", "00000", "The page is beyond the last one.");
        }
        let found = match self.found(kind) {
            Ok(found) => found,
            Err(refusal) => return refused(kind, refusal),
        };
        let by_ids = self.body["search"].get("ids").is_some();
        let limit = self.settings.largest_batch;
        if by_ids && limit > 0 && found.len() > limit {
            return of_status(500);
        }
        let size = self.settings.page_size;
        let total = found.len();
        let shown = if by_ids { &found[..] } else { self.page_of(&found, page, size) };
        // What was removed since it was found is missing, and nobody says so.
        let records: Vec<(Kind, Arc<Value>)> = shown
            .iter()
            .filter_map(|(kind, number)| Some((*kind, self.store.record(*kind, *number)?)))
            .collect();
        let records: Vec<(&str, &Value)> =
            records.iter().map(|(kind, record)| (kind.tag(), &**record)).collect();
        Answer::new(200, XML, xml::collection(kind.root(), page, size, total, &records))
    }

    pub(super) fn page_of<'b, T>(&self, found: &'b [T], page: usize, size: usize) -> &'b [T] {
        let last = found.len().div_ceil(size).max(1);
        let page = match self.settings.past_the_end {
            PastTheEnd::Repeat => page.min(last),
            PastTheEnd::Empty => page,
        };
        let start = ((page - 1) * size).min(found.len());
        &found[start..(start + size).min(found.len())]
    }

    /// What matches, newest first.
    fn found(&self, kind: Kind) -> Result<Vec<(Kind, usize)>, Refusal> {
        let search = self.body.get("search").unwrap_or(&Value::Null);
        let criteria = Criteria::read(kind, search)?;
        let fold = self.settings.fold_case;
        let mut found: Vec<(Kind, usize)> = matching(self.store, kind, &criteria, fold)
            .into_iter()
            .map(|number| (kind, number))
            .collect();
        // Without the type, all verifications are meant.
        if kind == Kind::Verification
            && !criteria.names("verification_type")
            && let Ok(criteria) = Criteria::read(Kind::BankVerification, search)
        {
            let others = matching(self.store, Kind::BankVerification, &criteria, fold);
            found.extend(others.into_iter().map(|number| (Kind::BankVerification, number)));
        }
        Ok(found)
    }

    fn merchant_accounts(&self) -> Answer {
        let accounts = small::merchant_accounts(&self.store.world);
        let page = self.request.parameter("page").and_then(|page| page.parse().ok()).unwrap_or(1);
        let shown: Vec<(&str, &Value)> = self
            .page_of(&accounts, usize::max(page, 1), ACCOUNTS_ON_A_PAGE)
            .iter()
            .map(|account| ("merchant-account", account))
            .collect();
        let total = accounts.len();
        let page = xml::collection("merchant-accounts", page, ACCOUNTS_ON_A_PAGE, total, &shown);
        Answer::new(200, XML, page)
    }

    /// Nothing is sold here; what is wrong with a sale is said.
    fn sale(&self) -> Answer {
        if self.body["transaction"].get("amount").is_none() {
            return validation("transaction", "amount", "81502", "Amount is required.");
        }
        validation("transaction", "base", "91500", "The emulator sells nothing.")
    }
}

fn refused(kind: Kind, refusal: Refusal) -> Answer {
    match refusal {
        // The SDKs do not read it; who looks at the traffic does.
        Refusal::Unknown(message) => Answer::new(403, "text/plain; charset=utf-8", message),
        Refusal::Invalid(message) => validation("search", kind.tag(), "00000", &message),
    }
}

impl Call<'_> {
    /// The answer to a search for ids that were found otherwise.
    pub(super) fn ids(&self, ids: &[&str]) -> Answer {
        let ids = &ids[..ids.len().min(self.settings.other_cap)];
        Answer::new(200, XML, xml::search_results(self.settings.page_size, ids))
    }

    /// The ids of the second step.
    pub(super) fn asked_ids(&self) -> Vec<String> {
        let ids = self.body["search"]["ids"].as_array();
        let ids = ids.map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    }
}

/// A page of `record`s that were asked for by their ids.
pub(super) fn fetched(root: &str, size: usize, records: &[(&str, &Value)]) -> Answer {
    Answer::new(200, XML, xml::collection(root, 1, size, records.len(), records))
}

/// A summary's answer.
pub(super) fn records(tag: &str, records: &[Value]) -> Answer {
    document(tag, &json!({"records": records}))
}
