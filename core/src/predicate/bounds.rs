//! Which columns a condition narrows down, as far as an index could use it.

use super::Expr;

/// How a condition narrows a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// To one value, or to the values of a list.
    Equal,
    /// To a range.
    Range,
}

/// The column that `expr` narrows and how, if it is of the form that an index on the column serves:
/// the column compared with something that holds no column.
pub fn bound(expr: &Expr) -> Option<(&str, Bound)> {
    match expr {
        Expr::Operator { op, args } if op.schema.is_none() => {
            let kind = match op.symbol.as_str() {
                "=" => Bound::Equal,
                "<" | "<=" | ">" | ">=" => Bound::Range,
                _ => return None,
            };
            let [left, right] = args.as_slice() else { return None };
            match (left, right) {
                (Expr::Column(column), other) | (other, Expr::Column(column))
                    if column.cast_to.is_none() && !has_column(other) =>
                {
                    Some((&column.name, kind))
                }
                _ => None,
            }
        }
        Expr::AnyAll { op, all: false, left, right }
            if op.schema.is_none() && op.symbol == "=" && !has_column(right) =>
        {
            match left.as_ref() {
                Expr::Column(column) if column.cast_to.is_none() => {
                    Some((&column.name, Bound::Equal))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The column of `relation` that `expr` sets equal to another relation's column.
pub fn equated(expr: &Expr, relation: u32) -> Option<&str> {
    let Expr::Operator { op, args } = expr else { return None };
    let [Expr::Column(left), Expr::Column(right)] = args.as_slice() else { return None };
    if op.schema.is_some() || op.symbol != "=" || left.relation == right.relation {
        return None;
    }
    [left, right]
        .into_iter()
        .find(|column| column.relation == relation && column.cast_to.is_none())
        .map(|column| column.name.as_str())
}

fn has_column(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| found |= matches!(part, Expr::Column(_)));
    found
}

#[cfg(test)]
mod tests {
    use super::super::{ColumnRef, Literal, OperatorName, TypeName};
    use super::*;

    fn col(name: &str) -> Expr {
        Expr::Column(ColumnRef { relation: 1, name: name.into(), cast_to: None })
    }

    fn one() -> Expr {
        Expr::Literal(Literal { text: Some("1".into()), of: TypeName("integer".into()) })
    }

    fn op(symbol: &str, left: Expr, right: Expr) -> Expr {
        Expr::Operator { op: OperatorName::builtin(symbol), args: vec![left, right] }
    }

    #[test]
    fn comparisons_with_values_are_bounds() {
        assert_eq!(bound(&op("=", col("a"), one())), Some(("a", Bound::Equal)));
        assert_eq!(bound(&op(">=", one(), col("a"))), Some(("a", Bound::Range)));
        let any = Expr::AnyAll {
            op: OperatorName::builtin("="),
            all: false,
            left: Box::new(col("a")),
            right: Box::new(Expr::Param { index: 0, of: TypeName("integer[]".into()) }),
        };
        assert_eq!(bound(&any), Some(("a", Bound::Equal)));
    }

    #[test]
    fn columns_of_two_relations_are_equated() {
        let other = Expr::Column(ColumnRef { relation: 2, name: "b".into(), cast_to: None });
        let both = op("=", col("a"), other);
        assert_eq!((equated(&both, 1), equated(&both, 2)), (Some("a"), Some("b")));
        assert_eq!(equated(&both, 3), None);
        assert_eq!(equated(&op("=", col("a"), col("b")), 1), None);
        assert_eq!(equated(&op("=", col("a"), one()), 1), None);
    }

    #[test]
    fn other_conditions_are_none() {
        assert_eq!(bound(&op("<>", col("a"), one())), None);
        assert_eq!(bound(&op("=", col("a"), col("b"))), None);
        assert_eq!(bound(&op("=", op("+", col("a"), one()), one())), None);
        assert_eq!(bound(&Expr::Not(Box::new(col("a")))), None);
    }
}
