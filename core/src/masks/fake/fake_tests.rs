use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn fake(kind: FakeKind, locale: Locale, unique: bool) -> Fake {
    Fake { kind, domain: "person".parse().unwrap(), locale, unique }
}

fn fakes(fake: &Fake) -> Fakes {
    Fakes::new(Prf::new(&[5; 32]), fake)
}

fn of(fakes: &mut Fakes, text: &str) -> String {
    let mut out = String::new();
    assert!(matches!(fakes.mask(Value::Text(text), &mut out), Ok(Masked::Text(_))));
    out
}

fn all() -> impl Iterator<Item = Fake> {
    FakeKind::ALL.iter().flat_map(|kind| {
        Locale::ALL.iter().flat_map(|(_, locale)| {
            [false, true].into_iter().map(|unique| fake(*kind, *locale, unique))
        })
    })
}

#[test]
fn the_same_value_has_the_same_fake() {
    for fake in all() {
        let (mut one, mut other) = (fakes(&fake), fakes(&fake));
        let first = of(&mut one, "bob@example.com");
        assert_eq!(of(&mut other, " Bob@Example.com"), first);
        of(&mut one, "alice");
        assert_eq!(of(&mut one, "bob@example.com"), first);
    }
}

/// Small sets are filled, large ones never exceeded.
#[test]
fn there_are_as_many_as_it_says() {
    for kind in [FakeKind::FirstName, FakeKind::LastName, FakeKind::City, FakeKind::Phone] {
        for (_, locale) in Locale::ALL {
            let fake = fake(kind, *locale, false);
            let expected = fake.distinct_outputs();
            if expected > 1_000 {
                continue;
            }
            let mut fakes = fakes(&fake);
            let seen: HashSet<String> =
                (0..expected * 15).map(|n| of(&mut fakes, &format!("value {n}"))).collect();
            assert_eq!(seen.len() as u128, expected, "{kind:?} {locale:?}");
        }
    }
}

#[test]
fn most_kinds_have_many() {
    for (_, locale) in Locale::ALL {
        let outputs = |kind| fake(kind, *locale, false).distinct_outputs();
        assert!(outputs(FakeKind::Email) > 100_000_000, "{locale:?}");
        assert!(outputs(FakeKind::FullName) > 20_000, "{locale:?}");
        assert!(outputs(FakeKind::Company) > 50_000, "{locale:?}");
    }
}

#[test]
fn unique_fakes_are_unique() {
    for fake in all().filter(|fake| fake.unique) {
        let mut fakes = fakes(&fake);
        let seen: HashSet<String> =
            (0..2_000).map(|n| of(&mut fakes, &format!("value {n}"))).collect();
        assert_eq!(seen.len(), 2_000, "{fake:?}");
    }
}

#[test]
fn fakes_reach_nobody() {
    let mut emails = fakes(&fake(FakeKind::Email, Locale::De, true));
    for n in 0..1000 {
        let email = of(&mut emails, &format!("value {n}"));
        let host = email.split_once('@').unwrap().1;
        assert!(HOSTS.contains(&host) && email.is_ascii(), "{email}");
    }
    let mut phones = fakes(&fake(FakeKind::Phone, Locale::En, false));
    assert!((0..1000).all(|n| of(&mut phones, &format!("value {n}")).contains("-555-01")));
}

#[test]
fn names_agree_across_kinds() {
    let full = of(&mut fakes(&fake(FakeKind::FullName, Locale::Fr, false)), "x");
    let first = of(&mut fakes(&fake(FakeKind::FirstName, Locale::Fr, false)), "x");
    let last = of(&mut fakes(&fake(FakeKind::LastName, Locale::Fr, false)), "x");
    assert_eq!(full, format!("{first} {last}"));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        for fake in all() {
            prop_assert!(!of(&mut fakes(&fake), &text).is_empty());
        }
    }
}
