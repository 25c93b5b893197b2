use super::*;
use proptest::prelude::*;

fn of(value: Value<'_>, form: Form) -> Vec<u8> {
    let mut out = vec![1, 2, 3];
    write(value, form, &mut out);
    out
}

fn auto(text: &str) -> Vec<u8> {
    of(Value::Text(text), Form::Auto)
}

#[test]
fn spellings_of_an_email() {
    let one = auto("bob@example.com");
    for other in ["Bob@Example.COM", "  bob@example.com\n", "ｂｏｂ＠example.com"] {
        assert_eq!(auto(other), one, "{other}");
    }
    assert_eq!(of(Value::Text("BOB@example.com"), Form::Email), one);
    assert_ne!(auto("bob@example.org"), one);
    // No e-mail: case counts.
    assert_ne!(auto("Bob"), auto("bob"));
}

#[test]
fn text_and_numbers_join() {
    assert_eq!(auto("42"), of(Value::Integer(42), Form::Auto));
    assert_eq!(auto("-42"), of(Value::Numeric("-42.00"), Form::Auto));
    assert_eq!(auto("0"), of(Value::Float(0.0), Form::Auto));
    let long = "123456789012345678901234567890123456789012345";
    assert_eq!(auto(long), of(Value::Numeric(long), Form::Auto));
    assert_eq!(auto(long), of(Value::Numeric(&format!("{long}.000")), Form::Auto));
    assert_eq!(of(Value::Numeric("-0.00"), Form::Auto), auto("0"));
    let places = format!("1.5{}", "0".repeat(60));
    assert_eq!(of(Value::Numeric("1.5"), Form::Auto), of(Value::Numeric(&places), Form::Auto));
    // No spelling of an integer.
    for text in ["042", "-0", "+42", "4 2", ""] {
        assert_eq!(auto(text)[0], TEXT, "{text}");
    }
    assert_ne!(of(Value::Text("42"), Form::Exact), auto("42"));
}

#[test]
fn text_and_uuids_join() {
    let bytes = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
    let uuid = of(Value::Uuid(bytes), Form::Auto);
    assert_eq!(auto("01234567-89AB-cdef-0123-456789abcdef"), uuid);
    assert_ne!(auto("0123456789abcdef0123456789abcdef"), uuid);
}

#[test]
fn text_and_addresses_join() {
    let of = |text: &str| of(Value::Inet(network::parse(text).unwrap()), Form::Auto);
    assert_eq!(auto("10.1.2.3"), of("10.1.2.3"));
    assert_eq!(auto("2001:DB8:0::1"), of("2001:db8::1"));
    assert_eq!(auto("10.0.0.0/8"), of("10.0.0.0/8"));
    for text in ["10.1.2", "1.5", "a.b", "10.1.2.3 x", "10.1.2.3/+8"] {
        assert_eq!(auto(text)[0], TEXT, "{text}");
    }
}

#[test]
fn phones_are_e164() {
    let german = Form::Phone { country: Some(49) };
    let phone = |text| of(Value::Text(text), german);
    for text in ["0170 1234567", "+49 (0)170 / 123-4567", "0049-170-1234567", "(0)170 1234567"] {
        assert_eq!(phone(text), b"P491701234567", "{text}");
    }
    let american = |text| of(Value::Text(text), Form::Phone { country: Some(1) });
    for text in [
        "(202) 555-0134",
        "1-202-555-0134",
        "+1 202.555.0134",
        "011 1 202 555 0134",
        "Tel: 202-555-0134 ext. 12",
        "2025550134",
    ] {
        assert_eq!(american(text), b"P12025550134", "{text}");
    }
    // A number in one source, text in the other.
    let bigint = of(Value::Integer(2_025_550_134), Form::Phone { country: Some(1) });
    assert_eq!(bigint, b"P12025550134");
    let italian = |text| of(Value::Text(text), Form::Phone { country: Some(39) });
    assert_eq!(italian("06 1234567"), italian("+39 06 1234567"));
    assert_eq!(phone("0049 (0)170 1234567"), phone("+49 170 1234567"));
    assert_ne!(american("1-800-FLOWERS"), american("1-800-LAWYERS"));
    let national = Form::Phone { country: None };
    assert_eq!(of(Value::Text("0170 12"), national), b"Q017012");
    assert_ne!(phone("n/a"), phone("unknown"));
}

#[test]
fn names_ignore_case_and_spaces() {
    let name = |text| of(Value::Text(text), Form::Name);
    assert_eq!(name("  ZOË \u{a0} Smith"), name("zoe\u{308} smith"));
}

#[test]
fn the_empty_text_is_a_value() {
    assert_eq!(auto(""), [TEXT]);
    assert_eq!(auto(" \u{3000}"), [TEXT]);
}

proptest! {
    #[test]
    fn no_text_panics_and_forms_are_stable(text in any::<String>()) {
        for form in [Form::Auto, Form::Exact, Form::Email, Form::Name,
            Form::Phone { country: None }, Form::Phone { country: Some(1) }] {
            let once = of(Value::Text(&text), form);
            prop_assert!(!once.is_empty());
            prop_assert_eq!(of(Value::Text(&text), form), once);
        }
    }

    #[test]
    fn integers_are_written_as_they_are_shown(number in any::<i64>(), few in -1200i64..1200) {
        for number in [number, few, i64::MIN, i64::MAX] {
            prop_assert_eq!(of(Value::Integer(number), Form::Auto), format!("I{number}").into_bytes());
        }
    }

    #[test]
    fn ascii_is_trimmed_as_text_is(text in "[\\x00-\\x7f]{0,6}|[\\x09-\\x0d\\x1c-\\x20a]{0,6}") {
        prop_assert_eq!(trimmed(text.as_bytes()), text.trim().as_bytes());
    }

    #[test]
    fn spaces_around_do_not_count(text in "\\PC{0,12}") {
        prop_assert_eq!(auto(&format!(" \t{text}\u{2003} ")), auto(&text));
    }
}
