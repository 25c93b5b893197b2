//! A grouping whose select list and keys are the same for several tables, written once.

use super::super::{Expr, Rows};
use super::writer::Writer;
use super::{Quote, Template, exists};
use crate::predicate::From;

/// A select list and GROUP BY over one table, whose columns stand alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    outputs: Template,
    keys: Template,
}

/// Writes the lists.
pub fn lists(outputs: &[Expr], keys: &[Expr], quote: Quote<'_>) -> Lists {
    let mut lists = Lists { outputs: Template::default(), keys: Template::default() };
    Writer { quote, qualified: false, out: &mut lists.outputs }.outputs(outputs);
    Writer { quote, qualified: false, out: &mut lists.keys }.keys(keys);
    lists
}

impl Lists {
    /// The SQL of a SELECT of these lists; `None` if columns cannot stand alone beside such rows.
    pub fn select(&self, rows: &Rows, quote: Quote<'_>) -> Option<Template> {
        let mut qualified = !matches!(rows.from, From::Table { .. });
        rows.walk(&mut |expr| qualified |= exists(expr));
        if qualified {
            return None;
        }
        let mut out = self.outputs.clone();
        Writer { quote, qualified: false, out: &mut out }.rows(rows);
        out.append(&self.keys);
        Some(out)
    }
}
