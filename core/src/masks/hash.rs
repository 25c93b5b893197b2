//! Keyed hashes of the exact bytes, for columns of which only equality matters.
//!
//! Unlike a pseudonym a hash keeps the type, so that a bigint key stays a bigint and joins as fast as
//! before, and no spelling is made like another. A bigint hash has 63 bits and is not negative: among
//! 10^7 values two collide with a probability of 10^-5; `fpe` never collides.

use super::canonical::{self, Form};
use super::prf::Prf;
use super::pseudonym::push_hex;
use super::{MaskError, Masked, TypeFamily, Value};

/// Hashes of one domain.
pub(super) struct Hashes {
    prf: Prf,
    family: TypeFamily,
    bytes: Vec<u8>,
}

impl Hashes {
    /// For values of a family.
    pub(super) fn new(prf: Prf, family: &TypeFamily) -> Hashes {
        Hashes { prf, family: family.element().clone(), bytes: Vec::with_capacity(64) }
    }

    /// The function under it.
    pub(super) fn prf(&mut self) -> &mut Prf {
        &mut self.prf
    }

    /// The function, the form in which it is asked, and room for that.
    pub(super) fn keyed(&mut self) -> (&mut Prf, Form, &mut Vec<u8>) {
        (&mut self.prf, Form::Exact, &mut self.bytes)
    }

    pub(super) fn mask<'o>(
        &mut self,
        value: Value<'_>,
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        canonical::write(value, Form::Exact, &mut self.bytes);
        let bytes = self.prf.bytes(&self.bytes);
        self.of(&bytes, out)
    }

    /// The hash that belongs to what the function gives.
    pub(super) fn of<'o>(
        &self,
        bytes: &[u8; 32],
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        let mut short = [0; 16];
        short.copy_from_slice(&bytes[..16]);
        match self.family {
            TypeFamily::Text => {
                push_hex(&short, out);
                Ok(Masked::Text(out))
            }
            TypeFamily::Uuid => Ok(Masked::Uuid(short)),
            TypeFamily::Bytea => Ok(Masked::Bytes(*bytes)),
            TypeFamily::Integer(_) => {
                let word = short[..8].iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
                // The sign bit is gone, so it fits.
                Ok(Masked::Integer((word >> 1) as i64))
            }
            _ => Err(MaskError::Unreadable { mask: "hash" }),
        }
    }
}
