//! Format-preserving encryption: FF1 of NIST SP 800-38G, AES-256, without a tweak.
//!
//! A text keeps its length, its alphabet and what separates groups (spaces, `-`, `.`, `/`, `(`, `)`,
//! `+`, `_`, `:` and `,`, unless they are of the alphabet). Any other character outside the alphabet is
//! an error rather than shown. A text with fewer than a million possible values (radix^length < 10^6)
//! is refused, as revision 1 of the publication demands; there is no fallback, and FF3 is withdrawn.
//!
//! An integer is a number of 31 or 63 bits, so that keys of any size are encrypted; it keeps its sign.
//!
//! Halves of up to 96 bits, which is 56 digits, are computed here in registers; longer texts by the
//! `fpe` crate. Both are tested against each other and NIST's samples.

use super::{IntWidth, MaskError};
use ::fpe::ff1::{FF1, FlexibleNumeralString};
use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use std::collections::HashMap;
use std::fmt;

/// The fewest possible values of a text.
const MIN_DOMAIN: u128 = 1_000_000;
/// The most characters of an alphabet.
const MAX_ALPHABET: usize = 4096;
const SEPARATORS: &str = " -./()+_:,";

/// The characters that are encrypted, in the order of their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alphabet {
    characters: Vec<char>,
}

impl Alphabet {
    /// `0` to `9`.
    pub fn digits() -> Alphabet {
        Alphabet { characters: ('0'..='9').collect() }
    }

    /// These characters, if there are 2 to 4096 of them and all differ.
    pub fn new(characters: &str) -> Option<Alphabet> {
        let characters: Vec<char> = characters.chars().collect();
        let mut sorted = characters.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let fits = (2..=MAX_ALPHABET).contains(&characters.len());
        (fits && sorted.len() == characters.len()).then_some(Alphabet { characters })
    }

    /// Whether it is the digits in their order.
    pub fn is_digits(&self) -> bool {
        self.characters.iter().copied().eq('0'..='9')
    }
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters.iter().try_for_each(|c| write!(f, "{c}"))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// Encrypts and decrypts.
pub struct Fpe {
    ff1: Ff1,
    alphabet: Vec<char>,
    /// The values of ASCII characters; `NONE` for others.
    ascii: [u16; 128],
    others: HashMap<char, u16>,
    least: u32,
    numerals: Vec<u16>,
}

const NONE: u16 = u16::MAX;

impl Fpe {
    /// With a key and an alphabet.
    pub fn new(key: &[u8; 32], alphabet: &Alphabet) -> Fpe {
        let mut ascii = [NONE; 128];
        let mut others = HashMap::new();
        for (value, character) in (0..).zip(&alphabet.characters) {
            match ascii.get_mut(*character as usize) {
                Some(slot) => *slot = value,
                None => {
                    others.insert(*character, value);
                }
            }
        }
        let radix = alphabet.characters.len() as u32;
        let least = (1..).find(|length| u128::from(radix).pow(*length) >= MIN_DOMAIN);
        Fpe {
            ff1: Ff1::new(key, radix),
            alphabet: alphabet.characters.clone(),
            ascii,
            others,
            least: least.unwrap_or(u32::MAX),
            numerals: Vec::with_capacity(64),
        }
    }

    /// Adds the encrypted text to `out`.
    ///
    /// # Errors
    /// [`MaskError::TooShort`], [`MaskError::OutsideAlphabet`].
    pub fn encrypt(&mut self, text: &str, out: &mut String) -> Result<(), MaskError> {
        self.run(Direction::Encrypt, text, out)
    }

    /// Adds the text that was encrypted to `out`.
    ///
    /// # Errors
    /// As for [`Fpe::encrypt`].
    pub fn decrypt(&mut self, text: &str, out: &mut String) -> Result<(), MaskError> {
        self.run(Direction::Decrypt, text, out)
    }

    fn numeral(&self, character: char) -> Option<u16> {
        match self.ascii.get(character as usize) {
            Some(value) => (*value != NONE).then_some(*value),
            None => self.others.get(&character).copied(),
        }
    }

    fn run(&mut self, way: Direction, text: &str, out: &mut String) -> Result<(), MaskError> {
        self.numerals.clear();
        for character in text.chars() {
            match self.numeral(character) {
                Some(value) => self.numerals.push(value),
                None if SEPARATORS.contains(character) => {}
                None => return Err(MaskError::OutsideAlphabet),
            }
        }
        if self.numerals.len() < self.least as usize {
            return Err(MaskError::TooShort { least: self.least });
        }
        self.ff1.run(way, &mut self.numerals).ok_or(MaskError::OutsideAlphabet)?;
        let mut next = self.numerals.iter();
        for character in text.chars() {
            out.extend(match self.numeral(character) {
                None => Some(character),
                Some(_) => next.next().and_then(|at| self.alphabet.get(usize::from(*at))).copied(),
            });
        }
        Ok(())
    }
}

/// Encrypts integers of a width to integers of the same width and sign.
pub struct IntegerFpe {
    ff1: Ff1,
    bits: u32,
}

impl IntegerFpe {
    /// With a key. Nothing for smallint, of which there are too few.
    pub fn new(key: &[u8; 32], width: IntWidth) -> Option<IntegerFpe> {
        let bits = width.bits();
        (1u128 << bits >= MIN_DOMAIN).then(|| IntegerFpe { ff1: Ff1::new(key, 2), bits })
    }

    /// The encrypted integer.
    pub fn encrypt(&self, value: i64) -> i64 {
        self.run(Direction::Encrypt, value)
    }

    /// The integer that was encrypted.
    pub fn decrypt(&self, value: i64) -> i64 {
        self.run(Direction::Decrypt, value)
    }

    fn run(&self, way: Direction, value: i64) -> i64 {
        // Negative numbers are counted down from -1: -1 is 0, -2 is 1.
        let negative = value < 0;
        let size = if negative { !value } else { value } as u128;
        let low = self.bits - self.bits / 2;
        let halves = Halves {
            a: size >> low,
            b: size & ((1 << low) - 1),
            length: self.bits,
            bounds: [1 << (self.bits / 2), 1 << low],
        };
        let (a, b) = self.ff1.rounds(way, halves);
        let encrypted = ((a << low) | b) as i64;
        if negative { !encrypted } else { encrypted }
    }
}

/// A numeral string as two numbers.
struct Halves {
    a: u128,
    b: u128,
    /// Numerals of both.
    length: u32,
    /// radix^u and radix^v: the numbers of values of `a` and of `b`.
    bounds: [u128; 2],
}

/// FF1, algorithms 7 and 8 of SP 800-38G, with an empty tweak.
struct Ff1 {
    cipher: Aes256,
    long: Option<FF1<Aes256>>,
    radix: u32,
}

/// Halves of this many bits have b <= 12 and d <= 16: Q and S are one block.
const MAX_HALF: u32 = 96;

impl Ff1 {
    fn new(key: &[u8; 32], radix: u32) -> Ff1 {
        let long = FF1::new(key, radix).ok();
        Ff1 { cipher: Aes256::new(key.into()), long, radix }
    }

    /// In place. Nothing if a numeral is out of range, which its caller excludes.
    fn run(&self, way: Direction, numerals: &mut [u16]) -> Option<()> {
        let radix = u128::from(self.radix);
        let length = u32::try_from(numerals.len()).ok()?;
        let (u, v) = (length / 2, length - length / 2);
        let fits = |bound: &u128| *bound <= 1 << MAX_HALF;
        let Some(upper) = radix.checked_pow(v).filter(fits) else {
            return self.run_long(way, numerals);
        };
        let (left, right) = numerals.split_at_mut(u as usize);
        let number = |half: &[u16]| half.iter().fold(0, |n, x| n * radix + u128::from(*x));
        let (a, b) = (number(left), number(right));
        let bounds = [radix.checked_pow(u)?, upper];
        let (a, b) = self.rounds(way, Halves { a, b, length, bounds });
        for (half, mut n) in [(left, a), (right, b)] {
            for numeral in half.iter_mut().rev() {
                *numeral = (n % radix) as u16;
                n /= radix;
            }
        }
        Some(())
    }

    fn run_long(&self, way: Direction, numerals: &mut [u16]) -> Option<()> {
        let string = FlexibleNumeralString::from(numerals.to_vec());
        let cipher = self.long.as_ref()?;
        let result = match way {
            Direction::Encrypt => cipher.encrypt(&[], &string),
            Direction::Decrypt => cipher.decrypt(&[], &string),
        };
        let result: Vec<u16> = result.ok()?.into();
        numerals.copy_from_slice(&result);
        Some(())
    }

    fn rounds(&self, way: Direction, halves: Halves) -> (u128, u128) {
        let Halves { mut a, mut b, length, bounds } = halves;
        // b = ceil(ceil(v log2 radix) / 8): the bytes of the greatest value of the second half.
        let bytes = (128 - (bounds[1] - 1).leading_zeros()).div_ceil(8) as usize;
        let d = 4 * bytes.div_ceil(4) + 4;
        let mut first = [1, 2, 1, 0, 0, 0, 10, (length / 2) as u8, 0, 0, 0, 0, 0, 0, 0, 0];
        first[3..6].copy_from_slice(&self.radix.to_be_bytes()[1..]);
        first[8..12].copy_from_slice(&length.to_be_bytes());
        let mut p = first.into();
        self.cipher.encrypt_block(&mut p);
        let start: [u8; 16] = p.into();
        // NUM of the first d bytes of AES(AES(P) xor Q), with Q the round and the other half.
        let y = |round: usize, half: u128| {
            let q = half | (round as u128) << (8 * bytes);
            let mut block = (u128::from_be_bytes(start) ^ q).to_be_bytes().into();
            self.cipher.encrypt_block(&mut block);
            let s: [u8; 16] = block.into();
            u128::from_be_bytes(s) >> (8 * (16 - d))
        };
        match way {
            Direction::Encrypt => {
                for round in 0..10 {
                    let bound = bounds[round % 2];
                    let c = (a + remainder(y(round, b), bound)) % bound;
                    (a, b) = (b, c);
                }
            }
            Direction::Decrypt => {
                for round in (0..10).rev() {
                    let bound = bounds[round % 2];
                    let c = (b + bound - remainder(y(round, a), bound)) % bound;
                    (b, a) = (a, c);
                }
            }
        }
        (a, b)
    }
}

/// A remainder, in 64 bits if it can be.
fn remainder(of: u128, by: u128) -> u128 {
    match (u64::try_from(of), u64::try_from(by)) {
        (Ok(of), Ok(by)) => u128::from(of % by),
        _ => of % by,
    }
}

#[cfg(test)]
#[path = "fpe_tests.rs"]
mod tests;
