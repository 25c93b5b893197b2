//! An answer as a tree, whichever format it came in.
//!
//! Numbers keep their text, so that money never passes through a float. Depth is bounded, so that no
//! answer can exhaust the stack.

mod json;
mod xml;

pub use json::parse as parse_json;
pub use xml::{Document, parse as parse_xml};

use std::fmt::Write;

/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 64;

/// A value of an answer. `Debug` shows its shape alone.
#[derive(Clone, PartialEq)]
pub enum Tree {
    /// null, or `nil="true"`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// Text.
    Text(String),
    /// An array.
    List(Vec<Tree>),
    /// An object, its members in the order of the answer.
    Object(Vec<(String, Tree)>),
}

/// What an answer could not be read for. No part of the answer is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unreadable {
    /// What is wrong.
    pub what: &'static str,
    /// Whether the text ends too early.
    pub cut: bool,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tree::Null => "Null",
            Tree::Bool(_) => "Bool(…)",
            Tree::Number(_) => "Number(…)",
            Tree::Text(_) => "Text(…)",
            Tree::List(_) => "List(…)",
            Tree::Object(_) => "Object(…)",
        })
    }
}

impl Tree {
    /// Text.
    pub fn text(text: impl Into<String>) -> Tree {
        Tree::Text(text.into())
    }

    /// The first member of this name.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Object(members) => {
                members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The value at the end of a path of member names.
    pub fn at(&self, path: &[&str]) -> Option<&Tree> {
        path.iter().try_fold(self, |tree, name| tree.get(name))
    }

    /// The value as text, if it is text, a number or a truth value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) | Tree::Number(text) => Some(text),
            Tree::Bool(true) => Some("true"),
            Tree::Bool(false) => Some("false"),
            _ => None,
        }
    }

    /// The text of a member.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Tree::as_text)
    }

    /// The elements of a list; of a single object, itself; of anything else, nothing.
    pub fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            Tree::Object(_) => std::slice::from_ref(self),
            _ => &[],
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Tree> {
        match self {
            Tree::Object(members) => {
                let at = members.iter().position(|(member, _)| member == name)?;
                Some(members.remove(at).1)
            }
            _ => None,
        }
    }

    /// The value as JSON. NUL, which Postgres cannot hold, becomes U+FFFD.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// Writes the value as JSON.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Tree::Null => out.push_str("null"),
            Tree::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Tree::Number(text) => out.push_str(text),
            Tree::Text(text) => quote(text, out),
            Tree::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Tree::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push('\u{fffd}'),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
