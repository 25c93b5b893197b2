//! Values of rows, in units that Postgres takes as they are.

use super::catalogue::ColumnType;
use super::time;
use super::tree::Tree;
use std::fmt;

/// A value of a row. `Debug` says its type and hides it.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// boolean.
    Bool(bool),
    /// integer or bigint; it fits the column's width.
    Integer(i64),
    /// numeric, as text that `numeric_in` takes.
    Numeric(String),
    /// text, without NUL.
    Text(String),
    /// timestamptz: microseconds since 2000-01-01 UTC.
    Timestamp(i64),
    /// date: days since 2000-01-01.
    Date(i32),
    /// jsonb, as valid JSON text.
    Json(String),
    /// An array of the column's element type, in order.
    Array(Vec<Value>),
}

/// A row: one value for each column asked for, in that order.
pub type Row = Vec<Value>;

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Null => "Null",
            Value::Bool(_) => "Bool(…)",
            Value::Integer(_) => "Integer(…)",
            Value::Numeric(_) => "Numeric(…)",
            Value::Text(_) => "Text(…)",
            Value::Timestamp(_) => "Timestamp(…)",
            Value::Date(_) => "Date(…)",
            Value::Json(_) => "Json(…)",
            Value::Array(_) => "Array(…)",
        })
    }
}

/// The value is not of the column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit;

/// Whether `numeric_in` takes the text, as every API writes numbers.
pub fn is_decimal(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent
        .is_none_or(|exponent| exponent.parse::<i32>().is_ok_and(|power| power.abs() <= 1000));
    digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0 && exponent_fits
}

fn whole(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.bytes().all(|b| b == b'0') { whole.parse().ok() } else { None }
}

/// Text that Postgres can hold.
fn storable(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

/// Reads a value of an answer as a column's type. Empty text is NULL for types other than text.
pub fn decode(tree: &Tree, of: &ColumnType) -> Result<Value, Misfit> {
    if matches!(tree, Tree::Null) {
        return Ok(Value::Null);
    }
    if let (Tree::Text(text), false) = (tree, matches!(of, ColumnType::Text | ColumnType::Json))
        && text.is_empty()
    {
        return Ok(Value::Null);
    }
    let text = tree.as_text();
    Ok(match of {
        ColumnType::Text => match text {
            Some(text) => Value::Text(storable(text)),
            None => Value::Text(tree.to_json()),
        },
        ColumnType::Numeric => {
            let text = text.ok_or(Misfit)?.trim();
            if !is_decimal(text) {
                return Err(Misfit);
            }
            Value::Numeric(text.to_owned())
        }
        ColumnType::Integer => {
            let number = whole(text.ok_or(Misfit)?.trim()).ok_or(Misfit)?;
            i32::try_from(number).map_err(|_| Misfit)?;
            Value::Integer(number)
        }
        ColumnType::BigInt => Value::Integer(whole(text.ok_or(Misfit)?.trim()).ok_or(Misfit)?),
        ColumnType::Bool => match text {
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            _ => return Err(Misfit),
        },
        ColumnType::Timestamp => Value::Timestamp(text.and_then(time::timestamp).ok_or(Misfit)?),
        ColumnType::Date => Value::Date(text.and_then(time::date).ok_or(Misfit)?),
        // An element without content: XML does not tell an empty object from an empty text.
        ColumnType::Json if text == Some("") => Value::Json("{}".to_owned()),
        ColumnType::Json => Value::Json(tree.to_json()),
        ColumnType::Array(element) => match tree {
            Tree::List(items) => {
                let items = items.iter().map(|item| decode(item, element));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            single => Value::Array(vec![decode(single, element)?]),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Tree {
        Tree::text(text)
    }

    #[test]
    fn money_is_exact() {
        for amount in ["10.00", "0.10", "12345678901234567890.123456789", "-3", "1e21", ".5"] {
            let number = Tree::Number(amount.to_owned());
            let want = Ok(Value::Numeric(amount.to_owned()));
            assert_eq!(decode(&number, &ColumnType::Numeric), want);
            assert_eq!(decode(&text(amount), &ColumnType::Numeric), want);
        }
        for wrong in ["ten", "1,5", "0x10", "--1", ".", "1e", "1e9999999", "NaN"] {
            assert_eq!(decode(&text(wrong), &ColumnType::Numeric), Err(Misfit), "{wrong}");
        }
    }

    #[test]
    fn each_type_takes_its_own() {
        let integer = |t: &str| decode(&text(t), &ColumnType::Integer);
        assert_eq!(integer("5"), Ok(Value::Integer(5)));
        assert_eq!(integer("5.0"), Ok(Value::Integer(5)));
        assert_eq!(integer("5.5"), Err(Misfit));
        assert_eq!(integer("3000000000"), Err(Misfit));
        assert_eq!(
            decode(&text("3000000000"), &ColumnType::BigInt),
            Ok(Value::Integer(3_000_000_000))
        );
        assert_eq!(decode(&text(""), &ColumnType::Date), Ok(Value::Null));
        assert_eq!(decode(&text(""), &ColumnType::Text), Ok(Value::Text(String::new())));
        assert_eq!(decode(&text(""), &ColumnType::Json), Ok(Value::Json("{}".into())));
        assert_eq!(decode(&Tree::Bool(true), &ColumnType::Bool), Ok(Value::Bool(true)));
        assert_eq!(decode(&text("Unknown"), &ColumnType::Bool), Err(Misfit));
        assert_eq!(decode(&text("a\0b"), &ColumnType::Text), Ok(Value::Text("a\u{fffd}b".into())));
        let list = Tree::List(vec![text("a"), Tree::Null]);
        assert_eq!(
            decode(&list, &ColumnType::Array(Box::new(ColumnType::Text))),
            Ok(Value::Array(vec![Value::Text("a".into()), Value::Null]))
        );
    }

    #[test]
    fn debug_hides_values() {
        assert_eq!(format!("{:?}", Value::Text("canary".into())), "Text(…)");
    }

    proptest! {
        #[test]
        fn decimals_are_what_numeric_takes(text in "[-+]?[0-9]{0,5}\\.?[0-9]{0,5}(e[0-9]{1,2})?") {
            if is_decimal(&text) {
                prop_assert!(text.parse::<f64>().is_ok(), "{}", text);
            }
        }
    }
}
