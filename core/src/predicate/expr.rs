//! The expression tree, close enough to SQL that nothing is lost and plain enough that an API
//! dialect can match on it.

use super::query::{Rows, SortTerm};
use serde::{Deserialize, Serialize};

/// A type as the remote should read it, already in SQL form (`timestamp with time zone`,
/// `numeric(10,2)`, `text[]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeName(pub String);

/// An operator; without a schema it is one of `pg_catalog`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorName {
    /// Schema, for operators of extensions.
    pub schema: Option<String>,
    /// The symbol, such as `=` or `~~*`.
    pub symbol: String,
}

impl OperatorName {
    /// A built-in operator.
    pub fn builtin(symbol: impl Into<String>) -> Self {
        OperatorName { schema: None, symbol: symbol.into() }
    }
}

/// A column of one of the relations of the scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRef {
    /// Which relation of the query (Postgres's range table index).
    pub relation: u32,
    /// The name at the source.
    pub name: String,
    /// The type the source stores where it differs from the local one; the dialect casts.
    pub cast_to: Option<TypeName>,
}

/// A constant in the text form of its type under ISO dates and Postgres intervals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Literal {
    /// `None` is NULL.
    pub text: Option<String>,
    /// The constant's type.
    pub of: TypeName,
}

/// IS [NOT] TRUE | FALSE | UNKNOWN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum BoolTest {
    IsTrue,
    IsNotTrue,
    IsFalse,
    IsNotFalse,
    IsUnknown,
    IsNotUnknown,
}

/// A call of an aggregate function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Its name.
    pub name: String,
    /// `count(*)`.
    pub star: bool,
    /// DISTINCT.
    pub distinct: bool,
    /// The arguments; of an ordered-set aggregate, the direct ones.
    pub args: Vec<Expr>,
    /// The last argument is VARIADIC.
    pub variadic: bool,
    /// ORDER BY inside, or WITHIN GROUP.
    pub order: Vec<SortTerm>,
    /// The order stands in WITHIN GROUP.
    pub within_group: bool,
    /// FILTER.
    pub filter: Option<Box<Expr>>,
}

/// A scalar expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expr {
    /// A column of the scan.
    Column(ColumnRef),
    /// A constant known when the plan is made.
    Literal(Literal),
    /// A value known when the plan is executed: the index (from 0) into the scan's parameters.
    Param {
        /// Position in the list of run-time values.
        index: usize,
        /// Its type.
        of: TypeName,
    },
    /// A prefix (one argument) or infix (two arguments) operator.
    Operator {
        /// Which operator.
        op: OperatorName,
        /// One or two arguments.
        args: Vec<Expr>,
    },
    /// `left op ANY (right)` or `left op ALL (right)`.
    AnyAll {
        /// Which operator.
        op: OperatorName,
        /// ALL instead of ANY.
        all: bool,
        /// The scalar.
        left: Box<Expr>,
        /// The array.
        right: Box<Expr>,
    },
    /// A function call. Names with a schema are quoted as they stand.
    Function {
        /// Schema, for functions of extensions.
        schema: Option<String>,
        /// The name.
        name: String,
        /// The arguments.
        args: Vec<Expr>,
        /// The last argument is VARIADIC.
        variadic: bool,
    },
    /// An explicit or implicit cast.
    Cast {
        /// What is cast.
        arg: Box<Expr>,
        /// To which type.
        to: TypeName,
    },
    /// An explicit collation.
    Collate {
        /// What is collated.
        arg: Box<Expr>,
        /// The quoted, qualified collation name.
        collation: String,
    },
    /// Conjunction.
    And(Vec<Expr>),
    /// Disjunction.
    Or(Vec<Expr>),
    /// Negation.
    Not(Box<Expr>),
    /// IS NULL, or IS NOT NULL when `not`.
    IsNull {
        /// What is tested.
        arg: Box<Expr>,
        /// IS NOT NULL.
        not: bool,
    },
    /// IS TRUE and its relatives.
    BoolTest {
        /// What is tested.
        arg: Box<Expr>,
        /// Which test.
        test: BoolTest,
    },
    /// IS DISTINCT FROM.
    Distinct {
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// NULLIF.
    NullIf {
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// CASE, with the operand of the short form if it has one.
    Case {
        /// `CASE operand WHEN …`.
        operand: Option<Box<Expr>>,
        /// The arms.
        arms: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
    },
    /// COALESCE.
    Coalesce(Vec<Expr>),
    /// GREATEST.
    Greatest(Vec<Expr>),
    /// LEAST.
    Least(Vec<Expr>),
    /// ARRAY[…] of the array type given.
    Array {
        /// The elements.
        elements: Vec<Expr>,
        /// The array's type.
        of: TypeName,
    },
    /// An aggregate.
    Aggregate(Box<Aggregate>),
    /// `[NOT] EXISTS (SELECT FROM …)`.
    Exists {
        /// NOT EXISTS.
        not: bool,
        /// The rows.
        rows: Box<Rows>,
    },
    /// The value of an enum type of the source that has a label, or the array of those that have one of
    /// several; NULL, or left out, where it lacks the label.
    OfEnum {
        /// The type's name at the source, quoted.
        of: TypeName,
        /// The label, or the array of labels, as text.
        labels: Box<Expr>,
        /// Whether it is an array.
        array: bool,
    },
    /// `arg[i]…` (no slices).
    Subscript {
        /// The array.
        arg: Box<Expr>,
        /// One expression a dimension.
        indexes: Vec<Expr>,
    },
}

impl Expr {
    /// Calls `visit` for this expression and everything below it.
    pub fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        visit(self);
        match self {
            Expr::Column(_) | Expr::Literal(_) | Expr::Param { .. } => {}
            Expr::Operator { args, .. }
            | Expr::Function { args, .. }
            | Expr::And(args)
            | Expr::Or(args)
            | Expr::Coalesce(args)
            | Expr::Greatest(args)
            | Expr::Least(args)
            | Expr::Array { elements: args, .. } => args.iter().for_each(|arg| arg.walk(visit)),
            Expr::AnyAll { left, right, .. }
            | Expr::Distinct { left, right }
            | Expr::NullIf { left, right } => {
                left.walk(visit);
                right.walk(visit);
            }
            Expr::Cast { arg, .. }
            | Expr::Collate { arg, .. }
            | Expr::Not(arg)
            | Expr::IsNull { arg, .. }
            | Expr::BoolTest { arg, .. } => arg.walk(visit),
            Expr::Case { operand, arms, otherwise } => {
                for part in operand.iter().chain(otherwise) {
                    part.walk(visit);
                }
                for (when, then) in arms {
                    when.walk(visit);
                    then.walk(visit);
                }
            }
            Expr::Aggregate(aggregate) => {
                aggregate.args.iter().for_each(|arg| arg.walk(visit));
                aggregate.order.iter().for_each(|term| term.expr.walk(visit));
                if let Some(filter) = &aggregate.filter {
                    filter.walk(visit);
                }
            }
            Expr::Exists { rows, .. } => rows.walk(visit),
            Expr::OfEnum { labels, .. } => labels.walk(visit),
            Expr::Subscript { arg, indexes } => {
                arg.walk(visit);
                indexes.iter().for_each(|index| index.walk(visit));
            }
        }
    }

    /// Whether it is the comparison of a value with itself.
    pub fn is_always_true(&self) -> bool {
        match self {
            Expr::Operator { op, args } if *op == OperatorName::builtin("=") => match args
                .as_slice()
            {
                [Expr::Literal(left), Expr::Literal(right)] => left.text.is_some() && left == right,
                _ => false,
            },
            _ => false,
        }
    }
}
