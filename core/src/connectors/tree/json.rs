//! JSON to a [`Tree`]. Numbers keep the digits they were written with: `serde_json` finds the extent
//! of each value, and the number's own text is taken.

use super::{MAX_DEPTH, Tree, Unreadable};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Reads a whole JSON text.
pub fn parse(text: &str) -> Result<Tree, Unreadable> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    tree(raw.get(), 0)
}

fn unreadable(error: &serde_json::Error) -> Unreadable {
    if error.is_eof() {
        Unreadable { what: "the JSON ends too early", cut: true }
    } else {
        Unreadable { what: "it is not JSON", cut: false }
    }
}

fn tree(text: &str, depth: usize) -> Result<Tree, Unreadable> {
    if depth > MAX_DEPTH {
        return Err(Unreadable { what: "it is nested too deep", cut: false });
    }
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = read(text)?;
            let mut out = Vec::with_capacity(members.len());
            for (name, raw) in members {
                out.push((name, tree(raw.get(), depth + 1)?));
            }
            Tree::Object(out)
        }
        Some(b'[') => {
            let Items(items) = read(text)?;
            let items = items.into_iter().map(|raw| tree(raw.get(), depth + 1));
            Tree::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Tree::Text(read(text)?),
        Some(b't') => Tree::Bool(true),
        Some(b'f') => Tree::Bool(false),
        Some(b'n') => Tree::Null,
        _ => Tree::Number(text.trim().to_owned()),
    })
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

/// The members of an object in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    out.push(entry);
                }
                Ok(Members(out))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// The elements of an array.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::new();
                while let Some(item) = seq.next_element()? {
                    out.push(item);
                }
                Ok(Items(out))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"a":12345678901234567890.10,"b":[1e3,-0,"x\u0041\n",true,null],"c":{}}"#;
        let tree = parse(text).expect("JSON");
        assert_eq!(tree.get("a"), Some(&Tree::Number("12345678901234567890.10".into())));
        assert_eq!(
            tree.to_json(),
            r#"{"a":12345678901234567890.10,"b":[1e3,-0,"xA\n",true,null],"c":{}}"#
        );
    }

    #[test]
    fn what_is_not_json() {
        assert!(parse(r#"{"a":"#).expect_err("cut").cut);
        assert!(!parse("<html></html>").expect_err("HTML").cut);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(parse(&deep).expect_err("deep").what, "it is nested too deep");
        let bomb = "[".repeat(1_000_000);
        assert!(parse(&bomb).is_err());
    }

    proptest! {
        #[test]
        fn any_text_survives(text in any::<String>()) {
            let clean = text.replace('\0', "\u{fffd}");
            let json = Tree::Text(text).to_json();
            prop_assert_eq!(parse(&json).expect("own JSON"), Tree::Text(clean));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
