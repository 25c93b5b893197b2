//! Expressions over one table as expressions over another one of the same columns.

use super::{ColumnRef, Expr, From, Rows};

impl Expr {
    /// The same with the columns of each first relation as those of the second.
    pub fn moved(&self, relations: &[(u32, u32)]) -> Expr {
        let mut out = self.clone();
        out.columns(&mut |column| {
            if let Some((_, to)) = relations.iter().find(|(from, _)| *from == column.relation) {
                column.relation = *to;
            }
        });
        out
    }

    fn columns(&mut self, each: &mut impl FnMut(&mut ColumnRef)) {
        match self {
            Expr::Column(column) => each(column),
            Expr::Literal(_) | Expr::Param { .. } => {}
            Expr::Operator { args, .. }
            | Expr::Function { args, .. }
            | Expr::And(args)
            | Expr::Or(args)
            | Expr::Coalesce(args)
            | Expr::Greatest(args)
            | Expr::Least(args)
            | Expr::Array { elements: args, .. } => {
                args.iter_mut().for_each(|arg| arg.columns(each))
            }
            Expr::AnyAll { left, right, .. }
            | Expr::Distinct { left, right }
            | Expr::NullIf { left, right } => {
                left.columns(each);
                right.columns(each);
            }
            Expr::Cast { arg, .. }
            | Expr::Collate { arg, .. }
            | Expr::Not(arg)
            | Expr::IsNull { arg, .. }
            | Expr::BoolTest { arg, .. } => arg.columns(each),
            Expr::Case { operand, arms, otherwise } => {
                for part in operand.iter_mut().chain(otherwise) {
                    part.columns(each);
                }
                for (when, then) in arms {
                    when.columns(each);
                    then.columns(each);
                }
            }
            Expr::Aggregate(aggregate) => {
                aggregate.args.iter_mut().for_each(|arg| arg.columns(each));
                aggregate.order.iter_mut().for_each(|term| term.expr.columns(each));
                if let Some(filter) = &mut aggregate.filter {
                    filter.columns(each);
                }
            }
            Expr::Exists { rows, .. } => rows.columns(each),
            Expr::OfEnum { labels, .. } => labels.columns(each),
            Expr::Subscript { arg, indexes } => {
                arg.columns(each);
                indexes.iter_mut().for_each(|index| index.columns(each));
            }
        }
    }
}

impl Rows {
    fn columns(&mut self, each: &mut impl FnMut(&mut ColumnRef)) {
        self.from.columns(each);
        self.conditions.iter_mut().for_each(|expr| expr.columns(each));
    }
}

impl From {
    fn columns(&mut self, each: &mut impl FnMut(&mut ColumnRef)) {
        match self {
            From::Table { computed, .. } => {
                computed.iter_mut().for_each(|(_, expr)| expr.columns(each));
            }
            From::Join { left, right, on, .. } => {
                left.columns(each);
                right.columns(each);
                on.iter_mut().for_each(|expr| expr.columns(each));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Aggregate, BoolTest, JoinKind, OperatorName, SortTerm, TypeName};
    use super::*;

    fn column(relation: u32) -> Expr {
        Expr::Column(ColumnRef { relation, name: "c".into(), cast_to: None })
    }

    /// Every kind of expression, over columns of this relation and of relation 9.
    fn every(relation: u32) -> Vec<Expr> {
        let one = || Box::new(column(relation));
        let two = || vec![column(9), column(relation)];
        let of = || TypeName("text".into());
        let op = || OperatorName::builtin("=");
        let table = From::Table {
            name: "t".into(),
            relation: 9,
            computed: vec![("x".into(), column(relation))],
            only: None,
        };
        let from = From::Join {
            kind: JoinKind::Inner,
            left: Box::new(table.clone()),
            right: Box::new(table),
            on: two(),
        };
        let term = SortTerm {
            expr: column(relation),
            collation: None,
            direction: "ASC".into(),
            nulls_first: false,
        };
        let aggregate = Aggregate {
            name: "max".into(),
            star: false,
            distinct: false,
            args: two(),
            variadic: false,
            order: vec![term],
            within_group: false,
            filter: Some(one()),
        };
        vec![
            column(relation),
            Expr::Param { index: 0, of: of() },
            Expr::Operator { op: op(), args: two() },
            Expr::AnyAll { op: op(), all: false, left: one(), right: one() },
            Expr::Function { schema: None, name: "f".into(), args: two(), variadic: false },
            Expr::Cast { arg: one(), to: of() },
            Expr::Collate { arg: one(), collation: "\"C\"".into() },
            Expr::And(two()),
            Expr::Or(two()),
            Expr::Not(one()),
            Expr::IsNull { arg: one(), not: true },
            Expr::BoolTest { arg: one(), test: BoolTest::IsTrue },
            Expr::Distinct { left: one(), right: one() },
            Expr::NullIf { left: one(), right: one() },
            Expr::Case {
                operand: Some(one()),
                arms: vec![(column(relation), column(9))],
                otherwise: Some(one()),
            },
            Expr::Coalesce(two()),
            Expr::Greatest(two()),
            Expr::Least(two()),
            Expr::Array { elements: two(), of: of() },
            Expr::Aggregate(Box::new(aggregate)),
            Expr::Exists { not: false, rows: Box::new(Rows { from, conditions: two() }) },
            Expr::OfEnum { of: of(), labels: one(), array: false },
            Expr::Subscript { arg: one(), indexes: two() },
        ]
    }

    #[test]
    fn columns_move_wherever_they_stand() {
        for (from, to) in every(1).iter().zip(every(2)) {
            assert_eq!(from.moved(&[(1, 2)]), to);
            assert_eq!(to.moved(&[(3, 4)]), to);
            assert_eq!(from.moved(&[(1, 9), (9, 1)]).moved(&[(9, 1), (1, 9)]), *from);
            // What `walk` visits has moved as well.
            to.walk(&mut |part| {
                if let Expr::Column(column) = part {
                    assert_ne!(column.relation, 1);
                }
            });
        }
    }
}
