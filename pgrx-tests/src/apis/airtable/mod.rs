//! An emulator of Airtable's web API.
//!
//! It reads and writes records, tells schemas, and keeps the limits on requests, of which the
//! penalty can be made shorter. Formulas are worked out honestly, and what is not known is refused.
//!
//! [`Api::change`] takes, for a table by name or id: `{"remove": TABLE, "id": …}`, `{"update":
//! TABLE, "id": …, "fields": {…}, "modified": …}`, `{"rename_field": TABLE, "field": …, "name": …}`,
//! `{"drop_field": TABLE, "field": …}`, `{"rename_table": TABLE, "name": …}`; and `{"expire_offsets":
//! true}` and `{"settings": {…}}` with the members of [`Settings`]. Named answers are the error types
//! of the service with status 422, among them `LIST_RECORDS_ITERATOR_NOT_AVAILABLE`.
//!
//! Records of [`Api::each`] are `bases`, `schema` (one object a base), `comments`, and
//! `BASE/TABLE` by ids or names: records with the fields by name, `fieldsById`, and `commentCount`.

mod cells;
mod changes;
mod data;
mod formula;
mod listing;
mod refusal;
mod settings;
mod write;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::exchange::{Answer, Request};
use super::limit::RateLimit;
use super::server::Api;
use cells::Showing;
use data::{BASES, Base, Table};
use listing::{Listings, Parameters};
pub use settings::{Options, Settings, Told};

/// The emulated service.
#[derive(Debug)]
pub struct Airtable {
    options: Options,
    settings: RwLock<Settings>,
    bases: RwLock<Vec<Base>>,
    listings: Listings,
    limit: RateLimit,
}

impl Airtable {
    /// A service with generated records.
    pub fn new(options: Options) -> Airtable {
        Airtable {
            bases: RwLock::new(data::bases(&options)),
            options,
            settings: RwLock::default(),
            listings: Listings::default(),
            limit: RateLimit::default(),
        }
    }

    /// What it was started with: among others the token that a client has to show.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The id of the base with tables.
    pub fn base(&self) -> String {
        self.bases()[0].id.clone()
    }

    /// How it behaves.
    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes it behave otherwise.
    pub fn set(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    fn bases(&self) -> RwLockReadGuard<'_, Vec<Base>> {
        self.bases.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn bases_mut(&self) -> RwLockWriteGuard<'_, Vec<Base>> {
        self.bases.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn routed(&self, request: &Request, path: &[&str]) -> Result<Answer, Answer> {
        let settings = self.settings();
        let base = match path {
            ["meta", "bases", base, ..] => Some(*base),
            ["meta", ..] => None,
            [base, ..] => Some(*base),
            [] => return Err(refusal::of_status(404)),
        };
        let allowed = |key: &str, most| self.limit.allows(key, most, settings.penalty);
        let of_base = base.is_none_or(|base| allowed(base, settings.requests_per_second));
        if !of_base || !allowed("", settings.requests_of_token) {
            return Err(refusal::of_status(429));
        }
        match (request.method.as_str(), path) {
            ("GET", ["meta", "whoami"]) => Ok(Answer::json(
                200,
                &json!({
                    "id": "usr00000000000001",
                    "email": "user1@example.com",
                    "scopes": ["data.records:read", "schema.bases:read", "data.recordComments:read"],
                }),
            )),
            ("GET", ["meta", "bases"]) => self.list_bases(request, &settings),
            ("GET", ["meta", "bases", base, "tables"]) => {
                let bases = self.bases();
                let base = &bases[known_base(&bases, base)?];
                let visible = request.query.iter().any(|(name, value)| {
                    name.starts_with("include") && value.contains("visibleFieldIds")
                });
                let tables: Vec<Value> =
                    base.tables.iter().map(|table| table.to_json(visible)).collect();
                Ok(Answer::json(200, &json!({"tables": tables})))
            }
            (_, ["meta", ..]) => Err(refusal::of_status(404)),
            ("GET", [base, table]) => {
                let parameters = Parameters::read(request, None)?;
                self.list(base, table, &parameters, &settings)
            }
            ("POST", [base, table, "listRecords"]) => {
                let body = body(request)?;
                let parameters = Parameters::read(request, Some(&body))?;
                self.list(base, table, &parameters, &settings)
            }
            ("GET", [base, table, record]) => self.one(request, base, table, record),
            (_, [base, table, record, "comments", rest @ ..]) if rest.len() < 2 => {
                let body = body(request)?;
                let mut bases = self.bases_mut();
                let base = known_base(&bases, base)?;
                may_write(&bases[base], request, "comment")?;
                let at = known_table(&bases[base], table)?;
                let table = &mut bases[base].tables[at];
                write::comments(table, request, record, rest.first().copied(), &body)
            }
            (_, [base, table, record @ ..]) if record.len() < 2 => {
                let body = body(request)?;
                let mut bases = self.bases_mut();
                let base = known_base(&bases, base)?;
                may_write(&bases[base], request, "edit")?;
                let at = known_table(&bases[base], table)?;
                let tables = &mut bases[base].tables;
                write::answer(tables, at, request, record.first().copied(), &body)
            }
            _ => Err(refusal::of_status(404)),
        }
    }

    fn list_bases(&self, request: &Request, settings: &Settings) -> Result<Answer, Answer> {
        let bases = self.bases();
        let start = match request.parameter("offset") {
            None => 0,
            Some(offset) => {
                let id = offset.strip_prefix("itr/");
                let place = bases.iter().position(|base| Some(base.id.as_str()) == id);
                place.ok_or_else(|| refusal::invalid("offset"))?
            }
        };
        let end = (start + settings.bases_on_a_page).min(bases.len());
        let shown: Vec<Value> = bases[start..end].iter().map(base_json).collect();
        let mut answer = json!({"bases": shown});
        if let Some(next) = bases.get(end) {
            answer["offset"] = json!(format!("itr/{}", next.id));
        }
        Ok(Answer::json(200, &answer))
    }

    fn list(
        &self,
        base: &str,
        table: &str,
        parameters: &Parameters,
        settings: &Settings,
    ) -> Result<Answer, Answer> {
        let bases = self.bases();
        let base = &bases[known_base(&bases, base)?];
        let table = &base.tables[known_table(base, table)?];
        self.listings.page(base, table, parameters, settings)
    }

    fn one(&self, request: &Request, base: &str, table: &str, id: &str) -> Result<Answer, Answer> {
        let parameters = Parameters::read(request, None)?;
        let bases = self.bases();
        let base = &bases[known_base(&bases, base)?];
        let table = &base.tables[known_table(base, table)?];
        let showing = parameters.showing(table)?;
        let record = table.record(id).ok_or_else(|| refusal::of_status(404))?;
        Ok(Answer::json(200, &showing.record(&base.tables, table, record)))
    }
}

fn base_json(base: &Base) -> Value {
    json!({"id": base.id, "name": base.name, "permissionLevel": base.permission})
}

fn body(request: &Request) -> Result<Value, Answer> {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    let wrong = |_| refusal::typed(422, "INVALID_REQUEST_BODY", "Could not parse request body");
    serde_json::from_slice(&request.body).map_err(wrong)
}

/// A base that may be read. One that does not exist looks like one that may not.
fn known_base(bases: &[Base], id: &str) -> Result<usize, Answer> {
    let place = bases.iter().position(|base| base.id == id && base.permission != "none");
    place.ok_or_else(|| refusal::of_status(403))
}

fn known_table(base: &Base, name: &str) -> Result<usize, Answer> {
    let by_id = base.tables.iter().position(|table| table.id == name);
    let place = by_id.or_else(|| base.tables.iter().position(|table| table.name == name));
    place.ok_or_else(|| refusal::of_status(403))
}

fn may_write(base: &Base, request: &Request, least: &str) -> Result<(), Answer> {
    let levels = ["none", "read", "comment", "edit", "create"];
    let rank = |level: &str| levels.iter().position(|known| *known == level);
    if request.method != "GET" && rank(base.permission) < rank(least) {
        return Err(refusal::of_status(403));
    }
    Ok(())
}

impl Api for Airtable {
    fn answer(&self, request: &Request) -> Answer {
        let token = request.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        match token {
            None => return refusal::of_status(401),
            Some(token) if token != self.options.token => return refusal::wrong_token(),
            Some(_) => {}
        }
        match request.path().as_slice() {
            ["v0", path @ ..] => self.routed(request, path).unwrap_or_else(|refused| refused),
            _ => refusal::of_status(404),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        refusal::of_status(status)
    }

    fn named(&self, name: &str) -> Option<Answer> {
        let is_type = name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
        is_type.then(|| refusal::typed(422, name, "The emulator answers so because it was told to"))
    }

    fn change(&self, change: &Value) -> Result<()> {
        if change.get("expire_offsets").is_some() {
            self.listings.expire();
            return Ok(());
        }
        if let Some(members) = change.get("settings") {
            let mut settings = self.settings();
            settings.read(members)?;
            self.set(settings);
            return Ok(());
        }
        if !changes::carry_out(&mut self.bases_mut(), change)? {
            bail!("a change is one of those that the module describes");
        }
        Ok(())
    }

    fn kinds(&self) -> Vec<String> {
        let mut kinds = vec!["bases".to_owned(), "schema".to_owned(), "comments".to_owned()];
        let bases = self.bases();
        for base in bases.iter() {
            kinds.extend(base.tables.iter().map(|table| format!("{}/{}", base.id, table.id)));
        }
        kinds
    }

    fn each(&self, kind: &str, show: &mut dyn FnMut(&Value)) -> Result<()> {
        let bases = self.bases();
        match kind {
            "bases" => bases.iter().for_each(|base| show(&base_json(base))),
            "schema" => {
                for base in bases.iter().filter(|base| base.permission != "none") {
                    let tables: Vec<Value> =
                        base.tables.iter().map(|table| table.to_json(true)).collect();
                    show(&json!({"id": base.id, "tables": tables}));
                }
            }
            "comments" => {
                for (table, record) in bases.iter().flat_map(|it| &it.tables).flat_map(|table| {
                    table.records.iter().flatten().map(move |record| (table, record))
                }) {
                    for comment in &record.comments {
                        let mut comment = comment.clone();
                        comment["recordId"] = json!(record.id);
                        comment["tableId"] = json!(table.id);
                        show(&comment);
                    }
                }
            }
            _ => {
                let (base, table) = kind.split_once('/').with_context(|| format!("no {kind}"))?;
                let base = bases.iter().find(|it| it.id == base || it.name == base);
                let base = base.with_context(|| format!("no base of {kind}"))?;
                let found = base.tables.iter().find(|it| it.id == table || it.name == table);
                show_records(base, found.with_context(|| format!("no table of {kind}"))?, show);
            }
        }
        Ok(())
    }
}

fn show_records(base: &Base, table: &Table, show: &mut dyn FnMut(&Value)) {
    let by_name = Showing { with_comment_count: true, ..Showing::default() };
    let by_id = Showing { by_id: true, ..Showing::default() };
    for record in table.records.iter().flatten() {
        let mut shown = by_name.record(&base.tables, table, record);
        shown["fieldsById"] = by_id.record(&base.tables, table, record)["fields"].take();
        show(&shown);
    }
}

/// The names of the bases, the one with tables first.
pub fn base_names() -> Vec<&'static str> {
    BASES.iter().map(|(name, _)| *name).collect()
}
