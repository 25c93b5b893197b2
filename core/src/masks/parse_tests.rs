use super::*;
use crate::masks::{EXAMPLES, ErrorKind};
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    text.parse::<Mask>().unwrap().to_string()
}

fn error(text: &str) -> String {
    text.parse::<Mask>().unwrap_err().to_string()
}

#[test]
fn canonical_texts_stay() {
    for text in EXAMPLES {
        assert_eq!(&canonical(text), text);
    }
    for text in [
        "constant('it''s')",
        "constant('')",
        "pseudonym(person, form => phone, country => 49)",
        "pseudonym(person, form => exact)",
        "fpe(person, 'abcdefghijklmnopqrstuvwxyz')",
        "fake_email(person, locale => de, unique => true)",
        "noise(0.5, user_id, domain => person)",
        "noise('90 minutes', \"User Id\")",
        "date_shift(\"Id\", 30, domain => person)",
        "redact(first_name, \"Last \"\"Name\")",
        "json('$.a' => partial(1, '*', 1), '$.b[*]' => null, rest => keep)",
        "json()",
        "bands(-1.5, 0, 10)",
        "generalize_range('century')",
    ] {
        assert_eq!(canonical(text), text);
    }
}

#[test]
fn other_spellings_become_canonical() {
    for (text, expected) in [
        ("  NULL ", "null"),
        ("keep()", "keep"),
        ("Partial( 2 ,'***',1 )", "partial(2, '***', 1)"),
        ("ip_prefix", "ip_prefix(24, 48)"),
        ("ip_prefix(16)", "ip_prefix(16, 48)"),
        ("pseudonym(domain => 'person')", "pseudonym(person)"),
        ("fpe(person, '0123456789')", "fpe(person)"),
        ("fake_email", "fake_email(warehouse)"),
        ("fake_city(person, de)", "fake_city(person, locale => de)"),
        ("fake_city(person, 'fr')", "fake_city(person, locale => fr)"),
        ("noise(5, entity => id)", "noise(5, id)"),
        ("noise('24 hours')", "noise('1 day')"),
        ("redact()", "redact"),
        ("json(rest => null, '$.*' => keep)", "json('$[*]' => keep)"),
    ] {
        assert_eq!(canonical(text), expected);
    }
}

#[test]
fn errors_say_where_and_what() {
    assert!(
        error("pseudonim(person)")
            .starts_with("no mask has the name at position 1; masks are: null, ")
    );
    assert_eq!(
        error("partial(2, '*')"),
        "argument of mask partial at position 15: expected the number of characters to keep at the end"
    );
    assert_eq!(
        error("partial(-1, '*', 1)"),
        "argument of mask partial at position 9: expected an integer from 0 to 10000"
    );
    assert_eq!(
        error("fake_email(person, locale => it)"),
        "argument of mask fake_email at position 30: expected one of: en, de, es, fr"
    );
    assert_eq!(
        error("fake_email(person, lang => de)"),
        "mask fake_email has no argument of the name at position 20; its named arguments are: domain, locale, unique"
    );
    assert_eq!(
        error("keep(1)"),
        "argument of mask keep at position 6: expected no further argument"
    );
    assert_eq!(error("null x"), "mask is malformed at position 6: expected the end");
    assert_eq!(error(""), "mask is malformed at position 1: expected a name, a number or a string");
    assert_eq!(
        error("json('$.a' => pseudonim(x))"),
        error("pseudonim").replace("position 1", "position 15")
    );
    assert!(
        error("generalize('fortnight')")
            .ends_with("one of: minute, hour, day, week, month, quarter, year, decade, century")
    );
}

#[test]
fn errors_do_not_repeat_the_text() {
    for text in [
        "constant('canary' x)",
        "canary",
        "constant(canary)",
        "pseudonym(Canary-1)",
        "fpe(d, 'canaryy')",
    ] {
        let error = text.parse::<Mask>().unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}

#[test]
fn refuses() {
    for text in [
        "pseudonym",
        "pseudonym()",
        "pseudonym(a, b)",
        "pseudonym('a b')",
        "pseudonym(person, country => 49)",
        "pseudonym(person, form => phone, country => 0)",
        "token(1)",
        "fpe(person, 'a')",
        "fpe(person, 'aa')",
        "constant(1)",
        "constant('a', 'b')",
        "constant('a",
        "generalize(0)",
        "generalize(-1)",
        "bands",
        "bands(1, 1)",
        "bands(2, 1)",
        "age_band(0)",
        "age_band(91)",
        "noise(0)",
        "noise('x')",
        "date_shift(id)",
        "date_shift(id, 0)",
        "date_shift('id', 1)",
        "ip_prefix(32)",
        "ip_prefix(24, 128)",
        "fake_email(person, unique => 1)",
        "fake_email(locale => de, locale => en)",
        "fake_email(locale => de, person)",
        "json(null)",
        "json('a' => null)",
        "json('$' => json('$' => null))",
        "json('$' => shuffle)",
        "json(rest => maybe)",
        "json('$.a' => keep, '$.a' => null)",
        "json('$.*' => keep, '$[*]' => null)",
        "json('$.born' => generalize('year'))",
        "json('$.age' => age_band(10))",
        "json('$.at' => date_shift(id, 3))",
        "json(rest => keep, rest => keep)",
        "\"null\"",
        "'null'",
        "null; DROP TABLE users",
        "pg_sleep(10)",
        "pg_catalog.lower('x')",
        "keep--",
        "constant($$x$$)",
        "constant('a\0b')",
        "redact(\"\")",
    ] {
        assert!(text.parse::<Mask>().is_err(), "{text}");
    }
    let deep = format!("{}x{}", "f(".repeat(100_000), ")".repeat(100_000));
    assert!(deep.parse::<Mask>().is_err());
}

fn any_mask() -> impl Strategy<Value = String> {
    let name = "[a-z][a-z0-9_]{0,8}";
    let column = prop_oneof![name.prop_map(|n| n), "[^\"\0]{1,8}".prop_map(|n| format!("\"{n}\""))];
    let text = "[^'\0]{0,8}".prop_map(|text| format!("'{text}'"));
    prop_oneof![
        proptest::sample::select(EXAMPLES).prop_map(str::to_owned),
        text.clone().prop_map(|text| format!("constant({text})")),
        (0..99u32, text, 0..99u32).prop_map(|(p, pad, s)| format!("partial({p}, {pad}, {s})")),
        (name, 1..999u32)
            .prop_map(|(d, c)| format!("pseudonym({d}, form => phone, country => {c})")),
        (column.clone(), 1..36_500u32).prop_map(|(c, d)| format!("date_shift({c}, {d})")),
        proptest::collection::vec(column.clone(), 1..4)
            .prop_map(|columns| format!("redact({})", columns.join(","))),
        (1..9_999_999u64, column).prop_map(|(n, c)| format!("noise('{n} seconds', {c})")),
        (1..u64::MAX, 0..9u32).prop_map(|(n, d)| format!("generalize({n}.{d})")),
    ]
}

proptest! {
    #[test]
    fn round_trips(text in any_mask()) {
        let mask: Mask = text.parse().unwrap();
        let again = mask.to_string();
        prop_assert_eq!(again.parse::<Mask>(), Ok(mask), "{}", again);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = text.parse::<Mask>();
    }

    #[test]
    fn no_likely_text_panics(
        name in proptest::sample::select(NAMES),
        arguments in "[a-z0-9'\",.()=> $*\\[\\]-]{0,30}"
    ) {
        let _ = format!("{name}({arguments})").parse::<Mask>().map(|mask| mask.to_string());
    }
}
