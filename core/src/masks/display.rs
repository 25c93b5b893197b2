//! A mask as text: the one form of it that is stored. Parsing it gives the same mask.

use super::Mask;
use super::canonical::Form;
use super::fake::{Fake, Locale};
use super::generalize::Step;
use super::noise::Amount;
use super::parse::DEFAULT_DOMAIN;
use crate::privacy::Domain;
use std::fmt;

/// A string in quotes, with quotes in it doubled.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// A column, in double quotes if it is no plain lower-case name.
struct Column<'a>(&'a str);

impl fmt::Display for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let first = self.0.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
        if first && self.0.bytes().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Width(width) => write!(f, "{width}"),
            Step::Unit(unit) => write!(f, "'{}'", unit.name()),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Absolute(by) => write!(f, "{by}"),
            Amount::Percent(by) => write!(f, "'{by}%'"),
            Amount::Time(micros) => write!(f, "'{}'", super::noise::time_text(*micros)),
        }
    }
}

fn named_domain(domain: &Domain, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if domain.as_str() == DEFAULT_DOMAIN {
        return Ok(());
    }
    write!(f, ", domain => {domain}")
}

fn fake(fake: &Fake, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}({}", fake.kind.name(), fake.domain)?;
    if fake.locale != Locale::En {
        write!(f, ", locale => {}", fake.locale.name())?;
    }
    if fake.unique {
        f.write_str(", unique => true")?;
    }
    f.write_str(")")
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Mask::Null
            | Mask::Keep
            | Mask::PartialEmail
            | Mask::PartialPhone
            | Mask::PartialCard
            | Mask::PartialUrl
            | Mask::Initial
            | Mask::Zip3
            | Mask::Age
            | Mask::Shuffle => f.write_str(name),
            Mask::Constant(text) => write!(f, "{name}({})", Quoted(text)),
            Mask::Partial { prefix, pad, suffix } => {
                write!(f, "{name}({prefix}, {}, {suffix})", Quoted(pad))
            }
            Mask::IpPrefix { v4, v6 } => write!(f, "{name}({v4}, {v6})"),
            Mask::Pseudonym { domain, form } => {
                write!(f, "{name}({domain}")?;
                match form {
                    Form::Auto => {}
                    Form::Exact => f.write_str(", form => exact")?,
                    Form::Email => f.write_str(", form => email")?,
                    Form::Name => f.write_str(", form => name")?,
                    Form::Phone { country: None } => f.write_str(", form => phone")?,
                    Form::Phone { country: Some(code) } => {
                        write!(f, ", form => phone, country => {code}")?;
                    }
                }
                f.write_str(")")
            }
            Mask::Token { domain } | Mask::Hash { domain } => write!(f, "{name}({domain})"),
            Mask::Fpe { domain, alphabet } if alphabet.is_digits() => write!(f, "{name}({domain})"),
            Mask::Fpe { domain, alphabet } => {
                write!(f, "{name}({domain}, {})", Quoted(&alphabet.to_string()))
            }
            Mask::Fake(of) => fake(of, f),
            Mask::Generalize(step) | Mask::GeneralizeRange(step) => write!(f, "{name}({step})"),
            Mask::Bands(bounds) => {
                write!(f, "{name}(")?;
                for (at, bound) in bounds.iter().enumerate() {
                    write!(f, "{}{bound}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Mask::AgeBand(width) => write!(f, "{name}({width})"),
            Mask::Noise { amount, entity, domain } => {
                write!(f, "{name}({amount}")?;
                if let Some(entity) = entity {
                    write!(f, ", {}", Column(entity))?;
                }
                named_domain(domain, f)?;
                f.write_str(")")
            }
            Mask::DateShift { entity, days, domain } => {
                write!(f, "{name}({}, {days}", Column(entity))?;
                named_domain(domain, f)?;
                f.write_str(")")
            }
            Mask::Redact { columns } if columns.is_empty() => f.write_str(name),
            Mask::Redact { columns } => {
                write!(f, "{name}(")?;
                for (at, column) in columns.iter().enumerate() {
                    write!(f, "{}{}", if at > 0 { ", " } else { "" }, Column(column))?;
                }
                f.write_str(")")
            }
            Mask::Json { rules, keep_rest } => {
                write!(f, "{name}(")?;
                for (at, (path, mask)) in rules.iter().enumerate() {
                    let between = if at > 0 { ", " } else { "" };
                    write!(f, "{between}{} => {mask}", Quoted(&path.to_string()))?;
                }
                if *keep_rest {
                    f.write_str(if rules.is_empty() { "rest => keep" } else { ", rest => keep" })?;
                }
                f.write_str(")")
            }
        }
    }
}
