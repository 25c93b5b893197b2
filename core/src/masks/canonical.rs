//! The one form of a value in all its spellings, so that pseudonyms of the same thing are the same.
//!
//! The form begins with a byte for its type, so that the text `1` of a phone is not the integer 1.
//! Under [`Form::Auto`] text that is an integer, a UUID, an IP or an e-mail address counts as such: a key
//! that is text in one source and a number in another joins. So does a telephone number that is one.
//!
//! The forms are part of every pseudonym: they are never to be changed.

use super::{Inet, Value, network};
use std::io::Write;
use unicode_normalization::UnicodeNormalization;

/// How text is made comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// NFKC and trimmed; then an integer, a UUID, an IP or an e-mail address as such, else as it is.
    #[default]
    Auto,
    /// As it is.
    Exact,
    /// NFKC, trimmed, lower case.
    Email,
    /// NFKC, trimmed, lower case, one space between words.
    Name,
    /// E.164 digits: NFKC digits; `+` or `00` (from North America `011`) begins an international number,
    /// any other is one of `country` without its trunk prefix. An extension is left out.
    Phone {
        /// The country calling code of numbers without one, 1 to 999. Without it they stay national.
        country: Option<u16>,
    },
}

const TEXT: u8 = b'T';
const EMAIL: u8 = b'E';
const NAME: u8 = b'M';
const PHONE: u8 = b'P';
const NATIONAL: u8 = b'Q';
const INTEGER: u8 = b'I';
const NUMERIC: u8 = b'N';
const UUID: u8 = b'U';
const DATE: u8 = b'D';
const TIMESTAMP: u8 = b'S';
const TIMESTAMP_TZ: u8 = b'Z';
const INET: u8 = b'A';
const BOOL: u8 = b'L';
const BYTES: u8 = b'B';
const JSON: u8 = b'J';

/// Writes the canonical form of a value in place of what is in `out`.
pub fn write(value: Value<'_>, form: Form, out: &mut Vec<u8>) {
    out.clear();
    match value {
        Value::Text(text) => self::text(text, form, out),
        Value::Integer(number) if matches!(form, Form::Phone { .. }) => {
            self::text(&number.to_string(), form, out);
        }
        Value::Numeric(text) if matches!(form, Form::Phone { .. }) => self::text(text, form, out),
        Value::Integer(number) => {
            out.push(INTEGER);
            integer(number, out);
        }
        Value::Numeric(text) => numeric(text, out),
        Value::Float(number) => numeric(&number.to_string(), out),
        Value::Bool(value) => out.extend([BOOL, u8::from(value)]),
        Value::Date(days) => with(DATE, &days.to_be_bytes(), out),
        Value::Timestamp(at) => with(TIMESTAMP, &at.to_be_bytes(), out),
        Value::TimestampTz(at) => with(TIMESTAMP_TZ, &at.to_be_bytes(), out),
        Value::Inet(of) => inet(of, out),
        Value::Uuid(bytes) => with(UUID, &bytes, out),
        Value::Json(text) => with(JSON, text.as_bytes(), out),
        Value::Bytes(bytes) => with(BYTES, bytes, out),
    }
}

/// As [`write`] of text, if it is ASCII.
pub fn write_ascii(text: &[u8], form: Form, out: &mut Vec<u8>) -> bool {
    if !text.is_ascii() {
        return false;
    }
    out.clear();
    plain(text, form, out);
    true
}

fn with(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

/// The digits of an integer. (`write!` takes several times as long.)
fn integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    while at > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Without a zero behind the point or a point behind the number, of any size.
fn numeric(text: &str, out: &mut Vec<u8>) {
    let text = match text.contains(['e', 'E']) {
        false if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.'),
        _ => text,
    };
    let text = if text == "-0" { "0" } else { text };
    with(if is_integer(text.as_bytes()) { INTEGER } else { NUMERIC }, text.as_bytes(), out);
}

fn inet(inet: Inet, out: &mut Vec<u8>) {
    out.push(INET);
    // Writing to a vector does not fail.
    let _ = write!(out, "{}/{}", inet.address, inet.bits);
}

fn text(text: &str, form: Form, out: &mut Vec<u8>) {
    if text.is_ascii() {
        return plain(text.as_bytes(), form, out);
    }
    if form == Form::Exact {
        return with(TEXT, text.as_bytes(), out);
    }
    out.push(TEXT);
    for c in text.nfkc() {
        push(c, out);
    }
    trim(out);
    formed(form, out);
}

/// ASCII.
fn plain(text: &[u8], form: Form, out: &mut Vec<u8>) {
    if form == Form::Exact {
        return with(TEXT, text, out);
    }
    with(TEXT, trimmed(text), out);
    formed(form, out);
}

/// Gives text that has been trimmed its form.
fn formed(form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Auto => auto(out),
        Form::Exact => {}
        Form::Email => lower(EMAIL, out),
        Form::Name => {
            lower(NAME, out);
            one_space(out);
        }
        Form::Phone { country } => phone(country, out),
    }
}

/// ASCII without spaces around it. Of most texts the first and the last byte are none.
fn trimmed(text: &[u8]) -> &[u8] {
    if let (Some(b'!'..=b'~'), Some(b'!'..=b'~')) = (text.first(), text.last()) {
        return text;
    }
    // `char::is_whitespace`; `u8::is_ascii_whitespace` leaves the vertical tab out.
    let is_space = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The text behind the tag. It was written from text, so it is some.
fn behind_tag(out: &[u8]) -> &str {
    std::str::from_utf8(out.get(1..).unwrap_or_default()).unwrap_or_default()
}

/// Trims what is behind the tag: NFKC makes spaces of other characters.
fn trim(out: &mut Vec<u8>) {
    let text = behind_tag(out);
    let start = text.len() - text.trim_start().len();
    let end = 1 + text.trim_end().len();
    out.truncate(end.max(1));
    out.drain(1..(1 + start).min(out.len()));
}

fn auto(out: &mut Vec<u8>) {
    let body = &out[1..];
    if is_integer(body) {
        out[0] = INTEGER;
    } else if let Some(uuid) = uuid(body) {
        out.clear();
        with(UUID, &uuid, out);
    } else if let Some(address) = address(body) {
        out.clear();
        inet(address, out);
    } else if is_email(body) {
        lower(EMAIL, out);
    }
}

/// An IP address. Most texts are none, which their beginning tells.
fn address(text: &[u8]) -> Option<Inet> {
    let separates = |byte: &u8| matches!(byte, b'.' | b':');
    let digits = text.iter().take(5).take_while(|byte| byte.is_ascii_hexdigit()).count();
    text.get(digits).filter(|byte| digits <= 4 && separates(byte))?;
    network::parse(std::str::from_utf8(text).ok()?)
}

/// An integer as Postgres writes it, of any size.
fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [] => false,
        [b'0'] => text.len() == 1,
        [b'0', ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let dashes = [8, 13, 18, 23];
    if text.len() != 36 || dashes.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = [0; 32];
    let body = text.iter().enumerate().filter(|(at, _)| !dashes.contains(at));
    for (digit, (_, byte)) in digits.iter_mut().zip(body) {
        *digit = *byte;
    }
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

fn is_email(text: &[u8]) -> bool {
    // Most texts are none, which is told fast.
    if !text.contains(&b'@') {
        return false;
    }
    let mut parts = text.split(|byte| *byte == b'@');
    let whole = |part: Option<&[u8]>| part.is_some_and(|part| !part.is_empty());
    whole(parts.next())
        && whole(parts.next())
        && parts.next().is_none()
        && !text.iter().any(u8::is_ascii_whitespace)
}

/// Lower case, character by character. (`str::to_lowercase` depends on what stands around a sigma.)
fn lower(tag: u8, out: &mut Vec<u8>) {
    out[0] = tag;
    if out.is_ascii() {
        return out[1..].make_ascii_lowercase();
    }
    let text = behind_tag(out).to_owned();
    out.truncate(1);
    for c in text.chars().flat_map(char::to_lowercase) {
        push(c, out);
    }
}

fn one_space(out: &mut Vec<u8>) {
    let text = behind_tag(out).to_owned();
    out.truncate(1);
    for (at, word) in text.split_whitespace().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word.as_bytes());
    }
}

fn phone(country: Option<u16>, out: &mut Vec<u8>) {
    let text = behind_tag(out);
    // What stands before the number is no part of it, and an extension is none.
    let text = &text[text.find(['+', '(']).or(text.find(is_digit)).unwrap_or(0)..];
    let end = text.find(|c: char| c.is_alphabetic() || "#;,".contains(c)).unwrap_or(text.len());
    let (text, more) = text.split_at(end);
    if !more.is_empty() && text.chars().filter(|c| is_digit(*c)).count() < 7 {
        // Letters that are dialled, or no number: different texts stay different.
        return;
    }
    let plus = text.starts_with('+');
    // The trunk prefix that is said and not called from abroad, as in +44 (0)20.
    let digits = text.replace("(0)", if plus || text.starts_with("00") { "" } else { "0" });
    let digits: String = digits.chars().filter(|c| is_digit(*c)).collect();
    if digits.is_empty() {
        return;
    }
    let abroad = match country {
        Some(1) => digits.strip_prefix("011").or(digits.strip_prefix("00")),
        _ => digits.strip_prefix("00"),
    };
    out.clear();
    match (plus, abroad, country) {
        (true, ..) => with(PHONE, digits.as_bytes(), out),
        (false, Some(digits), _) => with(PHONE, digits.as_bytes(), out),
        (false, None, Some(country)) => {
            out.push(PHONE);
            let _ = write!(out, "{country}{}", without_trunk(country, &digits));
        }
        (false, None, None) => with(NATIONAL, digits.as_bytes(), out),
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// A national number without the prefix of calls beyond the area (ITU-T E.164, national numbering
/// plans).
fn without_trunk(country: u16, digits: &str) -> &str {
    let eleven = digits.len() == 11;
    match country {
        1 => digits.strip_prefix('1').filter(|_| eleven),
        7 => digits.strip_prefix('8').filter(|_| eleven),
        36 => digits.strip_prefix("06"),
        // In Italy and San Marino the zero is part of the number.
        39 | 378 => None,
        _ => digits.strip_prefix('0'),
    }
    .unwrap_or(digits)
}

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;
