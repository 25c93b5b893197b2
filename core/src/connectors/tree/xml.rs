//! Braintree's XML to a [`Tree`], by the conventions of its SDKs.
//!
//! - Hyphens of names become underscores.
//! - `type="integer"` and `"boolean"` give numbers and truth values; `datetime`, `dateTime` and `date`
//!   stay text; untyped leaves are text, so that decimals keep their digits.
//! - `nil="true"` is null; an empty text is `""`; an empty typed leaf is null.
//! - `type="array"` is a list of its children whatever their names; `type="collection"` is an object
//!   whose records are repeated members. Elsewhere, repeated members become a list.
//!
//! There is no DTD and no entity but the five of XML itself.

use super::{MAX_DEPTH, Tree, Unreadable};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// A whole document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The root's name, with its hyphens as underscores.
    pub root: String,
    /// Its content.
    pub tree: Tree,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Integer,
    Boolean,
    Stamp,
    Array,
    Collection,
    Nil,
}

struct Open {
    name: String,
    kind: Kind,
    text: String,
    children: Vec<(String, Tree)>,
}

fn malformed(what: &'static str) -> Unreadable {
    Unreadable { what, cut: false }
}

const NOT_XML: &str = "it is not XML";
const ENDS: Unreadable = Unreadable { what: "the XML ends too early", cut: true };

/// Reads a whole document.
pub fn parse(text: &str) -> Result<Document, Unreadable> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut done: Option<Document> = None;
    loop {
        let event = reader.read_event().map_err(|error| match error {
            quick_xml::Error::Syntax(_) => ENDS,
            _ => malformed(NOT_XML),
        })?;
        match event {
            Event::Start(tag) => {
                if open.len() >= MAX_DEPTH {
                    return Err(malformed("it is nested too deep"));
                }
                if done.is_some() {
                    return Err(malformed(NOT_XML));
                }
                open.push(start(&tag)?);
            }
            Event::Empty(tag) => {
                let element = start(&tag)?;
                close(element, &mut open, &mut done)?;
            }
            Event::End(_) => {
                let element = open.pop().ok_or(malformed(NOT_XML))?;
                close(element, &mut open, &mut done)?;
            }
            Event::Text(content) => {
                let content = content.xml_content(quick_xml::XmlVersion::Implicit1_0);
                let content = content.map_err(|_| malformed(NOT_XML))?;
                match open.last_mut() {
                    Some(element) => element.text.push_str(&content),
                    None if content.trim().is_empty() => {}
                    None => return Err(malformed(NOT_XML)),
                }
            }
            Event::CData(content) => {
                let content = content.decode().map_err(|_| malformed(NOT_XML))?;
                open.last_mut().ok_or(malformed(NOT_XML))?.text.push_str(&content);
            }
            Event::GeneralRef(name) => {
                let resolved = name.resolve_char_ref().map_err(|_| malformed(NOT_XML))?;
                let c = match resolved {
                    Some(c) => c,
                    None => entity(&name)?,
                };
                open.last_mut().ok_or(malformed(NOT_XML))?.text.push(c);
            }
            Event::DocType(_) => return Err(malformed("it has a document type")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if !open.is_empty() {
        return Err(ENDS);
    }
    done.ok_or(ENDS)
}

fn entity(name: &[u8]) -> Result<char, Unreadable> {
    Ok(match name {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        _ => return Err(malformed("it has an unknown entity")),
    })
}

fn start(tag: &BytesStart<'_>) -> Result<Open, Unreadable> {
    let name = std::str::from_utf8(tag.name().into_inner()).map_err(|_| malformed(NOT_XML))?;
    let name = name.replace('-', "_");
    let mut kind = Kind::Plain;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| malformed(NOT_XML))?;
        match (attribute.key.into_inner(), attribute.value.as_ref()) {
            (b"nil", b"true") => kind = Kind::Nil,
            (b"type", of) if kind != Kind::Nil => {
                kind = match of {
                    b"integer" => Kind::Integer,
                    b"boolean" => Kind::Boolean,
                    b"datetime" | b"dateTime" | b"date" => Kind::Stamp,
                    b"array" => Kind::Array,
                    b"collection" => Kind::Collection,
                    _ => Kind::Plain,
                }
            }
            _ => {}
        }
    }
    Ok(Open { name, kind, text: String::new(), children: Vec::new() })
}

fn close(element: Open, open: &mut [Open], done: &mut Option<Document>) -> Result<(), Unreadable> {
    let name = element.name.clone();
    let tree = content(element);
    match open.last_mut() {
        Some(parent) => parent.children.push((name, tree)),
        None if done.is_none() => *done = Some(Document { root: name, tree }),
        None => return Err(malformed(NOT_XML)),
    }
    Ok(())
}

fn content(element: Open) -> Tree {
    let Open { kind, text, children, .. } = element;
    match kind {
        Kind::Nil => Tree::Null,
        Kind::Array => Tree::List(children.into_iter().map(|(_, tree)| tree).collect()),
        Kind::Collection => Tree::Object(children),
        _ if !children.is_empty() => Tree::Object(grouped(children)),
        Kind::Plain => Tree::Text(text),
        _ if text.trim().is_empty() => Tree::Null,
        Kind::Integer if text.trim().parse::<i64>().is_ok() => Tree::Number(text.trim().to_owned()),
        Kind::Boolean if matches!(text.trim(), "true" | "1") => Tree::Bool(true),
        Kind::Boolean if matches!(text.trim(), "false" | "0") => Tree::Bool(false),
        _ => Tree::Text(text),
    }
}

/// Members of one name become a list in the place of the first.
fn grouped(children: Vec<(String, Tree)>) -> Vec<(String, Tree)> {
    let mut names: Vec<&str> = children.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).all(|pair| pair[0] != pair[1]) {
        return children;
    }
    let repeated: std::collections::HashSet<String> =
        names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned()).collect();
    let mut at = std::collections::HashMap::new();
    let mut out: Vec<(String, Tree)> = Vec::new();
    for (name, tree) in children {
        if !repeated.contains(&name) {
            out.push((name, tree));
            continue;
        }
        let place = *at.entry(name.clone()).or_insert_with(|| {
            out.push((name, Tree::List(Vec::new())));
            out.len() - 1
        });
        if let Tree::List(items) = &mut out[place].1 {
            items.push(tree);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn conventions() {
        let document = parse(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<transactions type=\"collection\">\
             <page-size type=\"integer\">50</page-size>\n\
             <transaction><id>a&amp;&#x41;</id><amount>10.00</amount><fax></fax>\
             <order-id nil=\"true\"/><recurring type=\"boolean\">false</recurring>\
             <refund-ids type=\"array\"><item>x</item></refund-ids><disputes type=\"array\"/>\
             <created-at type=\"datetime\">2024-01-02T03:04:05Z</created-at>\
             <updated-at type=\"datetime\"></updated-at>\
             <custom-fields><my-field><![CDATA[<v>]]></my-field></custom-fields></transaction>\
             <transaction><id>b</id></transaction></transactions>",
        )
        .expect("XML");
        assert_eq!(document.root, "transactions");
        assert_eq!(
            document.tree.to_json(),
            r#"{"page_size":50,"transaction":{"id":"a&A","amount":"10.00","fax":"","order_id":null,"recurring":false,"refund_ids":["x"],"disputes":[],"created_at":"2024-01-02T03:04:05Z","updated_at":null,"custom_fields":{"my_field":"<v>"}},"transaction":{"id":"b"}}"#
        );
    }

    #[test]
    fn repeated_members_are_lists() {
        let document = parse("<r><e>1</e><f>2</f><e>3</e></r>").expect("XML");
        assert_eq!(document.tree.to_json(), r#"{"e":["1","3"],"f":"2"}"#);
    }

    #[test]
    fn what_is_refused() {
        assert!(parse("<a><b>x</b>").expect_err("cut").cut);
        assert!(parse("<a><b>x").expect_err("cut").cut);
        assert!(parse("<a><b").expect_err("cut").cut);
        assert!(parse("").expect_err("empty").cut);
        assert!(parse("<a></b>").is_err());
        assert!(parse("<a/><b/>").is_err());
        assert!(parse("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>").is_err());
        assert!(parse("<a>&x;</a>").is_err());
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(parse(&deep).expect_err("deep").what, "it is nested too deep");
        let wide = format!("<a>{}</a>", "<b></b>".repeat(50_000));
        assert!(parse(&wide).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[<>/a-b \"=&;!?\\[\\]-]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn every_cut_is_noticed(at in 1usize..60) {
            let whole = "<a type=\"array\"><b><c>x&amp;y</c></b><b nil=\"true\"/></a>";
            prop_assume!(at < whole.len());
            prop_assert!(parse(&whole[..at]).is_err());
        }
    }
}
