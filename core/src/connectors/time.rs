//! Times and dates of answers and of conditions, in Postgres's units: microseconds and days since
//! 2000-01-01.

use crate::masks::civil::{self, Civil, DAY};

/// Seconds from 1970-01-01 to 2000-01-01.
pub const UNIX_TO_POSTGRES: i64 = 946_684_800;
const SECOND: i64 = 1_000_000;

fn digits(text: &str, from: usize, count: usize) -> Option<i64> {
    let part = text.get(from..from + count)?;
    if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
}

/// `YYYY-MM-DD` and what follows it.
fn civil_prefix(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let of =
        Civil { year: digits(text, 0, 4)?, month: digits(text, 5, 2)?, day: digits(text, 8, 2)? };
    let days = civil::days(of);
    // 2024-02-30 would come back as another day.
    let valid = (1..=12).contains(&of.month) && of.day >= 1 && civil::date(days) == of;
    valid.then(|| (days, &text[10..]))
}

/// A date: `YYYY-MM-DD`, alone or before a time.
pub fn date(text: &str) -> Option<i32> {
    let (days, rest) = civil_prefix(text.trim())?;
    if !rest.is_empty() && !rest.starts_with(['T', ' ']) {
        return None;
    }
    i32::try_from(days).ok()
}

/// A time with `T` or a space, a fraction or none, and an offset: `Z`, `+02`, `+0000`, `+00:00`, with
/// a space before it or none. Without an offset it is UTC. A bare date is its midnight in UTC.
pub fn timestamp(text: &str) -> Option<i64> {
    let (days, rest) = civil_prefix(text.trim())?;
    let midnight = days * DAY;
    if rest.is_empty() {
        return Some(midnight);
    }
    let rest = rest.strip_prefix(['T', ' '])?;
    let bytes = rest.as_bytes();
    let (hour, minute) = (digits(rest, 0, 2)?, digits(rest, 3, 2)?);
    if bytes.get(2) != Some(&b':') {
        return None;
    }
    let (second, mut at) = match bytes.get(5) {
        Some(b':') => (digits(rest, 6, 2)?, 8),
        _ => (0, 5),
    };
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let mut micros = 0;
    if bytes.get(at) == Some(&b'.') {
        let fraction = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if fraction == 0 {
            return None;
        }
        let shown = fraction.min(6);
        micros = digits(rest, at + 1, shown)? * 10_i64.pow(6 - shown as u32);
        at += 1 + fraction;
    }
    let offset = offset(rest[at..].trim_start())?;
    Some(midnight + ((hour * 60 + minute) * 60 + second - offset) * SECOND + micros)
}

/// Seconds east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z" | "UTC") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let plain: String = text[1..].split(':').collect();
    let (hours, minutes, seconds) = match plain.len() {
        2 => (digits(&plain, 0, 2)?, 0, 0),
        4 => (digits(&plain, 0, 2)?, digits(&plain, 2, 2)?, 0),
        6 => (digits(&plain, 0, 2)?, digits(&plain, 2, 2)?, digits(&plain, 4, 2)?),
        _ => return None,
    };
    Some(sign * ((hours * 60 + minutes) * 60 + seconds))
}

/// `YYYY-MM-DD`; years outside 0 to 9999 have no such form.
pub fn date_text(days: i64) -> String {
    let of = civil::date(days);
    format!("{:04}-{:02}-{:02}", of.year, of.month, of.day)
}

/// `YYYY-MM-DDTHH:MM:SSZ`, rounded down to the second.
pub fn second_text(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let date = date_text(days);
    format!("{date}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`, rounded down to the millisecond.
pub fn milli_text(micros: i64) -> String {
    let seconds = micros.div_euclid(SECOND);
    let text = second_text(seconds);
    format!("{}.{:03}Z", text.trim_end_matches('Z'), micros.rem_euclid(SECOND) / 1000)
}

/// `YYYY-MM-DD HH:MM:SS.uuuuuu+00`, as Postgres takes it; BC where it is.
pub fn postgres_text(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (date, era) = dated(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{date} {hour:02}:{minute:02}:{second:02}.{fraction:06}+00{era}")
}

/// `YYYY-MM-DD`, as Postgres takes it; BC where it is.
pub fn postgres_date(days: i64) -> String {
    let (date, era) = dated(days);
    format!("{date}{era}")
}

fn dated(days: i64) -> (String, &'static str) {
    let of = civil::date(days);
    let (year, era) = if of.year > 0 { (of.year, "") } else { (1 - of.year, " BC") };
    (format!("{year:04}-{:02}-{:02}", of.month, of.day), era)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_seen_from_apis_are_one_instant() {
        let at = timestamp("2024-01-02T00:00:00Z").expect("a time");
        assert_eq!(second_text(at / SECOND), "2024-01-02T00:00:00Z");
        for text in [
            "2024-01-02T00:00:00.000Z",
            "2024-01-02T00:00:00+00:00",
            "2024-01-02 00:00:00 +0000",
            "2024-01-02 00:00:00+00",
            "2024-01-02",
            "2024-01-02T05:30:00+05:30",
            "2024-01-01T16:00:00-0800",
        ] {
            assert_eq!(timestamp(text), Some(at), "{text}");
        }
        assert_eq!(timestamp("2024-01-02 00:00:00.1234567+00"), Some(at + 123_456));
        assert_eq!(milli_text(at + 123_456), "2024-01-02T00:00:00.123Z");
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "infinity",
            "2024-02-30",
            "2024-1-2",
            "2024-01-02T25",
            "2024-01-02 00:00:00 CET",
            "ü024-01-02",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
        assert_eq!(date("2024-02-29"), Some(8825));
        assert_eq!(date("2023-02-29"), None);
        assert_eq!(date("2024-02-29x"), None);
    }

    proptest! {
        #[test]
        fn texts_come_back(seconds in -62_000_000_000_i64..250_000_000_000) {
            let text = second_text(seconds);
            prop_assert_eq!(timestamp(&text), Some(seconds * SECOND));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = (timestamp(&text), date(&text));
        }

        #[test]
        fn nearly_times_do_not_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.+Zü-]{0,20}") {
            let _ = (timestamp(&text), date(&text));
        }
    }
}
