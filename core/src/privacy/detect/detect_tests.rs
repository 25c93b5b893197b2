use super::*;
use crate::masks::IntWidth;
use proptest::prelude::*;

fn column<'a>(name: &'a str, family: &'a TypeFamily) -> Column<'a> {
    Column {
        table: "orders",
        name,
        family,
        is_enum: false,
        comment: None,
        samples: &[],
        minors: false,
    }
}

/// Class, kind, mask and certainty.
type Short = (Option<Class>, Option<Kind>, Option<String>, Certainty);

fn short(column: &Column<'_>) -> Short {
    let found = detect(column);
    (found.class, found.kind, found.mask.map(|mask| mask.to_string()), found.certainty)
}

fn sure(class: Class, kind: Kind, mask: &str) -> Short {
    (Some(class), Some(kind), Some(mask.to_owned()), Certainty::Sure)
}

fn public(certainty: Certainty) -> Short {
    (Some(Class::Public), None, Some("keep".to_owned()), certainty)
}

const CLOSED: Short = (None, None, None, Certainty::Unknown);

#[test]
fn names_and_types() {
    let text = &TypeFamily::Text;
    let email = sure(Class::Identifier, Kind::Email, "pseudonym(person)");
    assert_eq!(short(&column("email", text)), email);
    assert_eq!(
        short(&column("Vorname", text)),
        sure(Class::Identifier, Kind::FirstName, "fake_first_name(person)")
    );
    let birth = sure(Class::Quasi, Kind::BirthDate, "generalize('year')");
    assert_eq!(short(&column("fecha_nacimiento", &TypeFamily::Date)), birth);
    assert_eq!(short(&column("password_hash", text)), sure(Class::Secret, Kind::Password, "null"));
    assert_eq!(
        short(&column("has_disability", &TypeFamily::Bool)),
        sure(Class::Sensitive, Kind::Health, "null")
    );
    assert_eq!(
        short(&column("last_ip", &TypeFamily::Inet)),
        sure(Class::Quasi, Kind::Ip, "ip_prefix(24, 48)")
    );
}

#[test]
fn types_that_hold_nobody_are_public() {
    for family in [
        TypeFamily::Bool,
        TypeFamily::Numeric,
        TypeFamily::Float,
        TypeFamily::Integer(IntWidth::Four),
    ] {
        assert_eq!(short(&column("amount", &family)), public(Certainty::Sure));
    }
    assert_eq!(short(&column("created_at", &TypeFamily::TimestampTz)), public(Certainty::Sure));
    let plan = Column { is_enum: true, ..column("plan", &TypeFamily::Other) };
    assert_eq!(short(&plan), public(Certainty::Sure));
    assert_eq!(short(&column("email_verified", &TypeFamily::Bool)), public(Certainty::Sure));
    assert_eq!(short(&column("id", &TypeFamily::Uuid)), public(Certainty::Likely));
}

#[test]
fn what_nobody_can_say_stays_closed() {
    for family in [
        TypeFamily::Text,
        TypeFamily::Json,
        TypeFamily::Bytea,
        TypeFamily::Inet,
        TypeFamily::Date,
        TypeFamily::Other,
        TypeFamily::Array(Box::new(TypeFamily::Text)),
    ] {
        assert_eq!(short(&column("data", &family)), CLOSED, "{family}");
    }
    assert_eq!(short(&column("name", &TypeFamily::Text)), CLOSED);
}

/// What a person's data is called, in any type it is kept in, is never public.
#[test]
fn no_personal_data_is_public() {
    let texts = TypeFamily::Array(Box::new(TypeFamily::Text));
    let bigint = TypeFamily::Integer(IntWidth::Eight);
    let bigints = TypeFamily::Array(Box::new(bigint.clone()));
    let text = &TypeFamily::Text;
    for name in [
        "name",
        "dob",
        "parent_email",
        "ip",
        "notes",
        "street",
        "photo_url",
        "username",
        "guardian_phone",
        "birthday",
        "geburtsdatum",
        "prénom",
        "apellido",
        "data",
        "title",
    ] {
        for family in [text, &texts, &TypeFamily::Json, &TypeFamily::Bytea] {
            assert_ne!(detect(&column(name, family)).class, Some(Class::Public), "{name} {family}");
        }
    }
    for (name, family) in [
        ("dob", &TypeFamily::Float),
        ("birth_year", &TypeFamily::Numeric),
        ("ip", &bigint),
        ("last_ip", &TypeFamily::Numeric),
        ("phone2", &bigint),
        ("phones", &bigints),
        ("homephone", &bigint),
        ("facebook_id", &bigint),
        ("ssn", &TypeFamily::Integer(IntWidth::Four)),
        ("zip", &TypeFamily::Integer(IntWidth::Four)),
        ("lat", &TypeFamily::Float),
        ("age", &TypeFamily::Float),
    ] {
        let found = detect(&column(name, family));
        assert!(
            found.class.is_some_and(|class| class > Class::Public),
            "{name} {family}: {found:?}"
        );
    }
}

#[test]
fn of_two_as_sure_the_stricter_counts() {
    let samples = ["a@b.org", "c@d.com", "e@f.net", "g@h.org", "i@j.de"];
    let password = Column { samples: &samples, ..column("password", &TypeFamily::Text) };
    assert_eq!(short(&password), sure(Class::Secret, Kind::Password, "null"));
    assert_eq!(detect(&password).evidence[0], Evidence::Name("password"));
}

#[test]
fn a_name_in_a_table_of_people_is_a_persons() {
    let name = Column { table: "Students", ..column("name", &TypeFamily::Text) };
    assert_eq!(short(&name), sure(Class::Identifier, Kind::FullName, "fake_full_name(person)"));
}

#[test]
fn facts_about_a_value_are_only_likely() {
    let found = detect(&column("email_template", &TypeFamily::Text));
    assert_eq!((found.kind, found.certainty), (Some(Kind::Email), Certainty::Likely));
}

#[test]
fn content_speaks() {
    let samples = ["a@b.org", "c@d.com", "e@f.net", "g@h.org", "i@j.de"];
    let data = Column { samples: &samples, ..column("data", &TypeFamily::Text) };
    let email = sure(Class::Identifier, Kind::Email, "pseudonym(person)");
    assert_eq!(short(&data), email);
    // Four are too few to be sure.
    let few = Column { samples: &samples[..4], ..data };
    assert_eq!(detect(&few).certainty, Certainty::Likely);
    // A few among many others still close the column.
    let mixed = ["x", "y", "z", "u", "v", "w", "a@b.org"];
    let found = detect(&Column { samples: &mixed, ..data });
    assert_eq!((found.kind, found.certainty), (Some(Kind::Email), Certainty::Likely));
    assert_eq!(found.evidence[0].to_string(), "14 % of 7 samples are like: e-mail");
}

#[test]
fn comments_speak_quietly() {
    let commented = Column {
        comment: Some("The guardian's phone number"),
        ..column("contact2", &TypeFamily::Text)
    };
    let found = detect(&commented);
    assert_eq!((found.kind, found.certainty), (Some(Kind::Phone), Certainty::Likely));
    assert_eq!(found.evidence[0].to_string(), "comment has \"phone number\"");
}

#[test]
fn children_are_protected_more() {
    let text = TypeFamily::Text;
    let notes = Column { minors: true, ..column("notes", &text) };
    assert_eq!(short(&notes), sure(Class::Identifier, Kind::FreeText, "null"));
    let adults = Column { minors: false, ..notes };
    assert_eq!(short(&adults), sure(Class::Quasi, Kind::FreeText, "redact"));
}

#[test]
fn evidence_holds_no_value() {
    let samples = ["canary@example.com"; 6];
    let data = Column { samples: &samples, ..column("data", &TypeFamily::Text) };
    assert!(!format!("{:?}", detect(&data)).contains("canary"));
}

proptest! {
    #[test]
    fn no_column_panics(name in any::<String>(), table in any::<String>(), comment in any::<String>()) {
        for family in [TypeFamily::Text, TypeFamily::Date, TypeFamily::Other] {
            let of = column(&name, &family);
            let _ = detect(&Column { table: &table, comment: Some(&comment), ..of });
        }
    }
}
