use super::*;
use proptest::prelude::*;

fn masked(mask: &str, document: &str) -> Result<String, MaskError> {
    let mask: Mask = mask.parse().unwrap();
    let keys = crate::privacy::Keyring::create().unwrap();
    let context = Context { keys: Some(&keys), ..Context::default() };
    let mut masker = mask.prepare(&TypeFamily::Json, &context).unwrap();
    let mut out = String::new();
    match masker.mask(Value::Json(document), &[], &mut out)? {
        Masked::Json(text) => Ok(text.to_owned()),
        other => panic!("{other:?}"),
    }
}

fn of(mask: &str, document: &str) -> String {
    masked(mask, document).unwrap()
}

#[test]
fn is_closed_by_default() {
    let document = r#"{"plan": "gold", "name": "Bob", "more": {"a": 1}}"#;
    assert_eq!(of("json('$.plan' => keep)", document), r#"{"plan":"gold"}"#);
    assert_eq!(of("json()", document), "null");
    assert_eq!(of("json('$.none' => keep)", document), "{}");
    // Not even the name of a member, which may be somebody's.
    let keyed = r#"{"bob@example.com": {"plan": 1}}"#;
    assert_eq!(of("json('$.plan' => keep)", keyed), "{}");
}

#[test]
fn the_rest_is_kept_when_it_says_so() {
    let document = r#"{"b": [1, 2.50, {"x": null}], "email": "ab@example.com", "z": 1e5}"#;
    assert_eq!(
        of("json('$.email' => null, rest => keep)", document),
        r#"{"b":[1, 2.50, {"x": null}],"email":null,"z":1e5}"#
    );
}

#[test]
fn masks_at_any_depth() {
    let document = r#"{"users": [{"name": "Anna", "age": 42}, {"name": "Bob", "age": 7}]}"#;
    assert_eq!(
        of("json('$.users[*].name' => initial, '$.users[*].age' => generalize(10))", document),
        r#"{"users":[{"name":"A.","age":40},{"name":"B.","age":0}]}"#
    );
    assert_eq!(of("json('$[1]' => keep)", "[1, 2, 3]"), "[null,2,null]");
    assert_eq!(of("json('$[*].a' => keep)", r#"[{"a":1,"b":2},3]"#), r#"[{"a":1},null]"#);
}

#[test]
fn the_longest_path_counts_and_then_the_one_that_names() {
    let document = r#"{"email":"ab@example.com","more":{"email":"cd@example.com","n":[1]}}"#;
    for mask in ["json('$' => keep, '$.email' => null)", "json('$.email' => null, '$' => keep)"] {
        assert_eq!(
            of(mask, document),
            r#"{"email":null,"more":{"email":"cd@example.com","n":[1]}}"#
        );
    }
    assert_eq!(
        of("json('$.more' => null, '$.more.n' => keep, rest => keep)", document),
        r#"{"email":"ab@example.com","more":{"n":[1]}}"#
    );
    assert_eq!(
        of("json('$' => constant('x'), '$.more.n[0]' => generalize(10))", document),
        r#"{"email":"x","more":{"email":"x","n":[0]}}"#
    );
    for mask in ["json('$.a' => null, '$.*' => keep)", "json('$.*' => keep, '$.a' => null)"] {
        assert_eq!(of(mask, r#"{"a":1,"b":2}"#), r#"{"a":null,"b":2}"#, "{mask}");
    }
    let mask = "json('$[*].a' => keep, '$[0].*' => null)";
    assert_eq!(of(mask, r#"[{"a":1},{"a":2}]"#), r#"[{"a":null},{"a":2}]"#);
}

#[test]
fn what_a_mask_does_not_fit_is_hidden() {
    let mask = "json('$.*' => partial_email)";
    let document = r#"{"a":1,"b":true,"c":{"d":"x"},"e":["abc@example.com",2],"f":null}"#;
    assert_eq!(
        of(mask, document),
        r#"{"a":null,"b":null,"c":null,"e":["a******@ex******.com",null],"f":null}"#
    );
    // Too short to encrypt, out of range.
    assert_eq!(of("json('$.*' => fpe(person))", r#"{"a":"123"}"#), r#"{"a":null}"#);
    assert_eq!(of("json('$.*' => generalize(10))", r#"{"a":1e400}"#), r#"{"a":null}"#);
}

#[test]
fn constants_and_keyed_masks() {
    assert_eq!(of("json('$.a' => constant('\"x'))", r#"{"a":[1]}"#), r#"{"a":"\"x"}"#);
    let masked = of("json('$.id' => pseudonym(person))", r#"{"id": 42}"#);
    assert_eq!(masked.len(), r#"{"id":""}"#.len() + 32);
    let masked = of("json('$.id' => fpe(person))", r#"{"id": 42}"#);
    let number = masked.strip_prefix("{\"id\":").and_then(|m| m.strip_suffix('}')).unwrap();
    assert_ne!(number.parse::<i64>().unwrap(), 42);
}

#[test]
fn strings_are_read_and_written_exactly() {
    let document = r#"{"\u0061": "\u00e9\ud83d\ude00\\\"\n\u0001"}"#;
    assert_eq!(of("json('$.a' => partial(4, '', 1))", document), r#"{"\u0061":"é😀\\\"\u0001"}"#);
    assert_eq!(
        of("json('$.a' => partial(1, '', 0))", r#"{"a":"\ud800xy"}"#),
        "{\"a\":\"\u{fffd}\"}"
    );
}

#[test]
fn what_is_no_json_is_an_error() {
    for text in ["", "{", "[1", "{\"a\"", "{\"a\":}", "\"a", "{} x", "{\"a\":\"\\x\"}", "]"] {
        let error = masked("json('$.a' => initial)", text);
        assert_eq!(error, Err(unreadable()), "{text}");
    }
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    assert_eq!(masked("json('$[*]' => initial)", &deep), Err(unreadable()));
    // What is only passed over may be as deep as it likes.
    assert_eq!(of("json('$' => null)", &deep), "null");
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), json in "[{}\\[\\]\",:a1\\\\u ]{0,30}") {
        for document in [text, json] {
            for mask in ["json('$.a[*]' => initial)", "json('$.*' => null, rest => keep)"] {
                let _ = masked(mask, &document);
            }
        }
    }
}
