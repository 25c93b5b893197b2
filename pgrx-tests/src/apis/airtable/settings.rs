//! What an emulator of Airtable is started with, and how it behaves.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What is generated, and who may ask for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides all records.
    pub seed: u64,
    /// The token that a client has to show.
    pub token: String,
    /// How many records the table `Contacts` has: plain fields, as many records as wanted.
    pub contacts: usize,
    /// How many the table `Everything` has: every type of field.
    pub everything: usize,
    /// Tables that are told instead of generated, each in a base of its own behind the others.
    pub told: Vec<Told>,
}

/// A table that is told, and its base.
#[derive(Debug, Clone)]
pub struct Told {
    /// The name of the base.
    pub base: String,
    /// The name of the table.
    pub table: String,
    /// What it is about.
    pub description: &'static str,
    /// Names, types and options of the fields; the first is the primary one.
    pub fields: Vec<(&'static str, &'static str, Value)>,
    /// When each record was created, in milliseconds since 1970, and its cells in the order of the
    /// fields; a blank one is `None`.
    pub records: Vec<(i64, Vec<Option<Value>>)>,
}

impl Options {
    /// So many contacts, and some hundred records with every type of field.
    pub fn sized(contacts: usize, seed: u64) -> Options {
        Options {
            seed,
            token: "patEmulator.0123456789".to_owned(),
            contacts,
            everything: 260,
            told: Vec::new(),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::sized(340, 7)
    }
}

/// How the service behaves where it can be one or the other.
#[derive(Debug, Clone)]
pub struct Settings {
    /// More requests to a base in a second get 429; 0 is no limit.
    pub requests_per_second: usize,
    /// More requests of the token in a second get 429; 0 is no limit.
    pub requests_of_token: usize,
    /// So long after that, every request gets 429.
    pub penalty: Duration,
    /// So long an offset is good.
    pub offset_lifetime: Duration,
    /// So many bases are on a page.
    pub bases_on_a_page: usize,
    /// Whether `=` on text in a formula disregards case; what the service does is not known.
    pub fold_case: bool,
    /// Whether a blank counts as 0 next to a number in a formula.
    pub blank_is_zero: bool,
    /// Whether a formula may name fields by their ids.
    pub ids_in_formulas: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            requests_per_second: 5,
            requests_of_token: 50,
            penalty: Duration::from_secs(30),
            offset_lifetime: Duration::from_secs(300),
            bases_on_a_page: 2,
            fold_case: false,
            blank_is_zero: true,
            ids_in_formulas: false,
        }
    }
}

impl Settings {
    /// The same without any limit on requests, for readers that do not keep to one.
    pub fn unlimited() -> Settings {
        Settings { requests_per_second: 0, requests_of_token: 0, ..Settings::default() }
    }

    /// Takes members with the names of the fields; `penalty_ms` and `offset_lifetime_ms` in
    /// milliseconds.
    pub(super) fn read(&mut self, members: &Value) -> Result<()> {
        for (name, value) in members.as_object().context("`settings` is not an object")? {
            let number = || value.as_u64().with_context(|| format!("{name} is not a number"));
            let flag = || value.as_bool().with_context(|| format!("{name} is true or false"));
            let size = || -> Result<usize> { Ok(usize::try_from(number()?)?) };
            match name.as_str() {
                "requests_per_second" => self.requests_per_second = size()?,
                "requests_of_token" => self.requests_of_token = size()?,
                "penalty_ms" => self.penalty = Duration::from_millis(number()?),
                "offset_lifetime_ms" => self.offset_lifetime = Duration::from_millis(number()?),
                "bases_on_a_page" => self.bases_on_a_page = size()?.max(1),
                "fold_case" => self.fold_case = flag()?,
                "blank_is_zero" => self.blank_is_zero = flag()?,
                "ids_in_formulas" => self.ids_in_formulas = flag()?,
                _ => bail!("there is no setting {name}"),
            }
        }
        Ok(())
    }
}
