//! How many groups there will be.
//!
//! The planner counts the distinct values of the columns in a key. Of `date_trunc('week', created_at)`
//! that is a group for each moment, and grouping at the source would seem to save nothing. The histogram
//! knows the first and the last moment: there cannot be more weeks than lie between them.

use crate::pg::node::{Kind, Node};
use crate::pg::planner::Planner;
use crate::pg::types;
use pgrx::pg_sys;

const SECOND: f64 = 1e6;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;
const WEEK: f64 = 7.0 * DAY;
const MONTH: f64 = 30.4 * DAY;
const YEAR: f64 = 365.25 * DAY;

/// How many groups `rows` rows make by these keys.
pub fn estimate<'p>(planner: Planner<'p>, keys: &[Node<'p>], rows: f64) -> f64 {
    let at_most = planner.estimate_groups(keys, rows);
    let mut others = Vec::new();
    let mut periods = 1.0;
    for key in keys {
        match periods_of(planner, *key) {
            Some(count) => periods *= count,
            None => others.push(*key),
        }
    }
    if others.len() == keys.len() {
        return at_most;
    }
    (periods * planner.estimate_groups(&others, rows)).clamp(1.0, at_most.max(1.0))
}

/// A key that names the periods into which moments fall.
struct Periods {
    /// From the first moment to the last, in microseconds.
    span: f64,
    /// Length of a period in microseconds; 0 for moments as they are.
    length: f64,
    /// Their number, where they recur.
    recurring: f64,
}

/// How many periods a key has; `None` if it is nothing of the kind.
fn periods_of<'p>(planner: Planner<'p>, key: Node<'p>) -> Option<f64> {
    let found = periods(planner, key)?;
    if found.length <= 0.0 {
        return None;
    }
    // The first and the last are not whole.
    Some((found.span / found.length + 1.0).min(found.recurring))
}

fn periods<'p>(planner: Planner<'p>, node: Node<'p>) -> Option<Periods> {
    match node.kind() {
        Kind::Var { vartype, .. } => moments(planner, node, vartype),
        Kind::Relabel { arg, .. } => periods(planner, arg),
        // A date as text, for instance.
        Kind::CoerceViaIo { arg, .. } => periods(planner, arg).filter(|found| found.length > 0.0),
        Kind::Func { funcid, args, .. } if types::is_builtin(funcid) => {
            let name = types::function(funcid)?.name;
            match (name.as_str(), args.as_slice()) {
                ("date_trunc", [unit, value, ..]) => {
                    let found = periods(planner, *value)?;
                    Some(found.at_least(unit_length(&text(*unit)?)?))
                }
                ("extract" | "date_part", [field, value]) => {
                    let (length, recurring) = field_periods(&text(*field)?)?;
                    let found = periods(planner, *value)?.at_least(length);
                    Some(Periods { recurring: found.recurring.min(recurring), ..found })
                }
                ("to_char", [value, format]) => {
                    let found = periods(planner, *value)?;
                    Some(found.at_least(finest(&text(*format)?)?))
                }
                ("date", [value]) => Some(periods(planner, *value)?.at_least(DAY)),
                ("timestamp" | "timestamptz", [value]) => periods(planner, *value),
                ("timezone", [_, value]) => periods(planner, *value),
                _ => None,
            }
        }
        // Moved by an interval or by days.
        Kind::Op { opfuncid, args, .. } if types::is_builtin(opfuncid) => {
            let name = types::function(opfuncid)?.name;
            let moves = matches!(
                name.as_str(),
                "timestamp_pl_interval"
                    | "timestamp_mi_interval"
                    | "timestamptz_pl_interval"
                    | "timestamptz_mi_interval"
                    | "date_pl_interval"
                    | "date_mi_interval"
                    | "date_pli"
                    | "date_mii"
            );
            match args.as_slice() {
                [value, by] if moves && matches!(by.kind(), Kind::Const { .. } | Kind::Param) => {
                    periods(planner, *value)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

impl Periods {
    fn at_least(self, length: f64) -> Periods {
        Periods { length: self.length.max(length), ..self }
    }
}

/// A column of dates or times.
fn moments<'p>(planner: Planner<'p>, column: Node<'p>, of: pg_sys::Oid) -> Option<Periods> {
    let (unit, infinities) = match types::base_type(of) {
        pg_sys::DATEOID => (DAY, (i64::from(i32::MIN), i64::from(i32::MAX))),
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => (1.0, (i64::MIN, i64::MAX)),
        _ => return None,
    };
    let (first, last) = planner.histogram_range(column)?;
    // A date is an integer of 32 bits in a datum.
    let narrow = |value: i64| if unit == DAY { i64::from(value as i32) } else { value };
    let (first, last) = (narrow(first), narrow(last));
    if first == infinities.0 || last == infinities.1 {
        return None;
    }
    let span = (last as f64 - first as f64).max(0.0) * unit;
    let length = if unit == DAY { DAY } else { 0.0 };
    Some(Periods { span, length, recurring: f64::INFINITY })
}

fn text(node: Node<'_>) -> Option<String> {
    node.constant_text().map(|text| text.to_ascii_lowercase())
}

/// The length of date_trunc's units, in microseconds.
fn unit_length(unit: &str) -> Option<f64> {
    Some(match unit.trim_end_matches('s') {
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => DAY,
        "week" => WEEK,
        "month" => MONTH,
        "quarter" => 3.0 * MONTH,
        "year" => YEAR,
        "decade" => 10.0 * YEAR,
        "century" | "centurie" => 100.0 * YEAR,
        "millennium" | "millennia" => 1000.0 * YEAR,
        _ => return None,
    })
}

/// The length of extract's fields, in microseconds, and how many there are.
fn field_periods(field: &str) -> Option<(f64, f64)> {
    Some(match field {
        "second" | "seconds" => return None,
        "minute" | "minutes" => (MINUTE, 60.0),
        "hour" | "hours" => (HOUR, 24.0),
        "day" | "days" => (DAY, 31.0),
        "dow" | "isodow" => (DAY, 7.0),
        "doy" => (DAY, 366.0),
        "week" | "weeks" => (WEEK, 53.0),
        "month" | "months" => (MONTH, 12.0),
        "quarter" => (3.0 * MONTH, 4.0),
        "isoyear" => (YEAR, f64::INFINITY),
        _ => (unit_length(field)?, f64::INFINITY),
    })
}

/// The length of what the finest pattern of to_char's format (in lower case) tells apart.
fn finest(format: &str) -> Option<f64> {
    const PATTERNS: [(&[&str], f64); 6] = [
        (&["ms", "us", "ff", "ss"], 0.0),
        (&["mi"], MINUTE),
        (&["hh", "am", "pm"], HOUR),
        (&["d"], DAY),
        (&["w"], WEEK),
        (&["mm", "mon", "rm"], MONTH),
    ];
    if !format.is_ascii() || format.contains('"') {
        return None;
    }
    let found = PATTERNS.iter().find(|(names, _)| names.iter().any(|name| format.contains(name)));
    match found {
        Some((_, 0.0)) => None,
        Some((_, length)) => Some(*length),
        None if format.contains('q') => Some(3.0 * MONTH),
        None if format.contains('y') => Some(YEAR),
        None => None,
    }
}
