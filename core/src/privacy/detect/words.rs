//! What columns are called, in English, German, Spanish and French.
//!
//! The terms stand in `terms.txt`. A term is one or more words of a name: `first name` is found in `first_name`, `FirstName` and
//! `customer_first_name`. Terms are without accents and in lower case, as names are made before they
//! are compared. The longest term that is found counts.

use crate::privacy::Kind;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// The terms, which stand in a file of their own.
struct Terms {
    kinds: Vec<(Kind, &'static str)>,
    /// Words that make a column a fact about another: `email_count`, `phone_verified_at`.
    facts: Vec<&'static str>,
    /// Words of stamps that say when something was recorded.
    stamps: Vec<&'static str>,
    /// Tables of people, where a `name` is a person's.
    people: Vec<&'static str>,
}

static TERMS: LazyLock<Terms> = LazyLock::new(|| {
    let mut terms = Terms { kinds: vec![], facts: vec![], stamps: vec![], people: vec![] };
    let lines = include_str!("terms.txt").lines().filter(|line| !line.starts_with('#'));
    for (name, list) in lines.filter_map(|line| line.split_once(" = ")) {
        let list = list.split(", ");
        match name {
            "[facts]" => terms.facts.extend(list),
            "[stamps]" => terms.stamps.extend(list),
            "[people]" => terms.people.extend(list),
            _ => {
                let kind = Kind::ALL.iter().find(|kind| kind.name() == name);
                terms
                    .kinds
                    .extend(kind.into_iter().flat_map(|kind| list.clone().map(|t| (*kind, t))));
            }
        }
    }
    terms
});

/// The words of a name: lower case, without accents, split at everything that is no letter or digit
/// and where a small letter meets a capital.
pub(super) fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    let name = name.replace('ß', "ss");
    let mut letters =
        name.nfd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).peekable();
    while let Some(c) = letters.next() {
        let small = |c: Option<char>| c.is_some_and(|c| c.is_lowercase() || c.is_numeric());
        let starts = c.is_uppercase()
            && (small(before)
                || (before.is_some_and(char::is_uppercase)
                    && letters.peek().is_some_and(|c| c.is_lowercase())));
        if (!c.is_alphanumeric() || starts) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A term found in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) term: &'static str,
}

/// The kind that words name: the longest term counts.
pub(super) fn kind(words: &[String]) -> Option<Found> {
    let found = TERMS.kinds.iter().copied().filter(|(_, term)| has_term(words, term));
    found.max_by_key(|(_, term)| term.len()).map(|(kind, term)| Found { kind, term })
}

fn has_term(words: &[String], term: &str) -> bool {
    let count = term.split(' ').count();
    let is = |window: &[String]| {
        window.iter().zip(term.split(' ')).all(|(word, of)| word == of || is_one_of(word, of))
    };
    words.windows(count).any(is)
}

/// Whether a word is one of several of a term's: `phones`, `email2`.
fn is_one_of(word: &str, of: &str) -> bool {
    let one = word.trim_end_matches(|c: char| c.is_ascii_digit());
    one == of || one.strip_suffix('s') == Some(of) && of.len() > 2
}

fn any_of(words: &[String], set: &[&str]) -> bool {
    words.iter().any(|word| set.contains(&word.as_str()))
}

/// Whether a name is about a fact rather than the value itself.
pub(super) fn is_about(words: &[String]) -> bool {
    any_of(words, &TERMS.facts)
}

/// Whether a name is that of a stamp.
pub(super) fn is_stamp(words: &[String]) -> bool {
    any_of(words, &TERMS.stamps) || words.last().is_some_and(|last| last == "at")
}

/// Whether a name is that of a table of people.
pub(super) fn is_people(words: &[String]) -> bool {
    any_of(words, &TERMS.people)
}

/// Whether a name is just `name`, in a language.
pub(super) fn is_name(words: &[String]) -> bool {
    matches!(words, [only] if ["name", "names", "nombre", "nom"].contains(&only.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(name: &str) -> Option<Kind> {
        kind(&split(name)).map(|found| found.kind)
    }

    #[test]
    fn names_are_split() {
        assert_eq!(split("customerFirstName2"), ["customer", "first", "name2"]);
        assert_eq!(split("HTTPServer_ID"), ["http", "server", "id"]);
        assert_eq!(split("Straße, Größe"), ["strasse", "grosse"]);
        assert!(split("__ ").is_empty());
    }

    #[test]
    fn kinds_in_four_languages() {
        for (name, expected) in [
            ("first_name", Kind::FirstName),
            ("StudentLastName", Kind::LastName),
            ("Vorname", Kind::FirstName),
            ("geburtsdatum", Kind::BirthDate),
            ("Straße", Kind::Address),
            ("correo_electrónico", Kind::Email),
            ("fecha_nacimiento", Kind::BirthDate),
            ("prénom", Kind::FirstName),
            ("numéro_de_sécurité_sociale", Kind::StateNumber),
            ("codePostal", Kind::PostalCode),
            ("ip_address", Kind::Ip),
            ("email_address", Kind::Email),
            ("password_hash", Kind::Password),
            ("device_token", Kind::Device),
            ("contraseña", Kind::Password),
            ("parent_emails", Kind::Email),
            ("phone2", Kind::Phone),
            ("HomePhone", Kind::Phone),
            ("homephone", Kind::Phone),
            ("photo_urls", Kind::Photo),
            ("facebook_id", Kind::Profile),
        ] {
            assert_eq!(kind_of(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn words_within_words_do_not_count() {
        for name in ["page", "shipping", "manager_code", "lesson", "capital", "storage", "stage"] {
            assert_eq!(kind_of(name), None, "{name}");
        }
    }

    #[test]
    fn terms_are_as_names_are_made() {
        let words = TERMS.facts.iter().chain(&TERMS.stamps).chain(&TERMS.people);
        for term in TERMS.kinds.iter().map(|(_, term)| term).chain(words) {
            assert_eq!(split(term).join(" "), *term);
        }
    }

    #[test]
    fn every_kind_has_terms_and_every_line_is_read() {
        for kind in Kind::ALL {
            assert!(TERMS.kinds.iter().any(|(known, _)| known == kind), "{kind:?}");
        }
        let lines = include_str!("terms.txt").lines();
        let lines: Vec<&str> = lines.filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        assert_eq!(lines.len(), Kind::ALL.len() + 3);
        assert!(!TERMS.facts.is_empty() && !TERMS.stamps.is_empty() && !TERMS.people.is_empty());
    }
}
