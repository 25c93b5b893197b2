//! The pseudo-random function under all keyed masks: HMAC-SHA256 (RFC 2104, FIPS 198-1).
//!
//! The two blocks of the key are hashed once; a short value then costs two compressions, with the
//! processor's SHA instructions where it has them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 with its key taken in. Zeroized when dropped.
#[derive(Clone)]
pub(super) struct Prf(Hmac<Sha256>);

impl Prf {
    /// With a key of 256 bits.
    pub(super) fn new(key: &[u8; 32]) -> Prf {
        Prf::of_any(key)
    }

    fn of_any(key: &[u8]) -> Prf {
        Prf(Hmac::new_from_slice(key).expect("invariant: HMAC takes keys of any length"))
    }

    /// The 32 bytes that belong to some bytes.
    pub(super) fn bytes(&self, of: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(of);
        mac.finalize().into_bytes().into()
    }

    /// The same as four numbers.
    pub(super) fn words(&self, of: &[u8]) -> [u64; 4] {
        let bytes = self.bytes(of);
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        words
    }
}

/// A number below `bound` from 64 random bits, as even as they allow (Lemire 2019, without the
/// rejection: the bias is below bound / 2^64).
pub(super) fn below(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac(key: &[u8], data: &[u8]) -> String {
        hex::encode(Prf::of_any(key).bytes(data))
    }

    #[test]
    fn is_that_of_rfc_4231() {
        assert_eq!(
            hmac(&[0x0b; 20], b"Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hmac(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn below_stays_below() {
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(u64::MAX / 2, 2), 0);
    }
}
