//! Rows as bytes, for pages that the cache spills to files.
//!
//! A row is a count and its values; a value is a tag byte and its content. Counts, lengths and
//! numbers are LEB128, signed ones in zigzag. The form is private to one version of the extension:
//! files carry [`VERSION`] and are thrown away when it differs.

use super::value::{Row, Value};

/// Changes with every change of the form.
pub const VERSION: u8 = 1;

/// The bytes are no rows, or are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cached page is damaged")]
pub struct Damaged;

/// Arrays of arrays are deeper than any column.
const MAX_DEPTH: usize = 8;

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_signed(number: i64, out: &mut Vec<u8>) {
    put_number(((number << 1) ^ (number >> 63)) as u64, out);
}

fn put_text(tag: u8, text: &str, out: &mut Vec<u8>) {
    out.push(tag);
    put_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(false) => out.push(1),
        Value::Bool(true) => out.push(2),
        Value::Integer(number) => {
            out.push(3);
            put_signed(*number, out);
        }
        Value::Numeric(text) => put_text(4, text, out),
        Value::Text(text) => put_text(5, text, out),
        Value::Timestamp(micros) => {
            out.push(6);
            put_signed(*micros, out);
        }
        Value::Date(days) => {
            out.push(7);
            put_signed(i64::from(*days), out);
        }
        Value::Json(text) => put_text(8, text, out),
        Value::Array(items) => {
            out.push(9);
            put_number(items.len() as u64, out);
            items.iter().for_each(|item| put(item, out));
        }
    }
}

/// Appends a row.
pub fn encode(row: &[Value], out: &mut Vec<u8>) {
    put_number(row.len() as u64, out);
    row.iter().for_each(|value| put(value, out));
}

/// Reads the row at the beginning of `bytes` and moves `bytes` behind it; `None` at the end.
pub fn decode(bytes: &mut &[u8]) -> Result<Option<Row>, Damaged> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let count = number(bytes)? as usize;
    if count > bytes.len() {
        return Err(Damaged);
    }
    let mut row = Vec::with_capacity(count);
    for _ in 0..count {
        row.push(value(bytes, 0)?);
    }
    Ok(Some(row))
}

fn byte(bytes: &mut &[u8]) -> Result<u8, Damaged> {
    let (first, rest) = bytes.split_first().ok_or(Damaged)?;
    *bytes = rest;
    Ok(*first)
}

fn number(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    let mut out = 0_u64;
    for shift in (0..64).step_by(7) {
        let next = byte(bytes)?;
        out |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(out);
        }
    }
    Err(Damaged)
}

fn signed(bytes: &mut &[u8]) -> Result<i64, Damaged> {
    let raw = number(bytes)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

fn text(bytes: &mut &[u8]) -> Result<String, Damaged> {
    let length = usize::try_from(number(bytes)?).map_err(|_| Damaged)?;
    let (head, rest) = bytes.split_at_checked(length).ok_or(Damaged)?;
    *bytes = rest;
    Ok(std::str::from_utf8(head).map_err(|_| Damaged)?.to_owned())
}

fn value(bytes: &mut &[u8], depth: usize) -> Result<Value, Damaged> {
    Ok(match byte(bytes)? {
        0 => Value::Null,
        1 => Value::Bool(false),
        2 => Value::Bool(true),
        3 => Value::Integer(signed(bytes)?),
        4 => Value::Numeric(text(bytes)?),
        5 => Value::Text(text(bytes)?),
        6 => Value::Timestamp(signed(bytes)?),
        7 => Value::Date(i32::try_from(signed(bytes)?).map_err(|_| Damaged)?),
        8 => Value::Json(text(bytes)?),
        9 if depth < MAX_DEPTH => {
            let count = number(bytes)? as usize;
            if count > bytes.len() {
                return Err(Damaged);
            }
            let mut items = Vec::with_capacity(count);
            for _ in 0..count {
                items.push(value(bytes, depth + 1)?);
            }
            Value::Array(items)
        }
        _ => return Err(Damaged),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            "[0-9]{1,20}\\.[0-9]{2}".prop_map(Value::Numeric),
            any::<String>().prop_map(Value::Text),
            any::<i64>().prop_map(Value::Timestamp),
            any::<i32>().prop_map(Value::Date),
            any::<String>().prop_map(Value::Json),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| {
            prop::collection::vec(inner, 0..4).prop_map(Value::Array)
        })
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in prop::collection::vec(prop::collection::vec(any_value(), 0..6), 0..6)) {
            let mut bytes = Vec::new();
            rows.iter().for_each(|row| encode(row, &mut bytes));
            let mut rest = bytes.as_slice();
            for row in &rows {
                let read = decode(&mut rest);
                prop_assert_eq!(read.as_ref(), Ok(&Some(row.clone())));
            }
            prop_assert_eq!(decode(&mut rest), Ok(None));
        }

        #[test]
        fn damage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut rest = bytes.as_slice();
            while let Ok(Some(_)) = decode(&mut rest) {}
        }

        #[test]
        fn a_cut_row_is_damaged(row in prop::collection::vec(any_value(), 1..6), at in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            encode(&row, &mut bytes);
            let at = 1 + at.index(bytes.len() - 1).min(bytes.len() - 2);
            let mut rest = &bytes[..at];
            if at < bytes.len() {
                prop_assert_eq!(decode(&mut rest), Err(Damaged));
            }
        }
    }
}
