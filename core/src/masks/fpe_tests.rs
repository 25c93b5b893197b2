use super::*;
use aes::{Aes128, Aes192};
use proptest::prelude::*;

const KEY: &str = "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94";

fn key() -> [u8; 32] {
    hex::decode(KEY).unwrap().try_into().unwrap()
}

fn numerals(text: &str) -> Vec<u16> {
    text.chars().map(|c| c.to_digit(36).unwrap() as u16).collect()
}

fn text(numerals: &[u16]) -> String {
    numerals.iter().map(|n| char::from_digit(u32::from(*n), 36).unwrap()).collect()
}

/// NIST's samples with tweaks and other key sizes: the crate that long texts go through.
#[test]
fn the_crate_is_ff1() {
    let key = hex::decode(KEY).unwrap();
    let t1 = hex::decode("39383736353433323130").unwrap();
    let t2 = hex::decode("3737373770717273373737").unwrap();
    let samples: [(&[u8], u32, &str, [&str; 3]); 3] = [
        (&[], 10, "0123456789", ["2433477484", "2830668132", "6657667009"]),
        (&t1, 10, "0123456789", ["6124200773", "2496655549", "1001623463"]),
        (
            &t2,
            36,
            "0123456789abcdefghi",
            ["a9tv40mll9kdu509eum", "xbj3kv35jrawxv32ysr", "xs8a0azh2avyalyzuwd"],
        ),
    ];
    for (tweak, radix, clear, expected) in samples {
        let clear = FlexibleNumeralString::from(numerals(clear));
        let results = [
            FF1::<Aes128>::new(&key[..16], radix).unwrap().encrypt(tweak, &clear),
            FF1::<Aes192>::new(&key[..24], radix).unwrap().encrypt(tweak, &clear),
            FF1::<Aes256>::new(&key, radix).unwrap().encrypt(tweak, &clear),
        ];
        for (result, expected) in results.into_iter().zip(expected) {
            assert_eq!(text(&Vec::from(result.unwrap())), expected);
        }
    }
}

/// NIST's sample 7: what we use, AES-256 without a tweak.
#[test]
fn ours_is_ff1() {
    let mut fpe = Fpe::new(&key(), &Alphabet::digits());
    let (mut out, mut back) = (String::new(), String::new());
    fpe.encrypt("0123456789", &mut out).unwrap();
    assert_eq!(out, "6657667009");
    fpe.decrypt(&out, &mut back).unwrap();
    assert_eq!(back, "0123456789");
}

#[test]
fn separators_stay_and_letters_are_refused() {
    let mut fpe = Fpe::new(&key(), &Alphabet::digits());
    let mut out = String::new();
    fpe.encrypt("+49 (170) 123-4567", &mut out).unwrap();
    let shape: String = out.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "+99 (999) 999-9999");
    assert_ne!(out, "+49 (170) 123-4567");
    for text in ["AB1234567", "123456é", "١٢٣٤٥٦٧"] {
        assert_eq!(fpe.encrypt(text, &mut String::new()), Err(MaskError::OutsideAlphabet));
    }
}

#[test]
fn short_texts_are_refused() {
    let mut fpe = Fpe::new(&key(), &Alphabet::digits());
    for text in ["", "12345", "1-2-3-4-5", "-- --"] {
        assert_eq!(fpe.encrypt(text, &mut String::new()), Err(MaskError::TooShort { least: 6 }));
    }
    assert_eq!(fpe.encrypt("123456", &mut String::new()), Ok(()));
    let mut letters = Fpe::new(&key(), &Alphabet::new("abcdefghijklmnopqrstuvwxyz").unwrap());
    assert_eq!(letters.encrypt("abcd", &mut String::new()), Err(MaskError::TooShort { least: 5 }));
}

#[test]
fn alphabets_have_different_characters() {
    assert!(Alphabet::new("").is_none() && Alphabet::new("a").is_none());
    assert!(Alphabet::new("aba").is_none());
    assert!(Alphabet::new("äöüß").is_some());
    assert!(Alphabet::new("0123456789").unwrap().is_digits());
    assert!(!Alphabet::new("1023456789").unwrap().is_digits());
}

#[test]
fn integers_keep_sign_and_width() {
    let small = IntegerFpe::new(&key(), IntWidth::Four).unwrap();
    for value in [0, 1, 42, -1, -42, i64::from(i32::MAX), i64::from(i32::MIN)] {
        let masked = small.encrypt(value);
        assert!(IntWidth::Four.holds(masked), "{value}");
        assert_eq!(masked < 0, value < 0);
        assert_eq!(small.decrypt(masked), value);
    }
    assert!(IntegerFpe::new(&key(), IntWidth::Two).is_none());
}

#[test]
fn integers_are_ff1_of_their_bits() {
    let fpe = IntegerFpe::new(&key(), IntWidth::Eight).unwrap();
    let bits: Vec<u16> = (0..63).rev().map(|bit| (123_456_789_u64 >> bit & 1) as u16).collect();
    let crate_fpe = FF1::<Aes256>::new(&key(), 2).unwrap();
    let result: Vec<u16> =
        crate_fpe.encrypt(&[], &FlexibleNumeralString::from(bits)).unwrap().into();
    let expected = result.iter().fold(0i64, |n, bit| n << 1 | i64::from(*bit));
    assert_eq!(fpe.encrypt(123_456_789), expected);
}

proptest! {
    #[test]
    fn ours_is_the_crates(
        radix in 2u32..1000,
        values in proptest::collection::vec(any::<u16>(), 20..80)
    ) {
        let clear: Vec<u16> = values.iter().map(|v| v % radix as u16).collect();
        let ff1 = Ff1::new(&key(), radix);
        let mut ours = clear.clone();
        ff1.run(Direction::Encrypt, &mut ours).unwrap();
        let string = FlexibleNumeralString::from(clear.clone());
        let theirs = FF1::<Aes256>::new(&key(), radix).unwrap().encrypt(&[], &string).unwrap();
        prop_assert_eq!(&ours, &Vec::from(theirs));
        ff1.run(Direction::Decrypt, &mut ours).unwrap();
        prop_assert_eq!(ours, clear);
    }

    #[test]
    fn keeps_length_and_alphabet(clear in "[a-zäöü .]{0,60}") {
        let alphabet = Alphabet::new("abcdefghijklmnopqrstuvwxyzäöü").unwrap();
        let mut fpe = Fpe::new(&key(), &alphabet);
        let (mut out, mut back) = (String::new(), String::new());
        if fpe.encrypt(&clear, &mut out).is_ok() {
            prop_assert_eq!(out.chars().count(), clear.chars().count());
            prop_assert!(out.chars().all(|c| alphabet.characters.contains(&c) || " .".contains(c)));
            fpe.decrypt(&out, &mut back).unwrap();
            prop_assert_eq!(back, clear);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Fpe::new(&key(), &Alphabet::digits()).encrypt(&text, &mut String::new());
    }

    #[test]
    fn integers_round_trip(value in any::<i64>()) {
        let fpe = IntegerFpe::new(&key(), IntWidth::Eight).unwrap();
        prop_assert_eq!(fpe.decrypt(fpe.encrypt(value)), value);
        prop_assert_eq!(fpe.encrypt(value) < 0, value < 0);
    }
}
