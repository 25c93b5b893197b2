//! Which API a server is.

use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;

/// An API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// `braintree_fdw`
    Braintree,
    /// `airtable_fdw`
    Airtable,
}

impl Vendor {
    /// All of them.
    pub const ALL: [Vendor; 2] = [Vendor::Braintree, Vendor::Airtable];

    /// The API of a server, by the handler of its wrapper: a wrapper may have any name.
    pub fn of_server(server: Oid) -> Result<Vendor> {
        let handler = catalog::handler_name(server);
        Vendor::ALL.into_iter().find(|vendor| vendor.handler() == handler).ok_or_else(|| {
            Error::new(
                Code::ERRCODE_WRONG_OBJECT_TYPE,
                format!("server \"{}\" is none of an HTTP API", catalog::server(server).name),
            )
            .hint("Servers of braintree_fdw and airtable_fdw are.")
        })
    }

    fn handler(self) -> &'static str {
        match self {
            Vendor::Braintree => "braintree_fdw_handler",
            Vendor::Airtable => "airtable_fdw_handler",
        }
    }

    /// The name of the API.
    pub fn name(self) -> &'static str {
        match self {
            Vendor::Braintree => "Braintree",
            Vendor::Airtable => "Airtable",
        }
    }
}
