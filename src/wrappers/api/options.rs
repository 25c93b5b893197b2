//! Options of servers, user mappings, tables and columns, checked when they are declared. The
//! connectors parse those that are theirs.

use super::error;
use super::vendor::Vendor;
use crate::pg::catalog::RawOption;
use crate::pg::error::{Error, Result};
use crate::privacy::policy::{Policy, Unclassified};
use pgrx::PgSqlErrorCode as Code;
use std::time::Duration;
use warehouse_core::connectors::airtable::{self, Airtable};
use warehouse_core::connectors::braintree::{self, Braintree};
use warehouse_core::connectors::{ApiError, Connector, OptionError, duration};
use warehouse_core::masks::Mask;
use warehouse_core::privacy::Class;

use crate::wrappers::replica::options::Owner;

/// The pairs of the options but for these names.
fn pairs<'o>(
    options: &'o [RawOption],
    without: &'static [&'static str],
) -> impl Iterator<Item = (&'o str, &'o str)> + Clone {
    options
        .iter()
        .filter(|option| !without.contains(&option.name.as_str()))
        .map(|option| (option.name.as_str(), option.value.as_str()))
}

/// Server options that are not the connector's.
const OURS: &[&str] = &["unclassified"];

/// Checks the options of one object as they are declared.
pub fn validate(vendor: Vendor, options: &[RawOption], owner: Owner) -> Result<()> {
    match owner {
        Owner::Wrapper => match options.first() {
            None => Ok(()),
            Some(option) => Err(invalid(&option.name, &[])),
        },
        Owner::Server => {
            let found = match vendor {
                Vendor::Braintree => braintree::Options::parse(pairs(options, OURS)).map(drop),
                Vendor::Airtable => airtable::Options::parse(pairs(options, OURS)).map(drop),
            };
            found.map_err(|error| misplaced(vendor, error))?;
            unclassified(options)
        }
        Owner::Mapping => match vendor {
            Vendor::Braintree => braintree::Credential::parse(pairs(options, &[])).map(drop),
            Vendor::Airtable => airtable::Credential::parse(pairs(options, &[])).map(drop),
        }
        .map_err(error::option),
        Owner::Table => match vendor {
            Vendor::Braintree => BraintreeTable::parse(options).map(drop),
            Vendor::Airtable => airtable_table(options).map(drop),
        },
        Owner::Column => options.iter().try_for_each(|option| column(vendor, option)),
    }
}

/// A credential among the options of a server belongs elsewhere.
fn misplaced(vendor: Vendor, error: OptionError) -> Error {
    let names: &[&str] = match vendor {
        Vendor::Braintree => &["public_key", "private_key"],
        Vendor::Airtable => &["token"],
    };
    match &error {
        OptionError::Unknown { name, .. } if names.contains(&name.as_str()) => {
            error::option(error.clone()).hint(format!(
                "Credentials belong to the user mapping: CREATE USER MAPPING … OPTIONS ({name} …)."
            ))
        }
        OptionError::Unknown { name, valid } => {
            let mut valid = valid.clone();
            valid.extend(OURS);
            error::option(OptionError::Unknown { name: name.clone(), valid })
        }
        _ => error::option(error),
    }
}

fn invalid(name: &str, valid: &[&'static str]) -> Error {
    error::option(OptionError::Unknown { name: name.to_owned(), valid: valid.to_vec() })
}

fn malformed(name: &str, expected: &str) -> Error {
    Error::new(
        Code::ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
        format!("invalid value for option \"{name}\": {expected}"),
    )
}

fn unclassified(options: &[RawOption]) -> Result<()> {
    match options.iter().find(|option| option.name == "unclassified") {
        Some(option) if Unclassified::parse(&option.value).is_none() => {
            Err(malformed("unclassified", "null, error or clear is needed"))
        }
        _ => Ok(()),
    }
}

fn column(vendor: Vendor, option: &RawOption) -> Result<()> {
    let name = option.name.as_str();
    match (vendor, name) {
        (_, "class") => option
            .value
            .parse::<Class>()
            .map(drop)
            .map_err(|error| malformed(name, &error.to_string())),
        (_, "mask") => option
            .value
            .parse::<Mask>()
            .map(drop)
            .map_err(|error| malformed(name, &error.to_string())),
        (Vendor::Airtable, "field_id" | "field_type" | "field_name") => Ok(()),
        (Vendor::Airtable, _) => {
            Err(invalid(name, &["class", "field_id", "field_name", "field_type", "mask"]))
        }
        (Vendor::Braintree, _) => Err(invalid(name, &["class", "mask"])),
    }
}

/// Options of a foreign table of Braintree.
#[derive(Debug, Clone, Default)]
pub struct BraintreeTable {
    /// Its name in the catalogue; its name here unless set.
    pub table_name: Option<String>,
    /// How long answers may be reused, where it differs from the server.
    pub cache_ttl: Option<Duration>,
}

impl BraintreeTable {
    /// Parses them.
    pub fn parse(options: &[RawOption]) -> Result<BraintreeTable> {
        let mut out = BraintreeTable::default();
        for option in options {
            match option.name.as_str() {
                "table_name" => {
                    if !braintree::tables().iter().any(|table| table.name == option.value) {
                        return Err(malformed("table_name", "Braintree has no such table"));
                    }
                    out.table_name = Some(option.value.clone());
                }
                "cache_ttl" => {
                    let ttl = duration("cache_ttl", &option.value).map_err(error::option)?;
                    out.cache_ttl = Some(ttl);
                }
                name => return Err(invalid(name, &["cache_ttl", "table_name"])),
            }
        }
        Ok(out)
    }
}

/// Options of a foreign table of Airtable.
pub fn airtable_table(options: &[RawOption]) -> Result<airtable::TableOptions> {
    airtable::TableOptions::parse(pairs(options, &[])).map_err(error::option)
}

/// Options of an Airtable server.
pub fn airtable_server(options: &[RawOption]) -> Result<airtable::Options> {
    airtable::Options::parse(pairs(options, OURS)).map_err(error::option)
}

/// How long answers of a server may be reused.
pub fn cache_ttl(vendor: Vendor, options: &[RawOption]) -> Result<Duration> {
    let network = match vendor {
        Vendor::Braintree => {
            braintree::Options::parse(pairs(options, OURS)).map(|options| options.network)
        }
        Vendor::Airtable => {
            airtable::Options::parse(pairs(options, OURS)).map(|options| options.network)
        }
    };
    Ok(network.map_err(error::option)?.cache_ttl)
}

/// How columns without a class read.
pub fn of_unclassified(options: &[RawOption]) -> Unclassified {
    let found = options.iter().find(|option| option.name == "unclassified");
    found.and_then(|option| Unclassified::parse(&option.value)).unwrap_or_default()
}

/// The policy of a column.
pub fn policy(options: &[RawOption]) -> Policy {
    let get = |name: &str| options.iter().find(|o| o.name == name).map(|o| o.value.clone());
    Policy { class: get("class"), mask: get("mask") }
}

/// A connector that can ask.
#[derive(Debug, Clone)]
pub enum Api {
    /// Braintree.
    Braintree(Braintree),
    /// Airtable.
    Airtable(Airtable),
}

impl Api {
    /// From the options of a server and a user mapping. Without a mapping it can plan, not ask.
    pub fn new(
        vendor: Vendor,
        server: &[RawOption],
        mapping: Option<&[RawOption]>,
    ) -> std::result::Result<Api, ApiError> {
        let given = |name: &'static str| [(name, "none")];
        Ok(match vendor {
            Vendor::Braintree => {
                let credential = match mapping {
                    Some(options) => braintree::Credential::parse(pairs(options, &[]))?,
                    None => braintree::Credential::parse(
                        given("public_key").into_iter().chain(given("private_key")),
                    )?,
                };
                let options = braintree::Options::parse(pairs(server, OURS))?;
                Api::Braintree(Braintree::new(options, credential)?)
            }
            Vendor::Airtable => {
                let credential = match mapping {
                    Some(options) => airtable::Credential::parse(pairs(options, &[]))?,
                    None => airtable::Credential::parse(given("token"))?,
                };
                let options = airtable::Options::parse(pairs(server, OURS))?;
                Api::Airtable(Airtable::new(options, credential)?)
            }
        })
    }

    /// What it does for queries.
    pub fn connector(&self) -> &dyn Connector {
        match self {
            Api::Braintree(braintree) => braintree,
            Api::Airtable(airtable) => airtable,
        }
    }
}
