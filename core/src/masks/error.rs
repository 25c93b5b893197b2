//! What can go wrong with a mask, from its text to the value it is given.
//!
//! No error holds a value of a row: only positions in the policy's own text, and names of masks,
//! arguments and columns.

use super::Misfit;
use crate::privacy::KeyError;

/// Who can do something about it; the extension makes an SQLSTATE of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The mask's text, or a mask on a column it does not fit: whoever writes the policy.
    Configuration,
    /// The key is missing, unreadable or shredded: the administrator.
    Key,
    /// A value that the mask cannot take (SQLSTATE 22023, out of range 22003).
    Data,
}

/// Why there is no mask, no masker or no masked value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// The text is no mask. `position` counts characters from 1.
    #[error("mask is malformed at position {position}: expected {expected}")]
    Syntax {
        /// Where, counted in characters from 1.
        position: usize,
        /// What should stand there.
        expected: String,
    },
    /// There is no mask of this name.
    #[error("no mask has the name at position {position}; masks are: {}", .valid.join(", "))]
    UnknownMask {
        /// Where, counted in characters from 1.
        position: usize,
        /// The masks there are.
        valid: Vec<&'static str>,
    },
    /// The mask has no argument of this name.
    #[error("mask {mask} has no argument of the name at position {position}; its named arguments are: {}",
        if .valid.is_empty() { "none".to_owned() } else { .valid.join(", ") })]
    UnknownArgument {
        /// Where, counted in characters from 1.
        position: usize,
        /// The mask.
        mask: &'static str,
        /// Its arguments.
        valid: &'static [&'static str],
    },
    /// An argument is missing, superfluous, of the wrong type or out of range.
    #[error("argument of mask {mask} at position {position}: expected {expected}")]
    Argument {
        /// Where, counted in characters from 1; just past the end for a missing one.
        position: usize,
        /// The mask.
        mask: &'static str,
        /// What it takes.
        expected: String,
    },
    /// The mask does not fit the column's type.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The mask needs a key and there is none.
    #[error("mask {mask} needs a key and there is none")]
    NoKey {
        /// The mask.
        mask: &'static str,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The mask can only be applied to a whole column at a time.
    #[error("mask shuffle can only be used by a materialization")]
    NeedsWholeColumn,
    /// A value is too short to be encrypted and still hidden: radix^length < 10^6.
    #[error(
        "a value is too short for mask fpe: it needs at least {least} characters of its alphabet"
    )]
    TooShort {
        /// The smallest number of characters.
        least: u32,
    },
    /// A value has letters or digits outside the alphabet.
    #[error("a value has characters outside the alphabet of mask fpe")]
    OutsideAlphabet,
    /// A result does not fit its type.
    #[error("the result of mask {mask} is out of the range of its type")]
    OutOfRange {
        /// The mask.
        mask: &'static str,
    },
    /// A value is not of the type the masker was made for, or not of a form the mask knows.
    #[error("mask {mask} was given a value that it cannot read")]
    Unreadable {
        /// The mask.
        mask: &'static str,
    },
    /// A token that was not made with a key of this domain, or was changed.
    #[error("not a token of this domain")]
    NotAToken,
}

impl MaskError {
    /// Who can do something about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            MaskError::Syntax { .. }
            | MaskError::UnknownMask { .. }
            | MaskError::UnknownArgument { .. }
            | MaskError::Argument { .. }
            | MaskError::Misfit(_)
            | MaskError::NeedsWholeColumn => ErrorKind::Configuration,
            MaskError::NoKey { .. } | MaskError::Key(_) => ErrorKind::Key,
            MaskError::TooShort { .. }
            | MaskError::OutsideAlphabet
            | MaskError::OutOfRange { .. }
            | MaskError::Unreadable { .. }
            | MaskError::NotAToken => ErrorKind::Data,
        }
    }
}
