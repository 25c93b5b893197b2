//! What is recognized by its form and checksum.

use super::Span;
use super::numbers::{self, Group};
use crate::masks::checksum;
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

fn pattern(text: &'static str) -> Regex {
    Regex::new(text).expect("invariant: the pattern is tested")
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    // The local part is RFC 5322's dot-atom with letters of all scripts (RFC 6531).
    pattern(
        r"[\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]+@[\p{L}\p{M}\p{N}-]+(?:\.[\p{L}\p{M}\p{N}-]+)*\.\p{L}[\p{L}\p{M}]{1,23}",
    )
});
static URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)\b[a-z][a-z0-9+.-]{1,15}://[^\s<>"]+"#));
/// A user, somebody's handle or what opens something.
static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)@|[?&;#](?:[a-z0-9]+[_.-])*(?:token|key|apikey|password|passwd|pwd|secret|sig|signature|auth|code|session|sid|jwt)=",
    )
});
/// How an IBAN begins; its country says how long it is.
static IBAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b[a-z]{2}[0-9]{2}"));
static IPV4: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"));
/// What IPv6 addresses are written with.
static IPV6: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)[0-9a-f:.]*:[0-9a-f:.]*"));

/// Adds what is found.
pub(super) fn find(text: &str, groups: &mut Vec<Group>, spans: &mut Vec<Span>) {
    let mut add = |start: usize, end: usize, tag| spans.push(Span { start, end, tag });
    if text.contains('@') {
        EMAIL.find_iter(text).for_each(|found| add(found.start(), found.end(), "[email]"));
    }
    if text.contains("://") {
        let secret = URL.find_iter(text).filter(|found| CREDENTIALS.is_match(found.as_str()));
        secret.for_each(|found| add(found.start(), found.end(), "[url]"));
    }
    let count = |of: u8| text.bytes().filter(|byte| *byte == of).count();
    if count(b'.') >= 3 {
        let addresses = IPV4.find_iter(text).filter(|f| f.as_str().parse::<Ipv4Addr>().is_ok());
        addresses.for_each(|found| add(found.start(), found.end(), "[ip]"));
    }
    if count(b':') >= 2 {
        for found in IPV6.find_iter(text) {
            if let Some((start, end)) = ipv6(found.as_str()) {
                add(found.start() + start, found.start() + end, "[ip]");
            }
        }
    }
    // Most texts have few digits, and looking for what has many is the dearest.
    let digits = text.bytes().filter(u8::is_ascii_digit).take(7).count();
    if digits >= 2 {
        for found in IBAN.find_iter(text) {
            if let Some(length) = checksum::iban_prefix(&text[found.start()..]) {
                add(found.start(), found.start() + length, "[iban]");
            }
        }
    }
    if digits >= 7 {
        numbers::find(text, groups, spans);
    }
}

/// Where an address stands in what could be one: a colon or a dot at the end is the sentence's, and
/// a word and its colon may stand before.
fn ipv6(text: &str) -> Option<(usize, usize)> {
    const LABELS: usize = 4;
    let end = text.trim_end_matches(['.', ':']).len();
    let colons = text.match_indices(':').map(|(at, _)| at + 1);
    let starts = || std::iter::once(0).chain(colons.clone()).take(LABELS);
    let is = |from: usize, to: usize| {
        text.get(from..to).is_some_and(|part| part != "::" && part.parse::<Ipv6Addr>().is_ok())
    };
    let whole = starts().find(|start| is(*start, text.len())).map(|start| (start, text.len()));
    whole.or_else(|| starts().find(|start| is(*start, end)).map(|start| (start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compile() {
        for pattern in [&EMAIL, &URL, &CREDENTIALS, &IBAN, &IPV4, &IPV6] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
