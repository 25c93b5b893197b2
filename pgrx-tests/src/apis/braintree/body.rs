//! Request bodies: XML as some SDKs send it, JSON as others do. Both become the same JSON.

use anyhow::{Context, Result, bail};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// A deeper document is refused.
const DEEPEST: usize = 32;

/// Reads a body; an empty one is an empty object. Names get underscores for hyphens.
pub(super) fn read(body: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(body).context("the body is not UTF-8")?.trim();
    if text.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    if text.starts_with('<') {
        return read_xml(text);
    }
    let value: Value = serde_json::from_str(text).context("the body is not JSON")?;
    Ok(underscored(value))
}

fn underscored(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| (key.replace('-', "_"), underscored(value)))
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(underscored).collect(),
        other => other,
    }
}

/// An element that has been opened.
struct Open {
    name: String,
    kind: String,
    text: String,
    children: Vec<(String, Value)>,
}

fn read_xml(text: &str) -> Result<Value> {
    let mut reader = Reader::from_str(text);
    let mut stack = vec![Open::root()];
    loop {
        match reader.read_event().context("the body is not XML")? {
            Event::Start(start) => {
                if stack.len() > DEEPEST {
                    bail!("the body is nested too deeply");
                }
                stack.push(Open::new(&start)?);
            }
            Event::Empty(start) => {
                let closed = Open::new(&start)?.close();
                stack.last_mut().context("no element is open")?.children.push(closed);
            }
            Event::End(_) => {
                let closed = stack.pop().context("no element is open")?.close();
                stack.last_mut().context("an element is closed twice")?.children.push(closed);
            }
            Event::Text(text) => {
                if let Some(open) = stack.last_mut() {
                    open.text.push_str(&text.decode()?);
                }
            }
            Event::CData(text) => {
                if let Some(open) = stack.last_mut() {
                    open.text.push_str(&text.decode()?);
                }
            }
            Event::GeneralRef(reference) => {
                let letter = match reference.resolve_char_ref()? {
                    Some(letter) => letter,
                    None => match &*reference.decode()? {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "apos" => '\'',
                        "quot" => '"',
                        name => bail!("the entity {name} is not known"),
                    },
                };
                if let Some(open) = stack.last_mut() {
                    open.text.push(letter);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match (stack.pop(), stack.is_empty()) {
        (Some(root), true) => Ok(root.close().1),
        _ => bail!("an element is not closed"),
    }
}

impl Open {
    fn root() -> Open {
        Open { name: String::new(), kind: String::new(), text: String::new(), children: Vec::new() }
    }

    fn new(start: &BytesStart<'_>) -> Result<Open> {
        let name = std::str::from_utf8(start.name().as_ref())?.replace('-', "_");
        let mut open = Open { name, ..Open::root() };
        for attribute in start.attributes() {
            let attribute = attribute?;
            if attribute.key.as_ref() == b"type" {
                open.kind = String::from_utf8_lossy(&attribute.value).into_owned();
            }
        }
        Ok(open)
    }

    fn close(self) -> (String, Value) {
        let value = match self.kind.as_str() {
            "array" => self.children.into_iter().map(|(_, value)| value).collect(),
            "boolean" => Value::Bool(matches!(self.text.trim(), "true" | "1")),
            "integer" => self.text.trim().parse::<i64>().map_or(Value::Null, Value::from),
            _ if !self.children.is_empty() || self.name.is_empty() => {
                Value::Object(self.children.into_iter().collect())
            }
            _ => Value::String(self.text),
        };
        (self.name, value)
    }
}
