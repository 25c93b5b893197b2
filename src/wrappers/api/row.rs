//! From the connectors' values to the row of a table: masked first, then made datums of.

use super::private::{Constant, Fetched};
use crate::pg::datum;
use crate::pg::error::{Error, Result};
use crate::pg::types;
use crate::privacy::family::family;
use crate::privacy::{keys, zip3};
use pgrx::pg_sys::{self, Datum, Oid};
use warehouse_core::arrays;
use warehouse_core::connectors::{Row, Value, time};
use warehouse_core::masks::{self, Context, Mask, MaskError, Masked, Masker};

/// The mask of a column, ready.
struct ColumnMasker {
    masker: Masker,
    name: String,
    /// Which values of the row it needs.
    others: Vec<Option<usize>>,
    /// Characters at most, of a varchar(n).
    at_most: Option<usize>,
    room: String,
}

/// How the values of a type are made.
struct Input {
    of: Oid,
    /// The type under a domain; the same where there is none.
    base: Oid,
    typmod: i32,
    input: datum::Input,
}

/// Makes rows.
pub struct RowMaker {
    columns: Vec<(Option<usize>, Option<ColumnMasker>, Input)>,
    values: Vec<Datum>,
    nulls: Vec<bool>,
}

impl RowMaker {
    /// For rows of `width` columns. Constants are read now, in the current memory context.
    ///
    /// # Errors
    /// 55000 where a mask needs a key and there is none.
    pub fn new(width: usize, fetched: &[Fetched], constants: &[Constant]) -> Result<RowMaker> {
        let mut columns = Vec::with_capacity(fetched.len());
        for column in fetched {
            let of = Oid::from(column.of);
            let masker = column.mask.as_ref().map(|mask| ColumnMasker::new(column, mask, of));
            columns.push((column.target, masker.transpose()?, Input::new(of, column.typmod)));
        }
        let mut maker =
            RowMaker { columns, values: vec![Datum::from(0); width], nulls: vec![true; width] };
        for constant in constants {
            maker.values[constant.target] =
                datum::from_text(&constant.text, Oid::from(constant.of), constant.typmod);
            maker.nulls[constant.target] = false;
        }
        Ok(maker)
    }

    /// Fills a row of the table. What it allocates is in the current memory context.
    pub fn fill(&mut self, row: &Row, values: &mut [Datum], nulls: &mut [bool]) -> Result<()> {
        values.copy_from_slice(&self.values);
        nulls.copy_from_slice(&self.nulls);
        for (at, (target, masker, input)) in self.columns.iter_mut().enumerate() {
            let (Some(target), Some(value)) = (*target, row.get(at)) else { continue };
            if matches!(value, Value::Null) {
                continue;
            }
            let masked;
            let shown = match masker {
                None => value,
                Some(masker) => match masker.mask(value, row)? {
                    None => value,
                    Some(found) => {
                        masked = found;
                        &masked
                    }
                },
            };
            if !matches!(shown, Value::Null) {
                values[target] = input.datum(shown)?;
                nulls[target] = false;
            }
        }
        Ok(())
    }
}

impl ColumnMasker {
    fn new(column: &Fetched, mask: &str, of: Oid) -> Result<ColumnMasker> {
        let told = |error: MaskError| told(&column.name, error);
        let mask: Mask = mask.parse().map_err(told)?;
        let keyring =
            if mask.domains().is_empty() { None } else { Some(keys::required(mask.name())?) };
        let zip3 = zip3::wanted_by(&mask)?;
        let context = Context {
            keys: keyring.as_deref(),
            today: datum::today(),
            zip3: zip3.as_deref(),
            together: None,
        };
        // A token or a pseudonym that is cut is none.
        let limited = types::base_type(of) == pg_sys::VARCHAROID
            && column.typmod > 4
            && !mask.keeps_equality();
        Ok(ColumnMasker {
            masker: mask.prepare(&family(of), &context).map_err(told)?,
            name: column.name.clone(),
            others: column.others.clone(),
            at_most: limited.then(|| column.typmod as usize - 4),
            room: String::new(),
        })
    }

    /// What may be seen of a value; `None` for the value itself.
    fn mask(&mut self, value: &Value, row: &Row) -> Result<Option<Value>> {
        let others: Vec<Option<masks::Value<'_>>> =
            self.others.iter().map(|other| plain(row.get((*other)?)?)).collect();
        let (masker, room) = (&mut self.masker, &mut self.room);
        let mut found = match value {
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    let masked = one(masker, item, &others, room);
                    out.push(masked.map_err(|e| told(&self.name, e))?.unwrap_or(item.clone()));
                }
                Some(Value::Array(out))
            }
            value => one(masker, value, &others, room).map_err(|e| told(&self.name, e))?,
        };
        if let (Some(Value::Text(text)), Some(at_most)) = (&mut found, self.at_most)
            && let Some((end, _)) = text.char_indices().nth(at_most)
        {
            text.truncate(end);
        }
        Ok(found)
    }
}

fn one(
    masker: &mut Masker,
    value: &Value,
    others: &[Option<masks::Value<'_>>],
    room: &mut String,
) -> std::result::Result<Option<Value>, MaskError> {
    if matches!(value, Value::Null) {
        return Ok(None);
    }
    let unreadable = MaskError::Unreadable { mask: "of a column" };
    let Some(plain) = plain(value) else { return Err(unreadable) };
    Ok(Some(match masker.mask(plain, others, room)? {
        Masked::Unchanged => return Ok(None),
        Masked::Null | Masked::Constant => Value::Null,
        Masked::Text(text) => Value::Text(text.to_owned()),
        Masked::Integer(number) => Value::Integer(number),
        Masked::Numeric(text) => Value::Numeric(text.to_owned()),
        Masked::Date(days) => Value::Date(days),
        Masked::TimestampTz(at) => Value::Timestamp(at),
        Masked::Json(text) => Value::Json(text.to_owned()),
        // The policy lets no mask through whose result is of another family.
        _ => return Err(unreadable),
    }))
}

fn plain(value: &Value) -> Option<masks::Value<'_>> {
    Some(match value {
        Value::Null | Value::Array(_) => return None,
        Value::Bool(is) => masks::Value::Bool(*is),
        Value::Integer(number) => masks::Value::Integer(*number),
        Value::Numeric(text) => masks::Value::Numeric(text),
        Value::Text(text) => masks::Value::Text(text),
        Value::Timestamp(at) => masks::Value::TimestampTz(*at),
        Value::Date(days) => masks::Value::Date(*days),
        Value::Json(text) => masks::Value::Json(text),
    })
}

/// An error of a mask, which never holds a value.
fn told(column: &str, error: MaskError) -> Error {
    Error::from(error).within(&format!("column \"{column}\""))
}

impl Input {
    fn new(of: Oid, typmod: i32) -> Input {
        Input { of, base: types::base_type(of), typmod, input: datum::Input::new(of, typmod) }
    }

    fn datum(&mut self, value: &Value) -> Result<Datum> {
        // A domain checks what its base type would take.
        let is_plain = self.of == self.base;
        Ok(match (value, self.base) {
            (Value::Bool(is), pg_sys::BOOLOID) if is_plain => Datum::from(*is),
            (Value::Integer(number), pg_sys::INT4OID) if is_plain => Datum::from(*number as i32),
            (Value::Integer(number), pg_sys::INT8OID) if is_plain => Datum::from(*number),
            (Value::Timestamp(at), pg_sys::TIMESTAMPTZOID) if is_plain && self.typmod < 0 => {
                Datum::from(*at)
            }
            (Value::Date(days), pg_sys::DATEOID) if is_plain => Datum::from(*days),
            (Value::Text(text), pg_sys::TEXTOID) if is_plain => datum::text(text),
            (Value::Json(text), _) => self.input.read(&without_nul(text)),
            (Value::Text(text), _) | (Value::Numeric(text), _) => self.input.read(text),
            (value, _) => {
                let mut text = String::new();
                write(value, &mut text);
                self.input.read(&text)
            }
        })
    }
}

/// JSON that jsonb can hold: a NUL character has no place in a text of Postgres.
fn without_nul(json: &str) -> std::borrow::Cow<'_, str> {
    const NUL: &str = "\\u0000";
    if !json.contains(NUL) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // An escape is a backslash and one character, or six of them.
        let len = if rest.starts_with(NUL) {
            out.push_str("\\ufffd");
            NUL.len()
        } else {
            let len = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..len]);
            len
        };
        rest = &rest[len..];
    }
    out.push_str(rest);
    out.into()
}

/// The text form of a value.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The text form of a value, as an input function takes it whatever the session has set.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("NULL"),
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Numeric(text) | Value::Text(text) => out.push_str(text),
        Value::Json(text) => out.push_str(&without_nul(text)),
        Value::Timestamp(at) => out.push_str(&time::postgres_text(*at)),
        Value::Date(days) => out.push_str(&time::postgres_date(i64::from(*days))),
        Value::Array(items) => {
            out.push('{');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                if matches!(item, Value::Null) {
                    out.push_str("NULL");
                    continue;
                }
                let mut text = String::new();
                write(item, &mut text);
                if matches!(item, Value::Array(_)) {
                    out.push_str(&text);
                    continue;
                }
                arrays::quoted(&text, out);
            }
            out.push('}');
        }
    }
}
