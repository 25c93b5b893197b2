//! SQL quoting by PostgreSQL's lexical rules.
//!
//! Every identifier and every literal that leaves for a source passes through here; there is no
//! second place that adds a quote.

/// Quotes an identifier, always, so that no keyword list has to be kept in step with a version.
///
/// Source: PostgreSQL manual, 4.1.1. Names containing NUL cannot exist in PostgreSQL and are cut by
/// the caller's own C strings before they get here.
pub fn identifier(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Quotes an identifier only where it needs it: lower-case words that are no keyword stay bare.
///
/// For text that people read (EXPLAIN, reports) and for remote SQL alike; `is_keyword` says which
/// words the server treats specially.
pub fn identifier_if_needed(name: &str, is_keyword: impl Fn(&str) -> bool) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !is_keyword(name) { name.to_owned() } else { identifier(name) }
}

/// Quotes a string literal so that it means the same whatever `standard_conforming_strings` says.
///
/// Source: PostgreSQL manual, 4.1.2: a literal with a backslash becomes an escape string.
pub fn literal(text: &str) -> String {
    let escape = text.contains('\\');
    let mut out = String::with_capacity(text.len() + 4);
    if escape {
        out.push('E');
    }
    out.push('\'');
    for c in text.chars() {
        if c == '\'' || (c == '\\' && escape) {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identifiers_double_their_quotes() {
        assert_eq!(identifier("a"), r#""a""#);
        assert_eq!(identifier(r#"x"; DROP TABLE y; --"#), r#""x""; DROP TABLE y; --""#);
        assert_eq!(identifier_if_needed("site_2", |_| false), "site_2");
        assert_eq!(identifier_if_needed("user", |k| k == "user"), r#""user""#);
        assert_eq!(identifier_if_needed("2x", |_| false), r#""2x""#);
        assert_eq!(identifier_if_needed("Name", |_| false), r#""Name""#);
        assert_eq!(identifier_if_needed("", |_| false), r#""""#);
    }

    #[test]
    fn literals_survive_quotes_and_backslashes() {
        assert_eq!(literal("O'Hara"), "'O''Hara'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
        assert_eq!(literal(""), "''");
    }

    proptest! {
        /// Reading the literal back by the lexical rules gives the text again.
        #[test]
        fn literal_round_trips(text in ".*") {
            let quoted = literal(&text);
            let escape = quoted.starts_with('E');
            let body = &quoted[usize::from(escape) + 1..quoted.len() - 1];
            let mut back = String::new();
            let mut chars = body.chars();
            while let Some(c) = chars.next() {
                if c == '\'' || (escape && c == '\\') {
                    let twin = chars.next();
                    prop_assert_eq!(twin, Some(c));
                }
                back.push(c);
            }
            prop_assert_eq!(back, text);
        }
    }
}
