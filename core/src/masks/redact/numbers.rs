//! Cards, social security numbers and telephone numbers.
//!
//! Digits are read group by group, so that one number ends where the next begins: a card before its
//! expiry, a telephone number behind a date. No more groups are looked at from one than the longest
//! number has digits, so the time is linear.

use super::Span;
use crate::masks::checksum::{is_ssn_of, luhn};
use regex::Regex;
use std::sync::LazyLock;

/// Digits in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    start: usize,
    end: usize,
}

/// The most digits of a number: a card's.
const MOST: usize = 19;
/// The most characters between two groups of a number.
const GAP: usize = 3;

/// What may stand before a social security number that is written in one piece.
static SSN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:\bssn|\bsocial security(?: number| no| nr)?)[^\p{L}\p{N}]{0,3}(?:is )?$")
        .expect("invariant: the pattern is tested")
});

/// Adds what is found. `groups` is room to work in.
pub(super) fn find(text: &str, groups: &mut Vec<Group>, spans: &mut Vec<Span>) {
    groups.clear();
    let mut rest = 0;
    while let Some(offset) = text[rest..].find(|c: char| c.is_ascii_digit()) {
        let start = rest + offset;
        let length = text[start..].bytes().take_while(u8::is_ascii_digit).count();
        rest = start + length;
        if groups.last().is_some_and(|last| !is_gap(&text[last.end..start])) {
            numbers(text, groups, spans);
            groups.clear();
        }
        groups.push(Group { start, end: rest });
    }
    numbers(text, groups, spans);
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn is_gap(between: &str) -> bool {
    let separates = |c: char| is_dash(c) || " ./()\u{a0}\u{202f}".contains(c);
    between.chars().all(separates) && between.chars().nth(GAP).is_none()
}

type Find = for<'a> fn(Near<'a>) -> Option<(usize, Option<&'static str>)>;

/// The numbers in groups between which nothing but gaps stand. Cards are looked for alone, so that what
/// stands before one does not take a part of it; where finds overlap, all of them goes.
fn numbers(text: &str, all: &[Group], spans: &mut Vec<Span>) {
    for find in [card as Find, other] {
        let mut groups = all;
        while let Some(first) = groups.first() {
            let (count, tag) = find(Near { text, groups }).unwrap_or((1, None));
            let (these, rest) = groups.split_at(count.min(groups.len()));
            if let (Some(tag), Some(last)) = (tag, these.last()) {
                let before = &text[..first.start];
                let start = before.strip_suffix('(').unwrap_or(before);
                let start = start.strip_suffix('+').unwrap_or(start).len();
                spans.push(Span { start, end: last.end, tag });
            }
            groups = rest;
        }
    }
}

/// Groups and what stands between them.
#[derive(Clone, Copy)]
struct Near<'a> {
    text: &'a str,
    groups: &'a [Group],
}

/// The groups of the card that begins with the first group, and its tag.
fn card<'a>(near: Near<'a>) -> Option<(usize, Option<&'static str>)> {
    near.longest(Near::is_card).map(|count| (count, Some("[card]")))
}

/// The same of other numbers. A date has no tag.
fn other<'a>(near: Near<'a>) -> Option<(usize, Option<&'static str>)> {
    if !matches!(near.before(4).chars().next_back(), Some('+' | '(')) && near.is_date() {
        return Some((3, None));
    }
    let ssn = near.longest(Near::is_ssn).map(|count| (count, Some("[ssn]")));
    ssn.or_else(|| near.longest(Near::is_phone).map(|count| (count, Some("[phone]"))))
}

impl<'a> Near<'a> {
    /// The most groups from the first that are one number.
    fn longest(self, is: fn(&Near<'a>) -> bool) -> Option<usize> {
        let first = |count: usize| Near { groups: &self.groups[..count], ..self };
        (1..=self.groups.len().min(MOST)).rev().find(|count| is(&first(*count)))
    }

    fn group(&self, at: usize) -> &str {
        self.groups.get(at).map_or("", |group| &self.text[group.start..group.end])
    }

    fn length(&self, at: usize) -> usize {
        self.group(at).len()
    }

    /// What stands between a group and the next.
    fn gap(&self, at: usize) -> &str {
        match self.groups.get(at..at + 2) {
            Some([a, b]) => &self.text[a.end..b.start],
            _ => "",
        }
    }

    fn digits(&self) -> usize {
        self.groups.iter().map(|group| group.end - group.start).sum()
    }

    fn value(&self, at: usize) -> u32 {
        self.group(at).parse().unwrap_or(u32::MAX)
    }

    fn is_card(&self) -> bool {
        let digits = (0..self.groups.len()).rev().flat_map(|at| self.group(at).bytes().rev());
        // No maker's numbers begin with 0, and none are printed in groups of two.
        let form =
            !self.group(0).starts_with('0') && (0..self.groups.len()).all(|at| self.length(at) > 2);
        form && (12..=MOST).contains(&self.digits()) && luhn(digits)
    }

    fn is_ssn(&self) -> bool {
        match (self.groups.len(), self.length(0), self.length(1), self.length(2)) {
            (3, 3, 2, 4) => {
                self.gap(0) == self.gap(1) && is_ssn_of(self.value(0), self.value(1), self.value(2))
            }
            (1, 9, ..) => {
                let number = self.value(0);
                is_ssn_of(number / 1_000_000, number / 10_000 % 100, number % 10_000)
                    && SSN.is_match(self.before(40))
            }
            _ => false,
        }
    }

    /// So many bytes of what stands before, or a few less.
    fn before(&self, most: usize) -> &str {
        let end = self.groups.first().map_or(0, |group| group.start);
        (end.saturating_sub(most)..=end).find_map(|from| self.text.get(from..end)).unwrap_or("")
    }

    /// 2024-01-31, 31.01.2024, 1/31/2024 and the like.
    fn is_date(&self) -> bool {
        let lengths = [self.length(0), self.length(1), self.length(2)];
        let short = |at: usize| (1..=2).contains(&lengths[at]) && self.value(at) <= 31;
        let shape =
            lengths[0] == 4 && short(1) && short(2) || short(0) && short(1) && lengths[2] == 4;
        shape && self.gap(0) == self.gap(1) && ["-", ".", "/"].contains(&self.gap(0))
    }

    /// Seven to fifteen digits that look written by somebody who calls: with a plus, a leading zero,
    /// an area in brackets or groups, or ten digits as North America numbers them (ATIS-0300051).
    fn is_phone(&self) -> bool {
        let touches = |c: char| c.is_alphanumeric() || c == '_';
        let last = self.groups.last().map_or(0, |group| group.end);
        let after = self.text[last..].chars().next();
        // What follows may be an extension.
        let ends = after.is_none_or(|c| !touches(c) || "xXeE".contains(c));
        let before = self.before(4).chars().next_back();
        if !(7..=15).contains(&self.digits()) || before.is_some_and(touches) || !ends {
            return false;
        }
        let decimal = self.group(0) == "0" && self.gap(0) == ".";
        if matches!(before, Some('+' | '(')) || self.group(0).starts_with('0') && !decimal {
            return true;
        }
        let count = self.groups.len();
        let gaps = || (0..count - 1).map(|at| self.gap(at));
        match count {
            1 => is_north_american(self.group(0)),
            2 => match (self.length(0), self.length(1)) {
                (3, 4) => self.gap(0).chars().all(is_dash),
                (1, 10) => self.group(0) == "1" && is_north_american(self.group(1)),
                (first, 7) => first == 3,
                _ => false,
            },
            _ => {
                // 202.555.0134 and not 1.500.000.000
                let dotted = gaps().all(|gap| gap == ".") && self.length(count - 1) != 4;
                let even = (1..count).all(|at| (2..=4).contains(&self.length(at)));
                let area_and_number = count == 3 && self.length(1) == 3 && self.length(2) == 7;
                self.digits() >= 9 && !dotted && (even || area_and_number)
            }
        }
    }
}

/// Ten digits, or eleven with the country's 1, with neither area nor exchange below 200.
fn is_north_american(digits: &str) -> bool {
    let ten = if digits.len() == 11 { digits.strip_prefix('1') } else { Some(digits) };
    ten.is_some_and(|ten| {
        let above = |at: usize| ten.as_bytes().get(at).is_some_and(|digit| *digit >= b'2');
        ten.len() == 10 && above(0) && above(3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &'static str)> {
        let mut spans = Vec::new();
        find(text, &mut Vec::new(), &mut spans);
        spans.iter().map(|span| (&text[span.start..span.end], span.tag)).collect()
    }

    #[test]
    fn phones() {
        for text in [
            "+49 170 1234567",
            "0049170123456",
            "(202) 555-0134",
            "(202)5550134",
            "202-5550134",
            "555-0134",
            "555\u{2011}0134",
            "2025550134",
            "12025550134",
            "1 202 5550134",
            "1 2025550134",
            "202.555.0134",
            "01 42 92 81 07",
            "612 34 56 78",
        ] {
            assert_eq!(found(text), [(text, "[phone]")], "{text}");
        }
        for text in [
            "2024-01-31",
            "31.01.2024",
            "2024-01-31 10",
            "12345678",
            "1234.5678",
            "123",
            "0.12345678",
            "1.500.000.000",
            "1700000000",
            "user42 2024",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn a_number_ends_where_the_next_begins() {
        let phone = ("202-555-0134", "[phone]");
        assert_eq!(found("2024-01-31 202-555-0134"), [phone]);
        assert_eq!(found("31.01.2024 0170 1234567"), [("0170 1234567", "[phone]")]);
        assert_eq!(found("202-555-0134 12345"), [phone]);
        assert_eq!(found("202-555-0134x12"), [phone]);
        let card = ("4111 1111 1111 1111", "[card]");
        for text in [
            "4111 1111 1111 1111 12/26",
            "4111 1111 1111 1111 123",
            "12 4111 1111 1111 1111",
            "4111 1111 1111 1111USD",
        ] {
            assert!(found(text).contains(&card), "{text}");
        }
        assert!(found("4111.1111.1111.1111").contains(&("4111.1111.1111.1111", "[card]")));
    }

    #[test]
    fn social_security_numbers() {
        assert_eq!(found("123-45-6789"), [("123-45-6789", "[ssn]")]);
        assert_eq!(found("123\u{2013}45\u{2013}6789").len(), 1);
        for text in ["SSN: 123456789", "my Social Security Number is 123456789"] {
            assert_eq!(found(text), [("123456789", "[ssn]")], "{text}");
        }
        assert_eq!(found("order 123456789"), []);
    }
}
