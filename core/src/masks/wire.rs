//! Masking of values in the binary form in which Postgres sends them (`typsend`).
//!
//! A wrapper that decodes binary rows masks a value before it decodes it: the bytes of the raw value go
//! in, the bytes of what may be seen come out, and no value of the database's own is ever made of the
//! former. Arrays are masked element by element. The forms are those of utils/adt in PostgreSQL 15:
//! numeric_send, inet_send, jsonb_send, array_send and their like.

use super::{Inet, LANES, MaskError, Masked, Masker, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zeroize::Zeroize;

/// How the values of a type are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireType {
    /// Characters, UTF-8.
    Text,
    /// Two bytes.
    Int2,
    /// Four bytes.
    Int4,
    /// Eight bytes.
    Int8,
    /// Groups of four digits.
    Numeric,
    /// IEEE 754, four bytes.
    Float4,
    /// IEEE 754, eight bytes.
    Float8,
    /// One byte.
    Bool,
    /// Days since 2000-01-01.
    Date,
    /// Microseconds since 2000-01-01.
    Timestamp,
    /// Microseconds since 2000-01-01 UTC.
    TimestampTz,
    /// Family, bits, whether it is a cidr, length, address.
    Inet,
    /// Sixteen bytes.
    Uuid,
    /// JSON text.
    Json,
    /// A version byte and JSON text.
    Jsonb,
    /// The bytes.
    Bytea,
    /// Dimensions and elements.
    Array(Box<WireType>),
    /// A form of no interest: only masks that look at no value fit.
    Opaque,
}

/// What came of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// NULL.
    Null,
    /// The raw value may be seen.
    Unchanged,
    /// What may be seen has been written.
    Written,
}

/// A column of the row beside the masked one: its form and its bytes, or NULL.
pub type Other<'a> = Option<(&'a WireType, &'a [u8])>;

/// So many columns beside the masked one need no memory a row.
pub const FEW: usize = 4;

/// A value of more bytes is not said beforehand: mostly it is none of a single block.
const LONGEST: usize = 64;

/// Masks the values of a column on the wire.
#[derive(Debug)]
pub struct WireMasker {
    masker: Masker,
    of: WireType,
    /// Text of raw values that have none on the wire.
    raw: String,
    out: String,
    beside: Vec<String>,
    /// The bytes of values that were said.
    said: Vec<u8>,
    /// Where those of each are, and where the masker has it; the last of them comes next.
    next: Vec<Said>,
}

/// A value that was said.
#[derive(Debug, Clone, Copy)]
struct Said {
    from: usize,
    to: usize,
    place: usize,
}

impl Drop for WireMasker {
    fn drop(&mut self) {
        self.said.zeroize();
    }
}

impl WireMasker {
    /// A masker for the values of this form in one scan.
    pub fn new(mut masker: Masker, of: WireType) -> WireMasker {
        masker.remember();
        WireMasker {
            masker,
            of,
            raw: String::new(),
            out: String::new(),
            beside: Vec::new(),
            said: Vec::with_capacity(LANES * LONGEST),
            next: Vec::with_capacity(LANES),
        }
    }

    /// Whether it is faster if it is told the values that come next.
    pub fn looks_ahead(&mut self) -> bool {
        !matches!(self.of, WireType::Array(_)) && self.masker.looks_ahead()
    }

    /// Says the values that come next, none of them NULL: the first [`LANES`] of them count. What is masked
    /// is compared with what was said, so what may be seen of a value does not depend on it.
    pub fn ahead<'v>(&mut self, values: impl Iterator<Item = &'v [u8]>) {
        self.said.clear();
        self.next.clear();
        self.masker.begin_ahead();
        for bytes in values.take(LANES) {
            if bytes.len() > LONGEST {
                continue;
            }
            let ascii = self.of == WireType::Text && bytes.is_ascii();
            let place = if ascii {
                self.masker.say_ascii(bytes)
            } else {
                // One that cannot be read is told of when it is its turn.
                read(&self.of, bytes, &mut self.raw).and_then(|value| self.masker.say(value))
            };
            if let Some(place) = place {
                let from = self.said.len();
                self.said.extend_from_slice(bytes);
                self.next.push(Said { from, to: self.said.len(), place });
            }
        }
        self.next.reverse();
    }

    /// Where the masker has a value, if it was said and comes next.
    fn place(&mut self, bytes: &[u8]) -> Option<usize> {
        let next = self.next.last()?;
        if self.said[next.from..next.to] != *bytes {
            return None;
        }
        self.next.pop().map(|said| said.place)
    }

    /// Masks a value that is not NULL; what may be seen of it is appended to `to`. `others` are the
    /// values of [`Mask::columns`](super::Mask::columns) in the same row.
    ///
    /// # Errors
    /// Those of [`Masker::mask`], and [`MaskError::Unreadable`] for bytes that are none of the form.
    pub fn mask(
        &mut self,
        bytes: &[u8],
        others: &[Other<'_>],
        to: &mut Vec<u8>,
    ) -> Result<Outcome, MaskError> {
        if let Some(place) = self.place(bytes) {
            if self.of == WireType::Text
                && let Some(pseudonym) = self.masker.pseudonym_said(place)
            {
                to.extend_from_slice(&pseudonym);
                return Ok(Outcome::Written);
            }
            return written(self.masker.mask_said(place, &mut self.out)?, &self.of, to);
        }
        if step(&mut self.masker, &self.of, bytes, to).is_some() {
            return Ok(Outcome::Written);
        }
        self.beside.resize(others.len(), String::new());
        let mut few = [None; FEW];
        let mut many = Vec::new();
        let values = match few.get_mut(..others.len()) {
            Some(few) => few,
            None => {
                many.resize(others.len(), None);
                &mut many
            }
        };
        for ((other, room), value) in others.iter().zip(&mut self.beside).zip(&mut *values) {
            // What cannot be read as a value is no entity and no name.
            *value = other.and_then(|(of, bytes)| read(of, bytes, room));
        }
        if let WireType::Array(of) = &self.of {
            let mut room = (&mut self.raw, &mut self.out);
            return array(&mut self.masker, of, bytes, values, &mut room, to);
        }
        element(&mut self.masker, &self.of, bytes, values, (&mut self.raw, &mut self.out), to)
    }
}

fn element(
    masker: &mut Masker,
    of: &WireType,
    bytes: &[u8],
    others: &[Option<Value<'_>>],
    (raw, out): (&mut String, &mut String),
    to: &mut Vec<u8>,
) -> Result<Outcome, MaskError> {
    let unreadable = || MaskError::Unreadable { mask: "of a column" };
    let value = read(of, bytes, raw).ok_or_else(unreadable)?;
    written(masker.mask(value, others, out)?, of, to)
}

/// Appends the lower end of the step that a number or a point in time is in, where that is what may be seen
/// and takes no further thought; `None` leaves it to the whole way.
fn step(masker: &mut Masker, of: &WireType, bytes: &[u8], to: &mut Vec<u8>) -> Option<()> {
    let steps = masker.steps()?;
    match of {
        WireType::Int2 => {
            let lower = steps.integer(i16::from_be_bytes(be(bytes)?).into())?;
            to.extend_from_slice(&i16::try_from(lower).ok()?.to_be_bytes());
        }
        WireType::Int4 => {
            let lower = steps.integer(i32::from_be_bytes(be(bytes)?).into())?;
            to.extend_from_slice(&i32::try_from(lower).ok()?.to_be_bytes());
        }
        WireType::Int8 => {
            let lower = steps.integer(i64::from_be_bytes(be(bytes)?))?;
            to.extend_from_slice(&lower.to_be_bytes());
        }
        WireType::Date => {
            let lower = steps.date(i32::from_be_bytes(be(bytes)?))?;
            to.extend_from_slice(&lower.to_be_bytes());
        }
        WireType::Timestamp | WireType::TimestampTz => {
            let lower = steps.timestamp(i64::from_be_bytes(be(bytes)?))?;
            to.extend_from_slice(&lower.to_be_bytes());
        }
        _ => return None,
    }
    Some(())
}

/// Appends what may be seen.
fn written(masked: Masked<'_>, of: &WireType, to: &mut Vec<u8>) -> Result<Outcome, MaskError> {
    match masked {
        Masked::Null | Masked::Constant => Ok(Outcome::Null),
        Masked::Unchanged => Ok(Outcome::Unchanged),
        masked => write(&masked, of, to)
            .map(|()| Outcome::Written)
            .ok_or(MaskError::Unreadable { mask: "of a column" }),
    }
}

fn be<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// The value of some bytes; `raw` holds the text of values that have none on the wire.
fn read<'v>(of: &WireType, bytes: &'v [u8], raw: &'v mut String) -> Option<Value<'v>> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some(match of {
        WireType::Text => Value::Text(text(bytes)?),
        WireType::Int2 => Value::Integer(i16::from_be_bytes(be(bytes)?).into()),
        WireType::Int4 => Value::Integer(i32::from_be_bytes(be(bytes)?).into()),
        WireType::Int8 => Value::Integer(i64::from_be_bytes(be(bytes)?)),
        WireType::Numeric => {
            numeric_text(bytes, raw)?;
            Value::Numeric(raw)
        }
        WireType::Float4 => Value::Float(f32::from_be_bytes(be(bytes)?).into()),
        WireType::Float8 => Value::Float(f64::from_be_bytes(be(bytes)?)),
        WireType::Bool => Value::Bool(be::<1>(bytes)? != [0]),
        WireType::Date => Value::Date(i32::from_be_bytes(be(bytes)?)),
        WireType::Timestamp => Value::Timestamp(i64::from_be_bytes(be(bytes)?)),
        WireType::TimestampTz => Value::TimestampTz(i64::from_be_bytes(be(bytes)?)),
        WireType::Inet => Value::Inet(inet(bytes)?),
        WireType::Uuid => Value::Uuid(be(bytes)?),
        WireType::Json => Value::Json(text(bytes)?),
        WireType::Jsonb => match bytes.split_first()? {
            (1, rest) => Value::Json(text(rest)?),
            _ => return None,
        },
        WireType::Bytea => Value::Bytes(bytes),
        WireType::Array(_) | WireType::Opaque => return None,
    })
}

/// Appends the bytes of a masked value; `None` if it is none of the form.
fn write(masked: &Masked<'_>, of: &WireType, to: &mut Vec<u8>) -> Option<()> {
    match (masked, of) {
        (Masked::Text(text), WireType::Text) => to.extend_from_slice(text.as_bytes()),
        (Masked::Integer(number), WireType::Int2) => {
            to.extend_from_slice(&i16::try_from(*number).ok()?.to_be_bytes());
        }
        (Masked::Integer(number), WireType::Int4) => {
            to.extend_from_slice(&i32::try_from(*number).ok()?.to_be_bytes());
        }
        (Masked::Integer(number), WireType::Int8) => to.extend_from_slice(&number.to_be_bytes()),
        (Masked::Numeric(text), WireType::Numeric) => numeric_bytes(text, to)?,
        (Masked::Float(number), WireType::Float4) => {
            to.extend_from_slice(&(*number as f32).to_be_bytes());
        }
        (Masked::Float(number), WireType::Float8) => to.extend_from_slice(&number.to_be_bytes()),
        (Masked::Date(days), WireType::Date) => to.extend_from_slice(&days.to_be_bytes()),
        (Masked::Timestamp(at), WireType::Timestamp)
        | (Masked::TimestampTz(at), WireType::TimestampTz) => {
            to.extend_from_slice(&at.to_be_bytes());
        }
        (Masked::Inet(inet), WireType::Inet) => inet_bytes(*inet, to),
        (Masked::Uuid(bytes), WireType::Uuid) => to.extend_from_slice(bytes),
        (Masked::Json(text), WireType::Json) => to.extend_from_slice(text.as_bytes()),
        (Masked::Json(text), WireType::Jsonb) => {
            to.push(1);
            to.extend_from_slice(text.as_bytes());
        }
        (Masked::Bytes(bytes), WireType::Bytea) => to.extend_from_slice(bytes),
        _ => return None,
    }
    Some(())
}

/// utils/adt/network.c: the families are 2 and 3 on every platform.
fn inet(bytes: &[u8]) -> Option<Inet> {
    let [family, bits, _, len, rest @ ..] = bytes else { return None };
    if rest.len() != usize::from(*len) {
        return None;
    }
    let address = match family {
        2 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(rest).ok()?)),
        3 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?)),
        _ => return None,
    };
    Some(Inet { address, bits: *bits })
}

fn inet_bytes(inet: Inet, to: &mut Vec<u8>) {
    match inet.address {
        IpAddr::V4(address) => {
            to.extend_from_slice(&[2, inet.bits, 0, 4]);
            to.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            to.extend_from_slice(&[3, inet.bits, 0, 16]);
            to.extend_from_slice(&address.octets());
        }
    }
}

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// A numeric as numeric_out writes it.
fn numeric_text(bytes: &[u8], out: &mut String) -> Option<()> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (count, weight) = (word(0)? as usize, i32::from(word(2)? as i16));
    let (sign, scale) = (word(4)?, word(6)? as usize);
    out.clear();
    let special = match sign {
        NAN => "NaN",
        INFINITY => "Infinity",
        MINUS_INFINITY => "-Infinity",
        _ => "",
    };
    if !special.is_empty() {
        out.push_str(special);
        return Some(());
    }
    if bytes.len() != 8 + 2 * count || !matches!(sign, 0 | NEGATIVE) {
        return None;
    }
    let group = |at: i32| {
        usize::try_from(at)
            .ok()
            .filter(|at| *at < count)
            .and_then(|at| word(8 + 2 * at))
            .unwrap_or(0)
    };
    let four = |number: u16| {
        [number / 1000, number / 100 % 10, number / 10 % 10, number % 10]
            .map(|digit| char::from(b'0' + digit as u8))
    };
    if sign == NEGATIVE {
        out.push('-');
    }
    let start = out.len();
    for at in 0..=weight.max(-1) {
        let number = group(at);
        if number > 9999 {
            return None;
        }
        if out.len() > start {
            out.extend(four(number));
        } else if number > 0 {
            out.extend(four(number).into_iter().skip_while(|digit| *digit == '0'));
        }
    }
    if out.len() == start {
        out.push('0');
    }
    if scale > 0 {
        out.push('.');
        let end = out.len() + scale;
        let mut at = weight + 1;
        if weight < 0 {
            at = 0;
            // Groups of zeros between the point and the first digit.
            for _ in 0..(-1 - weight) {
                out.push_str("0000");
            }
        }
        while out.len() < end {
            let number = group(at);
            if number > 9999 {
                return None;
            }
            out.extend(four(number));
            at += 1;
        }
        out.truncate(end);
    }
    Some(())
}

/// A numeric's bytes from its text; `None` for what is none.
fn numeric_bytes(text: &str, to: &mut Vec<u8>) -> Option<()> {
    let special = match text {
        "NaN" => NAN,
        "Infinity" => INFINITY,
        "-Infinity" => MINUS_INFINITY,
        _ => 0,
    };
    let head = |count: usize, weight: i32, sign: u16, scale: usize| -> Option<[u8; 8]> {
        let mut out = [0; 8];
        out[..2].copy_from_slice(&i16::try_from(count).ok()?.to_be_bytes());
        out[2..4].copy_from_slice(&i16::try_from(weight).ok()?.to_be_bytes());
        out[4..6].copy_from_slice(&sign.to_be_bytes());
        out[6..].copy_from_slice(&u16::try_from(scale).ok()?.to_be_bytes());
        Some(out)
    };
    if special != 0 {
        to.extend_from_slice(&head(0, 0, special, 0)?);
        return Some(());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (0, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The head is written when the groups behind it are known.
    let start = to.len();
    to.extend_from_slice(&[0; 8]);
    let first = start + 8;
    let number =
        |part: &[u8]| part.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let whole = whole.as_bytes();
    let (partial, groups) = whole.split_at(whole.len() % 4);
    if !partial.is_empty() {
        to.extend_from_slice(&number(partial).to_be_bytes());
    }
    for part in groups.chunks_exact(4) {
        to.extend_from_slice(&number(part).to_be_bytes());
    }
    let mut weight = (to.len() - first) as i32 / 2 - 1;
    for part in fraction.as_bytes().chunks(4) {
        let mut padded = [b'0'; 4];
        padded[..part.len()].copy_from_slice(part);
        to.extend_from_slice(&number(&padded).to_be_bytes());
    }
    while to.len() > first && to.ends_with(&[0, 0]) {
        to.truncate(to.len() - 2);
    }
    let leading = to[first..].chunks_exact(2).take_while(|group| *group == [0, 0]).count();
    if leading > 0 {
        to.drain(first..first + 2 * leading);
        weight -= leading as i32;
    }
    let count = (to.len() - first) / 2;
    let (weight, sign) = if count == 0 { (0, 0) } else { (weight, sign) };
    let Some(head) = head(count, weight, sign, fraction.len()) else {
        to.truncate(start);
        return None;
    };
    to[start..first].copy_from_slice(&head);
    Some(())
}

/// array_send: dimensions, flags, element type, then for each dimension its length and lower bound,
/// then the elements, each with its length, -1 for NULL.
fn array(
    masker: &mut Masker,
    of: &WireType,
    bytes: &[u8],
    others: &[Option<Value<'_>>],
    room: &mut (&mut String, &mut String),
    to: &mut Vec<u8>,
) -> Result<Outcome, MaskError> {
    let unreadable = || MaskError::Unreadable { mask: "of a column" };
    let word = |at: usize| -> Result<i32, MaskError> {
        let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
        four.map(i32::from_be_bytes).ok_or_else(unreadable)
    };
    let dimensions = usize::try_from(word(0)?).ok().filter(|count| *count <= 6);
    let head = 12 + 8 * dimensions.ok_or_else(unreadable)?;
    let start = to.len();
    to.extend_from_slice(bytes.get(..head).ok_or_else(unreadable)?);
    // There may be NULLs in it that were none.
    to[start + 4..start + 8].copy_from_slice(&1i32.to_be_bytes());
    let mut at = head;
    while at < bytes.len() {
        let len = word(at)?;
        at += 4;
        let Ok(len) = usize::try_from(len) else {
            to.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        };
        let value = bytes.get(at..at + len).ok_or_else(unreadable)?;
        at += len;
        let place = to.len();
        to.extend_from_slice(&(-1i32).to_be_bytes());
        match element(masker, of, value, others, (room.0, room.1), to)? {
            Outcome::Null => {}
            Outcome::Unchanged => {
                to.extend_from_slice(value);
                to[place..place + 4].copy_from_slice(&(len as i32).to_be_bytes());
            }
            Outcome::Written => {
                let len = i32::try_from(to.len() - place - 4).map_err(|_| unreadable())?;
                to[place..place + 4].copy_from_slice(&len.to_be_bytes());
            }
        }
    }
    Ok(Outcome::Written)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
