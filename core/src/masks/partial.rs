//! Parts of a text: enough to recognize, not enough to know.
//!
//! What always holds: where the parts that would be kept cover the text, nothing of it is kept; a
//! text that is not of the expected form is masked whole; and the length of what is hidden does not
//! show. Lengths count characters (code points).

/// What stands for the hidden part, except in [`partial`], which is told.
pub const STARS: &str = "******";
/// What stands for the hidden digits of a card.
const CARD: &str = "************";

/// The first `prefix` and the last `suffix` characters with `pad` between; `pad` alone if they would
/// cover the text.
pub fn partial(text: &str, prefix: u32, pad: &str, suffix: u32, out: &mut String) {
    let (prefix, suffix) = (prefix as usize, suffix as usize);
    // At least one character more than what is kept.
    if text.chars().nth(prefix.saturating_add(suffix)).is_none() {
        return out.push_str(pad);
    }
    let start = text.char_indices().nth(prefix).map_or(text.len(), |(at, _)| at);
    let end = match suffix {
        0 => text.len(),
        n => text.char_indices().rev().nth(n - 1).map_or(text.len(), |(at, _)| at),
    };
    out.push_str(&text[..start]);
    out.push_str(pad);
    out.push_str(&text[end..]);
}

/// `anna@example.com` is `an******@ex******.com`.
pub fn email(text: &str, out: &mut String) {
    let parts = text.trim().rsplit_once('@').and_then(|(local, host)| {
        let (name, top) = host.rsplit_once('.')?;
        // Letters, or those of other scripts as DNS writes them.
        let letters = |c: char| c.is_ascii_alphabetic();
        let good = !local.is_empty() && !local.contains(['@', ' ']) && !name.is_empty();
        let top_is_one = top.starts_with("xn--") || top.chars().all(letters);
        (good && (2..=24).contains(&top.len()) && top.is_ascii() && top_is_one)
            .then_some((local, name, top))
    });
    let Some((local, name, top)) = parts else { return out.push_str(STARS) };
    // Two characters, and never more than half.
    let keep = |of: &str| match of.chars().take(4).count() {
        0..=2 => 0,
        3 => 1,
        _ => 2,
    };
    partial(local, keep(local), STARS, 0, out);
    out.push('@');
    partial(name, keep(name), STARS, 0, out);
    out.push('.');
    out.push_str(top);
}

fn last_digits(text: &str, count: usize) -> impl Iterator<Item = char> + '_ {
    let digits = text.chars().filter(char::is_ascii_digit);
    let skip = digits.clone().count().saturating_sub(count);
    digits.skip(skip)
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// `+49 170 1234507` is `******07`: the last two digits of a number of at least seven.
pub fn phone(text: &str, out: &mut String) {
    out.push_str(STARS);
    if digits(text) >= 7 {
        out.extend(last_digits(text, 2));
    }
}

/// `4111 1111 1111 1111` is `************1111`: the last four of 12 to 19 digits, as PCI DSS 4.0
/// (3.4.1) lets be shown.
pub fn card(text: &str, out: &mut String) {
    out.push_str(CARD);
    if (12..=19).contains(&digits(text))
        && text.chars().all(|c| c.is_ascii_digit() || " -".contains(c))
    {
        out.extend(last_digits(text, 4));
    }
}

/// `https://bob:pw@example.com:8443/bob?x=1` is `https://example.com/******`: the scheme and the host.
pub fn url(text: &str, out: &mut String) {
    let parts = text.trim().split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let host = authority.rsplit('@').next()?;
        // A port goes; the colons of an IPv6 address stay within brackets.
        let (host, port) = match host.rfind(']') {
            Some(end) => host.split_at_checked(end + 1)?,
            None => host.split_at_checked(host.find(':').unwrap_or(host.len()))?,
        };
        // What is no port may be a password with a slash in it, and what stands before it a name.
        let digits = |c: char| c.is_ascii_digit() || c == ':';
        if !port.chars().all(digits) {
            return None;
        }
        let known = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let plain = |c: char| c.is_alphanumeric() || "-._[]:".contains(c);
        let good =
            scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(known);
        (good && !host.is_empty() && host.chars().all(plain)).then_some((scheme, host))
    });
    if let Some((scheme, host)) = parts {
        out.push_str(scheme);
        out.push_str("://");
        out.push_str(host);
        out.push('/');
    }
    out.push_str(STARS);
}

/// Characters of scripts in which one is a syllable or a word, often the whole family name.
fn says_much(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{9fff}' | '\u{a000}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// `Anna Maria` is `A. M.`: the first letter of each word of at least two, of alphabets.
pub fn initial(text: &str, out: &mut String) {
    let mut words = 0;
    for word in text.split(|c: char| c.is_whitespace() || c == '-').filter(|word| !word.is_empty())
    {
        if words > 0 {
            out.push(' ');
        }
        words += 1;
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (Some(first), Some(_)) if first.is_alphabetic() && !says_much(first) => out.push(first),
            _ => out.push('*'),
        }
        out.push('.');
    }
    if words == 0 {
        out.push_str("*.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(mask: impl Fn(&str, &mut String), text: &str) -> String {
        let mut out = String::new();
        mask(text, &mut out);
        out
    }

    fn general(text: &str, prefix: u32, pad: &str, suffix: u32) -> String {
        of(|text, out| partial(text, prefix, pad, suffix, out), text)
    }

    #[test]
    fn keeps_the_ends() {
        assert_eq!(general("abcdefgh", 1, "xxxx", 3), "axxxxfgh");
        assert_eq!(general("äöüßé", 1, "*", 1), "ä*é");
        assert_eq!(general("abc", 0, "*", 0), "*");
    }

    /// Elsewhere `partial('bob', 1, 'xxxx', 3)` is `bxxxxbob`.
    #[test]
    fn keeps_nothing_where_the_ends_meet() {
        assert_eq!(general("bob", 1, "xxxx", 3), "xxxx");
        assert_eq!(general("bob", 1, "xxxx", 2), "xxxx");
        assert_eq!(general("", 1, "xxxx", 0), "xxxx");
        assert_eq!(general("", 0, "xxxx", 0), "xxxx");
        assert_eq!(general("bob", u32::MAX, "x", u32::MAX), "x");
    }

    #[test]
    fn emails() {
        assert_eq!(of(email, "daamien@gmail.com"), "da******@gm******.com");
        assert_eq!(of(email, "bob@gmx.net"), "b******@g******.net");
        assert_eq!(of(email, "ab@x.org"), "******@******.org");
        for text in [
            "",
            "anna",
            "anna@localhost",
            "@x.org",
            "a@b@c.org",
            "anna@x.",
            "anna@.org",
            "a@b.anna-smith",
            "a@b.2010",
        ] {
            assert_eq!(of(email, text), STARS, "{text}");
        }
    }

    #[test]
    fn phones_and_cards() {
        assert_eq!(of(phone, "+33 1 42 92 81 07"), "******07");
        assert_eq!(of(phone, "12345"), "******");
        assert_eq!(of(phone, "call me"), "******");
        assert_eq!(of(card, "4111-1111 1111 1234"), "************1234");
        assert_eq!(of(card, "12345678901"), "************");
        assert_eq!(of(card, "4111111111111111 Bob"), "************");
    }

    #[test]
    fn urls_lose_credentials_and_paths() {
        assert_eq!(
            of(url, "https://bob:pw@example.com:8443/bob?x=1"),
            "https://example.com/******"
        );
        assert_eq!(of(url, "http://[2001:db8::1]:80/"), "http://[2001:db8::1]/******");
        for text in [
            "",
            "bob",
            "http://",
            "http:///bob",
            "http://a b/",
            "1x://host/",
            "https://bob:p/w@host/",
            "http://[::1]bob/",
        ] {
            assert_eq!(of(url, text), STARS, "{text}");
        }
    }

    #[test]
    fn initials() {
        assert_eq!(of(initial, "Anna-Maria  Óscar"), "A. M. Ó.");
        assert_eq!(of(initial, "A"), "*.");
        assert_eq!(of(initial, " "), "*.");
        assert_eq!(of(initial, "42x"), "*.");
        // The first is the family name.
        assert_eq!(of(initial, "王小明"), "*.");
        assert_eq!(of(initial, "김민수"), "*.");
    }

    proptest! {
        #[test]
        fn discloses_only_what_it_says(
            text in any::<String>(), prefix in 0u32..12, suffix in 0u32..12
        ) {
            let masked = general(&text, prefix, "\u{1}", suffix);
            let length = text.chars().count();
            if (prefix + suffix) as usize >= length {
                prop_assert_eq!(masked, "\u{1}");
            } else {
                prop_assert_eq!(masked.chars().count(), (prefix + suffix) as usize + 1);
                let kept: String = text.chars().take(prefix as usize).collect();
                prop_assert!(masked.starts_with(&kept));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), tail in "[a-z@:/.#?\\[\\]-]{0,20}") {
            for mask in [email, phone, card, url, initial] {
                of(mask, &text);
                of(mask, &tail);
                of(mask, &format!("{text}@{tail}"));
            }
        }
    }
}
