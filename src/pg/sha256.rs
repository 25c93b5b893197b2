//! SHA-256 of several messages at once, by the processor's own instructions.
//!
//! `sha256rnds2` has its result after four cycles and could begin another one after two, but each of the
//! 32 of a block needs the one before. Blocks of other messages go into the gaps: four together take about
//! twice as long as one. The instructions are those of Intel's "SHA Extensions" (2013), which processors
//! of both makers have; the order of the words is theirs.

use warehouse_core::masks::Compress;

/// What compresses several blocks in less time than one after the other; `None` where the processor has
/// no instructions for it.
pub fn together() -> Option<Compress> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") {
        return Some(x86::compress);
    }
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi64x,
        _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
        _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_storeu_si128,
    };

    /// The constants of the rounds (FIPS 180-4, 4.2.2).
    const ROUNDS: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    /// As of [`Compress`](warehouse_core::masks::Compress); only where the processor has the instructions.
    pub fn compress(states: &mut [[u32; 8]], blocks: &[[u8; 64]]) {
        let (mut states, mut blocks) = (states, blocks);
        loop {
            // SAFETY: `together` gives this function where the processor has them.
            let done = unsafe {
                match (&mut *states, blocks) {
                    ([a, b, c, d, ..], [e, f, g, h, ..]) => {
                        several([a, b, c, d], [e, f, g, h]);
                        4
                    }
                    ([a, b, c], [e, f, g]) => {
                        several([a, b, c], [e, f, g]);
                        3
                    }
                    ([a, b], [e, f]) => {
                        several([a, b], [e, f]);
                        2
                    }
                    ([a], [e]) => {
                        several([a], [e]);
                        1
                    }
                    _ => return,
                }
            };
            (states, blocks) = (&mut states[done..], &blocks[done..]);
        }
    }

    #[target_feature(enable = "sha,sse4.1")]
    fn several<const N: usize>(states: [&mut [u32; 8]; N], blocks: [&[u8; 64]; N]) {
        let zero = _mm_setzero_si128();
        let (mut abef, mut cdgh) = ([zero; N], [zero; N]);
        let mut words = [[zero; 4]; N];
        for at in 0..N {
            (abef[at], cdgh[at]) = halves(states[at]);
            words[at] = words_of(blocks[at]);
        }
        let (abef_before, cdgh_before) = (abef, cdgh);
        for (round, constants) in ROUNDS.iter().enumerate() {
            let constants = load(constants);
            let now = round % 4;
            for at in 0..N {
                let w = &mut words[at];
                if round >= 4 {
                    let (next, second, third) =
                        (w[(now + 1) % 4], w[(now + 2) % 4], w[(now + 3) % 4]);
                    let sum = _mm_add_epi32(
                        _mm_sha256msg1_epu32(w[now], next),
                        _mm_alignr_epi8::<4>(third, second),
                    );
                    w[now] = _mm_sha256msg2_epu32(sum, third);
                }
                let sum = _mm_add_epi32(w[now], constants);
                cdgh[at] = _mm_sha256rnds2_epu32(cdgh[at], abef[at], sum);
                abef[at] =
                    _mm_sha256rnds2_epu32(abef[at], cdgh[at], _mm_shuffle_epi32::<0x0e>(sum));
            }
        }
        for (at, state) in states.into_iter().enumerate() {
            let abef = _mm_add_epi32(abef[at], abef_before[at]);
            let cdgh = _mm_add_epi32(cdgh[at], cdgh_before[at]);
            store(state, abef, cdgh);
        }
    }

    /// A state as the instructions want it.
    #[target_feature(enable = "sse4.1")]
    fn halves(state: &[u32; 8]) -> (__m128i, __m128i) {
        let [low, high] =
            [[state[0], state[1], state[2], state[3]], [state[4], state[5], state[6], state[7]]];
        let cdab = _mm_shuffle_epi32::<0xb1>(load(&low));
        let efgh = _mm_shuffle_epi32::<0x1b>(load(&high));
        (_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xf0>(efgh, cdab))
    }

    /// The 16 words of a block.
    #[target_feature(enable = "sse4.1")]
    fn words_of(block: &[u8; 64]) -> [__m128i; 4] {
        let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let (parts, _) = block.as_chunks::<16>();
        std::array::from_fn(|at| {
            // SAFETY: a part has 16 bytes; the load needs no alignment.
            let part = unsafe { _mm_loadu_si128(parts[at].as_ptr().cast()) };
            _mm_shuffle_epi8(part, big_endian)
        })
    }

    #[target_feature(enable = "sse2")]
    fn load(four: &[u32; 4]) -> __m128i {
        // SAFETY: these are 16 bytes; the load needs no alignment.
        unsafe { _mm_loadu_si128(four.as_ptr().cast()) }
    }

    #[target_feature(enable = "sse4.1")]
    fn store(state: &mut [u32; 8], abef: __m128i, cdgh: __m128i) {
        let feba = _mm_shuffle_epi32::<0x1b>(abef);
        let dchg = _mm_shuffle_epi32::<0xb1>(cdgh);
        let (low, high) = state.split_at_mut(4);
        // SAFETY: each half has 16 bytes; the store needs no alignment.
        unsafe {
            _mm_storeu_si128(low.as_mut_ptr().cast(), _mm_blend_epi16::<0xf0>(feba, dchg));
            _mm_storeu_si128(high.as_mut_ptr().cast(), _mm_alignr_epi8::<8>(dchg, feba));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::together;
    use warehouse_core::masks::{Context, LANES, Mask, TypeFamily, Value};
    use warehouse_core::privacy::Keyring;

    /// The state before the first block (FIPS 180-4, 5.3.3).
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

    /// A message of less than 56 bytes as its only block.
    fn block(message: &[u8]) -> [u8; 64] {
        let mut block = [0; 64];
        block[..message.len()].copy_from_slice(message);
        block[message.len()] = 0x80;
        block[56..].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
        block
    }

    /// The examples of FIPS 180-4 and RFC 6234, each at each place among any number of others.
    #[test]
    fn hashes_are_those_of_the_standard() {
        let Some(compress) = together() else { return };
        let known: [(&[u8], &str); 3] = [
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ];
        for count in 0..=2 * LANES + 1 {
            for first in 0..known.len() {
                let of = |at: usize| known[(first + at) % known.len()];
                let blocks: Vec<[u8; 64]> = (0..count).map(|at| block(of(at).0)).collect();
                let mut states = vec![START; count];
                compress(&mut states, &blocks);
                for (at, state) in states.iter().enumerate() {
                    let hex: String = state.iter().map(|word| format!("{word:08x}")).collect();
                    assert_eq!(hex, of(at).1, "{at} of {count}");
                }
            }
        }
    }

    /// Pseudonyms are the same as without it, for every number of values that are said.
    #[test]
    fn pseudonyms_are_those_of_values_alone() {
        let keys = Keyring::create().unwrap();
        let alone = Context { keys: Some(&keys), ..Context::default() };
        let mask: Mask = "pseudonym(person)".parse().unwrap();
        let masker = |context| mask.prepare(&TypeFamily::Text, context).unwrap();
        let mut plain = masker(&alone);
        let mut ahead = masker(&Context { together: together(), ..alone });
        for round in 0..5_000 {
            let of = |at: usize| format!("person{}@example.com", round * 7 + at * 13 % 5);
            ahead.begin_ahead();
            let said = round % (LANES + 2);
            let places: Vec<_> = (0..said).map(|at| ahead.say(Value::Text(&of(at)))).collect();
            for (at, place) in places.into_iter().enumerate() {
                let (mut one, mut other) = (String::new(), String::new());
                plain.mask(Value::Text(&of(at)), &[], &mut one).unwrap();
                match place {
                    Some(place) => ahead.mask_said(place, &mut other).unwrap(),
                    None => ahead.mask(Value::Text(&of(at)), &[], &mut other).unwrap(),
                };
                assert_eq!(one, other);
                assert_eq!(place.is_some(), at < LANES && together().is_some());
            }
        }
    }
}
