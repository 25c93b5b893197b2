//! Made-up values that depend on the key and the value.

use super::prepared::{Call, Of, mask};
use super::quoted;
use crate::pg::error::{Error, OrRaise};
use crate::pg::varlena::Text;
use pgrx::PgSqlErrorCode as Code;
use pgrx::prelude::*;
use warehouse_core::masks::Value;
use warehouse_core::masks::fake::{Fake, FakeKind, Locale};

fn fake(
    function: &'static str,
    value: &str,
    domain: &str,
    locale: &str,
    is_unique: bool,
) -> Option<Text> {
    let numbers = [i64::from(is_unique)];
    let call = Call { function, of: Of::Text, texts: &[domain, locale], numbers: &numbers };
    let text = || {
        let (domain, locale) = (quoted(domain), quoted(locale));
        format!("{function}({domain}, locale => {locale}, unique => {is_unique})")
    };
    mask(call, text, Value::Text(value), &[])
}

/// A first name made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_first_name(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_first_name", value, domain, locale, is_unique)
}

/// A last name made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_last_name(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_last_name", value, domain, locale, is_unique)
}

/// A first and a last name made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_full_name(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_full_name", value, domain, locale, is_unique)
}

/// An e-mail address in a domain that nobody has made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_email(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_email", value, domain, locale, is_unique)
}

/// A phone number that nobody has made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_phone(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_phone", value, domain, locale, is_unique)
}

/// A street with a number made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_street(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_street", value, domain, locale, is_unique)
}

/// A city made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_city(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_city", value, domain, locale, is_unique)
}

/// A company made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_company(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_company", value, domain, locale, is_unique)
}

/// A user name made up for a value.
#[pg_extern(stable, strict, parallel_safe)]
fn fake_user_name(
    value: &str,
    domain: default!(&str, "'warehouse'"),
    locale: default!(&str, "'en'"),
    is_unique: default!(bool, false),
) -> Option<Text> {
    fake("fake_user_name", value, domain, locale, is_unique)
}

fn unknown(what: &str, valid: &[&str]) -> Error {
    let message = format!("unknown {what} of fakes");
    Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message)
        .hint(format!("Known are: {}.", valid.join(", ")))
}

/// How many different values a fake has. `kind` is the name of its function, with or without `fake_`.
#[pg_extern(immutable, strict, parallel_safe)]
fn fake_distinct_outputs(kind: &str, locale: &str) -> AnyNumeric {
    let count = || {
        let short = |kind: &FakeKind| kind.name().trim_start_matches("fake_");
        let name = kind.trim_start_matches("fake_");
        let kind = FakeKind::ALL.iter().copied().find(|kind| short(kind) == name);
        let kinds: Vec<_> = FakeKind::ALL.iter().map(|kind| kind.name()).collect();
        let kind = kind.ok_or_else(|| unknown("kind", &kinds))?;
        let found = Locale::ALL.iter().find(|(name, _)| *name == locale);
        let locales: Vec<_> = Locale::ALL.iter().map(|(name, _)| *name).collect();
        let (_, locale) = *found.ok_or_else(|| unknown("locale", &locales))?;
        let domain = "warehouse".parse()?;
        let outputs = Fake { kind, domain, locale, unique: false }.distinct_outputs();
        AnyNumeric::try_from(outputs.to_string().as_str())
            .map_err(|_| Error::bug("a count is no number"))
    };
    count().or_raise()
}
