//! Free text without what identifies somebody.
//!
//! Found and replaced by a tag are: e-mail addresses, URLs with credentials or a handle, IBANs and cards
//! (with their checksums), US social security numbers, telephone numbers, IP addresses, and the names in
//! columns of the same row. Where two overlap, the one that begins first is taken, and of those the longer.
//!
//! This lowers a risk and does not end it: a text can say who somebody is in ways that no pattern
//! knows. What is certain has to be `null`.

mod names;
mod numbers;
mod patterns;

use super::{MaskError, Masked, Value};
use names::Names;
use numbers::Group;

/// A part of a text, in bytes, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
    tag: &'static str,
}

/// Redacts texts.
#[derive(Debug, Default)]
pub struct Redactor {
    spans: Vec<Span>,
    groups: Vec<Group>,
    names: Names,
}

impl Redactor {
    /// Adds the text without what identifies, and without these names, to `out`. A name is every word
    /// of a column's value, whatever its case and accents. Where these are more words than names have,
    /// nothing of the text is shown.
    pub fn redact<'v>(
        &mut self,
        text: &str,
        names: impl IntoIterator<Item = &'v str>,
        out: &mut String,
    ) {
        self.spans.clear();
        patterns::find(text, &mut self.groups, &mut self.spans);
        if self.names.find(text, names, &mut self.spans).is_none() {
            return out.push_str("[text]");
        }
        self.spans.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut done = 0;
        for span in &self.spans {
            if span.start < done {
                // It began within another: whatever of it is beyond goes as well.
                done = done.max(span.end);
                continue;
            }
            out.push_str(text.get(done..span.start).unwrap_or_default());
            out.push_str(span.tag);
            done = span.end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
    }

    pub(super) fn mask<'o>(
        &mut self,
        value: Value<'_>,
        others: &[Option<Value<'_>>],
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        let Value::Text(text) = value else {
            return Err(MaskError::Unreadable { mask: "redact" });
        };
        // A name that cannot be read would be left in the text.
        if others.iter().flatten().any(|other| !matches!(other, Value::Text(_))) {
            return Err(MaskError::Unreadable { mask: "redact" });
        }
        let names = others.iter().filter_map(|other| match other {
            Some(Value::Text(name)) => Some(*name),
            _ => None,
        });
        self.redact(text, names, out);
        Ok(Masked::Text(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str, names: &[&str]) -> String {
        let mut out = String::new();
        Redactor::default().redact(text, names.iter().copied(), &mut out);
        out
    }

    #[test]
    fn finds_what_identifies() {
        for (text, expected) in [
            ("Mail bob@example.com, please.", "Mail [email], please."),
            ("Call +1 (202) 555-0134 or 202-555-0134!", "Call [phone] or [phone]!"),
            ("Anruf 0170 1234567.", "Anruf [phone]."),
            ("card 4111 1111 1111 1111 exp", "card [card] exp"),
            ("IBAN DE89 3704 0044 0532 0130 00 ok", "IBAN [iban] ok"),
            ("ssn 123-45-6789", "ssn [ssn]"),
            ("from 10.1.2.3 and 2001:db8::1", "from [ip] and [ip]"),
            ("see https://bob:pw@host/x and https://host/y", "see [url] and https://host/y"),
            ("https://h/x?token=abc&a=b end", "[url] end"),
            ("postgres://bob:p/w@host/db end", "[url] end"),
            ("o'brien&co!x@example.com", "[email]"),
            ("ip:10.1.2.3, IP:2001:db8::1.", "ip:[ip], IP:[ip]."),
            ("10.1.2.3:8080 [2001:db8::1]:443", "[ip]:8080 [[ip]]:443"),
            ("ab12 DE89-3704-0044-0532-0130-00", "ab12 [iban]"),
        ] {
            assert_eq!(of(text, &[]), expected);
        }
    }

    #[test]
    fn leaves_what_does_not() {
        for text in [
            "In 2024 there were 1500 lessons, 3.5 each.",
            "Order 12345678901234567",
            "Version 1.2.3",
            "at 10:30:00 on 2024-01-31",
            "a@b",
            "room be12 and then some more words here",
            "",
        ] {
            assert_eq!(of(text, &[]), text);
        }
    }

    #[test]
    fn names_of_the_row_go() {
        assert_eq!(
            of("Zoë met bob's friend ZOE; Bobby stayed.", &["Zoe", "Bob Smith"]),
            "[name] met [name]'s friend [name]; Bobby stayed."
        );
        assert_eq!(of("Anna-Maria O'Brien", &["O'Brien"]), "Anna-Maria O'[name]");
        // One letter is no name, unless it is all there is.
        assert_eq!(of("I am J. Doe, plan B", &["J Doe"]), "I am J. [name], plan B");
        assert_eq!(of("am Y here", &["Y"]), "am [name] here");
        // Scripts that put no spaces between words.
        assert_eq!(of("今天王小明去学校", &["王小明"]), "今天[name]去学校");
        assert_eq!(of("é王小明ｘ", &["王小明"]), "é[name]ｘ");
        assert_eq!(of("오늘 민수가 왔다", &["민수"]), "오늘 [name]가 왔다");
        // A genitive without an apostrophe, as in German.
        assert_eq!(of("Annas Hund, Ann, Annasaft", &["Anna"]), "[name] Hund, Ann, Annasaft");
    }

    /// Both texts may be anybody's: their product is not to be searched.
    #[test]
    fn more_words_than_names_have_hide_all() {
        let many = "anna ".repeat(1000);
        assert_eq!(of("Anna met bob@example.com", &[&many]), "[text]");
    }

    #[test]
    fn overlapping_finds_leave_nothing() {
        let masked = of("bob@example.com:4111111111111111", &["example"]);
        assert!(!masked.contains("example") && !masked.contains("4111"), "{masked}");
    }

    /// In a debug build all take a few seconds; what is quadratic takes minutes.
    #[test]
    fn hostile_texts_take_linear_time() {
        let start = std::time::Instant::now();
        for part in [
            "1 ",
            "1",
            "1234-",
            "a@",
            "a@b.cc1",
            "a@b.",
            "a:",
            "::",
            "1.",
            "ab12 ",
            "ab12",
            "(0) ",
            "x://",
            "x://a@",
            "&key=",
            "'",
            "é",
            "王",
            "+",
            "4111 1111 1111 1111 ",
        ] {
            of(&part.repeat(50_000 / part.len()), &["王", "a b c d e f g"]);
        }
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), name in any::<String>()) {
            of(&text, &[&name]);
        }

        #[test]
        fn names_are_gone(
            before in "[ a-zé]{0,10}", name in "[A-Za-zé]{2,8}", after in "[ .,a-z]{0,10}"
        ) {
            let masked = of(&format!("{before} {name} {after}"), &[&name]);
            let left = masked.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
            prop_assert!(!left || name == "name", "{}", masked);
        }

        #[test]
        fn emails_are_gone(text in "\\PC{0,20}", email in "[a-z]{1,8}@[a-z]{2,8}\\.com") {
            let masked = of(&format!("{text} {email}"), &[]);
            prop_assert!(!masked.contains(&email));
        }
    }
}
