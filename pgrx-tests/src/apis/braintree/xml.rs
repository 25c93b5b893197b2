//! The XML that the gateway answers with, written from plain JSON.
//!
//! What a member is says its value, and for times and dates its name: the gateway marks them, JSON
//! cannot. The quirks are the gateway's own: a null bears `nil` and no type, disputes write
//! `dateTime`, and the transaction within a dispute leaves its time unmarked.

use serde_json::{Map, Value};

/// Where in the answer a member stands, as far as that changes how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ordinary,
    /// In a dispute.
    Dispute,
    /// In the transaction of a dispute, or among custom fields: nothing is marked.
    Unmarked,
}

/// A document with `record` as its root.
pub(super) fn document(tag: &str, record: &Value) -> String {
    let mut out = head();
    element(&mut out, tag, tag, record, place_of(tag, Place::Ordinary));
    out
}

/// A document with a whole list.
pub(super) fn list(tag: &str, child: &str, records: &[Value]) -> String {
    let mut out = head();
    out.push_str(&format!("<{tag} type=\"array\">"));
    for record in records {
        element(&mut out, child, child, record, Place::Ordinary);
    }
    close(&mut out, tag);
    out
}

/// A page of a collection; records may have different tags.
pub(super) fn collection(
    tag: &str,
    page: usize,
    page_size: usize,
    total: usize,
    records: &[(&str, &Value)],
) -> String {
    let mut out = head();
    out.push_str(&format!("<{tag} type=\"collection\">"));
    for (name, number) in
        [("current-page-number", page), ("page-size", page_size), ("total-items", total)]
    {
        out.push_str(&format!("<{name} type=\"integer\">{number}</{name}>"));
    }
    for (child, record) in records {
        element(&mut out, child, child, record, place_of(child, Place::Ordinary));
    }
    close(&mut out, tag);
    out
}

/// The answer to a search for ids.
pub(super) fn search_results(page_size: usize, ids: &[&str]) -> String {
    let mut out = head();
    out.push_str(&format!(
        "<search-results><page-size type=\"integer\">{page_size}</page-size><ids type=\"array\">"
    ));
    for id in ids {
        out.push_str("<item>");
        escape(&mut out, id);
        out.push_str("</item>");
    }
    out.push_str("</ids></search-results>");
    out
}

fn head() -> String {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned()
}

fn close(out: &mut String, tag: &str) {
    out.push_str("</");
    out.push_str(tag);
    out.push('>');
}

fn place_of(key: &str, place: Place) -> Place {
    match (key, place) {
        ("custom_fields", _) => Place::Unmarked,
        ("dispute", Place::Ordinary) => Place::Dispute,
        ("transaction", Place::Dispute) => Place::Unmarked,
        _ => place,
    }
}

/// Writes one member. `key` is its name in JSON, `tag` its name in XML.
fn element(out: &mut String, tag: &str, key: &str, value: &Value, place: Place) {
    out.push('<');
    out.push_str(tag);
    match value {
        Value::Null => return out.push_str(" nil=\"true\"/>"),
        Value::Bool(flag) => out.push_str(&format!(" type=\"boolean\">{flag}")),
        Value::Number(number) => out.push_str(&format!(" type=\"integer\">{number}")),
        Value::String(text) => {
            match mark(key, place) {
                Some(mark) if !text.is_empty() => out.push_str(&format!(" type=\"{mark}\">")),
                _ => out.push('>'),
            }
            escape(out, text);
        }
        Value::Array(items) if items.is_empty() => return out.push_str(" type=\"array\"/>"),
        Value::Array(items) => {
            out.push_str(" type=\"array\">");
            for item in items {
                let (child, name) = match item {
                    Value::Object(_) => child_tag(key, place),
                    _ => ("item".to_owned(), ""),
                };
                element(out, &child, name, item, place_of(name, place));
            }
        }
        Value::Object(members) => {
            out.push('>');
            object(out, members, place);
        }
    }
    close(out, tag);
}

fn object(out: &mut String, members: &Map<String, Value>, place: Place) {
    for (key, value) in members {
        element(out, &key.replace('_', "-"), key, value, place_of(key, place));
    }
}

/// The tag of the objects in a list, and the name that their place is decided by.
fn child_tag(key: &str, place: Place) -> (String, &'static str) {
    let tag = match key {
        "status_history" if place == Place::Dispute => "status-history".to_owned(),
        "status_history" => "status-event".to_owned(),
        "addresses" => "address".to_owned(),
        "disputes" => return ("dispute".to_owned(), "dispute"),
        "evidence" => "evidence".to_owned(),
        _ => key.strip_suffix('s').unwrap_or(key).replace('_', "-"),
    };
    (tag, "")
}

/// The type that a text member is marked with.
fn mark(key: &str, place: Place) -> Option<&'static str> {
    let is_time = key.ends_with("_at") || matches!(key, "timestamp" | "response_deadline");
    let is_date = key.ends_with("_date") && !matches!(key, "expiration_date" | "settlement_date")
        || matches!(key, "date_opened" | "date_won");
    match place {
        Place::Unmarked => None,
        Place::Dispute if is_time => Some("dateTime"),
        _ if is_time => Some("datetime"),
        _ if is_date => Some("date"),
        _ => None,
    }
}

fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser would read it as a line feed.
            '\r' => out.push_str("&#13;"),
            letter => out.push(letter),
        }
    }
}
