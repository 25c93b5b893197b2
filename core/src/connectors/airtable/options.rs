//! Options of an Airtable server and its user mappings.

use crate::connectors::Secret;
use crate::connectors::catalogue::OnError;
use crate::connectors::options::{Network, OptionError, duration, unknown};
use std::time::Duration;

/// Options of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What every API has.
    pub network: Network,
    /// What the error of a formula becomes.
    pub on_formula_error: OnError,
    /// Whether a checkbox that is not ticked is NULL instead of false: the API does not tell.
    pub unticked_is_null: bool,
    /// How long to wait after "too many requests". Only an emulator has another than 30 s.
    pub penalty: Option<Duration>,
}

const NAMES: [&str; 3] = ["on_formula_error", "unticked_checkbox", "rate_limit_penalty"];

impl Options {
    /// Parses the options of CREATE SERVER.
    pub fn parse<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Options, OptionError> {
        let mut out = Options {
            network: Network::default(),
            on_formula_error: OnError::Null,
            unticked_is_null: false,
            penalty: None,
        };
        for (name, value) in options {
            match name {
                "on_formula_error" => out.on_formula_error = on_formula_error(value)?,
                "unticked_checkbox" => out.unticked_is_null = unticked(value)?,
                "rate_limit_penalty" => out.penalty = Some(duration("rate_limit_penalty", value)?),
                name if out.network.take(name, value)? => {}
                name => return Err(unknown(name, &[&NAMES, &Network::NAMES])),
            }
        }
        Ok(out)
    }
}

fn on_formula_error(value: &str) -> Result<OnError, OptionError> {
    match value.trim() {
        "null" => Ok(OnError::Null),
        "error" => Ok(OnError::Error),
        _ => {
            Err(OptionError::Malformed { name: "on_formula_error", expected: "'null' or 'error'" })
        }
    }
}

fn unticked(value: &str) -> Result<bool, OptionError> {
    match value.trim() {
        "false" => Ok(false),
        "null" => Ok(true),
        _ => {
            Err(OptionError::Malformed { name: "unticked_checkbox", expected: "'false' or 'null'" })
        }
    }
}

/// Options of a user mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// A personal access token.
    pub token: Secret,
}

impl Credential {
    /// Parses the options of CREATE USER MAPPING.
    pub fn parse<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Credential, OptionError> {
        let mut token = None;
        for (name, value) in options {
            match name {
                "token" => token = Some(Secret::new(value.trim())),
                name => return Err(unknown(name, &[&["token"]])),
            }
        }
        Ok(Credential { token: token.ok_or(OptionError::Missing { name: "token" })? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_typed() {
        let options = Options::parse([("cache_ttl", "1 min"), ("on_formula_error", "error")]);
        let options = options.expect("options");
        assert_eq!(options.on_formula_error, OnError::Error);
        assert_eq!(options.network.cache_ttl, Duration::from_secs(60));
        let error =
            Options::parse([("token", "patCANARY")]).expect_err("a secret in the wrong place");
        assert!(!error.to_string().contains("CANARY"));
    }
}
