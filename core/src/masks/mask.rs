//! A mask and its arguments, and what can be said of it before any value is seen.

use super::canonical::Form;
use super::decimal::Decimal;
use super::fake::Fake;
use super::fpe::Alphabet;
use super::generalize::Step;
use super::json::Path;
use super::noise::Amount;
use crate::privacy::Domain;

/// The names of the masks.
pub const NAMES: &[&str] = &[
    "null",
    "constant",
    "keep",
    "partial",
    "partial_email",
    "partial_phone",
    "partial_card",
    "partial_url",
    "initial",
    "ip_prefix",
    "zip3",
    "pseudonym",
    "token",
    "fpe",
    "hash",
    "fake_first_name",
    "fake_last_name",
    "fake_full_name",
    "fake_email",
    "fake_phone",
    "fake_street",
    "fake_city",
    "fake_company",
    "fake_user_name",
    "generalize",
    "generalize_range",
    "bands",
    "age",
    "age_band",
    "noise",
    "date_shift",
    "redact",
    "json",
    "shuffle",
];

/// What is done with a column's values. Its text, `partial(2, '***', 1)`, is read by `FromStr` and
/// written by `Display`; the grammar stands in `parse.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// NULL. The column is not even fetched.
    Null,
    /// A constant in the column's own type's text form. The column is not even fetched, so that NULL
    /// also reads as the constant.
    Constant(String),
    /// The value itself.
    Keep,
    /// The first and last characters, with `pad` for all between.
    Partial {
        /// Characters kept at the beginning.
        prefix: u32,
        /// What stands for the rest.
        pad: String,
        /// Characters kept at the end.
        suffix: u32,
    },
    /// `an******@ex******.com`.
    PartialEmail,
    /// `******07`.
    PartialPhone,
    /// `************1111`.
    PartialCard,
    /// Scheme and host of a URL.
    PartialUrl,
    /// The first letter of each word.
    Initial,
    /// The network of an address.
    IpPrefix {
        /// Bits kept of an IPv4 address, 0 to 31.
        v4: u8,
        /// Bits kept of an IPv6 address, 0 to 127.
        v6: u8,
    },
    /// The first three digits of a US ZIP code if enough people live there (HIPAA).
    Zip3,
    /// A keyed hash of the canonical value, joinable within its domain.
    Pseudonym {
        /// Whose pseudonyms.
        domain: Domain,
        /// How values are made comparable.
        form: Form,
    },
    /// Deterministic encryption, AES-SIV: with the right, the value can be read again.
    Token {
        /// Whose tokens.
        domain: Domain,
    },
    /// Format-preserving encryption, FF1.
    Fpe {
        /// Whose key.
        domain: Domain,
        /// The characters that are encrypted.
        alphabet: Alphabet,
    },
    /// A keyed hash of the exact bytes, for equality alone.
    Hash {
        /// Whose key.
        domain: Domain,
    },
    /// A made-up value that depends on the key and the value.
    Fake(Fake),
    /// The lower end of the step the value lies in.
    Generalize(Step),
    /// The step the value lies in, as a range.
    GeneralizeRange(Step),
    /// The range between two of these bounds, which ascend.
    Bands(Vec<Decimal>),
    /// Years since a birth date, or an age, with 90 and above as 90.
    Age,
    /// The age in bands of so many years, with 90 and above in one.
    AgeBand(u32),
    /// The value with noise that depends on the key and the entity.
    Noise {
        /// How much at most.
        amount: Amount,
        /// The column of the same row whose value chooses the noise; the value itself if none.
        entity: Option<String>,
        /// Whose key.
        domain: Domain,
    },
    /// The date moved by the entity's own number of days.
    DateShift {
        /// The column of the same row that holds the entity.
        entity: String,
        /// Days at most, to either side; at least 1.
        days: u32,
        /// Whose key.
        domain: Domain,
    },
    /// Free text without what identifies.
    Redact {
        /// Columns of the same row with names to look for.
        columns: Vec<String>,
    },
    /// JSON with a mask for each path.
    Json {
        /// The masks by path; the longest that matches counts, and of those the one that names a member
        /// or an element sooner.
        rules: Vec<(Path, Mask)>,
        /// Whether what no path matches is kept; otherwise it becomes null.
        keep_rest: bool,
    },
    /// The column's values in another order. Only a materialization can do it.
    Shuffle,
}

impl Mask {
    /// The mask's name.
    pub fn name(&self) -> &'static str {
        match self {
            Mask::Null => "null",
            Mask::Constant(_) => "constant",
            Mask::Keep => "keep",
            Mask::Partial { .. } => "partial",
            Mask::PartialEmail => "partial_email",
            Mask::PartialPhone => "partial_phone",
            Mask::PartialCard => "partial_card",
            Mask::PartialUrl => "partial_url",
            Mask::Initial => "initial",
            Mask::IpPrefix { .. } => "ip_prefix",
            Mask::Zip3 => "zip3",
            Mask::Pseudonym { .. } => "pseudonym",
            Mask::Token { .. } => "token",
            Mask::Fpe { .. } => "fpe",
            Mask::Hash { .. } => "hash",
            Mask::Fake(fake) => fake.kind.name(),
            Mask::Generalize(_) => "generalize",
            Mask::GeneralizeRange(_) => "generalize_range",
            Mask::Bands(_) => "bands",
            Mask::Age => "age",
            Mask::AgeBand(_) => "age_band",
            Mask::Noise { .. } => "noise",
            Mask::DateShift { .. } => "date_shift",
            Mask::Redact { .. } => "redact",
            Mask::Json { .. } => "json",
            Mask::Shuffle => "shuffle",
        }
    }

    /// Other columns of the same row that the mask reads, in the order in which a [`Masker`] is given
    /// their values. They are fetched for the mask and not shown. Those of `redact` are text.
    ///
    /// [`Masker`]: super::Masker
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Mask::Noise { entity, .. } => entity.iter().map(String::as_str).collect(),
            Mask::DateShift { entity, .. } => vec![entity],
            Mask::Redact { columns } => columns.iter().map(String::as_str).collect(),
            Mask::Json { rules, .. } => rules.iter().flat_map(|(_, mask)| mask.columns()).collect(),
            _ => Vec::new(),
        }
    }

    /// The domains whose keys the mask needs, each once. Empty for a mask without a key.
    pub fn domains(&self) -> Vec<&Domain> {
        match self {
            Mask::Pseudonym { domain, .. }
            | Mask::Token { domain }
            | Mask::Fpe { domain, .. }
            | Mask::Hash { domain }
            | Mask::Noise { domain, .. }
            | Mask::DateShift { domain, .. } => vec![domain],
            Mask::Fake(fake) => vec![&fake.domain],
            Mask::Json { rules, .. } => {
                let mut all: Vec<_> = rules.iter().flat_map(|(_, mask)| mask.domains()).collect();
                all.sort();
                all.dedup();
                all
            }
            _ => Vec::new(),
        }
    }

    /// Whether the result does not depend on the row, so that the column need not be fetched.
    pub fn is_constant(&self) -> bool {
        matches!(self, Mask::Null | Mask::Constant(_))
    }

    /// Whether the value follows from the masked one and the key, so that equality can be asked of
    /// the source.
    pub fn is_invertible(&self) -> bool {
        matches!(self, Mask::Keep | Mask::Token { .. } | Mask::Fpe { .. })
    }

    /// Whether equal values stay equal and others (but for collisions nobody will see) differ, so that
    /// joins and DISTINCT on the masked column mean what they meant. `pseudonym` also joins different
    /// spellings.
    pub fn keeps_equality(&self) -> bool {
        match self {
            Mask::Keep
            | Mask::Pseudonym { .. }
            | Mask::Token { .. }
            | Mask::Fpe { .. }
            | Mask::Hash { .. } => true,
            Mask::Fake(fake) => fake.unique,
            _ => false,
        }
    }

    /// Whether the mask works with the areas of few people that [`Context::zip3`] gives.
    ///
    /// [`Context::zip3`]: super::Context
    pub fn reads_zip3(&self) -> bool {
        match self {
            Mask::Zip3 => true,
            Mask::Json { rules, .. } => rules.iter().any(|(_, mask)| mask.reads_zip3()),
            _ => false,
        }
    }

    /// Whether the mask is only for materializations, which see the whole column.
    pub fn needs_whole_column(&self) -> bool {
        matches!(self, Mask::Shuffle)
    }
}
