//! Whether one condition follows from another, so that a wider answer serves a narrower question.

use super::{Comparison, Condition, Operand};
use crate::connectors::time;

/// Whether every row for which `narrow` is true is one for which `wide` is. `false` where it is not
/// known.
pub fn implies(narrow: &Condition, wide: &Condition) -> bool {
    if narrow == wide {
        return true;
    }
    match (narrow, wide) {
        (Condition::Never, _) => true,
        (_, Condition::All(parts)) => parts.iter().all(|part| implies(narrow, part)),
        (Condition::Any(arms), _) => arms.iter().all(|arm| implies(arm, wide)),
        (_, Condition::Any(arms)) => arms.iter().any(|arm| implies(narrow, arm)),
        (Condition::All(parts), _) => parts.iter().any(|part| implies(part, wide)),
        (Condition::OneOf { column, operands }, _) => operands.iter().all(|operand| {
            let one = Condition::Compare {
                column: column.clone(),
                comparison: Comparison::Equal,
                operand: operand.clone(),
            };
            implies(&one, wide)
        }),
        (
            Condition::Compare { column, comparison: Comparison::Equal, operand },
            Condition::OneOf { column: other, operands },
        ) => column == other && operands.contains(operand),
        (
            Condition::Compare { column, comparison, operand },
            Condition::Compare { column: other, comparison: wide, operand: bound },
        ) => column == other && bounds(*comparison, operand, *wide, bound),
        _ => false,
    }
}

/// Whether `x comparison value` implies `x wide bound`.
fn bounds(comparison: Comparison, value: &Operand, wide: Comparison, bound: &Operand) -> bool {
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less};
    let Some(order) = order(value, bound) else { return false };
    match (comparison, wide) {
        (Equal | AtLeast | Greater, AtLeast) => order.is_ge(),
        (Equal | AtLeast, Greater) => order.is_gt(),
        (Greater, Greater) => order.is_ge(),
        (Equal | AtMost | Less, AtMost) => order.is_le(),
        (Equal | AtMost, Less) => order.is_lt(),
        (Less, Less) => order.is_le(),
        _ => false,
    }
}

/// The order of two values of one type, of the types whose order is everywhere the same.
fn order(left: &Operand, right: &Operand) -> Option<std::cmp::Ordering> {
    if left.of != right.of {
        return None;
    }
    let (left_text, right_text) = (left.known()?, right.known()?);
    match left.of.as_str() {
        "timestamp with time zone" => {
            Some(time::timestamp(left_text)?.cmp(&time::timestamp(right_text)?))
        }
        "date" => Some(time::date(left_text)?.cmp(&time::date(right_text)?)),
        "smallint" | "integer" | "bigint" => {
            Some(left_text.parse::<i64>().ok()?.cmp(&right_text.parse::<i64>().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Known;
    use super::*;
    use proptest::prelude::*;

    fn compare(comparison: Comparison, value: i64) -> Condition {
        let operand = Operand { value: Known::Text(value.to_string()), of: "bigint".into() };
        Condition::Compare { column: "a".into(), comparison, operand }
    }

    fn comparison() -> impl Strategy<Value = Comparison> {
        prop::sample::select(vec![
            Comparison::Equal,
            Comparison::Less,
            Comparison::AtMost,
            Comparison::Greater,
            Comparison::AtLeast,
        ])
    }

    fn any_condition() -> impl Strategy<Value = Condition> {
        let leaf = (comparison(), -3_i64..4).prop_map(|(c, v)| compare(c, v));
        leaf.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::All),
                prop::collection::vec(inner, 1..3).prop_map(Condition::Any),
            ]
        })
    }

    fn holds(condition: &Condition, x: i64) -> bool {
        match condition {
            Condition::Compare { comparison, operand, .. } => {
                let value: i64 = operand.known().and_then(|t| t.parse().ok()).expect("a number");
                match comparison {
                    Comparison::Equal => x == value,
                    Comparison::Less => x < value,
                    Comparison::AtMost => x <= value,
                    Comparison::Greater => x > value,
                    Comparison::AtLeast => x >= value,
                }
            }
            Condition::All(parts) => parts.iter().all(|part| holds(part, x)),
            Condition::Any(arms) => arms.iter().any(|arm| holds(arm, x)),
            _ => false,
        }
    }

    #[test]
    fn ranges() {
        use Comparison::{AtLeast, Equal, Greater};
        assert!(implies(&compare(AtLeast, 5), &compare(AtLeast, 3)));
        assert!(!implies(&compare(AtLeast, 3), &compare(AtLeast, 5)));
        assert!(!implies(&compare(AtLeast, 3), &compare(Greater, 3)));
        assert!(implies(&compare(Equal, 3), &compare(AtLeast, 3)));
    }

    proptest! {
        #[test]
        fn what_is_implied_holds(narrow in any_condition(), wide in any_condition()) {
            if implies(&narrow, &wide) {
                for x in -6..7 {
                    prop_assert!(!holds(&narrow, x) || holds(&wide, x));
                }
            }
        }
    }
}
