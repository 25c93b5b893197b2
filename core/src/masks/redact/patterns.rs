//! What is recognized by its form and checksum.

use super::Span;
use crate::masks::checksum;
use regex::Regex;
use std::net::IpAddr;
use std::sync::LazyLock;

fn pattern(text: &'static str) -> Regex {
    Regex::new(text).expect("invariant: the pattern is tested")
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,24}")
});
static URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)\b[a-z][a-z0-9+.-]{1,15}://[^\s<>"]+"#));
static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^[a-z0-9+.-]+://[^/?#]*@|[?&;#](?:[a-z0-9]+[_.-])*(?:token|key|apikey|password|passwd|pwd|secret|sig|signature|auth|code|session|sid|jwt)=",
    )
});
static IBAN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b[a-z]{2}[0-9]{2}(?: ?[a-z0-9]){11,30}\b"));
static CARD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[0-9](?:[ -]?[0-9]){11,18}\b"));
static SSN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b"));
static PHONE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:\+|\b00|\(|\b)[0-9](?:[ ./()-]{0,3}[0-9]){6,14}\b"));
static IP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|(?:\b[0-9a-f]{1,4})?:[0-9a-f:.]*[0-9a-f:]")
});

/// Adds what is found.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let mut add = |start: usize, end: usize, tag| spans.push(Span { start, end, tag });
    if text.contains('@') {
        EMAIL.find_iter(text).for_each(|found| add(found.start(), found.end(), "[email]"));
    }
    if text.contains("://") {
        let secret = URL.find_iter(text).filter(|found| CREDENTIALS.is_match(found.as_str()));
        secret.for_each(|found| add(found.start(), found.end(), "[url]"));
    }
    let count = |of: u8| text.bytes().filter(|byte| *byte == of).count();
    if count(b'.') >= 3 || count(b':') >= 2 {
        let address = |text: &str| text.parse::<IpAddr>().is_ok();
        for found in IP.find_iter(text) {
            // A colon or a dot at the end is the sentence's.
            let shorter = found.as_str().trim_end_matches(['.', ':']);
            if address(found.as_str()) && found.as_str() != "::" {
                add(found.start(), found.end(), "[ip]");
            } else if address(shorter) {
                add(found.start(), found.start() + shorter.len(), "[ip]");
            }
        }
    }
    // Most texts have few digits, and looking for what has many is the dearest.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits >= 2 {
        for found in IBAN.find_iter(text) {
            if let Some(length) = iban_length(found.as_str()) {
                add(found.start(), found.start() + length, "[iban]");
            }
        }
    }
    if digits >= 12 {
        let cards = CARD.find_iter(text).filter(|found| checksum::is_card(found.as_str()));
        cards.for_each(|found| add(found.start(), found.end(), "[card]"));
    }
    if digits >= 9 {
        let ssns = SSN.find_iter(text).filter(|found| checksum::is_ssn(found.as_str()));
        ssns.for_each(|found| add(found.start(), found.end(), "[ssn]"));
    }
    if digits >= 7 {
        let phones = PHONE.find_iter(text).filter(|found| is_phone(found.as_str()));
        phones.for_each(|found| add(found.start(), found.end(), "[phone]"));
    }
}

/// The longest beginning that is an IBAN: words may follow it.
fn iban_length(text: &str) -> Option<usize> {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let is_iban = |text: &str| !text.ends_with(' ') && checksum::is_iban(text);
    ends.rev().find(|end| text.get(..*end).is_some_and(is_iban))
}

/// Seven to fifteen digits that look written by somebody who calls: with a plus, a leading zero or
/// groups. Dates, decimals and bare numbers do not.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !(7..=15).contains(&digits) || is_date(text) {
        return false;
    }
    if text.starts_with(['+', '0']) {
        return true;
    }
    let groups: Vec<&str> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let dotted = text.contains('.') && !text.contains(['-', ' ', '(']);
    let even = groups.iter().skip(1).all(|group| (2..=4).contains(&group.len()));
    match groups.len() {
        0 | 1 => false,
        2 => text.contains('-') && groups[0].len() == 3 && groups[1].len() == 4,
        3.. => even && digits >= 9 && (!dotted || groups.iter().all(|group| group.len() >= 2)),
    }
}

/// 2024-01-31, 31.01.2024, 1/31/2024 and the like, alone or before a time.
fn is_date(text: &str) -> bool {
    let mut groups = text.split(['-', '.', '/', ' ']).map(str::len);
    let shape = (groups.next(), groups.next(), groups.next());
    matches!(shape, (Some(4), Some(1 | 2), Some(1 | 2)) | (Some(1 | 2), Some(1 | 2), Some(4)))
        && !text.starts_with(['+', '('])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compile() {
        for pattern in [&EMAIL, &URL, &CREDENTIALS, &IBAN, &CARD, &SSN, &PHONE, &IP] {
            assert!(!pattern.as_str().is_empty());
        }
    }

    #[test]
    fn phones() {
        for text in
            ["+49 170 1234567", "0049170123456", "(202) 555-0134", "555-0134", "01 42 92 81 07"]
        {
            assert!(is_phone(text), "{text}");
        }
        for text in ["2024-01-31", "31.01.2024", "2024-01-31 10", "12345678", "1234.5678", "123"] {
            assert!(!is_phone(text), "{text}");
        }
    }
}
