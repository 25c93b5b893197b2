//! Criteria: read from a request, checked, and held against a record.

use serde_json::Value;

use super::super::store::Kind;
use super::fields::{Asked, Field, field, members};
use super::row::Row;
use crate::apis::calendar;

/// A longer text is refused.
const LONGEST_TEXT: usize = 255;

/// What the gateway adds to the upper bound of a time.
const ADDED_MINUTE: i64 = 60 * calendar::SECOND;

/// Why criteria were refused.
#[derive(Debug)]
pub(in crate::apis::braintree) enum Refusal {
    /// No such field or operator: 403.
    Unknown(String),
    /// A value that cannot be: 422.
    Invalid(String),
}

/// All criteria of a search; a record has to fulfil each.
#[derive(Debug)]
pub(in crate::apis::braintree) struct Criteria(Vec<Criterion>);

#[derive(Debug)]
struct Criterion {
    field: Field,
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// Operators and their values.
    Text(Vec<(Operator, String)>),
    /// Lowest and highest, both allowed.
    Range(Option<i128>, Option<i128>),
    List(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    StartsWith,
    EndsWith,
    Contains,
}

impl Criteria {
    /// Reads the members of `search`.
    pub(in crate::apis::braintree) fn read(
        kind: Kind,
        search: &Value,
    ) -> Result<Criteria, Refusal> {
        let mut criteria = Vec::new();
        // An element without children is text.
        let members = match search {
            Value::Object(members) => members.clone(),
            Value::Null => serde_json::Map::new(),
            Value::String(text) if text.trim().is_empty() => serde_json::Map::new(),
            _ => return Err(Refusal::Unknown("search is not an object".to_owned())),
        };
        for (name, value) in &members {
            let field =
                field(kind, name).ok_or_else(|| Refusal::Unknown(format!("no field {name}")))?;
            criteria.push(Criterion { field, test: read_test(kind, field, value)? });
        }
        // What costs least comes first.
        criteria
            .sort_by_key(|criterion| !matches!(criterion.test, Test::Range(..) | Test::List(_)));
        Ok(Criteria(criteria))
    }

    /// The ids that are asked for, if they are.
    pub(in crate::apis::braintree) fn ids(&self) -> Option<&[String]> {
        self.0.iter().find_map(|criterion| match (&criterion.field, &criterion.test) {
            (("ids", _, _), Test::List(ids)) => Some(ids.as_slice()),
            _ => None,
        })
    }

    /// Whether only this kind of verification is asked for.
    pub(in crate::apis::braintree) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|criterion| criterion.field.0 == name)
    }

    pub(super) fn hold(&self, row: &Row<'_>, fold_case: bool) -> bool {
        self.0.iter().all(|criterion| criterion.holds(row, fold_case))
    }
}

impl Criterion {
    fn holds(&self, row: &Row<'_>, fold_case: bool) -> bool {
        let values = row.values(self.field);
        match &self.test {
            Test::List(list) => values.iter().any(|value| list.contains(value)),
            Test::Range(lowest, highest) => values.iter().any(|value| {
                let value = if self.field.1 == Asked::Number {
                    decimal(value)
                } else {
                    calendar::parse(value).map(i128::from)
                };
                value.is_some_and(|value| {
                    lowest.is_none_or(|lowest| lowest <= value)
                        && highest.is_none_or(|highest| value <= highest)
                })
            }),
            Test::Text(tests) => tests.iter().all(|(operator, wanted)| {
                if *operator == Operator::IsNot {
                    return !values.iter().any(|value| same(value, wanted, fold_case));
                }
                values.iter().any(|value| text_holds(*operator, value, wanted, fold_case))
            }),
        }
    }
}

fn same(value: &str, wanted: &str, fold_case: bool) -> bool {
    text_holds(Operator::Is, value, wanted, fold_case)
}

fn text_holds(operator: Operator, value: &str, wanted: &str, fold_case: bool) -> bool {
    if fold_case {
        return text_holds(operator, &value.to_lowercase(), &wanted.to_lowercase(), false);
    }
    match operator {
        Operator::Is => value == wanted,
        Operator::IsNot => value != wanted,
        Operator::StartsWith => value.starts_with(wanted),
        Operator::EndsWith => value.ends_with(wanted),
        Operator::Contains => value.contains(wanted),
    }
}

fn read_test(kind: Kind, field: Field, value: &Value) -> Result<Test, Refusal> {
    let (name, asked, _) = field;
    match (asked, value) {
        (Asked::List | Asked::TextOrList, Value::Array(items)) => {
            let list: Vec<String> = items.iter().filter_map(scalar).collect();
            if let Some(known) = members(kind, name)
                && let Some(unknown) = list.iter().find(|item| !known.contains(&item.as_str()))
            {
                return Err(Refusal::Invalid(format!("{unknown} is not a {name}")));
            }
            Ok(Test::List(list))
        }
        (Asked::Flag, value) => {
            let flag = scalar(value).filter(|flag| matches!(flag.as_str(), "true" | "false"));
            let flag = flag.ok_or_else(|| Refusal::Invalid(format!("{name} is true or false")))?;
            Ok(Test::List(vec![flag]))
        }
        (Asked::Number | Asked::Time | Asked::Date, Value::Object(operators)) => {
            let (mut lowest, mut highest) = (None, None);
            for (operator, value) in operators {
                let text = scalar(value).unwrap_or_default();
                let (low, high) = bounds(asked, &text)
                    .ok_or_else(|| Refusal::Invalid(format!("{name} cannot be compared")))?;
                match operator.as_str() {
                    "is" => (lowest, highest) = (Some(low), Some(high)),
                    "min" => lowest = Some(low),
                    "max" => highest = Some(high),
                    other => return Err(no_operator(name, other)),
                }
            }
            Ok(Test::Range(lowest, highest))
        }
        (Asked::List | Asked::Number | Asked::Time | Asked::Date, _) => {
            Err(Refusal::Unknown(format!("{name} is not searched like this")))
        }
        (_, Value::Object(operators)) => {
            let mut tests = Vec::new();
            for (operator, value) in operators {
                let text = scalar(value).unwrap_or_default();
                let length = text.chars().count();
                if length == 0 || length > LONGEST_TEXT {
                    return Err(Refusal::Invalid(format!("{name}: 1 to 255 characters")));
                }
                tests.push((read_operator(name, asked, operator)?, text));
            }
            Ok(Test::Text(tests))
        }
        _ => Err(Refusal::Unknown(format!("{name} is not searched like this"))),
    }
}

fn read_operator(name: &str, asked: Asked, operator: &str) -> Result<Operator, Refusal> {
    let partial = matches!(asked, Asked::Text | Asked::TextOrList | Asked::Partial);
    Ok(match operator {
        "is" if asked != Asked::Ending => Operator::Is,
        "is_not" if partial || asked == Asked::Equality => Operator::IsNot,
        "starts_with" if partial => Operator::StartsWith,
        "ends_with" if partial || asked == Asked::Ending => Operator::EndsWith,
        "contains" if matches!(asked, Asked::Text | Asked::TextOrList) => Operator::Contains,
        other => return Err(no_operator(name, other)),
    })
}

fn no_operator(name: &str, operator: &str) -> Refusal {
    Refusal::Unknown(format!("{name} has no operator {operator}"))
}

/// The lowest and the highest value that a bound lets in, when it is a lower and an upper one.
fn bounds(asked: Asked, text: &str) -> Option<(i128, i128)> {
    if asked == Asked::Number {
        return decimal(text).map(|value| (value, value));
    }
    let moment = calendar::parse(text)?;
    let highest = if asked == Asked::Time { moment + ADDED_MINUTE - 1 } else { moment };
    Some((moment.into(), highest.into()))
}

/// A decimal number in units of a billionth.
fn decimal(text: &str) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let padded = format!("{whole}{fraction:0<9}");
    padded
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| padded.parse::<i128>().ok())??
        .checked_mul(sign)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
