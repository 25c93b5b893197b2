//! Cron expressions in a time zone.
//!
//! The crate `croner` reads the expression and finds the times of the clock that match it. What
//! happens when clocks are changed follows Vixie's cron:
//!
//! - An expression of *times*, with no `*` in second, minute and hour (`30 2 * * *`, `0 2,14 * * *`),
//!   fires once for each of them. A time that the clock jumps over fires at the jump (several as one);
//!   a time that it shows twice fires the first time.
//! - An expression of *steps*, with a `*` in one of them (`*/5 * * * *`, `0 * * * *`), fires whenever
//!   the clock shows a matching time: in both passes of a repeated hour, and not in one that is
//!   skipped.
//!
//! `croner` by itself takes every list for steps, and would then skip the half past two of
//! `30 2,14 * * *`. So for times it searches the clock face only and the rest is done here.

use std::fmt;

use chrono::NaiveDate;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

use super::zone::SECOND;
use super::{ScheduleError, Zone};

/// What may stand for a whole expression.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * SUN"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The fields and an example of each.
const FIELDS: [(&str, &str); 6] = [
    ("second", "*/30"),
    ("minute", "*/5"),
    ("hour", "8-18"),
    ("day of month", "1,15,L"),
    ("month", "JAN-MAR"),
    ("day of week", "MON-FRI"),
];

/// The letters that a field may have.
const WORDS: [&str; 22] = [
    "L", "W", "LW", "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "JAN", "FEB", "MAR", "APR",
    "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// A cron expression and the zone whose clock it reads.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    pattern: Box<croner::Cron>,
    text: String,
    zone: Zone,
    steps: bool,
}

impl Cron {
    /// Whether a text is meant as a cron expression, right or wrong.
    pub(super) fn is_meant(text: &str) -> bool {
        let text = text.trim();
        if text.starts_with('@') || text.contains(['*', '/', '?', '#', ',']) {
            return true;
        }
        let upper = text.to_ascii_uppercase();
        let mut words = upper.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
        upper.split_whitespace().count() >= 4
            && !upper.contains(':')
            && words.all(|word| WORDS.contains(&word))
    }

    /// Reads minute, hour, day of month, month and day of week, with the second before them or
    /// without; or a name such as `@hourly`. Refuses what never fires.
    pub(super) fn parse(text: &str, zone: Zone) -> Result<Cron, ScheduleError> {
        let written = text.trim();
        let nickname = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(written));
        if nickname.is_none() && written.starts_with('@') {
            let valid = NICKNAMES.iter().map(|(name, _)| *name).collect();
            return Err(ScheduleError::Nickname { name: written.to_owned(), valid });
        }
        let upper = nickname.map_or(written, |(_, text)| text).to_ascii_uppercase();
        let mut fields: Vec<&str> = upper.split_whitespace().collect();
        // The second 0 is what is meant without one.
        if let [second, _, _, _, _, _] = fields.as_slice()
            && second.chars().all(|c| c == '0')
        {
            fields.remove(0);
        }
        let (5 | 6) = fields.len() else {
            return Err(ScheduleError::FieldCount { found: fields.len() });
        };
        let text = fields.join(" ");
        let pattern = read(&text).map_err(|error| fault(&fields, &error))?;
        let start = NaiveDate::from_ymd_opt(2000, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
        let fires = start.is_some_and(|start| pattern.find_next_occurrence(&start, true).is_ok());
        if !fires {
            return Err(ScheduleError::NeverFires { expression: text });
        }
        // All but day of month, month and day of week.
        let steps = fields.iter().rev().skip(3).any(|field| field.contains('*'));
        Ok(Cron { pattern: Box::new(pattern), text, zone, steps })
    }

    /// The zone.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first time after another, in microseconds. Nothing beyond the year 4999.
    pub fn next_after(&self, last: i64) -> Option<i64> {
        if self.steps {
            let next = self.pattern.find_next_occurrence(&self.zone.moment(last)?, false).ok()?;
            return next.timestamp().checked_mul(SECOND);
        }
        let mut wall = self.zone.wall(last)?;
        loop {
            wall = self.pattern.find_next_occurrence(&wall, false).ok()?;
            // In the second pass of a repeated hour, the rest of the first is past.
            let next = self.zone.first(wall)?;
            if next > last {
                return Some(next);
            }
        }
    }
}

/// Without the pattern, which has a place for each of 5000 years.
impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({:?}, {})", self.text, self.zone)
    }
}

/// The expression in upper case, with single spaces; names of whole expressions are written out.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn read(text: &str) -> Result<croner::Cron, CronError> {
    // croner overlooks an empty place in a list.
    if text.split([' ', ',']).any(str::is_empty) {
        return Err(CronError::InvalidPattern("a place in the list is empty".to_owned()));
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed);
    parser.build().parse(text)
}

/// Which field is wrong: the first that is wrong among stars.
fn fault(fields: &[&str], error: &CronError) -> ScheduleError {
    let names = FIELDS.get(FIELDS.len().saturating_sub(fields.len())..).unwrap_or_default();
    for (at, ((field, example), text)) in names.iter().zip(fields).enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[at] = text;
        if let Err(error) = read(&alone.join(" ")) {
            let reason = reason(&error);
            return ScheduleError::Field { field, text: (*text).to_owned(), reason, example };
        }
    }
    let (field, example) = ("fields", "*/5 * * * *");
    ScheduleError::Field { field, text: fields.join(" "), reason: reason(error), example }
}

/// What croner says, without its own prefix and full stop, as a part of a sentence.
fn reason(error: &CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text) | CronError::ComponentError(text) => text.clone(),
        CronError::IllegalCharacters(_) => "it has characters that cannot stand there".to_owned(),
        other => other.to_string(),
    };
    let mut letters = text.trim_end_matches('.').chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}", first.to_lowercase(), letters.as_str()))
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
