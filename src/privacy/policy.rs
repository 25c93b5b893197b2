//! What is shown of a column.
//!
//! Closed by default: what nobody has classified, and could say something of a person, is not shown. A
//! policy that cannot be read or does not fit its column hides the column, too.

use super::family::{family, may_identify};
use crate::pg::types;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use std::rc::Rc;
use warehouse_core::masks::Mask;
use warehouse_core::privacy::Class;
use warehouse_core::privacy::detect::{self, Column};

/// How a column without a class reads: the server option `unclassified`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unclassified {
    /// NULL.
    #[default]
    Null,
    /// Whoever asks for it gets an error.
    Error,
    /// As it is.
    Clear,
}

impl Unclassified {
    /// From the option's value.
    pub fn parse(text: &str) -> Option<Unclassified> {
        match text {
            "null" => Some(Unclassified::Null),
            "error" => Some(Unclassified::Error),
            "clear" => Some(Unclassified::Clear),
            _ => None,
        }
    }
}

/// The column options of the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// `class`.
    pub class: Option<String>,
    /// `mask`.
    pub mask: Option<String>,
}

/// What is shown of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The values.
    Clear,
    /// NULL for each. The column is not fetched.
    Null,
    /// The same for each. The column is not fetched.
    Constant(String),
    /// What the mask makes of each.
    Masked(Rc<Mask>),
    /// Nothing: asking for it is an error, for this reason.
    Refused(&'static str),
}

/// What is shown of a column of this name and type to who has no right to clear text.
pub fn shown(policy: &Policy, name: &str, of: Oid, unclassified: Unclassified) -> Shown {
    const UNREADABLE: Shown = Shown::Refused("its policy cannot be read");
    let class = match policy.class.as_deref().map(str::parse::<Class>) {
        None => None,
        Some(Ok(class)) => Some(class),
        Some(Err(_)) => return UNREADABLE,
    };
    let mask = match policy.mask.as_deref().map(str::parse::<Mask>) {
        None => None,
        Some(Ok(mask)) => Some(mask),
        Some(Err(_)) => return UNREADABLE,
    };
    match (class, mask) {
        (_, Some(mask)) => masked(mask, of),
        (Some(class), None) => masked(class.default_mask(), of),
        (None, None) if holds_nobody(name, of) => Shown::Clear,
        (None, None) => match unclassified {
            Unclassified::Null => Shown::Null,
            Unclassified::Error => Shown::Refused("it has no class"),
            Unclassified::Clear => Shown::Clear,
        },
    }
}

/// Whether its mask is `shuffle`, which a full refresh may read.
pub fn is_shuffled(policy: &Policy) -> bool {
    let class = policy.class.as_deref().map(str::parse::<Class>);
    let mask = policy.mask.as_deref().map(str::parse::<Mask>);
    !matches!(class, Some(Err(_))) && matches!(mask, Some(Ok(Mask::Shuffle)))
}

/// How a column of this name, type and policy reads without the right to clear text, for the views: the
/// same answer as a scan gives.
#[pg_extern(stable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub(crate) fn reads_as(
    name: &str,
    of: Oid,
    class: Option<&str>,
    mask: Option<&str>,
    unclassified: &str,
) -> String {
    let policy = Policy { class: class.map(str::to_owned), mask: mask.map(str::to_owned) };
    let unclassified = Unclassified::parse(unclassified).unwrap_or_default();
    match shown(&policy, name, of, unclassified) {
        Shown::Clear => "clear".to_owned(),
        Shown::Null => "null".to_owned(),
        Shown::Constant(text) => format!("masked: {}", Mask::Constant(text)),
        Shown::Masked(mask) => format!("masked: {mask}"),
        Shown::Refused(_) => "error".to_owned(),
    }
}

fn masked(mask: Mask, of: Oid) -> Shown {
    let family = family(of);
    match mask {
        Mask::Keep => Shown::Clear,
        Mask::Null => Shown::Null,
        Mask::Constant(text) => Shown::Constant(text),
        mask if mask.needs_whole_column() => Shown::Refused("its mask is for full refreshes"),
        mask if mask.result(&family).as_ref() == Ok(&family) => Shown::Masked(Rc::new(mask)),
        _ => Shown::Refused("its mask does not fit its type"),
    }
}

/// Whether a column says nothing of a person by its type: numbers, truth values, enums, moments. What it
/// is called may contradict: a number called `phone`.
pub fn holds_nobody(name: &str, of: Oid) -> bool {
    if may_identify(of) {
        return false;
    }
    let (family, is_enum) = (family(of), types::is_enum(types::base_type(of)));
    let column = Column {
        table: "",
        name,
        family: &family,
        is_enum,
        comment: None,
        samples: &[],
        minors: true,
    };
    matches!(detect::detect(&column).class, None | Some(Class::Public))
}
