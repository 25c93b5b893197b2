//! The text form of arrays, as `array_out` writes and `array_in` reads it.
//!
//! Source: utils/adt/arrayfuncs.c. Elements stand in braces between commas, in double quotes where they
//! have to, with a backslash before a quote or a backslash; NULL without quotes is no value. Several
//! dimensions are braces within braces, and bounds that are not 1 stand in front: `[0:1]={a,b}`.

/// The elements of an array of any number of dimensions, in order; `None` for what is no array.
pub fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let body = match text.split_once('=') {
        Some((bounds, body)) if bounds.starts_with('[') => body,
        _ => text,
    };
    let mut chars = body.chars().peekable();
    let mut found = Vec::new();
    let mut depth = 0;
    // Where an element may begin: behind a brace that opens or a comma.
    while let Some(next) = chars.next() {
        match next {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth > 0 => {}
            '"' if depth > 0 => {
                let mut element = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => element.push(chars.next()?),
                        other => element.push(other),
                    }
                }
                found.push(Some(element));
            }
            first if depth > 0 => {
                let mut element = String::from(first);
                while let Some(more) = chars.next_if(|c| !matches!(c, ',' | '}')) {
                    element.push(more);
                }
                found.push((element != "NULL").then_some(element));
            }
            _ => return None,
        }
    }
    (depth == 0 && body.starts_with('{')).then_some(found)
}

/// Writes an element, in quotes.
pub fn quoted(element: &str, out: &mut String) {
    out.push('"');
    for c in element.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// An array of one dimension with these elements.
pub fn text<'e>(elements: impl IntoIterator<Item = &'e str>) -> String {
    let mut out = String::from("{");
    for element in elements {
        if out.len() > 1 {
            out.push(',');
        }
        quoted(element, &mut out);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> Vec<Option<String>> {
        elements(text).unwrap()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn reads_what_array_out_writes() {
        assert_eq!(plain("{}"), vec![]);
        assert_eq!(plain("{1,-2}"), vec![some("1"), some("-2")]);
        assert_eq!(plain(r#"{a,NULL,"NULL",""}"#), vec![some("a"), None, some("NULL"), some("")]);
        assert_eq!(
            plain(r#"{"a\"b","c\\d","e,f","{g}"}"#),
            vec![some("a\"b"), some("c\\d"), some("e,f"), some("{g}")]
        );
        assert_eq!(plain("{{1,2},{3,4}}").len(), 4);
        assert_eq!(plain("[0:1]={x,y}"), vec![some("x"), some("y")]);
        assert_eq!(plain("{\"[a=b\"}"), vec![some("[a=b")]);
    }

    #[test]
    fn what_is_no_array_is_none() {
        for text in ["", "a", "{", "{\"a", "}{", "{a}b", "1,2"] {
            assert_eq!(elements(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(values in prop::collection::vec(any::<String>(), 0..5)) {
            let written = text(values.iter().map(String::as_str));
            let read: Vec<String> = elements(&written).unwrap().into_iter().flatten().collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn nothing_panics(text in "[\\[\\]{}\",\\\\a=:1]{0,30}") {
            let _ = elements(&text);
        }
    }
}
