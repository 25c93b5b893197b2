//! The text form of Postgres's arrays, of one dimension.

/// The elements, `None` for NULL. `None` if it is no array of one dimension.
pub fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let body = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut out = Vec::new();
    if body.trim().is_empty() {
        return Some(out);
    }
    let mut chars = body.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        let mut element = String::new();
        let mut quoted = false;
        if chars.next_if_eq(&'"').is_some() {
            quoted = true;
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => element.push(chars.next()?),
                    c => element.push(c),
                }
            }
            while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        } else {
            while let Some(c) = chars.next_if(|&c| c != ',') {
                match c {
                    '{' | '}' | '"' => return None,
                    '\\' => element.push(chars.next()?),
                    c => element.push(c),
                }
            }
            element.truncate(element.trim_end().len());
            if element.is_empty() {
                return None;
            }
        }
        let is_null = !quoted && element.eq_ignore_ascii_case("null");
        out.push((!is_null).then_some(element));
        match chars.next() {
            None => return Some(out),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::elements;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        let of = |text| {
            elements(text)
                .map(|all| all.into_iter().map(|e| e.unwrap_or("∅".into())).collect::<Vec<_>>())
        };
        assert_eq!(of("{}"), Some(vec![]));
        assert_eq!(
            of("{a,NULL,\"null\",\"b \\\" c\",\"\"}"),
            Some(vec!["a".into(), "∅".into(), "null".into(), "b \" c".into(), String::new()])
        );
        assert_eq!(of("{{a},{b}}"), None);
        assert_eq!(of("[0:1]={a,b}"), None);
        assert_eq!(of("{a,}"), None);
        assert_eq!(of("a"), None);
    }

    proptest! {
        #[test]
        fn quoted_elements_come_back(all in prop::collection::vec(any::<String>(), 0..5)) {
            let quoted: Vec<String> = all
                .iter()
                .map(|e| format!("\"{}\"", e.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            let read = elements(&format!("{{{}}}", quoted.join(",")));
            prop_assert_eq!(read, Some(all.into_iter().map(Some).collect::<Vec<_>>()));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = elements(&text);
        }
    }
}
