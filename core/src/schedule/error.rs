//! What can be wrong with a schedule, an interval or a time zone.
//!
//! All of it is configuration: whoever wrote the text can put it right. Every message says what is
//! wrong and gives an example that works.

/// Why a text is no schedule or no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There is nothing in it.
    #[error("the schedule is empty; examples are '*/5 * * * *' and '5 minutes'")]
    Empty,
    /// It is longer than any schedule is.
    #[error("the schedule is longer than {limit} characters; an example is '*/5 * * * *'")]
    TooLong {
        /// The most it may have.
        limit: usize,
    },
    /// A text that begins with `@` and is none of the names there are.
    #[error("no schedule is named {name}; names are: {}; an interval is written as '5 minutes'",
        .valid.join(", "))]
    Nickname {
        /// What was written.
        name: String,
        /// The names there are.
        valid: Vec<&'static str>,
    },
    /// A cron expression has too few or too many fields.
    #[error(
        "a cron expression has 5 fields (minute, hour, day of month, month, day of week), or 6 with \
         the second before them, and this has {found}; an example is '*/5 * * * *'"
    )]
    FieldCount {
        /// How many there are.
        found: usize,
    },
    /// A field of a cron expression is wrong.
    #[error(
        "the {field} '{text}' of the cron expression is wrong: {reason}; an example is '{example}'"
    )]
    Field {
        /// Which.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        reason: String,
        /// What may stand there.
        example: &'static str,
    },
    /// A cron expression that no date ever matches, such as February 30.
    #[error(
        "the cron expression '{expression}' never fires: no date matches it; \
         an example for the last day of each month is '0 0 L * *'"
    )]
    NeverFires {
        /// The expression.
        expression: String,
    },
    /// An interval is malformed. `position` counts characters from 1.
    #[error("the interval is malformed at position {position}: expected {expected}")]
    Interval {
        /// Where, counted in characters from 1.
        position: usize,
        /// What should stand there, with an example.
        expected: &'static str,
    },
    /// An interval is too short or too long.
    #[error("an interval is 1 second to 366 days; an example is '5 minutes'")]
    IntervalRange,
    /// There is no such time zone.
    #[error(
        "no time zone is named '{name}'; names are those of the IANA database, \
         as in 'Europe/Berlin' or 'UTC'"
    )]
    TimeZone {
        /// What was written.
        name: String,
    },
    /// A time outside the years 1 to 9999.
    #[error("the time is outside the years 1 to 9999")]
    OutOfRange,
}
