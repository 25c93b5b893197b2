//! Families of types: what a mask takes and what it gives.
//!
//! A mask that does not fit a column is refused when the policy is written, with the masks that do
//! fit; so a masker never meets a type it does not know.

use super::Mask;
use std::fmt;

/// The size of an integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntWidth {
    /// smallint, 16 bits.
    Two,
    /// integer, 32 bits.
    Four,
    /// bigint, 64 bits.
    Eight,
}

impl IntWidth {
    /// Bits of a value without its sign.
    pub fn bits(self) -> u32 {
        match self {
            IntWidth::Two => 15,
            IntWidth::Four => 31,
            IntWidth::Eight => 63,
        }
    }

    /// Whether a number is one of the type.
    pub fn holds(self, value: i64) -> bool {
        let top = i64::MAX >> (63 - self.bits());
        (-top - 1..=top).contains(&value)
    }
}

/// Types that masks treat alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeFamily {
    /// text, varchar, char, name, citext.
    Text,
    /// smallint, integer, bigint.
    Integer(IntWidth),
    /// numeric.
    Numeric,
    /// real, double precision.
    Float,
    /// boolean.
    Bool,
    /// date.
    Date,
    /// timestamp without time zone.
    Timestamp,
    /// timestamp with time zone.
    TimestampTz,
    /// inet, cidr.
    Inet,
    /// uuid.
    Uuid,
    /// json, jsonb.
    Json,
    /// bytea.
    Bytea,
    /// A range of these.
    Range(Box<TypeFamily>),
    /// An array of these.
    Array(Box<TypeFamily>),
    /// Anything else: an enum, a time of day, an interval, a geometry, a type of an extension.
    Other,
}

impl TypeFamily {
    /// The family of one element: of an array its elements, else itself.
    pub fn element(&self) -> &TypeFamily {
        match self {
            TypeFamily::Array(of) => of.element(),
            other => other,
        }
    }
}

impl fmt::Display for TypeFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TypeFamily::Text => "text",
            TypeFamily::Integer(IntWidth::Two) => "smallint",
            TypeFamily::Integer(IntWidth::Four) => "integer",
            TypeFamily::Integer(IntWidth::Eight) => "bigint",
            TypeFamily::Numeric => "numeric",
            TypeFamily::Float => "double precision",
            TypeFamily::Bool => "boolean",
            TypeFamily::Date => "date",
            TypeFamily::Timestamp => "timestamp",
            TypeFamily::TimestampTz => "timestamptz",
            TypeFamily::Inet => "inet",
            TypeFamily::Uuid => "uuid",
            TypeFamily::Json => "json",
            TypeFamily::Bytea => "bytea",
            TypeFamily::Range(of) => return write!(f, "range of {of}"),
            TypeFamily::Array(of) => return write!(f, "array of {of}"),
            TypeFamily::Other => "this type",
        })
    }
}

/// A mask on a type that it does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mask {mask} does not fit {family}")]
pub struct Misfit {
    /// The mask's name.
    pub mask: &'static str,
    /// The type.
    pub family: TypeFamily,
    /// Examples of masks that fit, for a hint.
    pub fitting: Vec<&'static str>,
}

/// One mask of each form, with arguments, for hints and documents.
pub const EXAMPLES: &[&str] = &[
    "null",
    "constant('x')",
    "keep",
    "partial(2, '***', 1)",
    "partial_email",
    "partial_phone",
    "partial_card",
    "partial_url",
    "initial",
    "ip_prefix(24, 48)",
    "zip3",
    "pseudonym(person)",
    "token(person)",
    "fpe(person)",
    "hash(person)",
    "fake_first_name(person)",
    "fake_last_name(person)",
    "fake_full_name(person)",
    "fake_email(person)",
    "fake_phone(person)",
    "fake_street(person)",
    "fake_city(person)",
    "fake_company(person)",
    "fake_user_name(person)",
    "generalize(10)",
    "generalize('month')",
    "generalize_range(10)",
    "generalize_range('month')",
    "bands(6, 12, 18)",
    "age",
    "age_band(10)",
    "noise('10%')",
    "noise('3 days')",
    "date_shift(user_id, 30)",
    "redact",
    "json('$.plan' => keep)",
    "shuffle",
];

impl Mask {
    /// The type that the mask makes of a type. Arrays mask their elements.
    ///
    /// # Errors
    /// The mask does not fit; the error names those that do.
    pub fn result(&self, source: &TypeFamily) -> Result<TypeFamily, Misfit> {
        self.outcome(source).ok_or_else(|| self.misfit(source))
    }

    pub(super) fn misfit(&self, source: &TypeFamily) -> Misfit {
        Misfit { mask: self.name(), family: source.clone(), fitting: Mask::fitting(source) }
    }

    /// Examples of the masks that take a type.
    pub fn fitting(source: &TypeFamily) -> Vec<&'static str> {
        let fits =
            |text: &&&str| text.parse::<Mask>().is_ok_and(|mask| mask.outcome(source).is_some());
        EXAMPLES.iter().filter(fits).copied().collect()
    }

    fn outcome(&self, source: &TypeFamily) -> Option<TypeFamily> {
        use TypeFamily::{
            Array, Bytea, Date, Float, Inet, Integer, Json, Numeric, Range, Text, Timestamp,
            TimestampTz, Uuid,
        };
        // What treats a value as a whole takes any.
        if matches!(self, Mask::Null | Mask::Constant(_) | Mask::Keep | Mask::Shuffle) {
            return Some(source.clone());
        }
        if let Array(of) = source {
            return self.outcome(of).map(|of| Array(Box::new(of)));
        }
        let same = Some(source.clone());
        let range = || Some(Range(Box::new(source.clone())));
        match (self, source) {
            (
                Mask::Partial { .. }
                | Mask::PartialEmail
                | Mask::PartialPhone
                | Mask::PartialCard
                | Mask::PartialUrl
                | Mask::Initial
                | Mask::Fake(_)
                | Mask::Redact { .. },
                Text,
            ) => same,
            (Mask::IpPrefix { .. }, Inet | Text) => same,
            (Mask::Zip3, Text | Integer(_)) => Some(Text),
            (Mask::Pseudonym { .. }, Uuid) => same,
            (
                Mask::Pseudonym { .. } | Mask::Token { .. },
                Text | Integer(_) | Numeric | Uuid | Inet | Date | Timestamp | TimestampTz,
            ) => Some(Text),
            (Mask::Pseudonym { .. }, Bytea) => Some(Text),
            // A permutation of a type of 15 bits is below what NIST allows, and so is its hash.
            (Mask::Fpe { alphabet, .. }, Integer(IntWidth::Four | IntWidth::Eight)) => {
                same.filter(|_| alphabet.is_digits())
            }
            (Mask::Fpe { .. }, Text) => same,
            (Mask::Hash { .. }, Text | Uuid | Bytea | Integer(IntWidth::Eight)) => same,
            (Mask::Generalize(step), _) => same.filter(|_| step.fits(source)),
            (Mask::GeneralizeRange(_), Float) => None,
            (Mask::GeneralizeRange(step), _) => range().filter(|_| step.fits(source)),
            (Mask::Bands(_), Integer(_) | Numeric) => range(),
            (Mask::Age, Integer(_)) => same,
            (Mask::Age, Date | Timestamp | TimestampTz) => Some(Integer(IntWidth::Four)),
            (Mask::AgeBand(_), Integer(_)) => range(),
            (Mask::AgeBand(_), Date | Timestamp | TimestampTz) => {
                Some(Range(Box::new(Integer(IntWidth::Four))))
            }
            (Mask::Noise { amount, .. }, _) => same.filter(|_| amount.fits(source)),
            (Mask::DateShift { .. }, Date | Timestamp | TimestampTz) => same,
            (Mask::Json { .. }, Json) => same,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(mask: &str, source: &TypeFamily) -> Result<TypeFamily, Misfit> {
        mask.parse::<Mask>().unwrap().result(source)
    }

    #[test]
    fn masks_that_keep_the_type() {
        assert_eq!(result("pseudonym(person)", &TypeFamily::Text), Ok(TypeFamily::Text));
        assert_eq!(result("null", &TypeFamily::Other), Ok(TypeFamily::Other));
        let bigint = TypeFamily::Integer(IntWidth::Eight);
        assert_eq!(result("fpe(person)", &bigint), Ok(bigint.clone()));
        assert_eq!(result("generalize(10)", &bigint), Ok(bigint));
    }

    #[test]
    fn masks_that_change_it() {
        let range = TypeFamily::Range(Box::new(TypeFamily::Date));
        assert_eq!(result("generalize_range('decade')", &TypeFamily::Date), Ok(range));
        let bigint = TypeFamily::Integer(IntWidth::Eight);
        assert_eq!(result("pseudonym(person)", &bigint), Ok(TypeFamily::Text));
        assert_eq!(result("age", &TypeFamily::Date), Ok(TypeFamily::Integer(IntWidth::Four)));
    }

    #[test]
    fn arrays_mask_their_elements() {
        let dates = TypeFamily::Array(Box::new(TypeFamily::Date));
        let ages = TypeFamily::Array(Box::new(TypeFamily::Integer(IntWidth::Four)));
        assert_eq!(result("age", &dates), Ok(ages));
        assert_eq!(result("null", &dates), Ok(dates));
    }

    #[test]
    fn a_misfit_names_what_fits() {
        let error = result("partial_email", &TypeFamily::Date).unwrap_err();
        assert_eq!(error.to_string(), "mask partial_email does not fit date");
        assert!(error.fitting.contains(&"age") && error.fitting.contains(&"null"));
        assert!(!error.fitting.contains(&"partial_email"));
        assert!(!error.fitting.contains(&"generalize(10)"));
    }

    #[test]
    fn small_types_are_not_encrypted() {
        assert!(result("fpe(person)", &TypeFamily::Integer(IntWidth::Two)).is_err());
        let letters = "fpe(person, 'abcdefghijklmnop')";
        assert!(result(letters, &TypeFamily::Integer(IntWidth::Four)).is_err());
        assert!(result(letters, &TypeFamily::Text).is_ok());
    }

    #[test]
    fn every_example_is_a_mask_and_fits_something() {
        for text in EXAMPLES {
            let mask: Mask = text.parse().unwrap();
            let fits = [
                TypeFamily::Text,
                TypeFamily::Date,
                TypeFamily::Json,
                TypeFamily::Inet,
                TypeFamily::Numeric,
            ];
            assert!(fits.iter().any(|family| mask.result(family).is_ok()), "{text}");
        }
    }

    #[test]
    fn widths_hold_their_numbers() {
        assert!(IntWidth::Two.holds(32767) && !IntWidth::Two.holds(32768));
        assert!(IntWidth::Four.holds(-2147483648) && !IntWidth::Four.holds(-2147483649));
        assert!(IntWidth::Eight.holds(i64::MIN) && IntWidth::Eight.holds(i64::MAX));
    }
}
