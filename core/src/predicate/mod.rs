//! One filter tree for every remote.
//!
//! A WHERE clause is converted once from Postgres's nodes into [`Expr`]; a *dialect* then says how a
//! remote writes it. What a dialect cannot take, Postgres evaluates.
//!
//! A new dialect is one file beside [`postgres`].

mod bounds;
mod expr;
mod implied;
mod moved;
pub mod postgres;
mod query;
mod reason;

pub use bounds::{Bound, bound, equated};
pub use expr::{Aggregate, BoolTest, ColumnRef, Expr, Literal, OperatorName, TypeName};
pub use query::{From, JoinKind, Rows, Select, SortTerm};
pub use reason::Reason;
