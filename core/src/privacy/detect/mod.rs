//! What a column holds, by its name, type, comment and sampled values.
//!
//! What always holds: a column is called public only where its type cannot hold a person, and no
//! evidence speaks against it; a text-like column for which nothing is found has no class at all and
//! stays closed. Only what is [`Sure`](Certainty::Sure) is to be applied without asking.
//!
//! Evidence names words and counts, never a value.

mod content;
mod words;

use super::{Class, Kind};
use crate::masks::{Mask, TypeFamily};
use std::fmt;

/// What is known of a column.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// Its table's name.
    pub table: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub family: &'a TypeFamily,
    /// Whether its type is an enum.
    pub is_enum: bool,
    /// Its comment at the source.
    pub comment: Option<&'a str>,
    /// Some values as text, without NULLs; a hundred are plenty. May be empty.
    pub samples: &'a [&'a str],
    /// Whether the people in the source may be children.
    pub minors: bool,
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Nothing was found.
    Unknown,
    /// Somebody should look.
    Likely,
    /// May be applied.
    Sure,
}

impl Certainty {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Certainty::Unknown => "unknown",
            Certainty::Likely => "likely",
            Certainty::Sure => "sure",
        }
    }
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The name has this term.
    Name(&'static str),
    /// The name is `name`, and the table is one of people.
    NameOfPeople,
    /// The name is that of a key.
    Key,
    /// The name says that it is a stamp.
    Stamp,
    /// The comment has this term.
    Comment(&'static str),
    /// So many percent of so many samples are of the kind.
    Content {
        /// The kind.
        kind: Kind,
        /// 1 to 100.
        percent: u32,
        /// Samples that are not empty.
        samples: usize,
    },
    /// The type cannot hold a person.
    Type,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Name(term) => write!(f, "name has \"{term}\""),
            Evidence::NameOfPeople => f.write_str("a name in a table of people"),
            Evidence::Key => f.write_str("name of a key"),
            Evidence::Stamp => f.write_str("name of a stamp"),
            Evidence::Comment(term) => write!(f, "comment has \"{term}\""),
            Evidence::Content { kind, percent, samples } => {
                write!(f, "{percent} % of {samples} samples are like: {}", kind.name())
            }
            Evidence::Type => f.write_str("type cannot hold a person"),
        }
    }
}

/// What a column seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its class; none where nobody can say.
    pub class: Option<Class>,
    /// What it holds.
    pub kind: Option<Kind>,
    /// A mask for it; none where there is no class.
    pub mask: Option<Mask>,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why, the strongest first.
    pub evidence: Vec<Evidence>,
}

/// The fewest samples that content alone is sure with.
const FEW: usize = 5;
/// The least share of samples, in percent, that content alone is sure with.
const MOST: u32 = 80;
/// The least share of samples, in percent, that says anything.
const SOME: u32 = 10;

/// Finds out what a column holds.
pub fn detect(column: &Column<'_>) -> Finding {
    let name = words::split(column.name);
    let mut evidence = Vec::new();
    let mut best: Option<(Kind, Certainty)> = None;
    // The surest counts, and of two as sure the one that protects more.
    let rank = |kind: Kind, certainty: Certainty| (certainty, kind.class(column.minors));
    let mut say = |kind, certainty, why| {
        if best.is_none_or(|(of, before)| rank(kind, certainty) > rank(of, before)) {
            best = Some((kind, certainty));
            evidence.insert(0, why);
        } else {
            evidence.push(why);
        }
    };

    if let Some(share) = content::share(column.samples).filter(|share| share.percent >= SOME) {
        let sure = share.certain && share.percent >= MOST && share.samples >= FEW;
        let why =
            Evidence::Content { kind: share.kind, percent: share.percent, samples: share.samples };
        say(share.kind, if sure { Certainty::Sure } else { Certainty::Likely }, why);
    }
    if let Some(found) = words::kind(&name) {
        let sure = can_hold(found.kind, column.family) && !words::is_about(&name);
        let why = Evidence::Name(found.term);
        if sure {
            say(found.kind, Certainty::Sure, why);
        } else if could_hold_text(column.family) {
            say(found.kind, Certainty::Likely, why);
        }
    } else if words::is_name(&name)
        && could_hold_text(column.family)
        && words::is_people(&words::split(column.table))
    {
        say(Kind::FullName, Certainty::Sure, Evidence::NameOfPeople);
    }
    if let Some(found) = column.comment.and_then(|comment| words::kind(&words::split(comment)))
        && (can_hold(found.kind, column.family) || could_hold_text(column.family))
    {
        say(found.kind, Certainty::Likely, Evidence::Comment(found.term));
    }

    if let Some((kind, certainty)) = best {
        return Finding {
            class: Some(kind.class(column.minors)),
            kind: Some(kind),
            mask: Some(kind.default_mask(column.family, column.minors)),
            certainty,
            evidence,
        };
    }
    match public(column, &name) {
        Some((certainty, why)) => Finding {
            class: Some(Class::Public),
            kind: None,
            mask: Some(Mask::Keep),
            certainty,
            evidence: vec![why],
        },
        None => {
            Finding { class: None, kind: None, mask: None, certainty: Certainty::Unknown, evidence }
        }
    }
}

/// Whether a type is one that values of a kind are kept in.
fn can_hold(kind: Kind, family: &TypeFamily) -> bool {
    let family = family.element();
    match kind {
        Kind::BirthDate => matches!(
            family,
            TypeFamily::Date
                | TypeFamily::Timestamp
                | TypeFamily::TimestampTz
                | TypeFamily::Text
                | TypeFamily::Json
                | TypeFamily::Integer(_)
                | TypeFamily::Numeric
                | TypeFamily::Float
        ),
        Kind::Age => {
            let number = matches!(family, TypeFamily::Integer(_) | TypeFamily::Numeric);
            number || matches!(family, TypeFamily::Float | TypeFamily::Text)
        }
        // Also packed into a number.
        Kind::Ip => {
            could_hold_text(family)
                || matches!(family, TypeFamily::Integer(_) | TypeFamily::Numeric)
        }
        Kind::Location => !matches!(family, TypeFamily::Bool | TypeFamily::Date),
        Kind::Health | Kind::Belief | Kind::Income | Kind::Education => true,
        Kind::Phone
        | Kind::PostalCode
        | Kind::Card
        | Kind::BankAccount
        | Kind::StateNumber
        | Kind::Gender
        | Kind::Password
        | Kind::Profile
        | Kind::Device => {
            could_hold_text(family)
                || matches!(
                    family,
                    TypeFamily::Integer(_) | TypeFamily::Numeric | TypeFamily::Other
                )
        }
        _ => could_hold_text(family),
    }
}

/// Whether a type can hold any text, or what is as open as text.
fn could_hold_text(family: &TypeFamily) -> bool {
    matches!(
        family.element(),
        TypeFamily::Text
            | TypeFamily::Json
            | TypeFamily::Bytea
            | TypeFamily::Uuid
            | TypeFamily::Inet
    )
}

/// Whether a column of which nothing was found is public.
fn public(column: &Column<'_>, name: &[String]) -> Option<(Certainty, Evidence)> {
    let key = matches!(name.last().map(String::as_str), Some("id" | "key" | "uuid" | "guid"));
    match column.family.element() {
        TypeFamily::Bool | TypeFamily::Numeric | TypeFamily::Float | TypeFamily::Integer(_) => {
            Some((Certainty::Sure, Evidence::Type))
        }
        TypeFamily::Timestamp | TypeFamily::TimestampTz | TypeFamily::Date
            if words::is_stamp(name) =>
        {
            Some((Certainty::Sure, Evidence::Stamp))
        }
        TypeFamily::Other if column.is_enum => Some((Certainty::Sure, Evidence::Type)),
        TypeFamily::Uuid if key => Some((Certainty::Likely, Evidence::Key)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "detect_tests.rs"]
mod tests;
