//! How many groups there will be.
//!
//! The planner counts the distinct values of the columns in a key. Of `date_trunc('week', created_at)` or
//! `floor(price / 50) * 50` that is a group for each value, and grouping at the source would seem to save
//! nothing. The histogram knows the first and the last value: there cannot be more steps than fit
//! between them.

use crate::pg::node::{Kind, Node};
use crate::pg::planner::Planner;
use crate::pg::types;
use pgrx::pg_sys::{self, Oid};

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
    let mut steps = 1.0;
    for key in keys {
        // Of a column itself the statistics say more.
        let known = if matches!(key.unlabeled().kind(), Kind::Var { .. }) {
            None
        } else {
            Steps::of(planner, *key).and_then(|found| found.count())
        };
        match known {
            Some(count) => steps *= count,
            None => others.push(*key),
        }
    }
    if others.len() == keys.len() {
        return at_most;
    }
    (steps * planner.estimate_groups(&others, rows)).clamp(1.0, at_most.max(1.0))
}

/// Values at a distance of each other. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
struct Steps {
    /// From the first to the last.
    span: f64,
    /// The least distance of two of them, 0 if they may be as near as can be.
    length: f64,
    /// Their number, where it is limited otherwise.
    at_most: f64,
}

impl Steps {
    /// The values of an expression; `None` if nothing is known of them.
    fn of<'p>(planner: Planner<'p>, node: Node<'p>) -> Option<Steps> {
        match node.kind() {
            Kind::Var { vartype, .. } => {
                let (first, last) = planner.histogram_range(node)?;
                let unit = unit(types::base_type(vartype))?;
                let (scale, length) = unit;
                Some(Steps {
                    span: (last - first).max(0.0) * scale,
                    length,
                    at_most: f64::INFINITY,
                })
            }
            Kind::Relabel { arg, .. } => Steps::of(planner, arg),
            // As text, for instance.
            Kind::CoerceViaIo { arg, .. } => Steps::of(planner, arg)?.renamed(),
            Kind::Func { funcid, resulttype, args, .. } if types::is_builtin(funcid) => {
                call(planner, &types::function(funcid)?.name, resulttype, &args)
            }
            Kind::Op { opno, args, .. } if types::is_builtin(opno) => {
                operator(planner, &types::operator(opno)?, node.result_type(), &args)
            }
            _ => None,
        }
    }

    fn count(self) -> Option<f64> {
        // The first and the last are not whole.
        let fit = if self.length > 0.0 { self.span / self.length + 1.0 } else { f64::INFINITY };
        Some(fit.min(self.at_most)).filter(|count| count.is_finite())
    }

    /// So many others, one for each of these.
    fn renamed(self) -> Option<Steps> {
        let count = self.count()?;
        Some(Steps { span: count - 1.0, length: 1.0, at_most: count })
    }

    fn at_least(self, length: f64) -> Steps {
        Steps { length: self.length.max(length), ..self }
    }

    fn times(self, factor: f64) -> Option<Steps> {
        let factor = factor.abs();
        let fits = factor > 0.0 && factor.is_finite();
        fits.then_some(Steps { span: self.span * factor, length: self.length * factor, ..self })
    }
}

/// How a column's histogram counts, and how far two of its values are apart at least.
fn unit(of: Oid) -> Option<(f64, f64)> {
    match of {
        pg_sys::DATEOID => Some((DAY, DAY)),
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Some((1.0, 0.0)),
        _ if is_integer(of) => Some((1.0, 1.0)),
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID | pg_sys::NUMERICOID => Some((1.0, 0.0)),
        _ => None,
    }
}

fn is_integer(of: Oid) -> bool {
    matches!(of, pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID)
}

fn is_time(of: Oid) -> bool {
    matches!(of, pg_sys::DATEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID)
}

fn call<'p>(planner: Planner<'p>, name: &str, result: Oid, args: &[Node<'p>]) -> Option<Steps> {
    let of = |node: Node<'p>| Steps::of(planner, node);
    match (name, args) {
        ("date_trunc", [unit, value, ..]) => {
            Some(of(*value)?.at_least(unit_length(&text(*unit)?)?))
        }
        ("extract" | "date_part", [field, value]) => {
            let (length, recurring) = field_steps(&text(*field)?)?;
            let found = of(*value)?.at_least(length);
            Steps { at_most: found.at_most.min(recurring), ..found }.renamed()
        }
        ("to_char", [value, format]) if is_time(value.result_type()) => {
            of(*value)?.at_least(finest(&text(*format)?)?).renamed()
        }
        ("date", [value]) => Some(of(*value)?.at_least(DAY)),
        ("timezone", [_, value]) => of(*value),
        ("floor" | "ceil" | "ceiling" | "round" | "trunc", [value]) => {
            Some(of(*value)?.at_least(1.0))
        }
        ("round" | "trunc", [value, places]) => {
            Some(of(*value)?.at_least(10f64.powf(-places.constant_number()?)))
        }
        ("width_bucket", [_, _, _, count]) => {
            let count = count.constant_number()? + 2.0;
            Some(Steps { span: count - 1.0, length: 1.0, at_most: count })
        }
        ("div", [left, right]) => {
            Some(of(*left)?.times(1.0 / right.constant_number()?)?.at_least(1.0))
        }
        ("mod", args) => operator(planner, "%", result, args),
        ("int2" | "int4" | "int8", [value]) => Some(of(*value)?.at_least(1.0)),
        ("numeric" | "float4" | "float8" | "timestamp" | "timestamptz", [value] | [value, _]) => {
            of(*value)
        }
        // A function of one value has no more results than there are values.
        (_, [value]) => of(*value)?.renamed(),
        _ => None,
    }
}

fn operator<'p>(
    planner: Planner<'p>,
    symbol: &str,
    result: Oid,
    args: &[Node<'p>],
) -> Option<Steps> {
    let fixed = |node: Node<'p>| matches!(node.kind(), Kind::Const { .. } | Kind::Param);
    let (value, by, swapped) = match args {
        [left, right] if fixed(*right) => (*left, *right, false),
        [left, right] if fixed(*left) => (*right, *left, true),
        _ => return None,
    };
    let found = Steps::of(planner, value)?;
    match symbol {
        // The difference of two dates counts in another unit.
        "+" | "-" if is_time(value.result_type()) == is_time(result) => Some(found),
        "*" => found.times(by.constant_number()?),
        "/" if !swapped => {
            let found = found.times(1.0 / by.constant_number()?)?;
            Some(if is_integer(result) { found.at_least(1.0) } else { found })
        }
        "%" if !swapped => {
            let by = by.constant_number()?.abs();
            Some(Steps { at_most: found.at_most.min(2.0 * by), ..found })
        }
        _ => found.renamed(),
    }
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
fn field_steps(field: &str) -> Option<(f64, f64)> {
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
