//! Made-up values in place of real ones, the same for the same key and value.
//!
//! A fake says nothing of its value but which other values are the same, and that only as well as
//! there are outputs: [`Fake::distinct_outputs`] says how many. With `unique`, a tail of 80 bits (59
//! in a telephone number) makes each value's fake its own, so that joins and DISTINCT hold.
//!
//! No fake reaches anybody: e-mail addresses are in `example.com` and its like (RFC 2606), telephone
//! numbers are of ranges that are kept for fiction, or that nobody has.

mod tables;

use super::canonical::{self, Form};
use super::prf::{Prf, below, words};
use super::{MaskError, Masked, Value};
use crate::privacy::Domain;
use std::fmt::Write;
use tables::{COMPANY_FIRST, COMPANY_SECOND, Tables};

/// What is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FakeKind {
    /// A first name.
    FirstName,
    /// A family name.
    LastName,
    /// Both.
    FullName,
    /// An e-mail address.
    Email,
    /// A telephone number in international form.
    Phone,
    /// A street and a house number.
    Street,
    /// A town.
    City,
    /// A company.
    Company,
    /// The name of a login.
    UserName,
}

impl FakeKind {
    /// All kinds.
    pub const ALL: &[FakeKind] = &[
        FakeKind::FirstName,
        FakeKind::LastName,
        FakeKind::FullName,
        FakeKind::Email,
        FakeKind::Phone,
        FakeKind::Street,
        FakeKind::City,
        FakeKind::Company,
        FakeKind::UserName,
    ];

    /// The mask's name.
    pub fn name(self) -> &'static str {
        match self {
            FakeKind::FirstName => "fake_first_name",
            FakeKind::LastName => "fake_last_name",
            FakeKind::FullName => "fake_full_name",
            FakeKind::Email => "fake_email",
            FakeKind::Phone => "fake_phone",
            FakeKind::Street => "fake_street",
            FakeKind::City => "fake_city",
            FakeKind::Company => "fake_company",
            FakeKind::UserName => "fake_user_name",
        }
    }
}

/// Whose names and streets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// English, as in the United States.
    En,
    /// German.
    De,
    /// Spanish.
    Es,
    /// French.
    Fr,
}

impl Locale {
    /// All locales by name.
    pub const ALL: &[(&'static str, Locale)] =
        &[("en", Locale::En), ("de", Locale::De), ("es", Locale::Es), ("fr", Locale::Fr)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Locale::ALL.iter().find(|(_, locale)| *locale == self).map_or("", |(name, _)| name)
    }

    /// Beginnings of numbers for fiction, and how many digits follow: the 555-01xx of the North
    /// American Numbering Plan by a few area codes; the Bundesnetzagentur's numbers for films
    /// (Mitteilung 148/2021); the Arcep's (décision 2018-0881, 2.5.12); Spain has none, and its
    /// numbers in 555 are not assigned.
    fn phones(self) -> (&'static [&'static str], u32) {
        match self {
            Locale::En => (AREAS, 2),
            Locale::De => (
                &[
                    "+49 30 23125 ",
                    "+49 69 90009 ",
                    "+49 40 66969 ",
                    "+49 221 4710 ",
                    "+49 89 99998 ",
                ],
                3,
            ),
            Locale::Es => (&["+34 555 "], 6),
            Locale::Fr => (
                &[
                    "+33 1 99 00 ",
                    "+33 2 61 91 ",
                    "+33 3 53 01 ",
                    "+33 4 65 71 ",
                    "+33 5 36 49 ",
                    "+33 6 39 98 ",
                ],
                4,
            ),
        }
    }
}

const AREAS: &[&str] = &[
    "+1 201-555-01",
    "+1 202-555-01",
    "+1 203-555-01",
    "+1 205-555-01",
    "+1 206-555-01",
    "+1 207-555-01",
    "+1 208-555-01",
    "+1 209-555-01",
    "+1 210-555-01",
    "+1 212-555-01",
    "+1 213-555-01",
    "+1 214-555-01",
    "+1 215-555-01",
    "+1 216-555-01",
    "+1 217-555-01",
    "+1 218-555-01",
    "+1 219-555-01",
    "+1 225-555-01",
    "+1 228-555-01",
    "+1 229-555-01",
    "+1 231-555-01",
    "+1 234-555-01",
    "+1 239-555-01",
    "+1 240-555-01",
    "+1 248-555-01",
    "+1 251-555-01",
    "+1 252-555-01",
    "+1 253-555-01",
    "+1 254-555-01",
    "+1 256-555-01",
    "+1 260-555-01",
    "+1 262-555-01",
    "+1 267-555-01",
    "+1 269-555-01",
    "+1 270-555-01",
    "+1 276-555-01",
    "+1 281-555-01",
    "+1 301-555-01",
    "+1 302-555-01",
    "+1 303-555-01",
    "+1 304-555-01",
    "+1 305-555-01",
    "+1 307-555-01",
    "+1 308-555-01",
    "+1 309-555-01",
    "+1 310-555-01",
    "+1 312-555-01",
    "+1 313-555-01",
    "+1 314-555-01",
    "+1 315-555-01",
];

const HOSTS: &[&str] = &["example.com", "example.org", "example.net"];
const HOUSE_NUMBERS: u64 = 999;
const NUMBERS: u64 = 10_000;

/// A fake and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fake {
    /// What is made up.
    pub kind: FakeKind,
    /// Whose key: the same value has the same fake within a domain.
    pub domain: Domain,
    /// Whose names and streets.
    pub locale: Locale,
    /// Whether each value has a fake of its own.
    pub unique: bool,
}

fn count<T>(of: &[T]) -> u128 {
    of.len() as u128
}

impl Fake {
    /// How many different outputs there are. Among n values, expect about n² / (2 × outputs) pairs
    /// that share one.
    pub fn distinct_outputs(&self) -> u128 {
        let tables = tables::of(self.locale);
        let names = count(&tables.first) * count(&tables.last);
        let plain = match self.kind {
            FakeKind::FirstName => count(&tables.first),
            FakeKind::LastName => count(&tables.last),
            FakeKind::FullName => names,
            FakeKind::Email => names * u128::from(NUMBERS) * count(HOSTS),
            FakeKind::UserName => names * u128::from(NUMBERS),
            FakeKind::Phone => {
                let (ranges, digits) = self.locale.phones();
                count(ranges) * 10u128.pow(digits)
            }
            FakeKind::Street => count(&tables.streets) * u128::from(HOUSE_NUMBERS),
            FakeKind::City => count(&tables.cities),
            FakeKind::Company => {
                count(&COMPANY_FIRST) * count(&COMPANY_SECOND) * count(tables.forms)
            }
        };
        match (self.unique, self.kind) {
            (false, _) => plain,
            (true, FakeKind::Phone) => plain * u128::from(TAIL_DIGITS),
            (true, _) => plain << 80,
        }
    }
}

/// 10^18: 59 bits.
const TAIL_DIGITS: u64 = 1_000_000_000_000_000_000;

/// Makes fakes.
pub(super) struct Fakes {
    prf: Prf,
    kind: FakeKind,
    locale: Locale,
    unique: bool,
    tables: &'static Tables,
    canonical: Vec<u8>,
}

fn pick<T>(from: &[T], word: u64) -> Option<&T> {
    from.get(below(word, from.len() as u64) as usize)
}

impl Fakes {
    pub(super) fn new(prf: Prf, fake: &Fake) -> Fakes {
        Fakes {
            prf,
            kind: fake.kind,
            locale: fake.locale,
            unique: fake.unique,
            tables: tables::of(fake.locale),
            canonical: Vec::with_capacity(64),
        }
    }

    /// The function under it.
    pub(super) fn prf(&mut self) -> &mut Prf {
        &mut self.prf
    }

    /// The function, the form in which it is asked, and room for that.
    pub(super) fn keyed(&mut self) -> (&mut Prf, Form, &mut Vec<u8>) {
        (&mut self.prf, Form::Auto, &mut self.canonical)
    }

    pub(super) fn mask<'o>(
        &mut self,
        value: Value<'_>,
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        if !matches!(value, Value::Text(_)) {
            return Err(MaskError::Unreadable { mask: self.kind.name() });
        }
        canonical::write(value, Form::Auto, &mut self.canonical);
        let bytes = self.prf.bytes(&self.canonical);
        self.of(&bytes, out)
    }

    /// The fake that belongs to what the function gives.
    pub(super) fn of<'o>(
        &self,
        bytes: &[u8; 32],
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        let words = words(bytes);
        // The tables are not empty, which a test holds, and writing to a string does not fail.
        self.write(words, out).ok_or(MaskError::Unreadable { mask: self.kind.name() })?;
        Ok(Masked::Text(out))
    }

    fn write(&self, words: [u64; 4], out: &mut String) -> Option<()> {
        let tables = self.tables;
        let [first, last, third, fourth] = words;
        let tail = || Tail { high: third, low: fourth };
        // These look at the high bits of their words, the tail at the low 40.
        let (number, host) = (below(third, NUMBERS), fourth);
        match self.kind {
            FakeKind::FirstName => out.push_str(pick(&tables.first, first)?),
            FakeKind::LastName => out.push_str(pick(&tables.last, last)?),
            FakeKind::FullName => {
                out.push_str(pick(&tables.first, first)?);
                out.push(' ');
                out.push_str(pick(&tables.last, last)?);
            }
            FakeKind::Email => {
                out.push_str(pick(&tables.first_plain, first)?);
                out.push('.');
                out.push_str(pick(&tables.last_plain, last)?);
                digits(number, 4, out);
                if self.unique {
                    out.push('.');
                    tail().write(out);
                }
                out.push('@');
                out.push_str(pick(HOSTS, host)?);
                return Some(());
            }
            FakeKind::UserName => {
                out.push_str(pick(&tables.first_plain, first)?);
                out.push('_');
                out.push_str(pick(&tables.last_plain, last)?);
                digits(number, 4, out);
            }
            FakeKind::Phone => {
                let (ranges, count) = self.locale.phones();
                out.push_str(pick(ranges, first)?);
                digits(below(last, 10u64.pow(count)), count, out);
                if self.unique {
                    out.push_str(" x");
                    digits(below(third, TAIL_DIGITS), 18, out);
                }
                return Some(());
            }
            FakeKind::Street => {
                let street = pick(&tables.streets, first)?;
                let house = below(last, HOUSE_NUMBERS) + 1;
                match self.locale {
                    Locale::En | Locale::Fr => write!(out, "{house} {street}").ok()?,
                    Locale::De => write!(out, "{street} {house}").ok()?,
                    Locale::Es => write!(out, "{street}, {house}").ok()?,
                }
            }
            FakeKind::City => out.push_str(pick(&tables.cities, first)?),
            FakeKind::Company => {
                out.push_str(pick(&COMPANY_FIRST, first)?);
                out.push(' ');
                out.push_str(pick(&COMPANY_SECOND, last)?);
                out.push(' ');
                out.push_str(pick(tables.forms, first << 32)?);
            }
        }
        if self.unique {
            out.push(if self.kind == FakeKind::UserName { '_' } else { ' ' });
            tail().write(out);
        }
        Some(())
    }
}

/// `count` decimal digits.
fn digits(number: u64, count: u32, out: &mut String) {
    for place in (0..count).rev() {
        let digit = number / 10u64.pow(place) % 10;
        out.push(char::from(b'0' + digit as u8));
    }
}

/// What makes a fake unique: the low 40 bits of two words, on which no choice depends.
struct Tail {
    high: u64,
    low: u64,
}

impl Tail {
    /// 16 letters and digits of 5 bits.
    fn write(&self, out: &mut String) {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        for word in [self.high, self.low] {
            for at in 0..8 {
                out.push(char::from(LETTERS[(word >> (5 * at) & 31) as usize]));
            }
        }
    }
}

#[cfg(test)]
#[path = "fake_tests.rs"]
mod tests;
