//! The columns of the tables, and values of which no two are equal without looking the same.
//!
//! Where 1.0 and 1.00 are one group, either may stand for it, and neither answer is wrong. So a column
//! holds values that are equal only if they are the same, and floats are quarters, whose sums are exact.

use super::super::random::Random;

/// A column: its name, what it is declared as at the sources, its kind and its values.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub declared: &'static str,
    /// The name of its kind in `kinds`.
    pub kind: &'static str,
    pub values: &'static [&'static str],
    /// Values that not every table should have, because they swallow what they are added to.
    pub special: &'static [&'static str],
}

const fn column(
    name: &'static str,
    declared: &'static str,
    kind: &'static str,
    values: &'static [&'static str],
    special: &'static [&'static str],
) -> Column {
    Column { name, declared, kind, values, special }
}

/// Values `now() + value` of a column; none is near the beginning of a day or an hour from now.
pub const NEAR: [&str; 7] = [
    "-40 days -05:10",
    "-29 days -12:20",
    "-6 days -13:50",
    "-2 days -11:10",
    "-1 days -02:20",
    "-05:30",
    "2 days 03:30",
];

const SMALL_TEXTS: &[&str] = &["", "a", "A", "b", "é", "ab ", "Zoë", "_x%", "ä", "it's \\", "NULL"];

/// Longer than what a one-byte header can say.
const LONG_TEXTS: &[&str] = &[
    "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 \
     0123456789 0123456789 0123456789 0123456789 0123456789 0123456789",
    "éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé",
];

const MOODS: &[&str] = &["sad", "ok", "happy", "it's", "very \"happy\""];

/// Columns of `t` but for `id`, `k` and `near`.
pub const FACTS: [Column; 23] = [
    column("g", "int4", "int4", &["0", "1", "2", "3"], &[]),
    column("i2", "int2", "int2", &["0", "1", "-1", "2", "7", "100", "32767", "-32768"], &[]),
    column("i4", "int4", "int4", &["0", "1", "-1", "3", "65536", "2147483647", "-2147483648"], &[]),
    column(
        "i8",
        "int8",
        "int8",
        &["0", "1", "-1", "5", "2147483648", "9223372036854775807", "-9223372036854775808"],
        &[],
    ),
    column(
        "n",
        "numeric",
        "numeric",
        &["0", "1.00", "-1.5", "2.50", "7", "0.1", "-9999.9999", "100000000"],
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "1e-20",
            "123456789012345678901234567890",
            "1e1000",
            "-1e-1000",
            "-99999999999999999999.000000000000000000001",
        ],
    ),
    column(
        "nd",
        "numeric(12,3)",
        "numeric",
        &["0", "1", "-1.5", "2.125", "999999999.999"],
        &["NaN"],
    ),
    column(
        "f4",
        "float4",
        "float4",
        &["0", "1", "-1.5", "2.25", "100"],
        &["NaN", "Infinity", "-Infinity"],
    ),
    column(
        "f8",
        "float8",
        "float8",
        &["0", "1", "-1.5", "2.25", "3.5", "-20.75", "4096"],
        &["NaN", "Infinity", "-Infinity"],
    ),
    column("b", "bool", "bool", &["t", "f"], &[]),
    column(
        "d",
        "date",
        "date",
        &["1969-12-31", "2000-02-29", "2020-12-31", "2021-01-01", "2021-03-28"],
        &["infinity", "-infinity", "0044-03-15 BC"],
    ),
    column(
        "ts",
        "timestamp",
        "timestamp",
        &[
            "1970-01-01 00:00:00",
            "2000-02-29 23:59:59.999999",
            "2021-03-28 02:30:00",
            "2021-10-31 02:30:00",
            "2020-12-31 23:59:59",
        ],
        &["infinity", "-infinity", "0044-03-15 12:00:00 BC"],
    ),
    column(
        "tz",
        "timestamptz",
        "timestamptz",
        &[
            "1970-01-01 00:00:00+00",
            "2000-02-29 23:59:59.999999+00",
            "2020-12-31 23:30:00+00",
            "2021-03-28 01:30:00+00",
            "2021-10-31 00:30:00+00",
            "2021-10-31 01:30:00+00",
            "1883-11-18 12:03:58+00",
        ],
        &["infinity", "-infinity", "0044-03-15 12:00:00+00 BC"],
    ),
    column("ti", "time", "time", &["00:00", "23:59:59.999999", "12:34:56", "02:30"], &["24:00:00"]),
    column(
        "iv",
        "interval",
        "interval",
        &[
            "0",
            "1 day",
            "30:00:00",
            "-1 mons 2 days -03:04:05.678901",
            "1 mon",
            "-3 days",
            "00:00:00.000001",
        ],
        &["1 year 2 mons -3 days 04:05:06", "10000 years"],
    ),
    column("m", "mood", "mood", MOODS, &[]),
    column("s", "text", "text", SMALL_TEXTS, LONG_TEXTS),
    column("c", "text COLLATE \"C\"", "text", SMALL_TEXTS, &[]),
    column("vc", "varchar(8)", "varchar", &["", "x", "X y", "ß", "10"], &[]),
    column(
        "uu",
        "uuid",
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "00000000-0000-0000-0000-000000000001",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
        &[],
    ),
    column(
        "j",
        "jsonb",
        "jsonb",
        &[
            "{\"a\": \"x\", \"b\": [1, 2]}",
            "{\"a\": 1}",
            "{\"a\": \"É\"}",
            "[1, \"a\", null]",
            "null",
        ],
        &[],
    ),
    column("ia", "int4[]", "int4[]", &["{}", "{1}", "{1,2}", "{2,NULL,1}", "{7}"], &[]),
    column("bi", "bit(5)", "bit(5)", &["00000", "11111", "10101", "00001"], &[]),
    column("extra", "text", "text", SMALL_TEXTS, &[]),
];

/// Columns of `u` but for `id`: what `t.k` leads to.
pub const PEOPLE: [Column; 6] = [
    column("name", "text", "text", SMALL_TEXTS, &[]),
    column("grade", "mood", "mood", MOODS, &[]),
    column("rate", "numeric(8,2)", "numeric", &["0", "1.50", "-3.25", "100000.01"], &[]),
    column("parent", "int4", "int4", &["1", "2", "3", "4", "9"], &[]),
    column("active", "bool", "bool", &["t", "f"], &[]),
    column("born", "date", "date", &["1999-12-31", "2004-02-29", "2020-12-31"], &["infinity"]),
];

/// Columns of `e` but for `id` and `t_id`: on servers of their own.
pub const EVENTS: [Column; 5] = [
    column("what", "text", "text", &["login", "logout", "pay", ""], &[]),
    column(
        "amount",
        "numeric",
        "numeric",
        &["0", "1.5", "-2.25", "1000000000000"],
        &["NaN", "Infinity"],
    ),
    column("big", "int8", "int8", &["1", "2", "3", "9223372036854775807"], &[]),
    column(
        "at",
        "timestamptz",
        "timestamptz",
        &["2020-12-31 23:30:00+00", "2021-03-28 00:59:59+00", "2021-07-01 12:00:00+00"],
        &[],
    ),
    column("score", "float8", "float8", &["0.25", "-1", "12.5"], &["NaN"]),
];

/// Columns of `w` but for `id` and `t_id`: a table that one site does not have.
pub const WARNINGS: [Column; 3] = [
    column("level", "int2", "int2", &["1", "2", "3"], &[]),
    column("message", "text", "text", SMALL_TEXTS, &[]),
    column("cost", "numeric", "numeric", &["0", "1.5", "20"], &["NaN"]),
];

/// The values a column has in one filling: a few, seldom the special ones.
pub fn some_values(column: &Column, random: &mut Random) -> Vec<&'static str> {
    let mut values: Vec<&str> = Vec::new();
    for _ in 0..random.between(1, column.values.len()) {
        values.push(random.pick(column.values));
    }
    if !column.special.is_empty() && random.percent(40) {
        for _ in 0..random.between(1, 3) {
            values.push(random.pick(column.special));
        }
    }
    values
}
