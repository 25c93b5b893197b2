//! The text of a mask.
//!
//! ```text
//! mask      = name [ "(" [ argument { "," argument } ] ")" ]
//! argument  = [ key "=>" ] value
//! key       = name | string                        a string is a path of json(…)
//! value     = number | string | column | mask      a column may stand in double quotes
//! number    = [ "-" ] digits [ "." digits ]
//! string    = "'" … "'"                            a quote in it is doubled
//! ```
//!
//! Names are folded to lower case, as in SQL. Nothing here is ever SQL. An error says where, what was
//! expected and, for a name, which there are; it does not repeat the text, which may be a secret
//! (`constant`).

use super::decimal::Decimal;
use super::{Mask, MaskError, NAMES};
use std::str::FromStr;

/// The domain of a keyed mask that names none: noise and shifts, whose results nobody joins.
pub const DEFAULT_DOMAIN: &str = "warehouse";

/// How deep masks may stand in masks.
const MAX_DEPTH: usize = 8;

/// A value of an argument, with its position counted in characters from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub position: usize,
    /// What it is.
    pub shape: Shape,
}

/// What a value is before its mask has looked at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A number.
    Number(Decimal),
    /// A string.
    Text(String),
    /// A name; `quoted` if in double quotes.
    Name {
        /// The name, folded to lower case unless quoted.
        name: String,
        /// Whether it stood in double quotes.
        quoted: bool,
    },
    /// A name with arguments in parentheses.
    Call {
        /// The name.
        name: String,
        /// The arguments.
        arguments: Vec<Argument>,
        /// Where the closing parenthesis is.
        end: usize,
    },
}

/// An argument and its key, if it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// What stands before `=>`.
    pub key: Option<Node>,
    /// The value.
    pub value: Node,
}

struct Reader<'a> {
    rest: &'a str,
    position: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.position += 1;
        Some(next)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn take(&mut self, what: &str) -> bool {
        self.space();
        let found = self.rest.starts_with(what);
        if found {
            self.rest = &self.rest[what.len()..];
            self.position += what.chars().count();
        }
        found
    }

    fn expected<T>(&self, expected: &str) -> Result<T, MaskError> {
        Err(MaskError::Syntax { position: self.position, expected: expected.to_owned() })
    }

    /// What stands between quotes; the first is still ahead.
    fn quoted(&mut self, quote: char) -> Result<String, MaskError> {
        self.next();
        let mut out = String::new();
        loop {
            match self.next() {
                Some(c) if c == quote => {
                    if self.peek() != Some(quote) {
                        return Ok(out);
                    }
                    self.next();
                    out.push(quote);
                }
                Some('\0') | None => return self.expected("a closing quote"),
                Some(c) => out.push(c),
            }
        }
    }

    fn while_of(&mut self, of: impl Fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek().filter(|c| of(*c)) {
            out.push(c);
            self.next();
        }
        out
    }

    fn node(&mut self, depth: usize) -> Result<Node, MaskError> {
        self.space();
        let position = self.position;
        let shape = match self.peek() {
            Some('\'') => Shape::Text(self.quoted('\'')?),
            Some('"') => {
                let name = self.quoted('"')?;
                if name.is_empty() {
                    return Err(MaskError::Syntax { position, expected: "a name".to_owned() });
                }
                Shape::Name { name, quoted: true }
            }
            Some(c) if c.is_ascii_digit() || c == '-' => {
                let text = self.while_of(|c| c.is_ascii_digit() || c == '.' || c == '-');
                let number = text.parse().map_err(|_| MaskError::Syntax {
                    position,
                    expected: "a number of up to 38 digits".to_owned(),
                })?;
                Shape::Number(number)
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let name = self.while_of(|c| c.is_ascii_alphanumeric() || c == '_');
                let name = name.to_ascii_lowercase();
                if self.take("(") {
                    if depth >= MAX_DEPTH {
                        return self.expected("fewer masks within masks");
                    }
                    let (arguments, end) = self.arguments(depth + 1)?;
                    Shape::Call { name, arguments, end }
                } else {
                    Shape::Name { name, quoted: false }
                }
            }
            _ => return self.expected("a name, a number or a string"),
        };
        Ok(Node { position, shape })
    }

    /// What stands in parentheses; the first is behind.
    fn arguments(&mut self, depth: usize) -> Result<(Vec<Argument>, usize), MaskError> {
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok((arguments, self.position - 1));
        }
        loop {
            let node = self.node(depth)?;
            arguments.push(match self.take("=>") {
                true => Argument { key: Some(node), value: self.node(depth)? },
                false => Argument { key: None, value: node },
            });
            if self.take(")") {
                return Ok((arguments, self.position - 1));
            }
            if !self.take(",") {
                return self.expected("',' or ')'");
            }
        }
    }
}

impl FromStr for Mask {
    type Err = MaskError;

    fn from_str(text: &str) -> Result<Self, MaskError> {
        let mut reader = Reader { rest: text, position: 1 };
        let node = reader.node(0)?;
        reader.space();
        if !reader.rest.is_empty() {
            return reader.expected("the end");
        }
        of_node(node)
    }
}

/// The mask that a node is.
pub(super) fn of_node(node: Node) -> Result<Mask, MaskError> {
    let position = node.position;
    let (name, arguments, end) = match node.shape {
        Shape::Name { name, quoted: false } => {
            let end = position + name.chars().count();
            (name, Vec::new(), end)
        }
        Shape::Call { name, arguments, end } => (name, arguments, end),
        _ => return Err(MaskError::Syntax { position, expected: "the name of a mask".to_owned() }),
    };
    match NAMES.iter().find(|known| **known == name) {
        Some(known) => super::arguments::mask(known, arguments, end),
        None => Err(MaskError::UnknownMask { position, valid: NAMES.to_vec() }),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
