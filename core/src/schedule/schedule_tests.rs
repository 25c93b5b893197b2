use super::zone::SECOND;
use super::zone::tests::{ZONES, utc};
use super::*;
use proptest::prelude::*;

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text, "Europe/Berlin").unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn one_kind_or_the_other() {
    for text in ["*/5 * * * *", "@daily", "0 9 1 1 MON", "0 0 9 1 1 1", "0 0 15W * 1", "5 4 L 1 1"]
    {
        assert!(matches!(schedule(text), Schedule::Cron(_)), "{text}");
    }
    for text in ["5 minutes", "1 d 2 h 3 m", "1 day 2 hours 3 minutes 4 s", "00:05", "every week"] {
        assert!(matches!(schedule(text), Schedule::Every(_)), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let error = |text: &str| Schedule::parse(text, "UTC").unwrap_err();
    assert_eq!(error(" "), ScheduleError::Empty);
    assert_eq!(error(&"1 ".repeat(300)), ScheduleError::TooLong { limit: MAX_LENGTH });
    assert_eq!(error("0 9 1 1"), ScheduleError::FieldCount { found: 4 });
    assert_eq!(error("*/5"), ScheduleError::FieldCount { found: 1 });
    assert!(matches!(error("0 9 * * MONDAY"), ScheduleError::Field { field: "day of week", .. }));
    assert!(matches!(error("soon"), ScheduleError::Interval { position: 1, .. }));
    let zone = Schedule::parse("5 minutes", "Mars/Olympus").unwrap_err();
    assert_eq!(zone, ScheduleError::TimeZone { name: "Mars/Olympus".into() });
    // Each message has an example that works.
    for error in
        [error(" "), error("0 9 1 1"), error("0 0 30 2 *"), error("5 parsecs"), error("0 s")]
    {
        let text = error.to_string();
        let example = text.trim_end_matches('\'').rsplit('\'').next().unwrap();
        schedule(example);
    }
}

#[test]
fn intervals_stay_aligned() {
    let every = schedule("5 minutes");
    let due = utc("2025-06-01T12:00:00Z");
    let minute = 60 * SECOND;
    assert_eq!(every.next_after(due), Some(due + 5 * minute));
    // A run that takes long, a server that was off, a clock that was wrong.
    for (now, next) in [(0, 5), (1, 5), (4, 5), (5, 10), (12, 15), (7200, 7205), (-3, 0), (-7, -5)]
    {
        let expected = Some(due + next * minute);
        assert_eq!(every.next_due(Some(due), due + now * minute), expected, "{now}");
    }
    assert_eq!(every.next_due(None, due + 1), Some(due + 1 + 5 * minute));
    assert_eq!(every.next_after(i64::MAX), None);
}

#[test]
fn an_interval_does_not_look_at_clocks() {
    let days = schedule("2 days");
    let due = utc("2025-03-29T11:00:00Z");
    assert_eq!(days.next_due(Some(due), due), Some(utc("2025-03-31T11:00:00Z")));
    let noon = schedule("0 12 * * *");
    assert_eq!(noon.next_due(Some(due), due), Some(utc("2025-03-30T10:00:00Z")));
}

proptest! {
    #[test]
    fn missed_runs_run_once(
        text in prop::sample::select(&["7 minutes", "1 day", "*/10 * * * *", "0 2,14 * * *", "@monthly"][..]),
        zone in prop::sample::select(&ZONES[..]),
        due in proptest::option::of(0i64..4_000_000_000), now in 0i64..4_000_000_000, part in 0..SECOND
    ) {
        let schedule = Schedule::parse(text, zone).unwrap();
        let now = now * SECOND + part;
        let due = due.map(|due| due * SECOND);
        let next = schedule.next_due(due, now).unwrap();
        prop_assert!(next > now);
        // It is the very next: whoever asks a moment before it is told the same.
        prop_assert_eq!(schedule.next_due(due.or(Some(next)), next - 1), Some(next));
        if let (Schedule::Every(every), Some(due)) = (&schedule, due) {
            prop_assert_eq!((next - due) % every.micros(), 0);
        }
    }

    #[test]
    fn text_is_read_back(text in prop::sample::select(&["90 s", "@weekly", "0 0 9 * jan mon", "1 week"][..])) {
        prop_assert_eq!(schedule(&schedule(text).to_string()), schedule(text));
    }
}
