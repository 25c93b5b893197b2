//! US ZIP codes by their first three digits, as HIPAA's safe harbor allows.
//!
//! 45 CFR 164.514(b)(2)(i)(B): the three digits may stay where more than 20,000 people live; elsewhere
//! they are `000`. The list depends on the census and is therefore a table.

use super::{MaskError, Masked, Value};
use std::fmt::Write;

/// The prefixes of areas with 20,000 people or fewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restricted {
    /// Sorted.
    prefixes: Vec<u16>,
}

impl Restricted {
    /// By the census of 2000, as the Department of Health and Human Services lists them.
    pub fn census_2000() -> Restricted {
        Restricted {
            prefixes: vec![
                36, 59, 63, 102, 203, 556, 692, 790, 821, 823, 830, 831, 878, 879, 884, 890, 893,
            ],
        }
    }

    /// These prefixes, each of three digits; nothing if one is not.
    pub fn from_prefixes<'a>(prefixes: impl IntoIterator<Item = &'a str>) -> Option<Restricted> {
        let prefix = |text: &str| {
            let three = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            three.then(|| text.parse().ok()).flatten()
        };
        let mut prefixes: Vec<u16> = prefixes.into_iter().map(prefix).collect::<Option<_>>()?;
        prefixes.sort_unstable();
        Some(Restricted { prefixes })
    }

    fn zip3(&self, prefix: u16) -> u16 {
        if self.prefixes.binary_search(&prefix).is_ok() { 0 } else { prefix }
    }
}

/// The first three of five digits, with or without four more behind a dash.
fn prefix(text: &str) -> Option<u16> {
    let (five, four) = text.split_once('-').unwrap_or((text, "0000"));
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(five, 5) || !digits(four, 4) {
        return None;
    }
    five.get(..3)?.parse().ok()
}

/// Three digits; NULL for what is no ZIP code.
pub(super) fn mask<'o>(
    value: Value<'_>,
    restricted: &Restricted,
    out: &'o mut String,
) -> Result<Masked<'o>, MaskError> {
    let prefix = match value {
        Value::Text(text) => prefix(text.trim()),
        // An integer has lost its leading zeros.
        Value::Integer(number) => {
            u16::try_from(number / 100).ok().filter(|_| (0..=99_999).contains(&number))
        }
        _ => return Err(MaskError::Unreadable { mask: "zip3" }),
    };
    let Some(prefix) = prefix else { return Ok(Masked::Null) };
    // Writing to a string does not fail.
    let _ = write!(out, "{:03}", restricted.zip3(prefix));
    Ok(Masked::Text(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(value: Value<'_>) -> Option<String> {
        let mut out = String::new();
        match mask(value, &Restricted::census_2000(), &mut out).unwrap() {
            Masked::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }

    #[test]
    fn keeps_three_digits_where_many_live() {
        assert_eq!(zip(Value::Text("90210")).as_deref(), Some("902"));
        assert_eq!(zip(Value::Text("02139-1234")).as_deref(), Some("021"));
        assert_eq!(zip(Value::Integer(2139)).as_deref(), Some("021"));
    }

    #[test]
    fn hides_where_few_do() {
        let list = "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893";
        assert_eq!(Restricted::from_prefixes(list.split(' ')).unwrap(), Restricted::census_2000());
        for prefix in list.split(' ') {
            assert_eq!(zip(Value::Text(&format!("{prefix}01"))).as_deref(), Some("000"));
        }
    }

    #[test]
    fn a_list_of_ones_own_takes_its_place() {
        let own = Restricted::from_prefixes(["902"]).unwrap();
        let of = |text: &str| {
            let mut out = String::new();
            match mask(Value::Text(text), &own, &mut out).unwrap() {
                Masked::Text(text) => text.to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((of("90210"), of("03601")), ("000".to_owned(), "036".to_owned()));
        let reads = |text: &str| text.parse::<crate::masks::Mask>().unwrap().reads_zip3();
        assert!(reads("zip3") && reads("json('$.a' => keep, '$.zip' => zip3)"));
        assert!(!reads("partial_email") && !reads("json('$.zip' => keep)"));
    }

    #[test]
    fn hides_what_is_no_zip_code() {
        for text in ["", "9021", "902101", "SW1A 1AA", "90210-12", "902-1234", "٩٠٢١٠", "9é21"]
        {
            assert_eq!(zip(Value::Text(text)), None, "{text}");
        }
        assert_eq!(zip(Value::Integer(-1)), None);
        assert_eq!(zip(Value::Integer(100_000)), None);
        assert!(Restricted::from_prefixes(["36"]).is_none());
    }
}
