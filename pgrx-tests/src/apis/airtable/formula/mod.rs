//! The formulas of `filterByFormula`: read, checked against a table's fields, and worked out for a
//! record.
//!
//! What is not known is refused, never ignored. Where the service's ways are not documented (case,
//! blank against zero) [`Ways`] says which it is.

mod functions;
mod parse;
mod value;

pub(super) use parse::{Expression, parse};
pub(super) use value::Computed;

/// Ways in which formulas may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ways {
    /// Whether `=` on text disregards case.
    pub(super) fold_case: bool,
    /// Whether a blank counts as 0 next to a number.
    pub(super) blank_is_zero: bool,
}

/// A record as a formula sees it.
pub(super) trait Scope {
    /// The value of the field at this place of the table.
    fn field(&self, place: usize) -> Computed;
    /// The record's id.
    fn id(&self) -> &str;
    /// When it was created.
    fn created(&self) -> i64;
    /// When it was last changed.
    fn modified(&self) -> i64;
    /// See [`Ways`].
    fn ways(&self) -> Ways;
}

/// Whether a record passes a filter. An error does not.
pub(super) fn passes(expression: &Expression, scope: &dyn Scope) -> bool {
    functions::evaluate(expression, scope).is_true()
}

/// What text functions take a value for.
pub(super) fn text_of(value: &Computed) -> String {
    value.text()
}

/// The order that a sort has: blanks first, then numbers, moments and texts.
pub(super) fn order(left: &Computed, right: &Computed) -> std::cmp::Ordering {
    let rank = |value: &Computed| match value {
        Computed::Blank | Computed::Error => 0,
        Computed::Bool(_) | Computed::Number(_) => 1,
        Computed::Time(_) | Computed::Date(_) => 2,
        Computed::Text(_) | Computed::List(_) => 3,
    };
    rank(left).cmp(&rank(right)).then_with(|| match rank(left) {
        1 => left.number().unwrap_or(0.0).total_cmp(&right.number().unwrap_or(0.0)),
        2 => left.moment().cmp(&right.moment()),
        3 => left.text().to_lowercase().cmp(&right.text().to_lowercase()),
        _ => std::cmp::Ordering::Equal,
    })
}
