use super::*;
use crate::masks::{Context, Mask, TypeFamily};
use proptest::prelude::*;

fn numeric(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    numeric_bytes(text, &mut out).expect("a numeric");
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `SELECT numeric_send(…)` gives on PostgreSQL 15.
#[test]
fn numerics_are_those_of_numeric_send() {
    for (text, expected) in [
        ("0", "0000000000000000"),
        ("0.00", "0000000000000002"),
        ("1", "00010000000000000001"),
        ("-1.50", "000200004000000200011388"),
        ("12345.678", "0003000100000003000109291a7c"),
        ("0.0001", "0001ffff000000040001"),
        ("10000", "00010001000000000001"),
        ("NaN", "00000000c0000000"),
        ("Infinity", "00000000d0000000"),
        ("-Infinity", "00000000f0000000"),
    ] {
        assert_eq!(hex(&numeric(text)), expected, "{text}");
    }
    for none in ["", ".5", "1e5", "1.2.3", "--1", "+1", "١"] {
        assert_eq!(numeric_bytes(none, &mut Vec::new()), None, "{none}");
    }
}

#[test]
fn zero_has_no_sign() {
    assert_eq!(numeric("-0.0"), numeric("0.0"));
}

proptest! {
    #[test]
    fn numerics_come_back(whole in "0|[1-9][0-9]{0,40}", fraction in "[0-9]{0,40}", minus: bool) {
        let digits = if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") };
        let zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
        let text = if minus && !zero { format!("-{digits}") } else { digits };
        let mut back = String::new();
        numeric_text(&numeric(&text), &mut back).expect("a numeric");
        prop_assert_eq!(back, text);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), which in 0..16usize) {
        let types = [
            WireType::Text, WireType::Int2, WireType::Int4, WireType::Int8, WireType::Numeric,
            WireType::Float4, WireType::Float8, WireType::Bool, WireType::Date, WireType::Timestamp,
            WireType::TimestampTz, WireType::Inet, WireType::Uuid, WireType::Json, WireType::Jsonb,
            WireType::Array(Box::new(WireType::Text)),
        ];
        let _ = read(&types[which], &bytes, &mut String::new());
        let mut masker = masker("partial(1, '*', 1)", &TypeFamily::Array(Box::new(TypeFamily::Text)),
            WireType::Array(Box::new(WireType::Text)));
        let _ = masker.mask(&bytes, &[], &mut Vec::new());
    }
}

/// A number or a time in its bytes, of those that Postgres sends.
fn sent(number: i64, wire: &WireType) -> Vec<u8> {
    match wire {
        WireType::Int2 => (number as i16).to_be_bytes().to_vec(),
        WireType::Int4 => (number as i32).to_be_bytes().to_vec(),
        WireType::Date => (number as i32 % 3_000_000).to_be_bytes().to_vec(),
        _ => number.to_be_bytes().to_vec(),
    }
}

proptest! {
    /// The quick way and the whole one.
    #[test]
    fn steps_are_those_of_the_mask(
        numbers in proptest::collection::vec(
            prop_oneof![
                any::<i64>(),
                -200_000_000_000_000_000i64..900_000_000_000_000_000,
                -1000i64..1000,
                Just(i64::MIN),
                Just(i64::MAX),
            ],
            1..20,
        ),
    ) {
        use crate::masks::IntWidth;
        for (mask, family, wire) in [
            ("generalize(10)", TypeFamily::Integer(IntWidth::Two), WireType::Int2),
            ("generalize(7)", TypeFamily::Integer(IntWidth::Four), WireType::Int4),
            ("generalize(1000)", TypeFamily::Integer(IntWidth::Eight), WireType::Int8),
            ("generalize('month')", TypeFamily::Date, WireType::Date),
            ("generalize('century')", TypeFamily::Timestamp, WireType::Timestamp),
            ("generalize('hour')", TypeFamily::TimestampTz, WireType::TimestampTz),
        ] {
            let mut quick = masker(mask, &family, wire.clone());
            for number in &numbers {
                let bytes = sent(*number, &wire);
                let (mut one, mut other) = (Vec::new(), Vec::new());
                let mut whole = masker(mask, &family, wire.clone());
                let (mut raw, mut out) = (String::new(), String::new());
                let rooms = (&mut raw, &mut out);
                let expected = element(&mut whole.masker, &wire, &bytes, &[], rooms, &mut other);
                prop_assert_eq!(quick.mask(&bytes, &[], &mut one), expected, "{} {}", mask, number);
                prop_assert_eq!(one, other, "{} {}", mask, number);
            }
        }
    }
}

fn masker(mask: &str, family: &TypeFamily, of: WireType) -> WireMasker {
    let mask: Mask = mask.parse().expect("a mask");
    WireMasker::new(mask.prepare(family, &Context::default()).expect("it fits"), of)
}

fn array_of(elements: &[Option<&str>]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [1, 0, 25, elements.len() as i32, 1] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for element in elements {
        match element {
            Some(text) => {
                out.extend_from_slice(&(text.len() as i32).to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            None => out.extend_from_slice(&(-1i32).to_be_bytes()),
        }
    }
    out
}

#[test]
fn arrays_mask_each_element() {
    let family = TypeFamily::Array(Box::new(TypeFamily::Text));
    let mut masker =
        masker("partial(1, '***', 1)", &family, WireType::Array(Box::new(WireType::Text)));
    let mut out = b"before".to_vec();
    let raw = array_of(&[Some("secret"), None, Some("bo")]);
    assert_eq!(masker.mask(&raw, &[], &mut out), Ok(Outcome::Written));
    let mut expected = array_of(&[Some("s***t"), None, Some("***")]);
    expected[7] = 1;
    assert_eq!(out, [b"before".as_slice(), &expected].concat());
    for end in 0..raw.len() - 2 {
        let cut = masker.mask(&raw[..end], &[], &mut Vec::new());
        assert!(cut.is_err() || end >= 20, "{end}");
    }
}

#[test]
fn addresses_keep_their_network() {
    let mut masker = masker("ip_prefix(24, 48)", &TypeFamily::Inet, WireType::Inet);
    let mut out = Vec::new();
    assert_eq!(masker.mask(&[2, 32, 0, 4, 10, 1, 2, 3], &[], &mut out), Ok(Outcome::Written));
    assert_eq!(out, [2, 24, 0, 4, 10, 1, 2, 0]);
    assert!(masker.mask(&[2, 32, 0, 4, 10, 1, 2], &[], &mut out).is_err());
}

#[test]
fn jsonb_keeps_its_version() {
    let mut masker = masker("json('$.plan' => keep)", &TypeFamily::Json, WireType::Jsonb);
    let mut out = Vec::new();
    let raw = b"\x01{\"plan\": \"x\", \"email\": \"a@b.c\"}";
    assert_eq!(masker.mask(raw, &[], &mut out), Ok(Outcome::Written));
    assert_eq!(out.first(), Some(&1));
    assert!(!out.windows(5).any(|part| part == b"a@b.c"), "{out:?}");
    assert!(masker.mask(b"\x02{}", &[], &mut out).is_err());
}

#[test]
fn keep_and_null_write_nothing() {
    let mut out = Vec::new();
    let mut keep = masker("keep", &TypeFamily::Text, WireType::Text);
    assert_eq!(keep.mask(b"x", &[], &mut out), Ok(Outcome::Unchanged));
    let mut null = masker("null", &TypeFamily::Text, WireType::Text);
    assert_eq!(null.mask(b"x", &[], &mut out), Ok(Outcome::Null));
    assert!(out.is_empty());
}

#[test]
fn text_that_is_none_is_an_error() {
    let mut masker = masker("partial_email", &TypeFamily::Text, WireType::Text);
    assert!(masker.mask(&[0xff, 0xfe], &[], &mut Vec::new()).is_err());
}

#[test]
fn entities_are_read_from_the_row() {
    let keys = crate::privacy::Keyring::create().expect("randomness");
    let context = Context { keys: Some(&keys), ..Context::default() };
    let mask: Mask = "date_shift(user_id, 30)".parse().expect("a mask");
    let masker = mask.prepare(&TypeFamily::Date, &context).expect("it fits");
    let mut masker = WireMasker::new(masker, WireType::Date);
    let mut shifted = |day: i32, user: i64| {
        let mut out = Vec::new();
        let user = user.to_be_bytes();
        let outcome = masker.mask(&day.to_be_bytes(), &[Some((&WireType::Int8, &user))], &mut out);
        assert_eq!(outcome, Ok(Outcome::Written));
        i32::from_be_bytes(out.try_into().expect("four bytes"))
    };
    assert_eq!(shifted(100, 7) - shifted(40, 7), 60);
    let moved: Vec<i32> = (0..50).map(|user| shifted(0, user)).collect();
    assert!(moved.iter().any(|days| *days != moved[0]));
    assert_eq!(masker.mask(&0i32.to_be_bytes(), &[None], &mut Vec::new()), Ok(Outcome::Null));
}

#[test]
fn what_may_be_seen_does_not_depend_on_what_comes_next() {
    use crate::masks::{Compress, EXAMPLES, LANES};
    use sha2::block_api::compress256;
    let together: Compress = |states, blocks| {
        for (state, block) in states.iter_mut().zip(blocks) {
            compress256(state, std::slice::from_ref(block));
        }
    };
    let keys = crate::privacy::Keyring::create().expect("randomness");
    let plain = Context { keys: Some(&keys), ..Context::default() };
    let ahead = Context { together: Some(together), ..plain };
    let of = |n: u32, wire: &WireType| match wire {
        WireType::Int8 => i64::from(n).to_be_bytes().to_vec(),
        WireType::Numeric => {
            let mut out = Vec::new();
            numeric_bytes(&format!("{n}.5"), &mut out).expect("a number");
            out
        }
        // Some are longer than a block, and some are no text.
        _ if n == 33 => vec![0xff],
        _ => format!("Person {n} {}", "x".repeat((n % 9) as usize * 10)).into_bytes(),
    };
    let mut gaining = 0;
    for (family, wire) in [
        (TypeFamily::Text, WireType::Text),
        (TypeFamily::Integer(crate::masks::IntWidth::Eight), WireType::Int8),
        (TypeFamily::Numeric, WireType::Numeric),
    ] {
        for text in EXAMPLES {
            let mask: Mask = text.parse().expect("a mask");
            let masker = |context| {
                let masker = mask.prepare(&family, context).ok()?;
                Some(WireMasker::new(masker, wire.clone()))
            };
            // A noise of its own for each value is random.
            let is_random = matches!(&mask, Mask::Noise { entity: None, .. });
            let (Some(mut alone), Some(mut told)) = (masker(&plain), masker(&ahead)) else {
                continue;
            };
            assert!(!alone.looks_ahead());
            gaining += u32::from(told.looks_ahead());
            let values: Vec<Vec<u8>> = (0..200).map(|n| of(n % 61, &wire)).collect();
            for rows in values.chunks(LANES) {
                told.ahead(rows.iter().map(Vec::as_slice));
                for row in rows {
                    let (mut one, mut other) = (Vec::new(), Vec::new());
                    let outcome = alone.mask(row, &[], &mut one);
                    assert_eq!(outcome, told.mask(row, &[], &mut other), "{text}");
                    assert!(one == other || is_random, "{text}");
                }
            }
        }
    }
    assert!(gaining > 10, "{gaining}");
}
