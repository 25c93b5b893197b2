//! Conditions that say nothing new.
//!
//! From `(a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4)` Postgres derives `a.x = 1 OR a.x = 3` for a scan
//! of `a` alone (optimizer/util/orclauses.c), and makes up for it in what it expects of the first. A
//! remote Postgres that gets both derives it once more and counts it twice: it expects a fraction of the
//! rows there are, and joins them one by one. So a condition of one table that follows from a condition
//! of several in the same SELECT is left out.

use super::{Expr, From, JoinKind, Rows};

/// Arms of two disjunctions that are compared with each other at most, all in all.
const MOST: usize = 10_000;

impl Rows {
    /// Leaves out of WHERE the disjunctions over one relation that follow from one over several, in WHERE
    /// or in the ON of an inner join that every row has passed.
    pub fn leave_out_implied(&mut self) {
        if self.from.is_table() {
            return;
        }
        let mut joining: Vec<&Expr> = self.conditions.iter().collect();
        passed(&self.from, &mut joining);
        joining.retain(|expr| matches!(expr, Expr::Or(_)) && relations(expr) == Relations::Several);
        if joining.is_empty() {
            return;
        }
        let said: Vec<bool> = self
            .conditions
            .iter()
            .map(|of| {
                matches!(of, Expr::Or(_))
                    && relations(of) == Relations::One
                    && joining
                        .iter()
                        .any(|by| arms(by).saturating_mul(arms(of)) <= MOST && implies(by, of))
            })
            .collect();
        let mut said = said.into_iter();
        self.conditions.retain(|_| !said.next().unwrap_or_default());
    }
}

/// The conditions of the inner joins that nothing stands above but inner joins.
fn passed<'e>(from: &'e From, into: &mut Vec<&'e Expr>) {
    if let From::Join { kind: JoinKind::Inner, left, right, on } = from {
        into.extend(on);
        passed(left, into);
        passed(right, into);
    }
}

#[derive(PartialEq, Eq)]
enum Relations {
    None,
    One,
    Several,
}

/// Of how many relations columns are in an expression.
fn relations(expr: &Expr) -> Relations {
    let mut first = None;
    let mut several = false;
    expr.walk(&mut |part| {
        if let Expr::Column(column) = part {
            several |= *first.get_or_insert(column.relation) != column.relation;
        }
    });
    match (first, several) {
        (None, _) => Relations::None,
        (Some(_), false) => Relations::One,
        (Some(_), true) => Relations::Several,
    }
}

/// How many parts of AND and OR are in an expression.
fn arms(expr: &Expr) -> usize {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(arms).sum(),
        _ => 1,
    }
}

/// Whether `of` is true wherever `by` is, as far as their AND and OR show. What is neither true nor false
/// is not true.
fn implies(by: &Expr, of: &Expr) -> bool {
    if by == of {
        return true;
    }
    match (by, of) {
        (Expr::Or(arms), _) => arms.iter().all(|arm| implies(arm, of)),
        (_, Expr::And(parts)) => parts.iter().all(|part| implies(by, part)),
        (Expr::And(parts), Expr::Or(arms)) => {
            arms.iter().any(|arm| implies(by, arm)) || parts.iter().any(|part| implies(part, of))
        }
        (Expr::And(parts), _) => parts.iter().any(|part| implies(part, of)),
        (_, Expr::Or(arms)) => arms.iter().any(|arm| implies(by, arm)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ColumnRef, Literal, OperatorName, TypeName};
    use super::*;
    use proptest::prelude::*;

    fn column(relation: u32, name: &str) -> Expr {
        Expr::Column(ColumnRef { relation, name: name.into(), cast_to: None })
    }

    fn is(relation: u32, value: &str) -> Expr {
        let value = Literal { text: Some(value.into()), of: TypeName("text".into()) };
        let args = vec![column(relation, "name"), Expr::Literal(value)];
        Expr::Operator { op: OperatorName::builtin("="), args }
    }

    fn and(parts: &[Expr]) -> Expr {
        Expr::And(parts.to_vec())
    }

    fn or(parts: &[Expr]) -> Expr {
        Expr::Or(parts.to_vec())
    }

    fn table(relation: u32) -> From {
        From::Table { name: "t".into(), relation, computed: Vec::new(), only: None }
    }

    fn join(kind: JoinKind, on: Vec<Expr>) -> From {
        From::Join { kind, left: Box::new(table(1)), right: Box::new(table(2)), on }
    }

    /// The condition of TPC-H Q7, and what follows from it.
    fn volume() -> [Expr; 3] {
        let both = or(&[
            and(&[is(1, "FRANCE"), is(2, "GERMANY")]),
            and(&[is(1, "GERMANY"), is(2, "FRANCE")]),
        ]);
        let one = |relation| or(&[is(relation, "FRANCE"), is(relation, "GERMANY")]);
        [both, one(1), one(2)]
    }

    fn left(from: From, conditions: &[Expr]) -> Vec<Expr> {
        let mut rows = Rows { from, conditions: conditions.to_vec() };
        rows.leave_out_implied();
        rows.conditions
    }

    #[test]
    fn what_follows_from_the_join_is_left_out() {
        let [both, first, second] = volume();
        let other = is(1, "ITALY");
        let conditions = [first.clone(), other.clone(), second.clone()];
        assert_eq!(
            left(join(JoinKind::Inner, vec![both.clone()]), &conditions),
            std::slice::from_ref(&other)
        );
        let conditions = [first, other.clone(), second, both.clone()];
        assert_eq!(left(join(JoinKind::Inner, Vec::new()), &conditions), [other, both]);
    }

    #[test]
    fn what_need_not_follow_stays() {
        let [both, first, second] = volume();
        let conditions = [first, second];
        // Rows without a partner have not passed its condition.
        for kind in [JoinKind::Left, JoinKind::Right, JoinKind::Full] {
            assert_eq!(left(join(kind, vec![both.clone()]), &conditions), conditions);
        }
        let narrower = [or(&[is(1, "FRANCE"), is(1, "ITALY")])];
        assert_eq!(left(join(JoinKind::Inner, vec![both.clone()]), &narrower), narrower);
        // Twice the same is no reason for leaving both out.
        assert_eq!(left(join(JoinKind::Inner, vec![]), &[both.clone(), both.clone()]).len(), 2);
        assert_eq!(left(table(1), &conditions), conditions);
    }

    #[test]
    fn huge_conditions_are_not_compared() {
        let many: Vec<Expr> = (0..200).map(|n| is(1, &n.to_string())).collect();
        let pairs: Vec<Expr> = many.iter().map(|one| and(&[one.clone(), is(2, "x")])).collect();
        let conditions = [or(&many)];
        let on = vec![or(&pairs)];
        assert_eq!(left(join(JoinKind::Inner, on), &conditions), conditions);
    }

    /// AND, OR and four columns.
    fn tree() -> impl Strategy<Value = Expr> {
        let leaf = (1u32..3, prop::bool::ANY)
            .prop_map(|(relation, first)| column(relation, if first { "a" } else { "b" }));
        leaf.prop_recursive(3, 12, 3, |inner| {
            let parts = prop::collection::vec(inner, 1..4);
            (prop::bool::ANY, parts)
                .prop_map(|(all, parts)| if all { Expr::And(parts) } else { Expr::Or(parts) })
        })
    }

    fn is_true(expr: &Expr, row: u32) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().all(|part| is_true(part, row)),
            Expr::Or(parts) => parts.iter().any(|part| is_true(part, row)),
            Expr::Column(column) => {
                let bit = column.relation * 2 + u32::from(column.name == "a");
                row >> bit & 1 == 1
            }
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn what_is_implied_is_true(by in tree(), of in tree()) {
            if implies(&by, &of) {
                for row in 0..64 {
                    prop_assert!(!is_true(&by, row) || is_true(&of, row), "{row:b}");
                }
            }
        }

        #[test]
        fn the_same_rows_pass(on in tree(), conditions in prop::collection::vec(tree(), 0..5)) {
            let kept = left(join(JoinKind::Inner, vec![on.clone()]), &conditions);
            for row in 0..64 {
                let pass = |all: &[Expr]| is_true(&on, row) && all.iter().all(|c| is_true(c, row));
                prop_assert_eq!(pass(&kept), pass(&conditions));
            }
        }
    }
}
