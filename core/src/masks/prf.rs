//! The pseudo-random function under all keyed masks: HMAC-SHA256 (RFC 2104, FIPS 198-1).
//!
//! The two blocks of the key are hashed once; a short value then costs two compressions, with the
//! processor's SHA instructions where it has them, and nothing beside: no state is copied that is not
//! needed, and no buffer is cleared but by the next value. The `hmac` crate, which does that for each
//! value, takes as long again for it; a test holds that both give the same.

use super::memo::Memo;
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Where the length of the message stands in its last block.
const LENGTH: usize = BLOCK - 8;

/// The state of SHA-256 before the first block (FIPS 180-4, 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// HMAC-SHA256 with its key taken in. Zeroized when dropped.
pub(super) struct Prf {
    keyed: Keyed,
    memo: Option<Memo>,
}

struct Keyed {
    /// The state behind the inner block of the key.
    inner: [u32; 8],
    /// The state behind the outer one.
    outer: [u32; 8],
    /// The last block of a message.
    message: [u8; BLOCK],
    /// The only block of the outer message: a hash and its padding.
    hash: [u8; BLOCK],
}

impl Prf {
    /// With a key of 256 bits.
    pub(super) fn new(key: &[u8; 32]) -> Prf {
        Prf::of_any(key)
    }

    fn of_any(key: &[u8]) -> Prf {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let state = |pad: u8| {
            let mut padded = block.map(|byte| byte ^ pad);
            let mut state = START;
            compress256(&mut state, &[padded]);
            padded.zeroize();
            state
        };
        let mut hash = [0; BLOCK];
        hash[32] = 0x80;
        hash[LENGTH..].copy_from_slice(&bits(32));
        let keyed = Keyed { inner: state(0x36), outer: state(0x5c), message: [0; BLOCK], hash };
        block.zeroize();
        Prf { keyed, memo: None }
    }

    /// The same for a scan, in which values may come again.
    pub(super) fn remember(&mut self) {
        self.memo = Some(Memo::new());
    }

    /// The 32 bytes that belong to some bytes.
    pub(super) fn bytes(&mut self, of: &[u8]) -> [u8; 32] {
        let keyed = &mut self.keyed;
        match &mut self.memo {
            Some(memo) => memo.get(of, |of| keyed.bytes(of)),
            None => keyed.bytes(of),
        }
    }

    /// The same as four numbers.
    pub(super) fn words(&mut self, of: &[u8]) -> [u64; 4] {
        let bytes = self.bytes(of);
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_be_bytes(*chunk);
        }
        words
    }
}

/// The length in bits of a message behind a block of the key, as it stands in its last block.
fn bits(bytes: usize) -> [u8; 8] {
    (8 * (BLOCK + bytes) as u64).to_be_bytes()
}

impl Keyed {
    fn bytes(&mut self, of: &[u8]) -> [u8; 32] {
        let (blocks, rest) = of.as_chunks::<BLOCK>();
        let mut state = self.inner;
        if !blocks.is_empty() {
            compress256(&mut state, blocks);
        }
        self.message = [0; BLOCK];
        self.message[..rest.len()].copy_from_slice(rest);
        self.message[rest.len()] = 0x80;
        if rest.len() >= LENGTH {
            compress256(&mut state, &[self.message]);
            self.message = [0; BLOCK];
        }
        self.message[LENGTH..].copy_from_slice(&bits(of.len()));
        compress256(&mut state, std::slice::from_ref(&self.message));
        self.hash[..32].copy_from_slice(&joined(state));
        let mut state = self.outer;
        compress256(&mut state, std::slice::from_ref(&self.hash));
        joined(state)
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
        self.message.zeroize();
        self.hash.zeroize();
    }
}

fn joined(state: [u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (bytes, word) in out.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    out
}

/// A number below `bound` from 64 random bits, as even as they allow (Lemire 2019, without the
/// rejection: the bias is below bound / 2^64).
pub(super) fn below(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    fn hmac(key: &[u8], data: &[u8]) -> String {
        hex::encode(Prf::of_any(key).bytes(data))
    }

    /// By the `hmac` crate.
    fn plain(key: &[u8], data: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
        mac.update(data);
        mac.finalize().into_bytes().into()
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

    /// Around the ends of blocks, where the padding changes; one after the other by the same state.
    #[test]
    fn is_that_of_the_hmac_crate_for_every_length() {
        let key = [0x5a; 32];
        let (mut prf, mut remembering) = (Prf::new(&key), Prf::new(&key));
        remembering.remember();
        let lengths = (0..300).rev().chain(0..300);
        for length in lengths {
            let data: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
            let expected = plain(&key, &data);
            assert_eq!(prf.bytes(&data), expected, "{length}");
            assert_eq!(remembering.bytes(&data), expected, "{length}");
        }
    }

    #[test]
    fn words_are_its_bytes() {
        let mut prf = Prf::new(&[1; 32]);
        let bytes: Vec<u8> = prf.words(b"x").iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(bytes, prf.bytes(b"x"));
    }

    #[test]
    fn below_stays_below() {
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(u64::MAX / 2, 2), 0);
    }

    proptest! {
        #[test]
        fn is_that_of_the_hmac_crate(
            key in prop::collection::vec(any::<u8>(), 0..150),
            data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            prop_assert_eq!(Prf::of_any(&key).bytes(&data), plain(&key, &data));
        }
    }
}
