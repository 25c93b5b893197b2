//! Keyed pseudonyms: HMAC-SHA256 over the canonical value, cut to 128 bits.
//!
//! Within a domain the same person has the same pseudonym in every source; two domains have nothing
//! in common. 128 bits collide nowhere: among 10^9 values with a probability below 10^-20.
//! Pseudonymous is not anonymous: whoever may compute pseudonyms can try a dictionary.

use super::canonical::{self, Form};
use super::prf::Prf;
use super::{Masked, TypeFamily, Value};

/// Pseudonyms of one domain.
pub(super) struct Pseudonyms {
    prf: Prf,
    form: Form,
    uuid: bool,
    canonical: Vec<u8>,
}

impl Pseudonyms {
    /// For values of a family; a UUID's pseudonym is a UUID with the digits of the text form.
    pub(super) fn new(prf: Prf, form: Form, family: &TypeFamily) -> Pseudonyms {
        let uuid = *family.element() == TypeFamily::Uuid;
        Pseudonyms { prf, form, uuid, canonical: Vec::with_capacity(64) }
    }

    /// The function under it.
    pub(super) fn prf(&mut self) -> &mut Prf {
        &mut self.prf
    }

    /// The function, the form in which it is asked, and room for that.
    pub(super) fn keyed(&mut self) -> (&mut Prf, Form, &mut Vec<u8>) {
        (&mut self.prf, self.form, &mut self.canonical)
    }

    /// The pseudonym of a value: 32 hexadecimal digits, which Postgres also reads as a UUID.
    pub(super) fn mask<'o>(&mut self, value: Value<'_>, out: &'o mut String) -> Masked<'o> {
        canonical::write(value, self.form, &mut self.canonical);
        let bytes = self.prf.bytes(&self.canonical);
        self.of(&bytes, out)
    }

    /// The pseudonym that belongs to what the function gives.
    pub(super) fn of<'o>(&self, bytes: &[u8; 32], out: &'o mut String) -> Masked<'o> {
        let short = short(bytes);
        if self.uuid {
            return Masked::Uuid(short);
        }
        push_hex(&short, out);
        Masked::Text(out)
    }

    /// The text of [`of`](Self::of), if it is text.
    pub(super) fn digits_of(&self, bytes: &[u8; 32]) -> Option<[u8; 32]> {
        (!self.uuid).then(|| digits(&short(bytes)))
    }
}

fn short(bytes: &[u8; 32]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&bytes[..16]);
    short
}

/// Adds bytes in hexadecimal.
pub(super) fn push_hex(bytes: &[u8; 16], out: &mut String) {
    out.push_str(std::str::from_utf8(&digits(bytes)).unwrap_or_default());
}

/// Bytes in hexadecimal.
fn digits(bytes: &[u8; 16]) -> [u8; 32] {
    // Without a table, so that it is done for many digits at a time.
    let digit = |four: u8| four + b'0' + (b'a' - b'0' - 10) * u8::from(four > 9);
    let mut digits = [0; 32];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_that_of_the_hex_crate() {
        for first in (0..=255).step_by(16) {
            let bytes: [u8; 16] = std::array::from_fn(|at| first + at as u8);
            let mut out = "x".to_owned();
            push_hex(&bytes, &mut out);
            assert_eq!(out, format!("x{}", hex::encode(bytes)));
        }
    }
}
