//! The pseudo-random function under all keyed masks: HMAC-SHA256 (RFC 2104, FIPS 198-1).
//!
//! The two blocks of the key are hashed once; a short value then costs two compressions, with the
//! processor's SHA instructions where it has them, and nothing beside: no state is copied that is not
//! needed, and no buffer is cleared but by the next value. The `hmac` crate, which does that for each
//! value, takes as long again for it; a test holds that both give the same. What the next rows of a scan
//! need is worked out together ([`super::ahead`]).

use super::ahead::{Ahead, Compress, fill, joined};
use super::memo::Memo;
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Bytes of a block of SHA-256.
pub(super) const BLOCK: usize = 64;
/// Bytes of a hash.
pub(super) const HASH: usize = 32;
/// Where the length of the message stands in its last block.
pub(super) const LENGTH: usize = BLOCK - 8;

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
    ahead: Option<Box<Ahead>>,
}

/// The key, taken in.
pub(super) struct Keyed {
    /// The state behind the inner block of the key.
    pub(super) inner: [u32; 8],
    /// The state behind the outer one.
    pub(super) outer: [u32; 8],
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
        hash[HASH] = 0x80;
        hash[LENGTH..].copy_from_slice(&bits(HASH));
        let keyed = Keyed { inner: state(0x36), outer: state(0x5c), message: [0; BLOCK], hash };
        block.zeroize();
        Prf { keyed, memo: None, ahead: None }
    }

    /// The same for a scan, in which values may come again.
    pub(super) fn remember(&mut self) {
        self.memo = Some(Memo::new());
    }

    /// The same where several blocks are compressed in less time than one after the other.
    pub(super) fn together(&mut self, compress: Compress) {
        self.ahead = Some(Box::new(Ahead::new(compress)));
    }

    /// Whether it gains from being told what will be asked for.
    pub(super) fn looks_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// Values will be said, in place of those that were said before.
    pub(super) fn begin(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.begin();
        }
    }

    /// Says some bytes that are needed soon; where what belongs to them will be found. `None` if they are
    /// to be asked for as any others.
    pub(super) fn say(&mut self, of: &[u8]) -> Option<usize> {
        self.ahead.as_mut()?.say(of, self.memo.as_mut())
    }

    /// The 32 bytes that belong to what was said.
    pub(super) fn said(&mut self, place: usize) -> Option<[u8; HASH]> {
        Some(self.ahead.as_mut()?.result(place, &self.keyed, self.memo.as_mut()))
    }

    /// The 32 bytes that belong to some bytes.
    pub(super) fn bytes(&mut self, of: &[u8]) -> [u8; HASH] {
        let keyed = &mut self.keyed;
        match &mut self.memo {
            Some(memo) => memo.get(of, |of| keyed.bytes(of)),
            None => keyed.bytes(of),
        }
    }

    /// The same as four numbers.
    pub(super) fn words(&mut self, of: &[u8]) -> [u64; 4] {
        words(&self.bytes(of))
    }
}

/// 32 bytes as four numbers.
pub(super) fn words(bytes: &[u8; HASH]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_be_bytes(*chunk);
    }
    words
}

/// The length in bits of a message behind a block of the key, as it stands in its last block.
pub(super) fn bits(bytes: usize) -> [u8; 8] {
    (8 * (BLOCK + bytes) as u64).to_be_bytes()
}

impl Keyed {
    fn bytes(&mut self, of: &[u8]) -> [u8; HASH] {
        let (blocks, rest) = of.as_chunks::<BLOCK>();
        let mut state = self.inner;
        if !blocks.is_empty() {
            compress256(&mut state, blocks);
        }
        if rest.len() < LENGTH {
            fill(&mut self.message, rest, of.len());
        } else {
            self.message = [0; BLOCK];
            self.message[..rest.len()].copy_from_slice(rest);
            self.message[rest.len()] = 0x80;
            compress256(&mut state, std::slice::from_ref(&self.message));
            self.message = [0; BLOCK];
            self.message[LENGTH..].copy_from_slice(&bits(of.len()));
        }
        compress256(&mut state, std::slice::from_ref(&self.message));
        self.hash[..HASH].copy_from_slice(&joined(&state));
        let mut state = self.outer;
        compress256(&mut state, std::slice::from_ref(&self.hash));
        joined(&state)
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

/// A number below `bound` from 64 random bits, as even as they allow (Lemire 2019, without the
/// rejection: the bias is below bound / 2^64).
pub(super) fn below(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::super::ahead::LANES;
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    static COMPRESSED: AtomicUsize = AtomicUsize::new(0);

    fn one_after_the_other(states: &mut [[u32; 8]], blocks: &[[u8; BLOCK]]) {
        assert_eq!(states.len(), blocks.len());
        for (state, block) in states.iter_mut().zip(blocks) {
            compress256(state, std::slice::from_ref(block));
        }
    }

    fn counted(states: &mut [[u32; 8]], blocks: &[[u8; BLOCK]]) {
        COMPRESSED.fetch_add(1, Ordering::Relaxed);
        one_after_the_other(states, blocks);
    }

    #[test]
    fn what_is_said_is_worked_out_at_once() {
        let mut prf = Prf::new(&[3; 32]);
        assert!(!prf.looks_ahead() && prf.say(b"x").is_none());
        prf.together(counted);
        assert!(prf.looks_ahead());
        let of = |at: usize| Prf::new(&[3; 32]).bytes(&[at as u8; 40]);
        for round in 0..3 {
            prf.begin();
            for at in 0..LANES {
                assert_eq!(prf.say(&[at as u8; 40]), Some(at));
            }
            assert_eq!(prf.say(b"no room"), None);
            for at in (0..LANES).rev() {
                assert_eq!(prf.said(at), Some(of(at)));
            }
            // For the inner and the outer messages.
            assert_eq!(COMPRESSED.load(Ordering::Relaxed), 2 * (round + 1));
        }
        // Nothing is done for what is not asked for, nor for more than a block.
        prf.begin();
        assert_eq!(prf.say(&[1; 40]), Some(0));
        assert_eq!(prf.say(&[1; LENGTH]), None);
        assert_eq!(prf.bytes(&[2; 40]), of(2));
        assert_eq!(COMPRESSED.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn what_is_remembered_is_not_worked_out_again() {
        let mut prf = Prf::new(&[3; 32]);
        prf.together(one_after_the_other);
        prf.remember();
        let of = |at: u8| Prf::new(&[3; 32]).bytes(&[at]);
        for round in 0..3000u32 {
            prf.begin();
            let said = [round as u8 % 7, 200, round as u8 % 3, round as u8 % 7];
            let places = said.map(|value| prf.say(&[value]));
            for (value, place) in said.iter().zip(places) {
                assert_eq!(prf.said(place.expect("room")), Some(of(*value)));
            }
            assert_eq!(prf.bytes(&[200]), of(200));
        }
    }

    #[test]
    fn what_does_not_come_again_is_not_looked_for() {
        let mut prf = Prf::new(&[3; 32]);
        prf.together(one_after_the_other);
        prf.remember();
        for batch in 0u32..10_000 {
            prf.begin();
            for at in 0..4u32 {
                let place = prf.say(&(4 * batch + at).to_be_bytes()).expect("room");
                assert!(prf.said(place).is_some());
            }
        }
        assert!(prf.memo.is_some_and(|memo| memo.rests()));
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

        /// Whatever is said, in whatever order, and whether or not it is asked for.
        #[test]
        fn what_was_said_gets_what_it_gets_alone(
            remembers in any::<bool>(),
            rounds in prop::collection::vec(
                prop::collection::vec(
                    (prop::collection::vec(0u8..2, 0..70), any::<bool>()), 0..6),
                0..60,
            ),
        ) {
            let key = [0x77; 32];
            let mut prf = Prf::new(&key);
            prf.together(one_after_the_other);
            if remembers {
                prf.remember();
            }
            for values in &rounds {
                prf.begin();
                let places: Vec<_> = values.iter().map(|(value, _)| prf.say(value)).collect();
                for ((value, is_asked), place) in values.iter().zip(places) {
                    match place {
                        Some(place) if *is_asked => {
                            prop_assert_eq!(prf.said(place), Some(plain(&key, value)));
                        }
                        _ => prop_assert_eq!(prf.bytes(value), plain(&key, value)),
                    }
                }
            }
        }
    }
}
