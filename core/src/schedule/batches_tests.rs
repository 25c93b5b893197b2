use super::*;
use crate::schedule::zone::tests::{ZONES, utc, zone};
use proptest::prelude::*;

/// The lengths of the batches of a range, in minutes.
fn minutes(size: BatchSize, name: &str, from: &str, to: &str) -> Vec<i64> {
    let batches = size.batches(utc(from), utc(to), zone(name)).unwrap();
    batches.map(|batch| (batch.end - batch.start) / 60_000_000).collect()
}

fn start(size: BatchSize, name: &str, at: &str) -> String {
    let start = size.bucket_start(utc(at), zone(name)).unwrap();
    chrono::DateTime::from_timestamp_micros(start).unwrap().format("%FT%TZ").to_string()
}

#[test]
fn texts() {
    for (text, size) in [
        ("hour", BatchSize::Hour),
        (" Day ", BatchSize::Day),
        ("1 month", BatchSize::Month),
        ("year", BatchSize::Year),
        ("15 minutes", BatchSize::Fixed(Interval::from_seconds(900).unwrap())),
        ("60 minutes", BatchSize::Fixed(Interval::from_seconds(3600).unwrap())),
        ("24 hours", BatchSize::Fixed(Interval::from_seconds(86_400).unwrap())),
        ("2 days", BatchSize::Fixed(Interval::from_seconds(172_800).unwrap())),
    ] {
        assert_eq!(BatchSize::parse(text), Ok(size), "{text}");
        assert_eq!(BatchSize::parse(&size.to_string()), Ok(size), "{text}");
    }
    for text in ["", "1", "fortnight", "11 month", "0 days"] {
        assert!(BatchSize::parse(text).is_err(), "{text}");
    }
}

#[test]
fn days_have_23_24_or_25_hours() {
    let york = |from, to| minutes(BatchSize::Day, "America/New_York", from, to);
    assert_eq!(york("2025-03-08T05:00:00Z", "2025-03-11T04:00:00Z"), [1440, 1380, 1440]);
    assert_eq!(york("2025-11-01T04:00:00Z", "2025-11-04T05:00:00Z"), [1440, 1500, 1440]);
    let howe = |from, to| minutes(BatchSize::Day, "Australia/Lord_Howe", from, to);
    assert_eq!(howe("2025-04-04T13:00:00Z", "2025-04-06T13:30:00Z"), [1440, 1470]);
    assert_eq!(howe("2025-10-03T13:30:00Z", "2025-10-05T13:00:00Z"), [1440, 1410]);
    assert_eq!(
        start(BatchSize::Day, "Europe/Berlin", "2025-10-26T22:59:59Z"),
        "2025-10-25T22:00:00Z"
    );
    // Without a midnight, and a day that never was.
    assert_eq!(
        start(BatchSize::Day, "Africa/Cairo", "2025-04-25T08:00:00Z"),
        "2025-04-24T22:00:00Z"
    );
    let apia =
        minutes(BatchSize::Day, "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z");
    assert_eq!(apia, [1440, 1440]);
    // Set back at one minute past midnight: 59 minutes of the old day come again, in the new one.
    let johns =
        minutes(BatchSize::Day, "America/St_Johns", "2010-11-06T02:30:00Z", "2010-11-08T03:30:00Z");
    assert_eq!(johns, [1440, 1500]);
    assert_eq!(
        start(BatchSize::Day, "America/St_Johns", "2010-11-07T03:00:00Z"),
        "2010-11-07T02:30:00Z"
    );
}

#[test]
fn hours_when_the_clock_is_changed() {
    // 2025-04-06 02:00 becomes 01:30: the second half of an hour comes again.
    let howe = |from, to| minutes(BatchSize::Hour, "Australia/Lord_Howe", from, to);
    assert_eq!(howe("2025-04-05T14:10:00Z", "2025-04-05T16:00:00Z"), [60, 30, 60]);
    // 2025-10-05 02:00 becomes 02:30.
    assert_eq!(howe("2025-10-04T14:30:00Z", "2025-10-04T16:30:00Z"), [60, 30, 60]);
    let york = minutes(
        BatchSize::Hour,
        "America/New_York",
        "2025-11-02T04:00:00Z",
        "2025-11-02T08:00:00Z",
    );
    assert_eq!(york, [60; 4]);
    assert_eq!(
        start(BatchSize::Hour, "Asia/Kathmandu", "2025-01-01T00:00:00Z"),
        "2024-12-31T23:15:00Z"
    );
}

#[test]
fn months_and_years() {
    let days = |size, from, to| -> Vec<i64> {
        minutes(size, "UTC", from, to).into_iter().map(|minutes| minutes / 1440).collect()
    };
    let (from, to) = ("2024-01-31T12:00:00Z", "2024-04-30T23:59:59Z");
    assert_eq!(days(BatchSize::Month, from, to), [31, 29, 31, 30]);
    assert_eq!(days(BatchSize::Month, "2025-02-28T00:00:00Z", "2025-03-01T00:00:00Z"), [28]);
    assert_eq!(days(BatchSize::Year, from, "2025-01-01T00:00:01Z"), [366, 365]);
    let berlin = start(BatchSize::Month, "Europe/Berlin", "2024-12-31T23:00:00Z");
    assert_eq!(berlin, "2024-12-31T23:00:00Z");
}

#[test]
fn fixed_weeks_begin_on_monday() {
    let week = BatchSize::parse("7 days").unwrap();
    assert_eq!(start(week, "America/New_York", "2025-06-08T23:00:00Z"), "2025-06-02T00:00:00Z");
    assert_eq!(start(week, "UTC", "1999-12-31T00:00:00Z"), "1999-12-27T00:00:00Z");
}

#[test]
fn bounds() {
    let hour = utc("2025-01-01T01:00:00Z") - utc("2025-01-01T00:00:00Z");
    let second = BatchSize::parse("1 second").unwrap();
    let most = MAX_BATCHES as i64 * 1_000_000;
    assert_eq!(second.batches(0, most, Zone::UTC).unwrap().count(), MAX_BATCHES);
    let error = second.batches(0, most + 1, Zone::UTC).unwrap_err();
    assert_eq!(error, ScheduleError::TooManyBatches);
    let all = (utc("0002-01-01T00:00:00Z"), utc("9999-01-01T00:00:00Z"));
    for (size, refused) in [
        (second, true),
        (BatchSize::Hour, true),
        (BatchSize::Day, true),
        (BatchSize::Month, true),
        (BatchSize::Year, false),
    ] {
        assert_eq!(size.batches(all.0, all.1, zone("Europe/Berlin")).is_err(), refused, "{size}");
    }
    for (from, to) in [(i64::MIN, 0), (i64::MIN, i64::MAX), (i64::MAX - 1, i64::MAX)] {
        assert_eq!(
            BatchSize::Year.batches(from, to, Zone::UTC).err(),
            Some(ScheduleError::OutOfRange)
        );
    }
    assert_eq!(BatchSize::Day.batches(hour, hour, Zone::UTC).unwrap().len(), 0);
    assert_eq!(BatchSize::Day.batches(hour, 0, Zone::UTC).unwrap().next(), None);
}

proptest! {
    #[test]
    fn cover_the_range_without_gaps_and_overlaps(
        text in prop::sample::select(&["hour", "day", "month", "year", "15 minutes", "7 days"][..]),
        name in prop::sample::select(&ZONES[..]),
        from in -1_000_000_000i64..4_000_000_000, length in 1i64..3_000_000, part in 0i64..1_000_000
    ) {
        let (size, zone) = (BatchSize::parse(text).unwrap(), zone(name));
        let from = from * 1_000_000 + part;
        let to = from + length * 1_000_000;
        let batches = size.batches(from, to, zone).unwrap();
        let count = batches.len();
        let batches: Vec<Batch> = batches.collect();
        prop_assert_eq!(batches.len(), count);
        prop_assert!(batches[0].start <= from && from < batches[0].end);
        let last = batches[count - 1];
        prop_assert!(last.start < to && to <= last.end);
        for pair in batches.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
        }
        for batch in &batches {
            prop_assert!(batch.start < batch.end && batch.end - batch.start <= size.longest());
            // Every moment of a batch finds its start; so a broken-off backfill goes on with the same.
            for at in [batch.start, batch.start + (batch.end - batch.start) / 2, batch.end - 1] {
                prop_assert_eq!(size.bucket_start(at, zone), Ok(batch.start));
            }
        }
        let middle = batches[count / 2].start;
        let rest: Vec<Batch> = size.batches(middle, to, zone).unwrap().collect();
        prop_assert_eq!(&rest[..], &batches[count / 2..]);
    }
}
