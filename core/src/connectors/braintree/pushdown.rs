//! From conditions to criteria: the reference's section 2.6.

use super::criteria::{Criteria, Node, Window};
use crate::connectors::catalogue::{Filter, Table};
use crate::connectors::condition::{Comparison, Condition, Known, Operand, Shape, convert};
use crate::connectors::plan::{Plan, Query, Taken};
use crate::connectors::time::{self, date_text, second_text};
use crate::connectors::{ApiError, is_decimal};

/// The longest text that the search takes.
const LONGEST: usize = 255;
/// The most values of a text column that become one search each.
const MOST_ARMS: usize = 20;
/// No time zone is farther from UTC, in seconds (Postgres takes 167 hours).
const ANY_ZONE: i64 = 168 * 3600;
/// 1900-01-01 and 9999-12-31 in seconds since 2000-01-01, outside which times have no text.
const TIMES: std::ops::Range<i64> = -3_155_673_600..252_423_993_600;

/// What was found in the conditions.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Criteria.
    pub criteria: Criteria,
    /// The window of `created_at`.
    pub window: Window,
    /// Values of a text column, each a search of its own: field and values.
    pub arms: Option<(String, Vec<String>)>,
    /// Keys of single records, from the column named.
    pub keys: Option<(String, Vec<String>)>,
    /// A key whose values are not known yet.
    pub unknown_key: Option<(String, String)>,
    /// Of each condition, whether it speaks of the keys alone.
    pub are_keys: Vec<bool>,
    /// No record can match.
    pub never: bool,
    /// A value is not known yet.
    pub unknown: bool,
}

/// The most values of a list that go into one request.
const MOST_LISTED: usize = 100;
/// The most keys of one plan; fifty go into a request.
const MOST_KEYS: usize = 1000;

/// How many values a list on a column may have.
pub fn batch(filter: &Filter) -> Option<usize> {
    match filter {
        Filter::Key | Filter::Parent => Some(MOST_KEYS),
        Filter::OneOf(..) => Some(MOST_LISTED),
        Filter::Text(_) => Some(MOST_ARMS),
        _ => None,
    }
}

/// Plans a query.
pub fn plan(braintree: &super::Braintree, query: &Query<'_>) -> Result<Plan, ApiError> {
    let mut found =
        Found { criteria: super::resource::fixed(&query.table.name), ..Found::default() };
    let mut taken = Vec::with_capacity(query.conditions.len());
    let mut pushed = Vec::new();
    for expr in query.conditions {
        let Some(converted) = convert(expr, query.params) else {
            taken.push(Taken::No);
            found.are_keys.push(false);
            continue;
        };
        found.are_keys.push(is_key(query.table, &converted.condition));
        let how = found.take(query.table, &converted.condition, &mut pushed);
        taken.push(match how {
            Taken::Exactly if !converted.exact => Taken::Wider,
            how => how,
        });
    }
    super::planner::assemble(braintree, query, found, taken, pushed)
}

/// Whether a condition speaks of the column by which records are found, alone.
fn is_key(table: &Table, condition: &Condition) -> bool {
    match condition {
        Condition::Never => true,
        Condition::All(parts) => parts.iter().all(|part| is_key(table, part)),
        single => single
            .column()
            .and_then(|name| table.column(name))
            .is_some_and(|(_, column)| matches!(column.filter, Filter::Key | Filter::Parent)),
    }
}

impl Found {
    fn take(&mut self, table: &Table, condition: &Condition, pushed: &mut Vec<Condition>) -> Taken {
        match condition {
            Condition::Never => {
                self.never = true;
                Taken::Exactly
            }
            Condition::All(parts) => {
                let hows: Vec<_> =
                    parts.iter().map(|part| self.take(table, part, pushed)).collect();
                if hows.iter().all(|how| *how == Taken::Exactly) {
                    Taken::Exactly
                } else if hows.iter().all(|how| *how == Taken::No) {
                    Taken::No
                } else {
                    Taken::Wider
                }
            }
            // The search has no OR; one over a column alone is a list.
            Condition::Any(_) => Taken::No,
            single => {
                let column = single.column().and_then(|name| table.column(name));
                let Some((_, column)) = column else { return Taken::No };
                if self.single(&column.name, &column.filter, single).is_none() {
                    return Taken::No;
                }
                pushed.push(single.clone());
                if column.filter.is_exact() { Taken::Exactly } else { Taken::Wider }
            }
        }
    }

    /// Takes a condition on one column; `None` if it is not taken.
    fn single(&mut self, name: &str, filter: &Filter, condition: &Condition) -> Option<()> {
        match filter {
            Filter::Key | Filter::Parent => self.key(name, condition)?,
            Filter::OneOf(field, members) => {
                let values = self.values(condition)?;
                let known = |value: &String| {
                    is_searchable(value)
                        && (members.is_empty() || members.contains(&value.as_str()))
                };
                // What is no member may be one by now: then nothing is narrowed.
                if !self.unknown && !values.iter().all(known) {
                    return None;
                }
                self.criteria.add(field, Node::List(values));
            }
            Filter::Text(field) | Filter::PartialText(field) | Filter::Equal(field) => {
                let like = matches!(filter, Filter::Text(_) | Filter::PartialText(_));
                let inside = matches!(filter, Filter::Text(_));
                self.text(field, like, inside, condition)?;
            }
            Filter::Number(field) => self.number(field, condition)?,
            Filter::Time(field) => self.time(field, condition)?,
            Filter::Date(field) => self.date(field, condition)?,
            Filter::Flag(field) => match condition {
                Condition::Flag { is: true, .. } => self.criteria.add(field, Node::Flag(true)),
                _ => return None,
            },
            Filter::Presence(field) => match condition {
                Condition::Null { not: true, .. } => self.criteria.add(field, Node::Flag(true)),
                _ => return None,
            },
            Filter::Element(_) | Filter::None => return None,
        }
        Some(())
    }

    /// The values of an equality or a list.
    fn values(&mut self, condition: &Condition) -> Option<Vec<String>> {
        let operands = match condition {
            Condition::Compare { comparison: Comparison::Equal, operand, .. } => {
                std::slice::from_ref(operand)
            }
            Condition::OneOf { operands, .. } => operands.as_slice(),
            Condition::OneOfParam { param, .. } => {
                self.unknown = true;
                return Some(vec![format!("${}", param + 1)]);
            }
            _ => return None,
        };
        if !operands.iter().all(|operand| is_text(&operand.of)) {
            return None;
        }
        self.unknown |= operands.iter().any(|operand| operand.known().is_none());
        Some(operands.iter().map(Operand::shown).collect())
    }

    fn key(&mut self, name: &str, condition: &Condition) -> Option<()> {
        let keys = if name == "settlement_date" {
            self.key_dates(condition)?
        } else {
            self.values(condition)?
        };
        if self.unknown {
            self.unknown_key = Some((name.to_owned(), keys.join(", ")));
            return Some(());
        }
        match &mut self.keys {
            None => self.keys = Some((name.to_owned(), keys)),
            Some((known, kept)) if known == name => kept.retain(|key| keys.contains(key)),
            // By one column only; the other is checked on the rows.
            Some(_) => return None,
        }
        Some(())
    }

    fn key_dates(&mut self, condition: &Condition) -> Option<Vec<String>> {
        let operands = match condition {
            Condition::Compare { comparison: Comparison::Equal, operand, .. } => {
                std::slice::from_ref(operand)
            }
            Condition::OneOf { operands, .. } => operands.as_slice(),
            _ => return None,
        };
        operands
            .iter()
            .map(|operand| match &operand.value {
                Known::Text(text) if operand.of == "date" => {
                    time::date(text).map(|days| date_text(i64::from(days)))
                }
                Known::Text(_) => None,
                Known::Param(_) => {
                    self.unknown = true;
                    Some(operand.shown())
                }
            })
            .collect()
    }

    fn text(&mut self, field: &str, like: bool, inside: bool, condition: &Condition) -> Option<()> {
        let (operator, value) = match condition {
            Condition::Like { shape, text, fold: false, .. } if like => {
                let operator = match shape {
                    Shape::Whole => "is",
                    Shape::Prefix => "starts_with",
                    Shape::Suffix => "ends_with",
                    Shape::Inside if inside => "contains",
                    Shape::Inside => return None,
                };
                (operator, text.clone())
            }
            Condition::OneOf { operands, .. } if operands.len() <= MOST_ARMS => {
                let values = self.values(condition)?;
                if self.arms.is_some() || !values.iter().all(|value| is_searchable(value)) {
                    return None;
                }
                self.arms = Some((field.to_owned(), values));
                return Some(());
            }
            Condition::Compare { comparison: Comparison::Equal, operand, .. }
                if is_text(&operand.of) =>
            {
                self.unknown |= operand.known().is_none();
                ("is", operand.shown())
            }
            _ => return None,
        };
        if !is_searchable(&value) {
            return None;
        }
        self.criteria.add(field, Node::Text(operator, value));
        Some(())
    }

    fn number(&mut self, field: &str, condition: &Condition) -> Option<()> {
        let Condition::Compare { comparison, operand, .. } = condition else { return None };
        if !matches!(operand.of.as_str(), "smallint" | "integer" | "bigint" | "numeric") {
            return None;
        }
        let value = operand.shown();
        match operand.known() {
            Some(text) if !is_decimal(text) || text.contains(['e', 'E']) => return None,
            Some(_) => {}
            None => self.unknown = true,
        }
        let node = match comparison {
            Comparison::Equal => Node::Text("is", value),
            comparison if comparison.is_lower() => Node::Range { min: Some(value), max: None },
            _ => Node::Range { min: None, max: Some(value) },
        };
        self.criteria.add(field, node);
        Some(())
    }

    fn time(&mut self, field: &str, condition: &Condition) -> Option<()> {
        let Condition::Compare { comparison, operand, .. } = condition else { return None };
        let slack = match operand.of.as_str() {
            "timestamp with time zone" => 0,
            // Midnight in the session's time zone, whichever that is.
            "date" | "timestamp without time zone" => ANY_ZONE,
            _ => return None,
        };
        let Some(text) = operand.known() else {
            self.unknown = true;
            self.criteria.add(field, range(*comparison, operand.shown(), operand.shown()));
            return Some(());
        };
        let second = time::timestamp(text)?.div_euclid(1_000_000);
        let (first, last) = (second - slack, second + slack);
        if !TIMES.contains(&first) || !TIMES.contains(&last) {
            return None;
        }
        if field == "created_at" {
            let window = Window {
                from: (!comparison.is_upper()).then_some(first),
                to: (!comparison.is_lower()).then_some(last + 1),
            };
            self.window = self.window.within(window);
        } else {
            self.criteria.add(field, range(*comparison, second_text(first), second_text(last)));
        }
        Some(())
    }

    fn date(&mut self, field: &str, condition: &Condition) -> Option<()> {
        let Condition::Compare { comparison, operand, .. } = condition else { return None };
        if operand.of != "date" {
            return None;
        }
        let value = match operand.known() {
            Some(text) => {
                let days = i64::from(time::date(text)?);
                if !TIMES.contains(&(days * 86_400)) {
                    return None;
                }
                date_text(days)
            }
            None => {
                self.unknown = true;
                operand.shown()
            }
        };
        self.criteria.add(field, range(*comparison, value.clone(), value));
        Some(())
    }
}

fn range(comparison: Comparison, min: String, max: String) -> Node {
    Node::Range {
        min: (!comparison.is_upper()).then_some(min),
        max: (!comparison.is_lower()).then_some(max),
    }
}

fn is_text(of: &str) -> bool {
    matches!(of, "text" | "character varying")
}

/// Whether the search takes a text and means it: it may trim what stands at its ends.
fn is_searchable(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= LONGEST
        && text.trim() == text
        && !text.chars().any(char::is_control)
}
