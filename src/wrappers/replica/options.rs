//! The options of `replica_fdw`, parsed once and checked when they are declared.

use super::keys::{self, Index};
use crate::pg::catalog::RawOption;
use crate::pg::error::{Error, Result};
use crate::pg::libpq;
use crate::pg::types;
use crate::privacy::policy::{Policy, Unclassified};
use pgrx::{PgSqlErrorCode, pg_sys};
use std::collections::BTreeSet;
use std::time::Duration;
use warehouse_core::masks::Mask;
use warehouse_core::privacy::Class;

/// Which object an option belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// CREATE FOREIGN DATA WRAPPER.
    Wrapper,
    /// CREATE SERVER.
    Server,
    /// CREATE USER MAPPING.
    Mapping,
    /// CREATE FOREIGN TABLE.
    Table,
    /// A column of a foreign table.
    Column,
}

impl Owner {
    /// From the catalog whose row is validated.
    pub fn of_catalog(catalog: pg_sys::Oid) -> Option<Owner> {
        Some(match catalog {
            pg_sys::ForeignDataWrapperRelationId => Owner::Wrapper,
            pg_sys::ForeignServerRelationId => Owner::Server,
            pg_sys::UserMappingRelationId => Owner::Mapping,
            pg_sys::ForeignTableRelationId => Owner::Table,
            pg_sys::AttributeRelationId => Owner::Column,
            _ => return None,
        })
    }

    fn label(self) -> &'static str {
        match self {
            Owner::Wrapper => "a foreign data wrapper",
            Owner::Server => "a server",
            Owner::Mapping => "a user mapping",
            Owner::Table => "a foreign table",
            Owner::Column => "a column",
        }
    }

    fn valid(self) -> BTreeSet<String> {
        let fixed = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        match self {
            Owner::Wrapper => BTreeSet::new(),
            Owner::Server => libpq::keywords()
                .into_iter()
                .filter(|(name, secret)| !secret && !is_ours(name) && !is_credential(name))
                .map(|(name, _)| name)
                .chain(
                    [
                        "extensions",
                        "fdw_startup_cost",
                        "fdw_tuple_cost",
                        "max_connections",
                        "unclassified",
                    ]
                    .map(str::to_owned),
                )
                .collect(),
            Owner::Mapping => libpq::keywords()
                .into_iter()
                .filter(|(name, secret)| (*secret || is_credential(name)) && !is_ours(name))
                .map(|(name, _)| name)
                .chain(["password_required".to_owned()])
                .collect(),
            Owner::Table => {
                fixed(&["schema_name", "table_name", "remote_collation", "indexes", "foreign_keys"])
            }
            Owner::Column => fixed(&[
                "class",
                "column_name",
                "constant",
                "enum_type",
                "mask",
                "missing",
                "remote_type",
                "source_collation",
            ]),
        }
    }
}

/// Keywords the wrapper sets itself.
fn is_ours(name: &str) -> bool {
    matches!(name, "client_encoding" | "fallback_application_name" | "replication")
}

/// Keywords that say who connects: they belong to the user mapping.
fn is_credential(name: &str) -> bool {
    matches!(name, "user" | "password" | "passfile" | "sslcert" | "sslkey" | "sslpassword")
}

/// Checks the options of one object as they are declared.
pub fn validate(options: &[RawOption], owner: Owner) -> Result<()> {
    let valid = owner.valid();
    for option in options {
        if !valid.contains(&option.name) {
            let names: Vec<&str> = valid.iter().map(String::as_str).collect();
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_FDW_INVALID_OPTION_NAME,
                format!("invalid option \"{}\" for {}", option.name, owner.label()),
            )
            .hint(match owner {
                Owner::Server if is_credential(&option.name) => format!(
                    "Who connects belongs to the user mapping: CREATE USER MAPPING … OPTIONS ({} …).",
                    option.name
                ),
                _ if names.is_empty() => "There are no valid options here.".to_owned(),
                _ => format!("Valid options here are: {}.", names.join(", ")),
            }));
        }
        check_value(option, owner)?;
    }
    if owner == Owner::Column && options.iter().any(|o| o.name == "constant") && options.len() > 1 {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
            "a column with the option \"constant\" takes no other option",
        )
        .hint("A constant column does not exist at the source."));
    }
    Ok(())
}

fn check_value(option: &RawOption, owner: Owner) -> Result<()> {
    let invalid = |what: &str| {
        Error::new(
            PgSqlErrorCode::ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
            format!("invalid value for option \"{}\": {what}", option.name),
        )
    };
    match option.name.as_str() {
        "fdw_startup_cost" | "fdw_tuple_cost" => match option.value.parse::<f64>() {
            Ok(cost) if cost.is_finite() && cost >= 0.0 => Ok(()),
            _ => Err(invalid("a number of at least 0 is needed")),
        },
        "extensions" => {
            let missing =
                names(&option.value).into_iter().find(|name| types::extension(name).is_none());
            match missing {
                None => Ok(()),
                Some(name) => Err(invalid(&format!("extension \"{name}\" is not installed here"))
                    .hint("Install here, in the version of the source, what the source has.")),
            }
        }
        "max_connections" => match option.value.parse::<u32>() {
            Ok(1..=4096) => Ok(()),
            _ => Err(invalid("a number from 1 to 4096 is needed")
                .hint("Without the option, warehouse.max_connections_per_server says how many.")),
        },
        "connect_timeout" => match option.value.parse::<u32>() {
            Ok(1..=3600) => Ok(()),
            _ => Err(invalid("a number of seconds from 1 to 3600 is needed")),
        },
        // libpq may take such a name for a whole connection string, secrets included.
        "dbname" if option.value.contains("://") || option.value.contains('=') => {
            Err(invalid("the name of a database is needed, not a connection string"))
        }
        "missing" | "password_required" if parse_bool(&option.value).is_none() => {
            Err(invalid("true or false is needed"))
        }
        "password_required" | "sslcert" | "sslkey" | "passfile" if owner == Owner::Mapping => {
            let harmless =
                option.name == "password_required" && parse_bool(&option.value) == Some(true);
            // SAFETY: a plain question about the current user.
            if harmless || unsafe { pg_sys::superuser() } {
                Ok(())
            } else {
                Err(Error::new(
                    PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                    format!("only a superuser may set the option \"{}\"", option.name),
                )
                .hint("It would let a role connect with the credentials of the server's operating system user."))
            }
        }
        "column_name" | "table_name" | "schema_name" | "remote_type" | "enum_type"
            if option.value.is_empty() =>
        {
            Err(invalid("a name is needed"))
        }
        "indexes" => keys::parse_indexes(&option.value)
            .map(drop)
            .map_err(|error| invalid(&format!("import writes it, as JSON ({error})"))),
        "foreign_keys" => keys::parse_foreign_keys(&option.value)
            .map(drop)
            .map_err(|error| invalid(&format!("import writes it, as JSON ({error})"))),
        "remote_type" | "enum_type" => check_type_name(&option.value)
            .map_err(|()| invalid("a type name as format_type() prints it is needed")),
        "unclassified" if Unclassified::parse(&option.value).is_none() => {
            Err(invalid("null, error or clear is needed"))
        }
        "class" => {
            option.value.parse::<Class>().map(drop).map_err(|error| invalid(&error.to_string()))
        }
        "mask" => {
            option.value.parse::<Mask>().map(drop).map_err(|error| invalid(&error.to_string()))
        }
        _ => Ok(()),
    }
}

/// The names in a list with commas.
fn names(list: &str) -> Vec<String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.trim_matches('"').to_owned()).collect()
}

/// `remote_type` says that the source casts; only what can be a type name passes.
fn check_type_name(text: &str) -> std::result::Result<(), ()> {
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            c if c.is_alphanumeric() || " _.,()[]$".contains(c) => {}
            _ => return Err(()),
        }
    }
    if quoted { Err(()) } else { Ok(()) }
}

/// A boolean as Postgres reads it in an option.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" | "t" => Some(true),
        "false" | "off" | "no" | "0" | "f" => Some(false),
        _ => None,
    }
}

/// The options of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// libpq keywords and values, `connect_timeout` aside.
    pub keywords: Vec<(String, String)>,
    /// How long connecting may take in all; 5 s unless set.
    pub connect_timeout: Duration,
    /// Connections that all sessions together may have; the setting's number unless set.
    pub max_connections: Option<u32>,
    /// Extensions that the source has too: what they define may be sent.
    pub extensions: Vec<String>,
    /// How columns without a class read.
    pub unclassified: Unclassified,
    /// Planner cost of starting a scan; 100 unless set.
    pub startup_cost: f64,
    /// Planner cost of moving one row; 0.05 unless set.
    pub tuple_cost: f64,
}

impl ServerOptions {
    /// From the catalog.
    pub fn parse(options: &[RawOption]) -> ServerOptions {
        let mut out = ServerOptions {
            keywords: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            max_connections: None,
            extensions: Vec::new(),
            unclassified: Unclassified::default(),
            startup_cost: 100.0,
            tuple_cost: 0.05,
        };
        for option in options {
            match option.name.as_str() {
                "connect_timeout" => {
                    if let Ok(seconds) = option.value.parse() {
                        out.connect_timeout = Duration::from_secs(seconds);
                    }
                }
                "extensions" => out.extensions = names(&option.value),
                "unclassified" => {
                    out.unclassified = Unclassified::parse(&option.value).unwrap_or_default();
                }
                "max_connections" => out.max_connections = option.value.parse().ok(),
                "fdw_startup_cost" => out.startup_cost = option.value.parse().unwrap_or(100.0),
                "fdw_tuple_cost" => out.tuple_cost = option.value.parse().unwrap_or(0.05),
                _ => out.keywords.push((option.name.clone(), option.value.clone())),
            }
        }
        out
    }
}

/// The options of a user mapping.
#[derive(Clone)]
pub struct MappingOptions {
    /// libpq keywords and values, secrets among them: never print them.
    pub keywords: Vec<(String, String)>,
    /// Whether a role that is no superuser has to authenticate with a password.
    pub password_required: bool,
    /// Whether the mapping carries a password.
    pub has_password: bool,
}

impl MappingOptions {
    /// From the catalog.
    pub fn parse(options: &[RawOption]) -> MappingOptions {
        let mut out =
            MappingOptions { keywords: Vec::new(), password_required: true, has_password: false };
        for option in options {
            if option.name == "password_required" {
                out.password_required = parse_bool(&option.value).unwrap_or(true);
            } else {
                out.has_password |= option.name == "password" && !option.value.is_empty();
                out.keywords.push((option.name.clone(), option.value.clone()));
            }
        }
        out
    }
}

/// The options of a foreign table.
#[derive(Debug, Clone, Default)]
pub struct TableOptions {
    /// Its schema at the source; the local one unless set.
    pub schema_name: Option<String>,
    /// Its name at the source; the local one unless set.
    pub table_name: Option<String>,
    /// The source's default collation as it was at import (see [`super::collation`]).
    pub remote_collation: Option<String>,
    /// The source's indexes as they were at import.
    pub indexes: Vec<Index>,
}

impl TableOptions {
    /// From the catalog.
    pub fn parse(options: &[RawOption]) -> TableOptions {
        let get = |name: &str| options.iter().find(|o| o.name == name).map(|o| o.value.clone());
        TableOptions {
            schema_name: get("schema_name"),
            table_name: get("table_name"),
            remote_collation: get("remote_collation"),
            indexes: get("indexes")
                .and_then(|text| keys::parse_indexes(&text).ok())
                .unwrap_or_default(),
        }
    }
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnSource {
    /// A column of the source.
    Remote {
        /// Its name there.
        name: String,
        /// Its type there, if it is another than here: the source casts.
        remote_type: Option<String>,
        /// The enum type that it has there.
        enum_type: Option<String>,
        /// It collates there by another collation than the database's: compared, it is collated anew.
        collates_otherwise: bool,
    },
    /// The same text for every row (read by the type's input function).
    Constant(String),
    /// NULL for every row: this source lacks the column.
    Missing,
}

impl ColumnSource {
    /// From the catalog.
    pub fn parse(options: &[RawOption], local_name: &str) -> ColumnSource {
        let get = |name: &str| options.iter().find(|o| o.name == name).map(|o| o.value.clone());
        if let Some(constant) = get("constant") {
            ColumnSource::Constant(constant)
        } else if get("missing").as_deref().and_then(parse_bool) == Some(true) {
            ColumnSource::Missing
        } else {
            ColumnSource::Remote {
                name: get("column_name").unwrap_or_else(|| local_name.to_owned()),
                remote_type: get("remote_type"),
                enum_type: get("enum_type"),
                collates_otherwise: get("source_collation").is_some(),
            }
        }
    }
}

/// The policy of a column.
pub fn policy(options: &[RawOption]) -> Policy {
    let get = |name: &str| options.iter().find(|o| o.name == name).map(|o| o.value.clone());
    Policy { class: get("class"), mask: get("mask") }
}
