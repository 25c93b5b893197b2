//! What an expression comes to, and how values become each other.

use crate::apis::calendar;

/// A value within a formula.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::apis::airtable) enum Computed {
    /// Nothing.
    Blank,
    /// `#ERROR!`.
    Error,
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A moment.
    Time(i64),
    /// A day.
    Date(i64),
    /// Several values.
    List(Vec<Computed>),
}

impl Computed {
    /// What a condition takes it for.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Computed::Blank | Computed::Error => false,
            Computed::Number(number) => *number != 0.0 && !number.is_nan(),
            Computed::Text(text) => !text.is_empty(),
            Computed::Bool(flag) => *flag,
            Computed::Time(_) | Computed::Date(_) => true,
            Computed::List(items) => !items.is_empty(),
        }
    }

    /// What text functions take it for.
    pub(super) fn text(&self) -> String {
        match self {
            Computed::Blank | Computed::Error => String::new(),
            Computed::Number(number) => number.to_string(),
            Computed::Text(text) => text.clone(),
            Computed::Bool(flag) => if *flag { "1" } else { "0" }.to_owned(),
            Computed::Time(moment) => calendar::to_millisecond(*moment),
            Computed::Date(moment) => calendar::date(*moment),
            Computed::List(items) => join(items, ", "),
        }
    }

    /// What arithmetic takes it for; `None` is an error.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Computed::Blank => Some(0.0),
            Computed::Number(number) => Some(*number),
            Computed::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Computed::Text(text) => text.trim().parse().ok(),
            Computed::List(items) if items.len() == 1 => items[0].number(),
            _ => None,
        }
    }

    /// What date functions take it for.
    pub(super) fn moment(&self) -> Option<i64> {
        match self {
            Computed::Time(moment) | Computed::Date(moment) => Some(*moment),
            Computed::Text(text) => calendar::parse(text),
            Computed::List(items) if items.len() == 1 => items[0].moment(),
            _ => None,
        }
    }

    /// Whether it is nothing: blank, or empty text, or an empty list.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Computed::Blank => true,
            Computed::Text(text) => text.is_empty(),
            Computed::List(items) => items.is_empty(),
            _ => false,
        }
    }
}

/// The texts of all items with something between.
pub(super) fn join(items: &[Computed], between: &str) -> String {
    items.iter().map(Computed::text).collect::<Vec<_>>().join(between)
}
