//! From expressions to conditions.

use super::array::elements;
use super::{Comparison, Condition, Known, Operand, Shape};
use crate::connectors::Param;
use crate::predicate::{BoolTest, ColumnRef, Expr, Literal, OperatorName, TypeName};

/// A condition and whether it is exactly as wide as the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The condition.
    pub condition: Condition,
    /// Whether it says all that the expression says.
    pub exact: bool,
}

fn exactly(condition: Condition) -> Option<Converted> {
    Some(Converted { condition, exact: true })
}

/// A value beside a column.
enum Side {
    Null,
    Value(Operand),
}

/// The condition that an expression stands for; `None` if it is of no form that an API could take.
pub fn convert(expr: &Expr, params: &[Param]) -> Option<Converted> {
    match expr {
        Expr::Operator { op, args } => operator(op, args, params),
        Expr::AnyAll { op, all: false, left, right } if *op == OperatorName::builtin("=") => {
            any(left, right, params)
        }
        Expr::Column(column) => flag(column, true),
        Expr::Not(arg) => match arg.as_ref() {
            Expr::Column(column) => flag(column, false),
            _ => None,
        },
        Expr::BoolTest { arg, test } => match (arg.as_ref(), test) {
            (Expr::Column(column), BoolTest::IsTrue) => flag(column, true),
            (Expr::Column(column), BoolTest::IsFalse) => flag(column, false),
            (Expr::Column(column), BoolTest::IsUnknown) => null(column, false),
            (Expr::Column(column), BoolTest::IsNotUnknown) => null(column, true),
            _ => None,
        },
        Expr::IsNull { arg, not } => match arg.as_ref() {
            Expr::Column(column) => null(column, *not),
            _ => None,
        },
        Expr::And(args) => {
            let parts: Vec<_> = args.iter().map(|arg| convert(arg, params)).collect();
            let exact = parts.iter().all(|part| part.as_ref().is_some_and(|part| part.exact));
            let mut kept: Vec<Condition> =
                parts.into_iter().flatten().map(|part| part.condition).collect();
            if kept.contains(&Condition::Never) {
                return exactly(Condition::Never);
            }
            let condition = if kept.len() == 1 { kept.remove(0) } else { Condition::All(kept) };
            let is_empty = matches!(&condition, Condition::All(parts) if parts.is_empty());
            (!is_empty).then_some(Converted { condition, exact })
        }
        Expr::Or(args) => {
            let parts: Vec<_> =
                args.iter().map(|arg| convert(arg, params)).collect::<Option<_>>()?;
            let exact = parts.iter().all(|part| part.exact);
            let arms: Vec<_> = parts
                .into_iter()
                .map(|part| part.condition)
                .filter(|condition| *condition != Condition::Never)
                .collect();
            Some(Converted { condition: either(arms), exact })
        }
        Expr::Literal(Literal { text, of }) if of.0 == "boolean" => {
            let is_true = text.as_deref().is_some_and(|text| text.starts_with('t'));
            if is_true { None } else { exactly(Condition::Never) }
        }
        _ => None,
    }
}

/// An OR; of equalities of one column, a list.
fn either(mut arms: Vec<Condition>) -> Condition {
    if arms.is_empty() {
        return Condition::Never;
    }
    if arms.len() == 1 {
        return arms.remove(0);
    }
    let mut of: Option<String> = None;
    let mut all = Vec::new();
    for arm in &arms {
        let (column, operands) = match arm {
            Condition::Compare { column, comparison: Comparison::Equal, operand } => {
                (column, std::slice::from_ref(operand))
            }
            Condition::OneOf { column, operands } => (column, operands.as_slice()),
            _ => return Condition::Any(arms),
        };
        if of.as_ref().is_some_and(|known| known != column) {
            return Condition::Any(arms);
        }
        of = Some(column.clone());
        all.extend(operands.iter().cloned());
    }
    match of {
        Some(column) => one_of(column, all),
        None => Condition::Any(arms),
    }
}

fn one_of(column: String, mut operands: Vec<Operand>) -> Condition {
    operands.sort_by_key(Operand::shown);
    operands.dedup();
    match operands.len() {
        0 => Condition::Never,
        1 => Condition::Compare {
            column,
            comparison: Comparison::Equal,
            operand: operands.remove(0),
        },
        _ => Condition::OneOf { column, operands },
    }
}

/// A column as the API stores it.
fn name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(ColumnRef { name, cast_to: None, .. }) => Some(name),
        // Under the collation C and every other deterministic one, equal texts have equal bytes.
        Expr::Collate { arg, .. } => name(arg),
        _ => None,
    }
}

fn flag(column: &ColumnRef, is: bool) -> Option<Converted> {
    column.cast_to.is_none().then_some(())?;
    exactly(Condition::Flag { column: column.name.clone(), is })
}

fn null(column: &ColumnRef, not: bool) -> Option<Converted> {
    column.cast_to.is_none().then_some(())?;
    exactly(Condition::Null { column: column.name.clone(), not })
}

fn side(expr: &Expr, params: &[Param]) -> Option<Side> {
    match expr {
        Expr::Literal(Literal { text, of }) => Some(match text {
            None => Side::Null,
            Some(text) => operand(Known::Text(text.clone()), of),
        }),
        Expr::Param { index, of } => Some(match params.get(*index) {
            None | Some(Param::Unknown) => operand(Known::Param(*index), of),
            Some(Param::Null) => Side::Null,
            Some(Param::Text(text)) => operand(Known::Text(text.clone()), of),
        }),
        Expr::Collate { arg, .. } => side(arg, params),
        _ => None,
    }
}

fn operand(value: Known, of: &TypeName) -> Side {
    // numeric(10,2) is numeric.
    let of = of.0.split('(').next().unwrap_or_default().trim_end().to_owned();
    Side::Value(Operand { value, of })
}

fn operator(op: &OperatorName, args: &[Expr], params: &[Param]) -> Option<Converted> {
    if op.schema.is_some() {
        return None;
    }
    let [left, right] = args else { return None };
    let comparison = match op.symbol.as_str() {
        "=" => Comparison::Equal,
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Greater,
        ">=" => Comparison::AtLeast,
        "~~" | "~~*" => return like(left, right, op.symbol == "~~*", params),
        _ => return None,
    };
    let (column, value, comparison) = match (name(left), name(right)) {
        (Some(column), None) => (column, right, comparison),
        (None, Some(column)) => (column, left, comparison.mirrored()),
        _ => return None,
    };
    // Order, other than equality, depends on the collation; an explicit one says which, but no API
    // takes one.
    exactly(match side(value, params)? {
        Side::Null => Condition::Never,
        Side::Value(operand) => {
            Condition::Compare { column: column.to_owned(), comparison, operand }
        }
    })
}

fn any(left: &Expr, right: &Expr, params: &[Param]) -> Option<Converted> {
    // value = ANY (array column)
    if let (None, Some(column)) = (name(left), name(right)) {
        return exactly(match side(left, params)? {
            Side::Null => Condition::Never,
            Side::Value(operand) => Condition::Has { column: column.to_owned(), operand },
        });
    }
    let column = name(left)?.to_owned();
    if let Expr::Array { elements, .. } = right {
        let mut operands = Vec::new();
        for element in elements {
            if let Side::Value(operand) = side(element, params)? {
                operands.push(operand);
            }
        }
        return exactly(one_of(column, operands));
    }
    match side(right, params)? {
        Side::Null => exactly(Condition::Never),
        Side::Value(Operand { value: Known::Param(param), .. }) => {
            exactly(Condition::OneOfParam { column, param })
        }
        Side::Value(Operand { value: Known::Text(text), of }) => {
            let of = of.strip_suffix("[]").unwrap_or(&of).to_owned();
            let operands = elements(&text)?
                .into_iter()
                .flatten()
                .map(|text| Operand { value: Known::Text(text), of: of.clone() });
            exactly(one_of(column, operands.collect()))
        }
    }
}

fn like(left: &Expr, right: &Expr, fold: bool, params: &[Param]) -> Option<Converted> {
    let column = name(left)?.to_owned();
    let pattern = match side(right, params)? {
        Side::Null => return exactly(Condition::Never),
        Side::Value(Operand { value: Known::Text(pattern), .. }) => pattern,
        Side::Value(_) => return None,
    };
    let (shape, text) = shape(&pattern)?;
    // '%' alone says only that the column is not NULL.
    if text.is_empty() && shape != Shape::Whole {
        return None;
    }
    exactly(Condition::Like { column, shape, text, fold })
}

/// A pattern whose only wildcards are `%` at its ends.
fn shape(pattern: &str) -> Option<(Shape, String)> {
    let mut text = String::new();
    let mut chars = pattern.chars().peekable();
    let open_start = chars.peek() == Some(&'%');
    while chars.next_if_eq(&'%').is_some() {}
    let mut open_end = false;
    while let Some(c) = chars.next() {
        match c {
            '_' => return None,
            '%' => {
                while chars.next_if_eq(&'%').is_some() {}
                if chars.peek().is_some() {
                    return None;
                }
                open_end = true;
            }
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
    let shape = match (open_start, open_end) {
        (false, false) => Shape::Whole,
        (false, true) => Shape::Prefix,
        (true, false) => Shape::Suffix,
        (true, true) => Shape::Inside,
    };
    Some((shape, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn col(name: &str) -> Expr {
        Expr::Column(ColumnRef { relation: 1, name: name.into(), cast_to: None })
    }

    fn lit(text: &str, of: &str) -> Expr {
        Expr::Literal(Literal { text: Some(text.into()), of: TypeName(of.into()) })
    }

    fn op(symbol: &str, left: Expr, right: Expr) -> Expr {
        Expr::Operator { op: OperatorName::builtin(symbol), args: vec![left, right] }
    }

    fn any_of(left: Expr, right: Expr) -> Expr {
        Expr::AnyAll {
            op: OperatorName::builtin("="),
            all: false,
            left: Box::new(left),
            right: Box::new(right),
        }
    }

    fn condition(expr: &Expr) -> Option<Condition> {
        convert(expr, &[]).map(|converted| converted.condition)
    }

    #[test]
    fn sides_may_be_exchanged() {
        let direct = condition(&op("<", col("a"), lit("5", "integer")));
        assert_eq!(direct, condition(&op(">", lit("5", "integer"), col("a"))));
        assert!(direct.is_some());
        assert_eq!(condition(&op("<", col("a"), col("b"))), None);
        assert_eq!(condition(&op("<>", col("a"), lit("5", "integer"))), None);
    }

    #[test]
    fn nulls_match_nothing() {
        let null = Expr::Literal(Literal { text: None, of: TypeName("text".into()) });
        assert_eq!(condition(&op("=", col("a"), null.clone())), Some(Condition::Never));
        assert_eq!(condition(&any_of(col("a"), lit("{NULL}", "text[]"))), Some(Condition::Never));
        let never_or = Expr::Or(vec![op("=", col("a"), null), op("=", col("b"), lit("x", "text"))]);
        assert_eq!(
            condition(&never_or).and_then(|c| c.column().map(str::to_owned)),
            Some("b".into())
        );
    }

    #[test]
    fn lists_are_sorted_and_each_once() {
        let list = condition(&any_of(col("a"), lit("{b,a,NULL,b}", "text[]"))).expect("a list");
        let or = Expr::Or(vec![
            op("=", col("a"), lit("b", "text")),
            op("=", col("a"), lit("a", "text")),
        ]);
        assert_eq!(Some(list), condition(&or));
    }

    #[test]
    fn parts_may_be_left_out_of_and_but_not_of_or() {
        let known = op("=", col("a"), lit("x", "text"));
        let unknown = op("<>", col("b"), lit("y", "text"));
        let and = convert(&Expr::And(vec![known.clone(), unknown.clone()]), &[]).expect("the part");
        assert!(!and.exact);
        assert_eq!(condition(&Expr::Or(vec![known.clone(), unknown.clone()])), None);
        let arm = Expr::And(vec![known.clone(), unknown]);
        let or = convert(&Expr::Or(vec![arm, op("=", col("c"), lit("z", "text"))]), &[]);
        assert!(or.is_some_and(|or| !or.exact && matches!(or.condition, Condition::Any(_))));
    }

    #[test]
    fn patterns() {
        assert_eq!(shape("a%"), Some((Shape::Prefix, "a".into())));
        assert_eq!(shape("%%a"), Some((Shape::Suffix, "a".into())));
        assert_eq!(shape("%a\\%b%"), Some((Shape::Inside, "a%b".into())));
        assert_eq!(shape("a"), Some((Shape::Whole, "a".into())));
        assert_eq!(shape("a%b"), None);
        assert_eq!(shape("a_"), None);
        assert_eq!(shape("a\\"), None);
        assert_eq!(condition(&op("~~", col("a"), lit("%", "text"))), None);
    }

    #[test]
    fn parameters_have_their_values_or_none() {
        let of = TypeName("text".into());
        let expr = op("=", col("a"), Expr::Param { index: 0, of });
        assert!(matches!(
            convert(&expr, &[]).map(|c| c.condition),
            Some(Condition::Compare { operand: Operand { value: Known::Param(0), .. }, .. })
        ));
        assert_eq!(convert(&expr, &[Param::Null]).map(|c| c.condition), Some(Condition::Never));
        let known = convert(&expr, &[Param::Text("x".into())]).map(|c| c.condition);
        assert_eq!(known, condition(&op("=", col("a"), lit("x", "text"))));
    }

    #[test]
    fn a_cast_column_is_not_the_column() {
        let cast = Expr::Cast { arg: Box::new(col("a")), to: TypeName("double precision".into()) };
        assert_eq!(condition(&op("=", cast, lit("1", "double precision"))), None);
        let there =
            ColumnRef { relation: 1, name: "a".into(), cast_to: Some(TypeName("x".into())) };
        assert_eq!(condition(&Expr::Column(there)), None);
    }
}
