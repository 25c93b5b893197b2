//! Expressions, written shortly.

use warehouse_core::predicate::{ColumnRef, Expr, Literal, OperatorName, TypeName};

pub fn col(name: &str) -> Expr {
    Expr::Column(ColumnRef { relation: 1, name: name.into(), cast_to: None })
}

pub fn lit(text: &str, of: &str) -> Expr {
    Expr::Literal(Literal { text: Some(text.into()), of: TypeName(of.into()) })
}

pub fn op(symbol: &str, left: Expr, right: Expr) -> Expr {
    Expr::Operator { op: OperatorName::builtin(symbol), args: vec![left, right] }
}

pub fn text(name: &str, symbol: &str, value: &str) -> Expr {
    op(symbol, col(name), lit(value, "text"))
}

pub fn any(column: &str, array: &str) -> Expr {
    Expr::AnyAll {
        op: OperatorName::builtin("="),
        all: false,
        left: Box::new(col(column)),
        right: Box::new(lit(array, "text[]")),
    }
}

pub fn param(index: usize, of: &str) -> Expr {
    Expr::Param { index, of: TypeName(of.into()) }
}

pub fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

pub fn is_null(name: &str, not: bool) -> Expr {
    Expr::IsNull { arg: Box::new(col(name)), not }
}
