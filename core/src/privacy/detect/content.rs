//! What sampled values look like.
//!
//! Only counts leave here; no value is kept or reported.

use crate::masks::checksum::{is_card, is_iban, is_ssn};
use crate::privacy::Kind;
use std::net::IpAddr;

/// How many of the samples are of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) kind: Kind,
    /// 0 to 100.
    pub(super) percent: u32,
    /// Samples that are not empty.
    pub(super) samples: usize,
    /// Whether each of these was told by a checksum or an unmistakable form.
    pub(super) certain: bool,
}

type Test = fn(&str) -> bool;

/// Those with the strictest form come first; a sample is of the first kind that it passes.
const TESTS: &[(Kind, bool, Test)] = &[
    (Kind::Email, true, is_email),
    (Kind::Ip, true, is_ip),
    (Kind::BankAccount, true, is_iban),
    (Kind::StateNumber, true, is_ssn),
    (Kind::Card, true, is_card),
    (Kind::Credential, true, is_credential),
    (Kind::Phone, false, is_phone),
    (Kind::Profile, false, is_profile),
    (Kind::FreeText, false, is_prose),
];

fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let good = |c: char| c.is_alphanumeric() || "._%+-'".contains(c);
    let top = host.rsplit_once('.').map_or("", |(_, top)| top);
    !local.is_empty()
        && local.chars().all(good)
        && host.chars().all(|c| c.is_alphanumeric() || ".-".contains(c))
        && (2..=24).contains(&top.len())
}

fn is_ip(text: &str) -> bool {
    text.split_once('/').map_or(text, |(address, _)| address).parse::<IpAddr>().is_ok()
}

/// With a plus, a leading zero or brackets: other digits are numbers.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let form = text.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
    let groups = text.split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty()).count();
    let dashed = text.contains('-') && groups == 3 && digits == 10;
    form && (7..=15).contains(&digits)
        && (text.starts_with(['+', '(', '0']) && !is_date(text) || dashed)
}

fn is_date(text: &str) -> bool {
    let lengths: Vec<usize> = text.split(['-', '/', '.']).map(str::len).collect();
    matches!(lengths[..], [4, 2, 2] | [2, 2, 4] | [1, 1 | 2, 4] | [2, 1, 4])
}

/// Hashes of passwords, JWTs and keys with the prefixes their makers gave them.
fn is_credential(text: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "$2a$",
        "$2b$",
        "$2y$",
        "$argon2",
        "$pbkdf2",
        "$scrypt",
        "$5$",
        "$6$",
        "pbkdf2_sha256$",
        "SCRAM-SHA-256$",
        "sk_live_",
        "sk_test_",
        "ghp_",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "-----BEGIN ",
        "eyJ",
    ];
    text.len() >= 16 && PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

fn is_profile(text: &str) -> bool {
    const HOSTS: &[&str] =
        &["linkedin.com/", "facebook.com/", "twitter.com/", "instagram.com/", "tiktok.com/@"];
    text.contains("://") && HOSTS.iter().any(|host| text.contains(host))
}

fn is_prose(text: &str) -> bool {
    text.len() >= 40 && text.split_whitespace().nth(5).is_some()
}

/// The kind that most of the samples are of; nothing without samples.
pub(super) fn share(samples: &[&str]) -> Option<Share> {
    let mut counts = vec![0usize; TESTS.len()];
    let mut all = 0;
    for sample in samples.iter().map(|sample| sample.trim()).filter(|sample| !sample.is_empty()) {
        all += 1;
        if let Some(at) = TESTS.iter().position(|(_, _, test)| test(sample)) {
            counts[at] += 1;
        }
    }
    let (at, count) = counts.iter().enumerate().rev().max_by_key(|(_, count)| **count)?;
    let (kind, certain, _) = TESTS.get(at)?;
    let percent = u32::try_from(count.checked_mul(100)?.checked_div(all)?).ok()?;
    (percent > 0).then_some(Share { kind: *kind, percent, samples: all, certain: *certain })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(samples: &[&str]) -> Option<(Kind, u32)> {
        share(samples).map(|share| (share.kind, share.percent))
    }

    #[test]
    fn contents() {
        assert_eq!(kind(&["a@b.org", "", "c@d.com"]), Some((Kind::Email, 100)));
        assert_eq!(kind(&["10.0.0.1", "::1", "x", "y"]), Some((Kind::Ip, 50)));
        assert_eq!(kind(&["DE89370400440532013000"]), Some((Kind::BankAccount, 100)));
        assert_eq!(kind(&["4111111111111111"]), Some((Kind::Card, 100)));
        assert_eq!(kind(&["+49 170 1234567", "(202) 555-0134"]), Some((Kind::Phone, 100)));
        assert_eq!(kind(&["$2b$12$abcdefghijklmnopqrstuv"]), Some((Kind::Credential, 100)));
        let prose = "He said that his teacher would not let him go home today.";
        assert_eq!(kind(&[prose]), Some((Kind::FreeText, 100)));
    }

    #[test]
    fn other_contents() {
        for text in
            ["gold", "2024-01-31", "01/02/2024", "12345678", "4111111111111112", "1.2.3", "a@b"]
        {
            assert_eq!(kind(&[text]), None, "{text}");
        }
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&["", " "]), None);
    }

    proptest! {
        #[test]
        fn no_sample_panics(samples in proptest::collection::vec(any::<String>(), 0..5)) {
            let samples: Vec<&str> = samples.iter().map(String::as_str).collect();
            let _ = share(&samples);
        }
    }
}
