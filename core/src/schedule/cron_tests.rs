use super::*;
use crate::schedule::zone::tests::{ZONES, utc, zone};
use chrono::Timelike;
use proptest::prelude::*;

fn cron(text: &str, name: &str) -> Cron {
    Cron::parse(text, zone(name)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The next `count` times in UTC.
fn times(text: &str, name: &str, after: &str, count: usize) -> Vec<String> {
    let cron = cron(text, name);
    let mut at = utc(after);
    let mut next = || {
        at = cron.next_after(at).unwrap();
        chrono::DateTime::from_timestamp_micros(at)
            .unwrap()
            .format("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn canonical_texts() {
    for (text, expected) in [
        (" */5  * * * * ", "*/5 * * * *"),
        ("0 9 * * mon-fri", "0 9 * * MON-FRI"),
        ("00 0 9 * * *", "0 9 * * *"),
        ("*/10 * * * * *", "*/10 * * * * *"),
        ("@Hourly", "0 * * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@yearly", "0 0 1 1 *"),
        ("0 0 l * ?", "0 0 L * ?"),
    ] {
        assert_eq!(cron(text, "UTC").to_string(), expected);
        assert_eq!(cron(expected, "UTC"), cron(text, "UTC"));
    }
}

#[test]
fn what_is_wrong_is_said() {
    let error = |text: &str| Cron::parse(text, Zone::UTC).unwrap_err();
    for (text, field, wrong) in [
        ("60 * * * *", "minute", "60"),
        ("* 24 * * *", "hour", "24"),
        ("* * 0 * *", "day of month", "0"),
        ("* * 32 * *", "day of month", "32"),
        ("* * * 13 *", "month", "13"),
        ("* * * FOO *", "month", "FOO"),
        ("* * * * MONDAY", "day of week", "MONDAY"),
        ("* * * * 8", "day of week", "8"),
        ("* * * * 1#6", "day of week", "1#6"),
        ("*/0 * * * *", "minute", "*/0"),
        ("5-1 * * * *", "minute", "5-1"),
        ("1,,2 * * * *", "minute", "1,,2"),
        ("* * * * * 9", "day of week", "9"),
        ("61 * * * * *", "second", "61"),
        ("L * * * *", "minute", "L"),
        ("ä * * * *", "minute", "ä"),
    ] {
        match error(text) {
            ScheduleError::Field { field: found, text, reason, .. } => {
                assert_eq!((found, text.as_str()), (field, wrong));
                assert!(!reason.is_empty() && !reason.contains("CronPattern"), "{reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(error("* * * *"), ScheduleError::FieldCount { found: 4 });
    assert_eq!(error("0 0 0 1 1 * 2030"), ScheduleError::FieldCount { found: 7 });
    let reboot = error("@reboot").to_string();
    assert!(reboot.contains("@reboot") && reboot.contains("@hourly"), "{reboot}");
    // Every example may stand where it is recommended.
    for (at, (field, example)) in FIELDS.iter().enumerate() {
        let mut fields = ["*"; 6];
        fields[at] = example;
        assert!(read(&fields.join(" ")).is_ok(), "{field}");
    }
}

#[test]
fn what_never_fires_is_refused() {
    for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * * 31 2 *"] {
        let error = Cron::parse(text, Zone::UTC).unwrap_err();
        assert!(matches!(error, ScheduleError::NeverFires { .. }), "{text}: {error}");
    }
    // But what fires seldom is not.
    cron("0 0 29 2 *", "UTC");
    cron("0 0 29 2 +MON", "UTC");
}

#[test]
fn the_calendar() {
    let first = |text, after| times(text, "UTC", after, 1).remove(0);
    let after = "2025-01-31T00:00:00Z";
    assert_eq!(first("0 0 L * *", after), "2025-02-28T00:00:00Z");
    assert_eq!(first("0 0 L 2 *", "2027-06-01T00:00:00Z"), "2028-02-29T00:00:00Z");
    assert_eq!(first("0 0 31 * *", after), "2025-03-31T00:00:00Z");
    assert_eq!(first("0 0 29 2 *", after), "2028-02-29T00:00:00Z");
    assert_eq!(first("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00:00Z");
    assert_eq!(first("0 0 * * MON#2", after), "2025-02-10T00:00:00Z");
    assert_eq!(first("0 0 * * FRI#L", after), "2025-02-28T00:00:00Z");
    assert_eq!(first("0 0 15W * *", "2025-02-01T00:00:00Z"), "2025-02-14T00:00:00Z");
    // Day of month or day of week, as in every cron; with + both.
    assert_eq!(first("0 0 13 * FRI", after), "2025-02-07T00:00:00Z");
    assert_eq!(first("0 0 13 * +FRI", after), "2025-06-13T00:00:00Z");
    assert_eq!(first("0 0 * * 7", after), "2025-02-02T00:00:00Z");
    assert_eq!(first("59 59 23 31 12 *", after), "2025-12-31T23:59:59Z");
}

#[test]
fn clocks_go_forward() {
    // 2025-03-09 02:00 EST becomes 03:00 EDT, at 07:00 UTC.
    let york = |text, count| times(text, "America/New_York", "2025-03-09T05:30:00Z", count);
    assert_eq!(york("30 2 * * *", 2), ["2025-03-09T07:00:00Z", "2025-03-10T06:30:00Z"]);
    assert_eq!(york("30 2,14 * * *", 2), ["2025-03-09T07:00:00Z", "2025-03-09T18:30:00Z"]);
    assert_eq!(york("0,30 2 * * *", 2), ["2025-03-09T07:00:00Z", "2025-03-10T06:00:00Z"]);
    assert_eq!(york("0 2,3 * * *", 2), ["2025-03-09T07:00:00Z", "2025-03-10T06:00:00Z"]);
    assert_eq!(york("0 1 * * *", 2), ["2025-03-09T06:00:00Z", "2025-03-10T05:00:00Z"]);
    assert_eq!(
        york("0 * * * *", 3),
        ["2025-03-09T06:00:00Z", "2025-03-09T07:00:00Z", "2025-03-09T08:00:00Z"]
    );
    assert_eq!(york("*/30 2 * * *", 1), ["2025-03-10T06:00:00Z"]);
    // Half an hour only: 2025-10-05 02:00 becomes 02:30, at 15:30 UTC.
    let howe = |text| times(text, "Australia/Lord_Howe", "2025-10-04T14:00:00Z", 2);
    assert_eq!(howe("15 2 * * *"), ["2025-10-04T15:30:00Z", "2025-10-05T15:15:00Z"]);
    assert_eq!(howe("45 2 * * *"), ["2025-10-04T15:45:00Z", "2025-10-05T15:45:00Z"]);
    // Midnight itself is skipped in Cairo, 2025-04-25 00:00, at 2025-04-24 22:00 UTC.
    let cairo = times("@daily", "Africa/Cairo", "2025-04-24T12:00:00Z", 2);
    assert_eq!(cairo, ["2025-04-24T22:00:00Z", "2025-04-25T21:00:00Z"]);
    // A whole day is skipped.
    let apia = times("0 12 * * *", "Pacific/Apia", "2011-12-29T22:30:00Z", 2);
    assert_eq!(apia, ["2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]);
    let apia = times("*/30 12 * * *", "Pacific/Apia", "2011-12-29T22:40:00Z", 1);
    assert_eq!(apia, ["2011-12-30T22:00:00Z"]);
}

#[test]
fn clocks_go_back() {
    // 2025-10-26 03:00 CEST becomes 02:00 CET, at 01:00 UTC.
    let berlin = |text, count| times(text, "Europe/Berlin", "2025-10-25T23:30:00Z", count);
    assert_eq!(berlin("30 2 * * *", 2), ["2025-10-26T00:30:00Z", "2025-10-27T01:30:00Z"]);
    assert_eq!(
        berlin("0 2,3 * * *", 3),
        ["2025-10-26T00:00:00Z", "2025-10-26T02:00:00Z", "2025-10-27T01:00:00Z"]
    );
    assert_eq!(
        berlin("*/30 * * * *", 6),
        [
            "2025-10-26T00:00:00Z",
            "2025-10-26T00:30:00Z",
            "2025-10-26T01:00:00Z",
            "2025-10-26T01:30:00Z",
            "2025-10-26T02:00:00Z",
            "2025-10-26T02:30:00Z"
        ]
    );
    // From within the second pass.
    let second = times("15,45 2 * * *", "Europe/Berlin", "2025-10-26T01:20:00Z", 1);
    assert_eq!(second, ["2025-10-27T01:15:00Z"]);
    // Half an hour: 2025-04-06 02:00 becomes 01:30, at 2025-04-05 15:00 UTC.
    let howe = |text| times(text, "Australia/Lord_Howe", "2025-04-05T13:59:00Z", 2);
    assert_eq!(howe("45 1 * * *"), ["2025-04-05T14:45:00Z", "2025-04-06T15:15:00Z"]);
    assert_eq!(howe("*/45 1 * * *"), ["2025-04-05T14:00:00Z", "2025-04-05T14:45:00Z"]);
}

#[test]
fn a_part_of_a_second_is_no_second() {
    let cron = cron("0 12 * * *", "UTC");
    let noon = utc("2025-06-01T12:00:00Z");
    assert_eq!(cron.next_after(noon - 1), Some(noon));
    assert_eq!(cron.next_after(noon), cron.next_after(noon + 999_999));
    assert_eq!(cron.next_after(-1), Some(utc("1970-01-01T12:00:00Z")));
    for at in [i64::MIN, i64::MAX, utc("9999-12-31T00:00:00Z")] {
        assert_eq!(cron.next_after(at), None);
    }
}

/// The times of a day at which an expression fires, by trying every minute of two and a half days:
/// what `next_after` has to find.
fn by_trying(cron: &Cron, from: i64) -> Option<i64> {
    let matches = |wall: &chrono::NaiveDateTime| cron.pattern.is_time_matching(wall).unwrap();
    let minute = 60 * SECOND;
    let start = from.div_euclid(minute) * minute;
    (1..3600).map(|step| start + step * minute).find(|&at| {
        let wall = cron.zone.wall(at).unwrap();
        if cron.steps {
            return matches(&wall);
        }
        let before = cron.zone.wall(at - minute).unwrap();
        let first = cron.zone.first(wall) == Some(at);
        // Shown for the first time, or skipped just now.
        let mut skipped = before + chrono::Duration::minutes(1);
        let mut hit = first && matches(&wall);
        while skipped < wall {
            hit |= matches(&skipped);
            skipped += chrono::Duration::minutes(1);
        }
        hit
    })
}

fn expression() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        (0u32..60).prop_map(|m| m.to_string()),
        (0u32..30, 30u32..60).prop_map(|(a, b)| format!("{a},{b}")),
        (1u32..45).prop_map(|step| format!("*/{step}")),
        Just("*".to_owned()),
    ];
    let hour = prop_oneof![
        (0u32..5).prop_map(|h| h.to_string()),
        (0u32..3, 3u32..24).prop_map(|(a, b)| format!("{a}-{b}")),
        (1u32..8).prop_map(|step| format!("*/{step}")),
        Just("*".to_owned()),
    ];
    (minute, hour).prop_map(|(minute, hour)| format!("{minute} {hour} * * *"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn is_what_trying_every_minute_finds(
        text in expression(), name in prop::sample::select(&ZONES[..]),
        // Around a change of the clock in one of the zones, for the most part.
        change in prop::sample::select(&[
            "2025-03-09T07:00:00Z", "2025-11-02T06:00:00Z", "2025-03-30T01:00:00Z",
            "2025-10-26T01:00:00Z", "2025-10-04T15:30:00Z", "2025-04-05T15:00:00Z",
            "2025-04-24T22:00:00Z", "2025-10-30T21:00:00Z", "2018-11-04T03:00:00Z",
            "2018-02-18T02:00:00Z", "2025-03-09T05:00:00Z", "2024-02-29T00:00:00Z",
        ][..]),
        around in -10_800i64..10_800
    ) {
        let cron = cron(&text, name);
        let from = utc(change) + around * SECOND;
        prop_assert_eq!(cron.next_after(from), by_trying(&cron, from));
    }

    #[test]
    fn times_only_grow(
        text in expression(), name in prop::sample::select(&ZONES[..]),
        from in 0i64..4_102_444_800_000_000
    ) {
        let cron = cron(&text, name);
        let mut at = from;
        for _ in 0..20 {
            let next = cron.next_after(at).unwrap();
            prop_assert!(next > at && next % SECOND == 0);
            // Nothing lies between: from anywhere in between, it is the same.
            prop_assert_eq!(cron.next_after(at + (next - at) / 2), Some(next));
            at = next;
        }
        prop_assert!(cron.zone.wall(at).unwrap().second() == 0);
    }

    #[test]
    fn no_text_panics(
        text in "\\PC{0,40}",
        near in "([0-9*]{1,3}[-/,#LW+?]{0,2}[0-9A-Za-z]{0,3} ){4,6}[0-9*]{1,3}"
    ) {
        for text in [&text, &near] {
            if let Ok(cron) = Cron::parse(text, Zone::UTC) {
                prop_assert_eq!(Cron::parse(&cron.to_string(), Zone::UTC), Ok(cron));
            }
        }
    }
}
