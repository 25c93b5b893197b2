use super::*;
use proptest::prelude::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn ring() -> Keyring {
    Keyring::parse(HEX.as_bytes()).unwrap()
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn derive(ring: &Keyring, name: &str, version: u32) -> Result<[u8; 32], KeyError> {
    ring.derive::<32>(Purpose::Pseudonym, &domain(name), version).map(|key| *key)
}

#[test]
fn hkdf_is_that_of_rfc_5869() {
    let salt = hex::decode("000102030405060708090a0b0c").unwrap();
    let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
    let mut okm = [0; 42];
    Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut okm).unwrap();
    assert_eq!(
        hex::encode(okm),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
}

#[test]
fn the_derivation_never_changes() {
    // From an implementation of RFC 5869 in Python over the documented info.
    assert_eq!(
        hex::encode(derive(&ring(), "person", 1).unwrap()),
        "10a0c9130f20b37f3f104e18044ec68eb28989e99ae6a878aa53f453ca0c1fe5"
    );
}

#[test]
fn reads_hexadecimal_and_base64() {
    let standard = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let fingerprint = ring().fingerprint();
    for text in [HEX, &HEX.to_uppercase(), standard, standard.trim_end_matches('=')] {
        let text = format!("# a comment\n\n  {text}\r\n");
        assert_eq!(Keyring::parse(text.as_bytes()).unwrap().fingerprint(), fingerprint);
    }
}

#[test]
fn refuses_what_is_no_key() {
    let parse = |text: &str| Keyring::parse(text.as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(parse(""), KeyError::TooShort { bits: 0 });
    assert_eq!(parse(&HEX[2..]), KeyError::TooShort { bits: 248 });
    assert_eq!(parse("correct horse battery staple correct horse"), KeyError::Encoding);
    assert_eq!(parse(&HEX[1..]), KeyError::Encoding);
    assert_eq!(parse(&"00".repeat(32)), KeyError::NotRandom);
    assert_eq!(parse(&"c0ffee00".repeat(8)), KeyError::NotRandom);
    assert_eq!(parse(&"0123456789abcdef".repeat(300)), KeyError::TooLong);
    assert_eq!(parse(&format!("{HEX}\nperson one {HEX}")), KeyError::Line { line: 2 });
    assert_eq!(parse(&format!("{HEX}\nperson 1 {HEX} x")), KeyError::Line { line: 2 });
    assert_eq!(parse(&format!("{HEX}\nperson 1 root\nperson 1 root")), KeyError::Line { line: 3 });
    assert_eq!(Keyring::parse(&[0xff; 64]).map(|_| ()).unwrap_err(), KeyError::Encoding);
}

#[test]
fn purposes_domains_and_versions_have_keys_of_their_own() {
    let mut ring = ring();
    let first = derive(&ring, "person", 1).unwrap();
    assert_ne!(first, derive(&ring, "order", 1).unwrap());
    assert_ne!(first, *ring.derive::<32>(Purpose::Token, &domain("person"), 1).unwrap());
    assert_eq!(ring.rotate(&domain("person")), Ok(2));
    assert_ne!(first, derive(&ring, "person", 2).unwrap());
    // The old one is as it was.
    assert_eq!(first, derive(&ring, "person", 1).unwrap());
    assert_eq!(ring.current(&domain("person")), 2);
}

#[test]
fn versions_live_until_they_are_shredded() {
    let mut ring = ring();
    let person = domain("person");
    assert_eq!(ring.register(&person), Ok(true));
    assert_eq!(ring.register(&person), Ok(false));
    let in_use = KeyError::InUse { domain: "person".into(), version: 1 };
    assert_eq!(ring.shred(&person, 1), Err(in_use));
    ring.rotate(&person).unwrap();
    let states =
        |ring: &Keyring| ring.versions(&person).iter().map(|v| v.state).collect::<Vec<_>>();
    assert_eq!(states(&ring), [KeyState::Readable, KeyState::Current]);
    assert_eq!(ring.shred(&person, 1), Ok(Shredded::Erased));
    assert_eq!(states(&ring), [KeyState::Shredded, KeyState::Current]);
    let shredded = KeyError::Shredded { domain: "person".into(), version: 1 };
    assert_eq!(derive(&ring, "person", 1), Err(shredded.clone()));
    assert_eq!(ring.shred(&person, 1), Err(shredded));
    let missing = KeyError::NoVersion { domain: "person".into(), version: 7 };
    assert_eq!(ring.shred(&person, 7), Err(missing));
    // What the file says afterwards holds as well.
    let again = Keyring::parse(ring.to_text().as_bytes()).unwrap();
    assert_eq!(states(&again), states(&ring));
    assert_eq!(derive(&again, "person", 2), derive(&ring, "person", 2));
}

#[test]
fn an_implied_version_is_refused_rather_than_erased() {
    let mut ring = ring();
    let person = domain("person");
    assert!(!ring.versions(&person)[0].erasable);
    ring.rotate(&person).unwrap();
    assert_eq!(ring.shred(&person, 1), Ok(Shredded::Refused));
    assert!(derive(&ring, "person", 1).is_err());
}

#[test]
fn a_new_key_is_a_new_key() {
    let (a, b) = (Keyring::create().unwrap(), Keyring::create().unwrap());
    assert_ne!(a.fingerprint(), b.fingerprint());
    assert_eq!(Keyring::parse(a.to_text().as_bytes()).unwrap().fingerprint(), a.fingerprint());
}

#[test]
fn debug_hides_keys() {
    let mut ring = ring();
    ring.register(&domain("person")).unwrap();
    assert_eq!(format!("{ring:?}"), "Keyring { domains: 1, .. }");
}

#[test]
fn domains_are_plain_names() {
    for name in ["", "1a", "a b", "Person", "a\0b", "é", "a-b", &"a".repeat(64)] {
        assert_eq!(name.parse::<Domain>(), Err(KeyError::DomainName), "{name}");
    }
    assert_eq!(domain("person_2").as_str(), "person_2");
}

proptest! {
    #[test]
    fn no_file_panics(contents in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Keyring::parse(&contents);
    }

    #[test]
    fn no_line_panics(line in "\\PC{0,100}") {
        let _ = Keyring::parse(format!("{HEX}\n{line}").as_bytes());
    }
}
