//! Values as Postgres writes them with `DateStyle` ISO, for masks that make text of other types.

use super::Value;
use super::civil::{self, DAY};
use super::value::{
    DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
};
use std::fmt::Write;

/// Adds the text of a value; nothing for types that no mask makes text of.
pub(super) fn write(value: Value<'_>, out: &mut String) -> Option<()> {
    match value {
        Value::Text(text) | Value::Numeric(text) => out.push_str(text),
        Value::Integer(number) => write!(out, "{number}").ok()?,
        Value::Uuid(bytes) => {
            for (at, byte) in bytes.iter().enumerate() {
                let dash = if [4, 6, 8, 10].contains(&at) { "-" } else { "" };
                write!(out, "{dash}{byte:02x}").ok()?;
            }
        }
        Value::Inet(inet) => {
            write!(out, "{}", inet.address).ok()?;
            if inet.bits != if inet.address.is_ipv4() { 32 } else { 128 } {
                write!(out, "/{}", inet.bits).ok()?;
            }
        }
        Value::Date(DATE_INFINITY) => out.push_str("infinity"),
        Value::Date(DATE_MINUS_INFINITY) => out.push_str("-infinity"),
        Value::Date(days) => date(i64::from(days), None, out)?,
        Value::Timestamp(at) => timestamp(at, "", out)?,
        Value::TimestampTz(at) => timestamp(at, "+00", out)?,
        Value::Float(_) | Value::Bool(_) | Value::Json(_) | Value::Bytes(_) => return None,
    }
    Some(())
}

fn date(days: i64, time: Option<&str>, out: &mut String) -> Option<()> {
    let civil::Civil { year, month, day } = civil::date(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let time = time.unwrap_or_default();
    write!(out, "{year:04}-{month:02}-{day:02}{time}{era}").ok()
}

fn timestamp(at: i64, zone: &str, out: &mut String) -> Option<()> {
    match at {
        TIMESTAMP_INFINITY => out.push_str("infinity"),
        TIMESTAMP_MINUS_INFINITY => out.push_str("-infinity"),
        _ => {
            let (days, micros) = (at.div_euclid(DAY), at.rem_euclid(DAY));
            let (seconds, part) = (micros / 1_000_000, micros % 1_000_000);
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let fraction = match part {
                0 => String::new(),
                part => format!(".{part:06}").trim_end_matches('0').to_owned(),
            };
            let time = format!(" {hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            date(days, Some(&time), out)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value<'_>) -> String {
        let mut out = String::new();
        write(value, &mut out).unwrap();
        out
    }

    #[test]
    fn as_postgres_writes_them() {
        assert_eq!(of(Value::Date(0)), "2000-01-01");
        assert_eq!(of(Value::Date(-2_451_545)), "4714-11-24 BC");
        assert_eq!(of(Value::Date(i32::MAX)), "infinity");
        assert_eq!(of(Value::Timestamp(-1)), "1999-12-31 23:59:59.999999");
        assert_eq!(of(Value::TimestampTz(500_000)), "2000-01-01 00:00:00.5+00");
        assert_eq!(of(Value::Timestamp(i64::MIN)), "-infinity");
        assert_eq!(of(Value::Uuid([0x1f; 16])), "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f");
    }
}
