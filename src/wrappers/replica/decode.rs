//! From the bytes of a row to values.
//!
//! Types of fixed layout are decoded in place: a by-value type is read, a short text becomes a datum
//! by turning the last byte of its length word into a one-byte varlena header. What needs another
//! layout goes to a scratch buffer that is reused for every row; everything else goes through the
//! type's own receive or input function in a context that is reset for every row.

use super::masked::ColumnMasker;
use super::private::State;
use super::state;
use crate::pg::error::{Error, Result};
use crate::pg::guc::Level;
use crate::pg::memory::Context;
use crate::pg::types;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{PgSqlErrorCode as Code, PgTryBuilder};
use std::panic::AssertUnwindSafe;
use warehouse_core::copy::Field;
use warehouse_core::masks::wire::Outcome;

/// How a column travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// In the type's binary form.
    Binary,
    /// Cast to text at the source, read by the input function here.
    Text,
}

/// How a type has to travel to arrive as what it is.
pub fn travel(of: Oid) -> Travel {
    let Some(facts) = types::facts(of) else { return Travel::Text };
    match facts.kind as char {
        'd' => travel(types::base_type(of)),
        'e' => Travel::Binary,
        'b' | 'r' | 'm' if types::is_builtin(of) && facts.receives && !names_objects(of) => {
            match facts.element {
                Oid::INVALID => Travel::Binary,
                element => travel(element),
            }
        }
        _ => Travel::Text,
    }
}

/// The types that name objects by OID: the same number means another object elsewhere.
fn names_objects(of: Oid) -> bool {
    matches!(
        of,
        pg_sys::REGPROCOID
            | pg_sys::REGPROCEDUREOID
            | pg_sys::REGOPEROID
            | pg_sys::REGOPERATOROID
            | pg_sys::REGCLASSOID
            | pg_sys::REGCOLLATIONOID
            | pg_sys::REGTYPEOID
            | pg_sys::REGROLEOID
            | pg_sys::REGNAMESPACEOID
            | pg_sys::REGCONFIGOID
            | pg_sys::REGDICTIONARYOID
            | pg_sys::REGPROCARRAYOID
            | pg_sys::REGPROCEDUREARRAYOID
            | pg_sys::REGOPERARRAYOID
            | pg_sys::REGOPERATORARRAYOID
            | pg_sys::REGCLASSARRAYOID
            | pg_sys::REGCOLLATIONARRAYOID
            | pg_sys::REGTYPEARRAYOID
            | pg_sys::REGROLEARRAYOID
            | pg_sys::REGNAMESPACEARRAYOID
            | pg_sys::REGCONFIGARRAYOID
            | pg_sys::REGDICTIONARYARRAYOID
            | pg_sys::XMLOID
            // Their receive functions refuse the empty ones that their input functions take.
            | pg_sys::INT2VECTOROID
            | pg_sys::OIDVECTOROID
    )
}

#[derive(Debug)]
enum Kind {
    Bool,
    Int2,
    Int4,
    Oid,
    Int8,
    Float4,
    Date,
    Timestamp,
    Text,
    Bytes,
    Uuid,
    Interval,
    Numeric,
    State(State),
    Receive(Box<Function>),
    Input(Box<Function>),
}

#[derive(Debug)]
struct Function {
    info: pg_sys::FmgrInfo,
    io_param: Oid,
    typmod: i32,
}

/// One fetched column.
#[derive(Debug)]
pub struct Column {
    kind: Kind,
    /// Where its value goes in the row.
    target: usize,
    name: String,
    of: Oid,
    /// What is made of its values before they are decoded.
    pub mask: Option<ColumnMasker>,
    /// It is there for the masks of others alone.
    pub hidden: bool,
}

impl Column {
    /// A column of type `of` whose values go to position `target`.
    pub fn new(name: &str, of: Oid, typmod: i32, travel: Travel, target: usize) -> Column {
        let kind = match (travel, of) {
            (Travel::Text, _) => Kind::Input(Box::new(Function::input(of, typmod))),
            (_, pg_sys::BOOLOID) => Kind::Bool,
            (_, pg_sys::INT2OID) => Kind::Int2,
            (_, pg_sys::INT4OID) => Kind::Int4,
            (_, pg_sys::OIDOID) => Kind::Oid,
            (_, pg_sys::INT8OID | pg_sys::FLOAT8OID) => Kind::Int8,
            (_, pg_sys::FLOAT4OID) => Kind::Float4,
            (_, pg_sys::DATEOID) => Kind::Date,
            (_, pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID) => Kind::Timestamp,
            (_, pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID) => Kind::Text,
            (_, pg_sys::BYTEAOID) => Kind::Bytes,
            (_, pg_sys::UUIDOID) => Kind::Uuid,
            (_, pg_sys::INTERVALOID) => Kind::Interval,
            (_, pg_sys::NUMERICOID) => Kind::Numeric,
            _ => Kind::Receive(Box::new(Function::receive(of, typmod))),
        };
        Column { kind, target, name: name.to_owned(), of, mask: None, hidden: false }
    }

    /// A column that is put together from several fields.
    pub fn state(name: &str, state: State, target: usize) -> Column {
        let of = pg_sys::BYTEAOID;
        let name = name.to_owned();
        Column { kind: Kind::State(state), target, name, of, mask: None, hidden: false }
    }

    /// How many fields of the message it takes.
    pub fn parts(&self) -> usize {
        match self.kind {
            Kind::State(state) => state.parts(),
            _ => 1,
        }
    }

    fn calls_functions(&self) -> bool {
        matches!(self.kind, Kind::Receive(_) | Kind::Input(_))
    }
}

impl Function {
    fn receive(of: Oid, typmod: i32) -> Function {
        let mut function = Oid::INVALID;
        let mut out = Function { info: Default::default(), io_param: Oid::INVALID, typmod };
        // SAFETY: lookups by OID; the function's info lives as long as the session's top context.
        unsafe {
            pg_sys::getTypeBinaryInputInfo(of, &mut function, &mut out.io_param);
            pg_sys::fmgr_info(function, &mut out.info);
        }
        out
    }

    fn input(of: Oid, typmod: i32) -> Function {
        let mut function = Oid::INVALID;
        let mut out = Function { info: Default::default(), io_param: Oid::INVALID, typmod };
        // SAFETY: as above.
        unsafe {
            pg_sys::getTypeInputInfo(of, &mut function, &mut out.io_param);
            pg_sys::fmgr_info(function, &mut out.info);
        }
        out
    }
}

/// Decodes the rows of one scan.
#[derive(Debug)]
pub struct Decoder {
    columns: Vec<Column>,
    scratch: Vec<u64>,
    context: Context,
    calls_functions: bool,
    reads_xml: bool,
}

/// Above this the scratch buffer is given back after the row that needed it, in bytes.
const KEEP_SCRATCH: usize = 1 << 20;

impl Decoder {
    /// A decoder for rows of these columns, in the order in which they are asked for.
    pub fn new(columns: Vec<Column>) -> Decoder {
        Decoder {
            calls_functions: columns.iter().any(Column::calls_functions),
            reads_xml: columns.iter().any(|column| column.of == pg_sys::XMLOID),
            columns,
            scratch: Vec::new(),
            context: Context::new(c"warehouse row"),
        }
    }

    /// How many fields a message has.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Column::parts).sum()
    }

    /// Whether a mask is faster if it sees the rows that come next.
    pub fn looks_ahead(&mut self) -> bool {
        self.columns.iter_mut().filter_map(|column| column.mask.as_mut()).any(|m| m.looks_ahead())
    }

    /// Sees the rows that come next. None of them is decoded, and what is wrong with one is told when it
    /// is its turn.
    pub fn ahead<'r>(&mut self, rows: impl Iterator<Item = (&'r [u8], &'r [Field])> + Clone) {
        for mask in self.columns.iter_mut().filter_map(|column| column.mask.as_mut()) {
            if mask.looks_ahead() {
                mask.ahead(rows.clone());
            }
        }
    }

    /// Decodes one row. By-reference values point into `message`, the scratch buffer or the row
    /// context, and hold until the next call.
    pub fn row(
        &mut self,
        message: &mut [u8],
        fields: &[Field],
        values: &mut [Datum],
        nulls: &mut [bool],
    ) -> Result<()> {
        // The receive functions of text-like types convert from the client's encoding.
        let _encoding = self.calls_functions.then(DatabaseEncoding::enter);
        let _content = self.reads_xml.then(|| {
            // A fragment is a value too.
            let level = Level::enter();
            level.set(c"xmloption", c"content");
            level
        });
        if self.calls_functions {
            self.context.reset();
        }
        let mut masked = 0;
        for mask in self.columns.iter_mut().filter_map(|column| column.mask.as_mut()) {
            masked += mask.mask(message, fields)?;
        }
        let need = (message.len() + masked + 100 * self.columns.len()) / 8 + 1;
        if self.scratch.len() < need || self.scratch.len() * 8 > KEEP_SCRATCH.max(need * 8) {
            self.scratch = vec![0; need];
        }
        let mut scratch = Scratch { words: &mut self.scratch, used: 0 };
        let mut at = 0;
        for column in &mut self.columns {
            let target = column.target;
            let Some(field) = fields.get(at) else { return Err(malformed(&column.name)) };
            if let Kind::State(kind) = column.kind {
                let parts = fields.get(at..at + kind.parts());
                at += kind.parts();
                nulls[target] = false;
                values[target] = parts
                    .and_then(|parts| state::serialized(kind, message, parts))
                    .and_then(|bytes| copied(&bytes, &mut scratch))
                    .ok_or_else(|| malformed(&column.name))?;
                continue;
            }
            at += 1;
            if column.hidden {
                continue;
            }
            let outcome = column.mask.as_ref().map_or(Outcome::Unchanged, ColumnMasker::outcome);
            if field.len < 0 || outcome == Outcome::Null {
                nulls[target] = true;
                values[target] = Datum::from(0);
                continue;
            }
            nulls[target] = false;
            // Of a masked value only what may be seen is decoded.
            let (message, start, len) = match &mut column.mask {
                Some(mask) if outcome == Outcome::Written => mask.bytes(),
                _ => (&mut *message, field.offset, field.len as usize),
            };
            values[target] = match &mut column.kind {
                Kind::Receive(function) => {
                    let bytes = &mut message[start..];
                    self.context.run(|| {
                        told(&column.name, column.of, || {
                            receive(function, bytes, len, &column.name)
                        })
                    })?
                }
                Kind::Input(function) => {
                    let bytes = &message[start..start + len];
                    self.context.run(|| {
                        told(&column.name, column.of, || input(function, bytes, &column.name))
                    })?
                }
                kind => in_place(kind, message, start, len, &mut scratch)
                    .ok_or_else(|| malformed(&column.name))?,
            };
        }
        Ok(())
    }
}

fn malformed(column: &str) -> Error {
    Error::new(
        Code::ERRCODE_INVALID_BINARY_REPRESENTATION,
        format!("column \"{column}\" arrived in a form that its type does not have"),
    )
}

struct Scratch<'a> {
    words: &'a mut [u64],
    used: usize,
}

impl Scratch<'_> {
    /// `len` bytes at an address that is a multiple of 8.
    fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let words = len.div_ceil(8);
        let slice = self.words.get_mut(self.used..self.used + words)?;
        self.used += words;
        // SAFETY: u64 has no padding, and the slice covers at least `len` bytes.
        Some(unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast::<u8>(), len) })
    }
}

/// Whether the bytes are UTF-8 without NUL; one pass where they are ASCII.
fn is_text(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    // No byte with its high bit set and, where that is so, no zero byte.
    let plain = words.iter().all(|word| {
        let word = u64::from_ne_bytes(*word);
        (word | word.wrapping_sub(ONES)) & HIGH == 0
    }) && rest.iter().all(|byte| byte.wrapping_sub(1) < 127);
    plain || (std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0))
}

fn be<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok()
}

fn in_place(
    kind: &Kind,
    message: &mut [u8],
    start: usize,
    len: usize,
    scratch: &mut Scratch<'_>,
) -> Option<Datum> {
    let bytes = &message[start..start + len];
    Some(match kind {
        Kind::Bool => Datum::from(*bytes.first().filter(|_| len == 1)? != 0),
        Kind::Int2 => Datum::from(i16::from_be_bytes(be(bytes)?)),
        Kind::Int4 => Datum::from(i32::from_be_bytes(be(bytes)?)),
        Kind::Int8 => Datum::from(i64::from_be_bytes(be(bytes)?)),
        Kind::Float4 => Datum::from(i32::from_be_bytes(be(bytes)?)),
        Kind::Oid => Datum::from(u32::from_be_bytes(be(bytes)?)),
        Kind::Date => {
            let days = i32::from_be_bytes(be(bytes)?);
            (days == i32::MIN || days == i32::MAX || (-2_451_545..=2_145_031_948).contains(&days))
                .then(|| Datum::from(days))?
        }
        Kind::Timestamp => {
            let micros = i64::from_be_bytes(be(bytes)?);
            let finite = (-211_813_488_000_000_000..9_223_371_331_200_000_000).contains(&micros);
            (finite || micros == i64::MIN || micros == i64::MAX).then(|| Datum::from(micros))?
        }
        Kind::Text => is_text(bytes).then(|| varlena(message, start, len, scratch))??,
        Kind::Bytes => varlena(message, start, len, scratch)?,
        Kind::Uuid => {
            if len != 16 {
                return None;
            }
            Datum::from(message[start..].as_ptr())
        }
        Kind::Interval => {
            let time = i64::from_be_bytes(be(bytes.get(..8)?)?);
            let day = i32::from_be_bytes(be(bytes.get(8..12)?)?);
            let month = i32::from_be_bytes(be(bytes.get(12..)?)?);
            let out = scratch.take(16)?;
            out[..8].copy_from_slice(&time.to_ne_bytes());
            out[8..12].copy_from_slice(&day.to_ne_bytes());
            out[12..].copy_from_slice(&month.to_ne_bytes());
            Datum::from(out.as_ptr())
        }
        Kind::Numeric => numeric(bytes, scratch)?,
        Kind::State(_) | Kind::Receive(_) | Kind::Input(_) => return None,
    })
}

/// A varlena of the bytes: with a one-byte header in place where they are few, copied behind a
/// four-byte header where they are many (postgres.h, varattrib_1b and varattrib_4b, little endian).
fn varlena(
    message: &mut [u8],
    start: usize,
    len: usize,
    scratch: &mut Scratch<'_>,
) -> Option<Datum> {
    if len < 127 && cfg!(target_endian = "little") {
        // The byte before the value is the last one of its length word.
        message[start - 1] = ((len as u8 + 1) << 1) | 1;
        return Some(Datum::from(message[start - 1..].as_ptr()));
    }
    let total = len.checked_add(4).filter(|total| *total < 1 << 30)?;
    let out = scratch.take(total)?;
    out[..4].copy_from_slice(&varlena_header(total));
    out[4..].copy_from_slice(&message[start..start + len]);
    Some(Datum::from(out.as_ptr()))
}

/// A varlena of bytes that stand elsewhere.
fn copied(bytes: &[u8], scratch: &mut Scratch<'_>) -> Option<Datum> {
    let out = scratch.take(bytes.len() + 4)?;
    out[..4].copy_from_slice(&varlena_header(bytes.len() + 4));
    out[4..].copy_from_slice(bytes);
    Some(Datum::from(out.as_ptr()))
}

fn varlena_header(total: usize) -> [u8; 4] {
    if cfg!(target_endian = "little") {
        ((total as u32) << 2).to_ne_bytes()
    } else {
        (total as u32 & 0x3fff_ffff).to_ne_bytes()
    }
}

/// The binary form of numeric_send as a stored numeric (utils/adt/numeric.c, make_result).
fn numeric(bytes: &[u8], scratch: &mut Scratch<'_>) -> Option<Datum> {
    let word = |i: usize| -> Option<u16> { Some(u16::from_be_bytes(be(bytes.get(i..i + 2)?)?)) };
    let (count, mut weight) = (word(0)? as usize, word(2)? as i16 as i32);
    let (sign, dscale) = (word(4)?, word(6)?);
    if bytes.len() != 8 + 2 * count || dscale > 0x3fff {
        return None;
    }
    if matches!(sign, 0xC000 | 0xD000 | 0xF000) {
        let out = scratch.take(6)?;
        out[..4].copy_from_slice(&varlena_header(6));
        out[4..].copy_from_slice(&sign.to_ne_bytes());
        return Some(Datum::from(out.as_ptr()));
    }
    if sign != 0 && sign != 0x4000 {
        return None;
    }
    let digit = |i: usize| u16::from_be_bytes([bytes[8 + 2 * i], bytes[9 + 2 * i]]);
    let (mut first, mut last) = (0, count);
    while first < last && digit(first) == 0 {
        first += 1;
        weight -= 1;
    }
    while last > first && digit(last - 1) == 0 {
        last -= 1;
    }
    let mut negative = sign == 0x4000;
    if first == last {
        weight = 0;
        negative = false;
    }
    let short = dscale <= 0x3f && (-64..=63).contains(&weight);
    let header = if short { 2 } else { 4 };
    let total = 4 + header + 2 * (last - first);
    let out = scratch.take(total)?;
    out[..4].copy_from_slice(&varlena_header(total));
    if short {
        let mut word = 0x8000 | (dscale << 7) | (weight as u16 & 0x3f);
        if negative {
            word |= 0x2000;
        }
        if weight < 0 {
            word |= 0x40;
        }
        out[4..6].copy_from_slice(&word.to_ne_bytes());
    } else {
        out[4..6].copy_from_slice(&(sign_bits(negative) | dscale).to_ne_bytes());
        out[6..8].copy_from_slice(&(i16::try_from(weight).ok()?).to_ne_bytes());
    }
    for (i, at) in (first..last).zip((4 + header..).step_by(2)) {
        let value = digit(i);
        if value > 9999 {
            return None;
        }
        out[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }
    Some(Datum::from(out.as_ptr()))
}

fn sign_bits(negative: bool) -> u16 {
    if negative { 0x4000 } else { 0 }
}

/// The receive functions of text-like types convert from the *client's* encoding; what arrives from
/// a source is in the database's. While this lives, the two are the same.
struct DatabaseEncoding(Option<i32>);

impl DatabaseEncoding {
    fn enter() -> DatabaseEncoding {
        // SAFETY: setting the database's own encoding always succeeds and needs no catalog.
        unsafe {
            let (client, database) =
                (pg_sys::pg_get_client_encoding(), pg_sys::GetDatabaseEncoding());
            if client == database {
                return DatabaseEncoding(None);
            }
            pg_sys::SetClientEncoding(database);
            DatabaseEncoding(Some(client))
        }
    }
}

impl Drop for DatabaseEncoding {
    fn drop(&mut self) {
        if let Some(client) = self.0 {
            // SAFETY: it was the client's encoding before, so its conversions are at hand.
            unsafe { pg_sys::SetClientEncoding(client) };
        }
    }
}

/// Runs a type's function. What it finds wrong with the value is told without the value.
fn told(column: &str, of: Oid, read: impl FnOnce() -> Result<Datum>) -> Result<Datum> {
    PgTryBuilder::new(AssertUnwindSafe(read))
        .catch_others(|caught| {
            let code = match &caught {
                CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                    report.sql_error_code()
                }
                CaughtError::RustPanic { .. } => caught.rethrow(),
            };
            if !is_data_exception(code) {
                caught.rethrow();
            }
            let of = types::type_name(of, -1);
            Err(Error::new(code, format!("column \"{column}\" holds a value that is none of type {of}"))
                .hint("If the source has changed: run warehouse.merge_schema() again, or IMPORT FOREIGN SCHEMA anew."))
        })
        .execute()
}

/// SQLSTATE class 22.
pub fn is_data_exception(code: Code) -> bool {
    let code = code as i32;
    code & 0x3f == i32::from(b'2' - b'0') && (code >> 6) & 0x3f == i32::from(b'2' - b'0')
}

fn receive(function: &mut Function, bytes: &mut [u8], len: usize, column: &str) -> Result<Datum> {
    // Receive functions may rely on a NUL behind their data, as in a message from a client. libpq
    // keeps one behind the whole message; between two fields we lend them one.
    let lent = bytes.get(len).copied();
    if let Some(byte) = bytes.get_mut(len) {
        *byte = 0;
    }
    let mut info = pg_sys::StringInfoData {
        data: bytes.as_mut_ptr().cast(),
        len: len as i32,
        maxlen: len as i32,
        cursor: 0,
    };
    // SAFETY: the buffer holds `len` bytes; the function is the type's own.
    let value = unsafe {
        pg_sys::ReceiveFunctionCall(
            &mut function.info,
            &mut info,
            function.io_param,
            function.typmod,
        )
    };
    if let (Some(byte), Some(lent)) = (bytes.get_mut(len), lent) {
        *byte = lent;
    }
    if info.cursor == info.len { Ok(value) } else { Err(malformed(column)) }
}

fn input(function: &mut Function, bytes: &[u8], column: &str) -> Result<Datum> {
    let text = std::ffi::CString::new(bytes).map_err(|_| malformed(column))?;
    if std::str::from_utf8(bytes).is_err() {
        return Err(malformed(column));
    }
    // SAFETY: NUL-terminated text in the database's encoding; the function is the type's own.
    Ok(unsafe {
        pg_sys::InputFunctionCall(
            &mut function.info,
            text.as_ptr().cast_mut(),
            function.io_param,
            function.typmod,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::is_text;

    #[test]
    fn text_is_utf8_without_nul() {
        for good in
            ["", "a", "eightchr", "sixteen chars ok", "ünïcode", "𝄞 and more", "\u{7f}\u{1}"]
        {
            assert!(is_text(good.as_bytes()), "{good}");
        }
        for at in 0..20 {
            let mut bytes = vec![b'x'; 20];
            bytes[at] = 0;
            assert!(!is_text(&bytes), "NUL at {at}");
            bytes[at] = 0xff;
            assert!(!is_text(&bytes), "0xff at {at}");
        }
    }
}
