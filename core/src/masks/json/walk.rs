//! A walk through the text of a document.
//!
//! The text is Postgres's and therefore JSON; what is not is an error, never a panic or a guess.

use super::path::MAX_DEPTH;
use super::{MaskError, Value, unreadable};

/// What is still ahead, and what has been written.
pub(super) struct Walk<'t, 'o> {
    pub(super) rest: &'t str,
    pub(super) others: &'o [Option<Value<'o>>],
    pub(super) out: &'o mut String,
    depth: usize,
}

impl<'t, 'o> Walk<'t, 'o> {
    pub(super) fn new(
        rest: &'t str,
        others: &'o [Option<Value<'o>>],
        out: &'o mut String,
    ) -> Walk<'t, 'o> {
        Walk { rest, others, out, depth: 0 }
    }

    pub(super) fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn advance(&mut self, by: usize) -> Result<&'t str, MaskError> {
        let (taken, rest) = self.rest.split_at_checked(by).ok_or_else(unreadable)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Passes over a punctuation mark.
    pub(super) fn expect(&mut self, mark: char) -> Result<(), MaskError> {
        self.space();
        self.rest = self.rest.strip_prefix(mark).ok_or_else(unreadable)?;
        Ok(())
    }

    /// Goes into an object or an array.
    pub(super) fn enter(&mut self) -> Result<(), MaskError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(unreadable());
        }
        let bracket = self.advance(1)?;
        self.out.push_str(bracket);
        Ok(())
    }

    /// Comes out of it.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Whether it ends here; then the bracket is written.
    pub(super) fn closes(&mut self, bracket: char) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(bracket) else { return false };
        self.rest = rest;
        self.out.push(bracket);
        true
    }

    /// A string with its quotes, as it stands.
    pub(super) fn string(&mut self) -> Result<&'t str, MaskError> {
        let bytes = self.rest.as_bytes();
        if bytes.first() != Some(&b'"') {
            return Err(unreadable());
        }
        let mut at = 1;
        loop {
            match bytes.get(at) {
                Some(b'"') => return self.advance(at + 1),
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => return Err(unreadable()),
            }
        }
    }

    /// A number, `true`, `false` or `null`, as it stands.
    pub(super) fn scalar(&mut self) -> Result<&'t str, MaskError> {
        let ends = |c: char| matches!(c, ',' | ']' | '}' | ' ' | '\t' | '\n' | '\r');
        match self.rest.find(ends).unwrap_or(self.rest.len()) {
            0 => Err(unreadable()),
            end => self.advance(end),
        }
    }

    /// Passes over a value. Returns it as it stands.
    pub(super) fn skip(&mut self) -> Result<&'t str, MaskError> {
        self.space();
        let start = self.rest;
        let mut depth = 0usize;
        loop {
            self.space();
            match self.rest.as_bytes().first() {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.advance(1)?;
                }
                Some(b'}' | b']') => {
                    depth = depth.checked_sub(1).ok_or_else(unreadable)?;
                    self.advance(1)?;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.advance(1)?;
                }
                Some(b'"') => {
                    self.string()?;
                }
                _ => {
                    self.scalar()?;
                }
            }
            if depth == 0 {
                return start.get(..start.len() - self.rest.len()).ok_or_else(unreadable);
            }
        }
    }

    /// Keeps a value.
    pub(super) fn copy(&mut self) -> Result<(), MaskError> {
        let value = self.skip()?;
        self.out.push_str(value);
        Ok(())
    }

    /// Makes a value null.
    pub(super) fn hide(&mut self) -> Result<(), MaskError> {
        self.skip()?;
        self.out.push_str("null");
        Ok(())
    }
}

/// Adds what a string with its quotes stands for.
pub(super) fn unescape(raw: &str, out: &mut String) -> Result<(), MaskError> {
    let inner = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')).ok_or_else(unreadable)?;
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut characters = after.chars();
        let escaped = characters.next().ok_or_else(unreadable)?;
        rest = characters.as_str();
        out.push(match escaped {
            '"' | '\\' | '/' => escaped,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unicode(&mut rest)?,
            _ => return Err(unreadable()),
        });
    }
    out.push_str(rest);
    Ok(())
}

fn unit(rest: &mut &str) -> Result<u32, MaskError> {
    let (digits, after) = rest.split_at_checked(4).ok_or_else(unreadable)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(unreadable());
    }
    *rest = after;
    u32::from_str_radix(digits, 16).map_err(|_| unreadable())
}

/// The character of one or, for a surrogate pair, two escapes. A lone surrogate is U+FFFD.
fn unicode(rest: &mut &str) -> Result<char, MaskError> {
    let high = unit(rest)?;
    if let (0xd800..0xdc00, Some(mut after)) = (high, rest.strip_prefix("\\u")) {
        let low = unit(&mut after)?;
        if (0xdc00..0xe000).contains(&low) {
            *rest = after;
            let joined = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return char::from_u32(joined).ok_or_else(unreadable);
        }
    }
    Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Adds a text as a JSON string.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[(c as usize) >> 4]));
                out.push(char::from(HEX[(c as usize) & 15]));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
