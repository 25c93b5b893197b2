//! Works a formula out: operators, and the functions that are known.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use super::Scope;
use super::parse::{Expression, Operator};
use super::value::{Computed, join};
use crate::apis::calendar::{DAY, SECOND, parse};

/// A function of formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apis::airtable) enum Function {
    And,
    ArrayJoin,
    Blank,
    Concatenate,
    CreatedTime,
    DateAdd,
    DatetimeParse,
    Exact,
    False,
    Find,
    If,
    IsAfter,
    IsBefore,
    IsSame,
    LastModifiedTime,
    Left,
    Len,
    Lower,
    Mid,
    Not,
    Or,
    RecordId,
    Right,
    Search,
    Trim,
    True,
    Upper,
    Value,
}

use Function as F;

const FUNCTIONS: [(&str, Function, RangeInclusive<usize>); 28] = [
    ("AND", F::And, 1..=usize::MAX),
    ("ARRAYJOIN", F::ArrayJoin, 1..=2),
    ("BLANK", F::Blank, 0..=0),
    ("CONCATENATE", F::Concatenate, 1..=usize::MAX),
    ("CREATED_TIME", F::CreatedTime, 0..=0),
    ("DATEADD", F::DateAdd, 3..=3),
    ("DATETIME_PARSE", F::DatetimeParse, 1..=3),
    ("EXACT", F::Exact, 2..=2),
    ("FALSE", F::False, 0..=0),
    ("FIND", F::Find, 2..=3),
    ("IF", F::If, 2..=3),
    ("IS_AFTER", F::IsAfter, 2..=2),
    ("IS_BEFORE", F::IsBefore, 2..=2),
    ("IS_SAME", F::IsSame, 2..=3),
    ("LAST_MODIFIED_TIME", F::LastModifiedTime, 0..=0),
    ("LEFT", F::Left, 1..=2),
    ("LEN", F::Len, 1..=1),
    ("LOWER", F::Lower, 1..=1),
    ("MID", F::Mid, 3..=3),
    ("NOT", F::Not, 1..=1),
    ("OR", F::Or, 1..=usize::MAX),
    ("RECORD_ID", F::RecordId, 0..=0),
    ("RIGHT", F::Right, 1..=2),
    ("SEARCH", F::Search, 2..=3),
    ("TRIM", F::Trim, 1..=1),
    ("TRUE", F::True, 0..=0),
    ("UPPER", F::Upper, 1..=1),
    ("VALUE", F::Value, 1..=1),
];

impl Function {
    /// The function of this name, in any case.
    pub(super) fn named(name: &str) -> Option<Function> {
        let found = FUNCTIONS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, function, _)| *function)
    }

    /// How many arguments it takes.
    pub(super) fn takes(self) -> RangeInclusive<usize> {
        let found = FUNCTIONS.iter().find(|(_, function, _)| *function == self);
        found.map_or(0..=0, |(_, _, takes)| takes.clone())
    }
}

/// What an expression comes to for a record.
pub(super) fn evaluate(expression: &Expression, scope: &dyn Scope) -> Computed {
    match expression {
        Expression::Number(number) => Computed::Number(*number),
        Expression::Text(text) => Computed::Text(text.clone()),
        Expression::Field(place) => scope.field(*place),
        Expression::Negate(inner) => number(evaluate(inner, scope).number().map(|it| -it)),
        Expression::Binary(operator, left, right) => {
            binary(*operator, &evaluate(left, scope), &evaluate(right, scope), scope)
        }
        Expression::Call(function, arguments) => call(*function, arguments, scope),
    }
}

fn number(value: Option<f64>) -> Computed {
    value.map_or(Computed::Error, Computed::Number)
}

fn binary(operator: Operator, left: &Computed, right: &Computed, scope: &dyn Scope) -> Computed {
    if *left == Computed::Error || *right == Computed::Error {
        return Computed::Error;
    }
    let arithmetic = |work: fn(f64, f64) -> f64| {
        number(left.number().zip(right.number()).map(|(left, right)| work(left, right)))
    };
    let order = |wanted: fn(Ordering) -> bool| {
        Computed::Bool(compare(left, right, scope).is_some_and(wanted))
    };
    match operator {
        Operator::Equal => Computed::Bool(equal(left, right, scope)),
        Operator::NotEqual => Computed::Bool(!equal(left, right, scope)),
        Operator::Less => order(Ordering::is_lt),
        Operator::LessOrEqual => order(Ordering::is_le),
        Operator::Greater => order(Ordering::is_gt),
        Operator::GreaterOrEqual => order(Ordering::is_ge),
        Operator::Concatenate => Computed::Text(left.text() + &right.text()),
        Operator::Add => arithmetic(|left, right| left + right),
        Operator::Subtract => arithmetic(|left, right| left - right),
        Operator::Multiply => arithmetic(|left, right| left * right),
        Operator::Divide => arithmetic(|left, right| left / right),
    }
}

fn equal(left: &Computed, right: &Computed, scope: &dyn Scope) -> bool {
    if left.is_blank() && right.is_blank() {
        return true;
    }
    match (left, right) {
        (Computed::Text(left), Computed::Text(right)) if scope.ways().fold_case => {
            left.to_lowercase() == right.to_lowercase()
        }
        (Computed::Text(left), Computed::Text(right)) => left == right,
        (Computed::List(_), Computed::Text(right)) => left.text() == *right,
        (Computed::Text(left), Computed::List(_)) => *left == right.text(),
        _ => compare(left, right, scope) == Some(Ordering::Equal),
    }
}

/// The order of two values; `None` when they have none.
fn compare(left: &Computed, right: &Computed, scope: &dyn Scope) -> Option<Ordering> {
    let is_moment = |value: &Computed| matches!(value, Computed::Time(_) | Computed::Date(_));
    if is_moment(left) || is_moment(right) {
        return Some(left.moment()?.cmp(&right.moment()?));
    }
    if let (Computed::Text(left), Computed::Text(right)) = (left, right) {
        return Some(left.cmp(right));
    }
    if (left.is_blank() || right.is_blank()) && !scope.ways().blank_is_zero {
        return None;
    }
    left.number()?.partial_cmp(&right.number()?)
}

fn call(function: Function, arguments: &[Expression], scope: &dyn Scope) -> Computed {
    let value = |place: usize| {
        arguments.get(place).map_or(Computed::Blank, |argument| evaluate(argument, scope))
    };
    match function {
        F::And => Computed::Bool(arguments.iter().all(|it| evaluate(it, scope).is_true())),
        F::Or => Computed::Bool(arguments.iter().any(|it| evaluate(it, scope).is_true())),
        F::If => value(if value(0).is_true() { 1 } else { 2 }),
        F::Blank => Computed::Blank,
        F::True => Computed::Bool(true),
        F::False => Computed::Bool(false),
        F::RecordId => Computed::Text(scope.id().to_owned()),
        F::CreatedTime => Computed::Time(scope.created()),
        F::LastModifiedTime => Computed::Time(scope.modified()),
        _ => {
            let values: Vec<Computed> = (0..arguments.len()).map(value).collect();
            if values.contains(&Computed::Error) {
                return Computed::Error;
            }
            plain(function, &values)
        }
    }
}

/// Functions of values alone, none of which is an error.
fn plain(function: Function, values: &[Computed]) -> Computed {
    let text = |place: usize| values.get(place).map_or_else(String::new, Computed::text);
    let moment = |place: usize| values.get(place).and_then(Computed::moment);
    let size = |place: usize, usual: f64| {
        values.get(place).map_or(Some(usual), Computed::number).map(|it| it.max(0.0) as usize)
    };
    match function {
        F::Not => Computed::Bool(!values[0].is_true()),
        F::Len => Computed::Number(text(0).chars().count() as f64),
        F::Lower => Computed::Text(text(0).to_lowercase()),
        F::Upper => Computed::Text(text(0).to_uppercase()),
        F::Trim => Computed::Text(text(0).trim().to_owned()),
        F::Exact => Computed::Bool(text(0) == text(1)),
        F::Concatenate => Computed::Text(join(values, "")),
        F::ArrayJoin => {
            let between = values.get(1).map_or_else(|| ",".to_owned(), Computed::text);
            match &values[0] {
                Computed::List(items) => Computed::Text(join(items, &between)),
                other => Computed::Text(other.text()),
            }
        }
        F::Value => {
            let kept: String =
                text(0).chars().filter(|it| it.is_ascii_digit() || "+-.eE".contains(*it)).collect();
            number(kept.parse().ok())
        }
        F::Left | F::Right | F::Mid => {
            let letters: Vec<char> = text(0).chars().collect();
            let (start, count) = match function {
                F::Left => (Some(0), size(1, 1.0)),
                F::Right => (size(1, 1.0).map(|it| letters.len().saturating_sub(it)), size(1, 1.0)),
                _ => (size(1, 1.0).map(|it| it.saturating_sub(1)), size(2, 0.0)),
            };
            match (start, count) {
                (Some(start), Some(count)) => {
                    Computed::Text(letters.into_iter().skip(start).take(count).collect())
                }
                _ => Computed::Error,
            }
        }
        F::Find | F::Search => {
            let Some(start) = size(2, 1.0) else { return Computed::Error };
            let fold =
                |text: String| if function == F::Search { text.to_lowercase() } else { text };
            let found = position(&fold(text(0)), &fold(text(1)), start.saturating_sub(1));
            match (found, function) {
                (Some(place), _) => Computed::Number((place + 1) as f64),
                (None, F::Find) => Computed::Number(0.0),
                (None, _) => Computed::Blank,
            }
        }
        F::DatetimeParse => match &values[0] {
            Computed::Blank => Computed::Blank,
            Computed::Text(text) => parse(text).map_or(Computed::Error, Computed::Time),
            other => other.moment().map_or(Computed::Error, Computed::Time),
        },
        F::DateAdd => {
            let unit = unit(&text(2));
            match (moment(0), values[1].number(), unit) {
                (Some(moment), Some(count), Some(unit)) => {
                    Computed::Time(moment + (count * unit as f64) as i64)
                }
                _ => Computed::Error,
            }
        }
        F::IsAfter | F::IsBefore | F::IsSame => dates(function, values, &text(2)),
        _ => Computed::Error,
    }
}

/// A date that is not one is an error when it is text, and false when it is nothing.
fn dates(function: Function, values: &[Computed], unit_name: &str) -> Computed {
    if values[0].is_blank() || values[1].is_blank() {
        return Computed::Bool(false);
    }
    let (Some(left), Some(right)) = (values[0].moment(), values[1].moment()) else {
        return Computed::Error;
    };
    Computed::Bool(match function {
        F::IsAfter => left > right,
        F::IsBefore => left < right,
        _ if unit_name.is_empty() => left == right,
        _ => match unit(unit_name) {
            Some(unit) => left.div_euclid(unit) == right.div_euclid(unit),
            None => return Computed::Error,
        },
    })
}

/// Milliseconds of a unit.
fn unit(name: &str) -> Option<i64> {
    Some(match name.trim_end_matches('s') {
        "millisecond" | "m" => 1,
        "second" => SECOND,
        "minute" => 60 * SECOND,
        "hour" => 3_600 * SECOND,
        "day" | "d" => DAY,
        "week" | "w" => 7 * DAY,
        _ => return None,
    })
}

/// Where `part` begins in `whole`, in characters, not before `start`.
fn position(part: &str, whole: &str, start: usize) -> Option<usize> {
    let skipped = whole.char_indices().nth(start).map_or(whole.len(), |(place, _)| place);
    let found = skipped + whole[skipped..].find(part)?;
    Some(whole[..found].chars().count())
}
