//! Options of a Braintree server and its user mappings.

use crate::connectors::options::{Network, OptionError, unknown};
use crate::connectors::{Secret, is_segment, segment};

/// Which of Braintree's two gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Real money.
    Production,
    /// For tests.
    Sandbox,
}

/// Options of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What every API has.
    pub network: Network,
    /// The gateway.
    pub environment: Environment,
    /// The merchant's id.
    pub merchant_id: String,
    /// The most ids that a search for transactions lists. Only an emulator has another than the
    /// service's 50,000.
    pub transaction_cap: usize,
    /// The most ids that another search lists: 10,000.
    pub search_cap: usize,
}

const NAMES: [&str; 4] = ["environment", "merchant_id", "transaction_cap", "search_cap"];

impl Options {
    /// Parses the options of CREATE SERVER.
    pub fn parse<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Options, OptionError> {
        let mut network = Network::default();
        let mut environment = None;
        let mut merchant_id = None;
        let (mut transaction_cap, mut search_cap) = (50_000, 10_000);
        for (name, value) in options {
            match name {
                "environment" => environment = Some(parse_environment(value)?),
                "merchant_id" => merchant_id = Some(parse_merchant(value)?),
                "transaction_cap" => transaction_cap = parse_cap("transaction_cap", value)?,
                "search_cap" => search_cap = parse_cap("search_cap", value)?,
                name if network.take(name, value)? => {}
                name => return Err(unknown(name, &[&NAMES, &Network::NAMES])),
            }
        }
        let merchant_id = merchant_id.ok_or(OptionError::Missing { name: "merchant_id" })?;
        // Without either, whose money it is would be a guess.
        let environment = match (environment, &network.endpoint) {
            (Some(environment), _) => environment,
            (None, Some(_)) => Environment::Sandbox,
            (None, None) => return Err(OptionError::Missing { name: "environment" }),
        };
        Ok(Options { network, environment, merchant_id, transaction_cap, search_cap })
    }

    /// Where all paths begin.
    pub(super) fn base(&self) -> String {
        let host = match (&self.network.endpoint, self.environment) {
            (Some(endpoint), _) => endpoint.as_str(),
            (None, Environment::Production) => "https://api.braintreegateway.com",
            (None, Environment::Sandbox) => "https://api.sandbox.braintreegateway.com",
        };
        format!("{host}/merchants/{}", segment(&self.merchant_id))
    }
}

fn parse_environment(value: &str) -> Result<Environment, OptionError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "production" => Ok(Environment::Production),
        "sandbox" => Ok(Environment::Sandbox),
        _ => Err(OptionError::Malformed {
            name: "environment",
            expected: "'production' or 'sandbox'",
        }),
    }
}

fn parse_merchant(value: &str) -> Result<String, OptionError> {
    let id = value.trim();
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_segment(id) && plain {
        Ok(id.to_owned())
    } else {
        Err(OptionError::Malformed { name: "merchant_id", expected: "letters, digits, _ and -" })
    }
}

fn parse_cap(name: &'static str, value: &str) -> Result<usize, OptionError> {
    let cap = value.trim().parse().ok().filter(|cap| (1..=1_000_000).contains(cap));
    cap.ok_or(OptionError::Malformed { name, expected: "a whole number from 1 to 1000000" })
}

/// Options of a user mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The public key.
    pub public_key: Secret,
    /// The private key.
    pub private_key: Secret,
}

impl Credential {
    /// Parses the options of CREATE USER MAPPING.
    pub fn parse<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Credential, OptionError> {
        let (mut public_key, mut private_key) = (None, None);
        for (name, value) in options {
            match name {
                "public_key" => public_key = Some(Secret::new(value.trim())),
                "private_key" => private_key = Some(Secret::new(value.trim())),
                name => return Err(unknown(name, &[&["public_key", "private_key"]])),
            }
        }
        Ok(Credential {
            public_key: public_key.ok_or(OptionError::Missing { name: "public_key" })?,
            private_key: private_key.ok_or(OptionError::Missing { name: "private_key" })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_whose_it_is() {
        let parse =
            |options: &[(&'static str, &'static str)]| Options::parse(options.iter().copied());
        let options =
            parse(&[("merchant_id", "m1"), ("environment", "Production")]).expect("options");
        assert_eq!(options.base(), "https://api.braintreegateway.com/merchants/m1");
        assert_eq!(
            parse(&[("merchant_id", "m1")]),
            Err(OptionError::Missing { name: "environment" })
        );
        assert!(parse(&[("merchant_id", "../x"), ("environment", "sandbox")]).is_err());
        let error = parse(&[("merchantid", "m1")]).expect_err("unknown").to_string();
        assert!(error.contains("merchant_id"), "{error}");
    }

    #[test]
    fn keys_are_hidden() {
        let keys = [("public_key", "pubCANARY"), ("private_key", "privCANARY")];
        let credential = Credential::parse(keys).expect("keys");
        assert!(!format!("{credential:?}").contains("CANARY"));
        assert!(Credential::parse([("public_key", "x")]).is_err());
    }
}
