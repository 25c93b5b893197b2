//! Dates and times as both services write and read them: UTC, proleptic Gregorian.
//!
//! A moment is a number of milliseconds since 1970-01-01T00:00:00Z.

/// Milliseconds of a second.
pub const SECOND: i64 = 1_000;
/// Milliseconds of a day.
pub const DAY: i64 = 86_400 * SECOND;

/// The day number of a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
pub fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day number.
pub fn civil(day_number: i64) -> (i64, i64, i64) {
    let shifted = day_number + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// `2024-01-02`.
pub fn date(moment: i64) -> String {
    let (year, month, day) = civil(moment.div_euclid(DAY));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2024-01-02T03:04:05Z`, as Braintree writes times.
pub fn to_second(moment: i64) -> String {
    format!("{}T{}Z", date(moment), clock(moment))
}

/// `2024-01-02T03:04:05.678Z`, as Airtable writes times.
pub fn to_millisecond(moment: i64) -> String {
    format!("{}T{}.{:03}Z", date(moment), clock(moment), moment.rem_euclid(SECOND))
}

fn clock(moment: i64) -> String {
    let seconds = moment.rem_euclid(DAY) / SECOND;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Reads a date, or a date and a time, in every form that clients were seen to send: `T` or a blank
/// between, seconds and their fraction or not, and `Z`, `+00:00`, ` +0000` or nothing at the end.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let year: i64 = digits(parts.next()?, 4)?;
    let month: i64 = digits(parts.next()?, 2)?;
    let day: i64 = digits(parts.next()?, 2)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let midnight = day_number(year, month, day);
    if civil(midnight) != (year, month, day) {
        return None;
    }
    let midnight = midnight * DAY;
    if rest.is_empty() {
        return Some(midnight);
    }
    let rest = rest.strip_prefix(['T', ' '])?;
    let end = rest.find(['Z', '+', '-', ' ']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(end);
    Some(midnight + time_of_day(time)? - offset(zone.trim())?)
}

fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours = digits(parts.next()?, 2)?;
    let minutes = digits(parts.next()?, 2)?;
    let (seconds, fraction) = match parts.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "")),
        None => ("00", ""),
    };
    let seconds = digits(seconds, 2)?;
    let fraction: String = format!("{fraction}000").chars().take(3).collect();
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * SECOND + digits(&fraction, 3)?)
}

fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let rest = rest.replace(':', "");
    let (hours, minutes) = rest.split_at_checked(2)?;
    Some(sign * (digits(hours, 2)? * 60 + digits(minutes, 2)?) * 60 * SECOND)
}

fn digits(text: &str, length: usize) -> Option<i64> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}
