//! The dialect of Airtable's formulas. The reference's section 3.3.
//!
//! A formula may be true for more records than the condition, never for fewer: blank fields count as
//! 0 or as empty text there, and the case of text may not count.
//!
//! Formulas name fields, whose names may change: a [`Formula`] keeps ids, and is written with the
//! names of the moment.

use crate::connectors::catalogue::{Filter, Table};
use crate::connectors::condition::{Comparison, Condition, Operand, Shape};
use crate::connectors::is_decimal;
use crate::connectors::time::{self, date_text, milli_text};

/// The most characters of a formula.
const LONGEST: usize = 12_000;
/// The most values of a list.
pub const MOST: usize = 200;
/// No time zone is farther from UTC, in microseconds.
const ANY_ZONE: i64 = 168 * 3600 * 1_000_000;
const SECOND: i64 = 1_000_000;
/// 1900 to 9990, in microseconds since 2000-01-01.
const TIMES: std::ops::Range<i64> = -3_155_673_600 * SECOND..252_000_000_000 * SECOND;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

/// A formula with ids in the place of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formula {
    pieces: Vec<Piece>,
    /// A value in it is not known yet.
    pub unknown: bool,
}

impl Formula {
    fn text(mut self, text: &str) -> Formula {
        self.pieces.push(Piece::Text(text.to_owned()));
        self
    }

    /// The field, or what stands for the system column whose id is empty.
    fn field(mut self, id: &str) -> Formula {
        if id.is_empty() {
            return self.text("CREATED_TIME()");
        }
        self.pieces.push(Piece::Field(id.to_owned()));
        self
    }

    fn append(mut self, other: Formula) -> Formula {
        self.pieces.extend(other.pieces);
        self.unknown |= other.unknown;
        self
    }

    /// `AND(…)` or `OR(…)` of several, or the only one.
    fn joined(function: &str, mut parts: Vec<Formula>) -> Formula {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let mut out = Formula::default().text(function).text("(");
        for (i, part) in parts.into_iter().enumerate() {
            out = if i > 0 { out.text(",") } else { out }.append(part);
        }
        out.text(")")
    }

    /// All of these.
    pub fn all(parts: Vec<Formula>) -> Formula {
        Formula::joined("AND", parts)
    }

    /// The formula with names; `None` where a field has no name, or one that cannot be written.
    pub fn write<'a>(&'a self, name: impl Fn(&'a str) -> Option<&'a str>) -> Option<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(id) => {
                    let name = name(id)?;
                    // More than one brace, or a backslash, is not understood there.
                    if name.matches('}').count() > 1 || name.contains(['\\', '{', '\n', '\r']) {
                        return None;
                    }
                    out.push('{');
                    out.push_str(&name.replace('}', "\\}"));
                    out.push('}');
                }
            }
        }
        (out.chars().count() <= LONGEST).then_some(out)
    }
}

/// A text literal; `None` for what a formula cannot hold for sure.
fn literal(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return None;
    }
    Some(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
}

/// The formula of a condition and whether nothing of it was left out; `None` if it cannot be asked.
pub fn formula(table: &Table, condition: &Condition) -> Option<Formula> {
    match condition {
        // What cannot be asked is left out of AND, which is wider.
        Condition::All(parts) => {
            let kept: Vec<_> = parts.iter().filter_map(|part| formula(table, part)).collect();
            (!kept.is_empty()).then(|| Formula::joined("AND", kept))
        }
        Condition::Any(arms) => {
            let arms: Option<Vec<_>> = arms.iter().map(|arm| formula(table, arm)).collect();
            arms.map(|arms| Formula::joined("OR", arms))
        }
        Condition::Never => Some(Formula::default().text("FALSE()")),
        single => {
            let (_, column) = table.column(single.column()?)?;
            match &column.filter {
                Filter::Key => keys(single),
                Filter::Text(id) => text(id, single),
                Filter::Number(id) => number(id, single),
                Filter::Flag(id) => flag(id, single),
                Filter::Time(id) => moment(id, single),
                Filter::Date(id) => date(id, single),
                Filter::Element(id) => element(id, single),
                _ => None,
            }
        }
    }
}

/// The operands of an equality or a list.
fn operands(condition: &Condition) -> Option<&[Operand]> {
    match condition {
        Condition::Compare { comparison: Comparison::Equal, operand, .. } => {
            Some(std::slice::from_ref(operand))
        }
        Condition::OneOf { operands, .. } if operands.len() <= MOST => Some(operands),
        _ => None,
    }
}

fn is_text(operand: &Operand) -> bool {
    matches!(operand.of.as_str(), "text" | "character varying")
}

/// A text operand as a literal, or its parameter.
fn written(operand: &Operand) -> Option<Formula> {
    if !is_text(operand) {
        return None;
    }
    match operand.known() {
        Some("") => None,
        Some(text) => Some(Formula::default().text(&literal(text)?)),
        None => Some(Formula { unknown: true, ..Formula::default().text(&operand.shown()) }),
    }
}

fn keys(condition: &Condition) -> Option<Formula> {
    let arms: Option<Vec<_>> = operands(condition)?
        .iter()
        .map(|operand| Some(Formula::default().text("RECORD_ID()=").append(written(operand)?)))
        .collect();
    arms.map(|arms| Formula::joined("OR", arms))
}

/// `OR(RECORD_ID()='…',…)`.
pub fn of_records(ids: &[String]) -> String {
    let arms: Vec<_> = ids.iter().map(|id| format!("RECORD_ID()='{id}'")).collect();
    if let [only] = arms.as_slice() { only.clone() } else { format!("OR({})", arms.join(",")) }
}

fn text(id: &str, condition: &Condition) -> Option<Formula> {
    let field = || Formula::default().field(id);
    match condition {
        Condition::Null { not: false, .. } => Some(field().text("=BLANK()")),
        Condition::Like { shape, text, fold, .. } => {
            let wanted = literal(text).filter(|_| !text.is_empty())?;
            let find = |function: &str, suffix: &str| {
                let call = Formula::default().text(function).text("(").text(&wanted).text(",");
                Some(call.field(id).text(")").text(suffix))
            };
            match (shape, fold) {
                // Beyond ASCII, two services may fold differently.
                (_, true) if text.is_ascii() => find("SEARCH", ""),
                (_, true) => None,
                (Shape::Whole, _) => Some(field().text("=").text(&wanted)),
                (Shape::Prefix, _) => {
                    // Their texts are counted in UTF-16.
                    let units = text.encode_utf16().count();
                    let left = Formula::default().text("LEFT(").field(id);
                    Some(left.text(&format!(",{units})=")).text(&wanted))
                }
                (Shape::Suffix | Shape::Inside, _) => find("FIND", ">0"),
            }
        }
        other => {
            let arms: Option<Vec<_>> = operands(other)?
                .iter()
                .map(|operand| Some(field().text("=").append(written(operand)?)))
                .collect();
            arms.map(|arms| Formula::joined("OR", arms))
        }
    }
}

fn number(id: &str, condition: &Condition) -> Option<Formula> {
    let compared = |symbol: &str, operand: &Operand| {
        if !matches!(operand.of.as_str(), "smallint" | "integer" | "bigint" | "numeric") {
            return None;
        }
        let known = operand.known();
        if known.is_some_and(|text| !is_decimal(text) || text.contains(['e', 'E', '+'])) {
            return None;
        }
        let out = Formula::default().field(id).text(symbol).text(&operand.shown());
        Some(Formula { unknown: known.is_none(), ..out })
    };
    match condition {
        Condition::Compare { comparison, operand, .. } => {
            // They count in doubles: of two numbers that differ here, neither may be greater there.
            let symbol = match comparison {
                Comparison::Equal => "=",
                comparison if comparison.is_lower() => ">=",
                _ => "<=",
            };
            compared(symbol, operand)
        }
        other => {
            let arms: Option<Vec<_>> =
                operands(other)?.iter().map(|operand| compared("=", operand)).collect();
            arms.map(|arms| Formula::joined("OR", arms))
        }
    }
}

fn flag(id: &str, condition: &Condition) -> Option<Formula> {
    match condition {
        Condition::Flag { is: true, .. } => Some(Formula::default().field(id)),
        Condition::Flag { is: false, .. } => {
            Some(Formula::default().text("NOT(").field(id).text(")"))
        }
        _ => None,
    }
}

/// `IS_AFTER(field,'…')` and `IS_BEFORE(field,'…')`, as a comparison needs them.
fn between(id: &str, comparison: Comparison, after: &str, before: &str) -> Formula {
    let call = |function: &str, bound: &str| {
        Formula::default().text(function).text("(").field(id).text(",").text(bound).text(")")
    };
    let mut parts = Vec::new();
    if !comparison.is_upper() {
        parts.push(call("IS_AFTER", after));
    }
    if !comparison.is_lower() {
        parts.push(call("IS_BEFORE", before));
    }
    Formula::joined("AND", parts)
}

fn moment(id: &str, condition: &Condition) -> Option<Formula> {
    let Condition::Compare { comparison, operand, .. } = condition else { return None };
    let slack = match operand.of.as_str() {
        "timestamp with time zone" => SECOND,
        // Midnight in the session's time zone, whichever that is.
        "date" | "timestamp without time zone" => SECOND + ANY_ZONE,
        _ => return None,
    };
    let Some(text) = operand.known() else {
        let shown = operand.shown();
        return Some(Formula { unknown: true, ..between(id, *comparison, &shown, &shown) });
    };
    let at = time::timestamp(text)?;
    if !TIMES.contains(&(at - slack)) || !TIMES.contains(&(at + slack)) {
        return None;
    }
    let text = |micros: i64| format!("'{}'", milli_text(micros));
    // Rounded to milliseconds outwards.
    Some(between(id, *comparison, &text(at - slack), &text(at + slack + 999)))
}

/// Records that changed in a window, both ends in microseconds since 2000-01-01.
pub fn changed(cursor: Option<&str>, since: i64, until: i64) -> Formula {
    let subject = match cursor {
        Some(id) => Formula::default().field(id),
        None => Formula::default().text("LAST_MODIFIED_TIME()"),
    };
    let after = Formula::default().text("IS_AFTER(").append(subject.clone());
    let after = after.text(&format!(",'{}')", milli_text(since)));
    let before = Formula::default().text("IS_BEFORE(").append(subject);
    let before = before.text(&format!(",'{}')", milli_text(until)));
    Formula::all(vec![after, before])
}

fn date(id: &str, condition: &Condition) -> Option<Formula> {
    let Condition::Compare { comparison, operand, .. } = condition else { return None };
    if operand.of != "date" {
        return None;
    }
    let Some(text) = operand.known() else {
        let shown = operand.shown();
        return Some(Formula { unknown: true, ..between(id, *comparison, &shown, &shown) });
    };
    let days = i64::from(time::date(text)?);
    if !TIMES.contains(&(days * 86_400 * SECOND)) {
        return None;
    }
    // Their dates have a time zone when they are compared.
    let text = |days: i64| format!("'{}'", date_text(days));
    Some(between(id, *comparison, &text(days - 2), &text(days + 2)))
}

fn element(id: &str, condition: &Condition) -> Option<Formula> {
    let Condition::Has { operand, .. } = condition else { return None };
    let call = Formula::default().text("FIND(").append(written(operand)?).text(",ARRAYJOIN(");
    Some(call.field(id).text(",'\\n'))>0"))
}
