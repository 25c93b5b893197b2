//! Conditions in the few forms that APIs take, made of [`Expr`].
//!
//! A condition made here is true wherever the expression is: it may be wider, never narrower. Whether
//! it is exactly as wide is said beside it.

mod array;
mod convert;
mod implies;

pub use convert::{Converted, convert};
pub use implies::implies;

#[cfg(doc)]
use crate::predicate::Expr;
use serde::{Deserialize, Serialize};

/// The comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// With the sides exchanged.
    pub fn mirrored(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::Equal,
            Comparison::Less => Comparison::Greater,
            Comparison::AtMost => Comparison::AtLeast,
            Comparison::Greater => Comparison::Less,
            Comparison::AtLeast => Comparison::AtMost,
        }
    }

    /// Whether it bounds from below.
    pub fn is_lower(self) -> bool {
        matches!(self, Comparison::Greater | Comparison::AtLeast)
    }

    /// Whether it bounds from above.
    pub fn is_upper(self) -> bool {
        matches!(self, Comparison::Less | Comparison::AtMost)
    }

    /// Its symbol.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// What a column is compared with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operand {
    /// The value; unknown for a parameter in EXPLAIN.
    pub value: Known,
    /// Its type's name in SQL.
    pub of: String,
}

/// A value, or the number of the parameter that will have one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Known {
    /// The text form.
    Text(String),
    /// The parameter, from 0.
    Param(usize),
}

impl Operand {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&str> {
        match &self.value {
            Known::Text(text) => Some(text),
            Known::Param(_) => None,
        }
    }

    /// The value, or `$n`.
    pub fn shown(&self) -> String {
        match &self.value {
            Known::Text(text) => text.clone(),
            Known::Param(index) => format!("${}", index + 1),
        }
    }
}

impl std::fmt::Debug for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.value {
            Known::Text(_) => write!(f, "Operand({})", self.of),
            Known::Param(index) => write!(f, "Operand(${})", index + 1),
        }
    }
}

/// What a LIKE without wildcards inside asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// `'a'`
    Whole,
    /// `'a%'`
    Prefix,
    /// `'%a'`
    Suffix,
    /// `'%a%'`
    Inside,
}

/// A condition.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// A column compared with a value.
    Compare {
        /// The column.
        column: String,
        /// How.
        comparison: Comparison,
        /// With what.
        operand: Operand,
    },
    /// A column has one of these values. Sorted, each once.
    OneOf {
        /// The column.
        column: String,
        /// The values.
        operands: Vec<Operand>,
    },
    /// A column has one of the values of an array that is not known yet.
    OneOfParam {
        /// The column.
        column: String,
        /// The parameter, from 0.
        param: usize,
    },
    /// LIKE or ILIKE.
    Like {
        /// The column.
        column: String,
        /// Where the text stands.
        shape: Shape,
        /// The text, without wildcards and escapes.
        text: String,
        /// ILIKE.
        fold: bool,
    },
    /// An array column has an element.
    Has {
        /// The column.
        column: String,
        /// The element.
        operand: Operand,
    },
    /// A boolean column is true, or false.
    Flag {
        /// The column.
        column: String,
        /// Which.
        is: bool,
    },
    /// IS NULL, or IS NOT NULL.
    Null {
        /// The column.
        column: String,
        /// IS NOT NULL.
        not: bool,
    },
    /// All of these.
    All(Vec<Condition>),
    /// Any of these.
    Any(Vec<Condition>),
    /// No row.
    Never,
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Condition::All(parts) => f.debug_tuple("All").field(parts).finish(),
            Condition::Any(parts) => f.debug_tuple("Any").field(parts).finish(),
            Condition::Never => f.write_str("Never"),
            other => write!(f, "{}(…)", other.column().unwrap_or_default()),
        }
    }
}

impl Condition {
    /// The one column it speaks of; none for those with parts.
    pub fn column(&self) -> Option<&str> {
        match self {
            Condition::Compare { column, .. }
            | Condition::OneOf { column, .. }
            | Condition::OneOfParam { column, .. }
            | Condition::Like { column, .. }
            | Condition::Has { column, .. }
            | Condition::Flag { column, .. }
            | Condition::Null { column, .. } => Some(column),
            Condition::All(_) | Condition::Any(_) | Condition::Never => None,
        }
    }
}
