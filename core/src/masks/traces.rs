//! What one value looks like under a mask, with every key version that can still be used: by this a
//! person is found in tables that keep masked values.

use super::{Context, ErrorKind, IntWidth, Mask, MaskError, Masked, TypeFamily, Value};
use crate::privacy::{Domain, KeyState, Keyring};

impl Mask {
    /// The text forms, in Postgres's own writing, under which `value` stands in a column of this
    /// family, or in the elements of its arrays, wherever the mask works in `domain`. The value is
    /// given as text. Empty for a mask of another domain, for one that gives different values the same
    /// result, which would find others too, and for a value that no such column can hold. Of `json`
    /// those of the masks of its paths.
    ///
    /// # Errors
    /// [`MaskError::Key`].
    pub fn traces(
        &self,
        family: &TypeFamily,
        domain: &Domain,
        keys: &Keyring,
        value: &str,
    ) -> Result<Vec<String>, MaskError> {
        let mut found = Vec::new();
        for version in keys.versions(domain) {
            if version.state != KeyState::Shredded {
                let keys = keys.as_of(domain, version.number);
                self.trace(family.element(), domain, &keys, value, &mut found)?;
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn trace(
        &self,
        family: &TypeFamily,
        domain: &Domain,
        keys: &Keyring,
        value: &str,
        found: &mut Vec<String>,
    ) -> Result<(), MaskError> {
        if let Mask::Json { rules, .. } = self {
            for (_, mask) in rules {
                mask.trace(&TypeFamily::Text, domain, keys, value, found)?;
                mask.trace(&TypeFamily::Integer(IntWidth::Eight), domain, keys, value, found)?;
            }
            return Ok(());
        }
        if !self.keeps_equality() || !self.domains().contains(&domain) {
            return Ok(());
        }
        let Some(clear) = of_text(family, value) else { return Ok(()) };
        if self.result(family).is_err() {
            return Ok(());
        }
        let context = Context { keys: Some(keys), ..Context::default() };
        let mut masker = self.prepare(family, &context)?;
        let mut out = String::new();
        match masker.mask(clear, &[], &mut out) {
            Ok(masked) => found.extend(written(masked)),
            // What the mask refuses was never masked.
            Err(error) if error.kind() == ErrorKind::Data => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A value of a family from its text; none if it is no such value.
fn of_text<'v>(family: &TypeFamily, text: &'v str) -> Option<Value<'v>> {
    Some(match family {
        TypeFamily::Text => Value::Text(text),
        TypeFamily::Integer(width) => {
            Value::Integer(text.trim().parse().ok().filter(|number| width.holds(*number))?)
        }
        TypeFamily::Uuid => {
            let digits: String =
                text.trim().chars().filter(|c| !matches!(c, '-' | '{' | '}')).collect();
            Value::Uuid(hex::decode(digits).ok()?.try_into().ok()?)
        }
        TypeFamily::Bytea => Value::Bytes(text.as_bytes()),
        _ => return None,
    })
}

fn written(masked: Masked<'_>) -> Option<String> {
    Some(match masked {
        Masked::Text(text) => text.to_owned(),
        Masked::Integer(number) => number.to_string(),
        Masked::Uuid(bytes) => {
            let digits = hex::encode(bytes);
            let part = |from, to| digits.get(from..to).unwrap_or_default();
            [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
        }
        Masked::Bytes(bytes) => format!("\\x{}", hex::encode(bytes)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        Keyring::parse(b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
    }

    fn person() -> Domain {
        "person".parse().unwrap()
    }

    fn traces(mask: &str, family: &TypeFamily, keys: &Keyring, value: &str) -> Vec<String> {
        let mask: Mask = mask.parse().unwrap();
        mask.traces(family, &person(), keys, value).unwrap()
    }

    fn masked(mask: &str, keys: &Keyring, value: &str) -> String {
        let mask: Mask = mask.parse().unwrap();
        let context = Context { keys: Some(keys), ..Context::default() };
        let mut out = String::new();
        match mask.prepare(&TypeFamily::Text, &context).unwrap().mask(
            Value::Text(value),
            &[],
            &mut out,
        ) {
            Ok(Masked::Text(text)) => text.to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_version_that_can_be_used_has_one() {
        let mut keys = ring();
        let masks = ["pseudonym(person)", "token(person)", "fpe(person)", "hash(person)"];
        let old: Vec<_> = masks.iter().map(|mask| masked(mask, &keys, "0301234567")).collect();
        keys.rotate(&person()).unwrap();
        for (mask, old) in masks.iter().zip(&old) {
            let new = masked(mask, &keys, "0301234567");
            let found = traces(mask, &TypeFamily::Text, &keys, "0301234567");
            assert!(found.len() == 2 && found.contains(old) && found.contains(&new), "{mask}");
        }
        keys.shred(&person(), 1).unwrap();
        for (mask, old) in masks.iter().zip(&old) {
            let found = traces(mask, &TypeFamily::Text, &keys, "0301234567");
            assert!(found.len() == 1 && !found.contains(old), "{mask}");
        }
    }

    #[test]
    fn spellings_of_one_person_are_one() {
        let keys = ring();
        let of = |value| traces("pseudonym(person)", &TypeFamily::Text, &keys, value);
        assert_eq!(of("Bob@Example.org"), of(" bob@example.ORG"));
        assert_ne!(of("bob@example.org"), of("eve@example.org"));
    }

    #[test]
    fn what_would_find_others_finds_nobody() {
        let keys = ring();
        let text = &TypeFamily::Text;
        assert!(traces("pseudonym(order)", text, &keys, "bob").is_empty());
        assert!(traces("fake_first_name(person)", text, &keys, "bob").is_empty());
        assert!(
            traces("noise('10%', domain => person)", &TypeFamily::Numeric, &keys, "1").is_empty()
        );
        assert!(traces("fpe(person)", text, &keys, "12").is_empty());
        assert!(traces("fpe(person)", &TypeFamily::Integer(IntWidth::Four), &keys, "x").is_empty());
        assert!(traces("keep", text, &keys, "bob").is_empty());
    }

    #[test]
    fn numbers_uuids_arrays_and_json() {
        let keys = ring();
        let number =
            traces("fpe(person)", &TypeFamily::Integer(IntWidth::Eight), &keys, "7000000001");
        assert!(number.len() == 1 && number[0].parse::<i64>().is_ok());
        let uuid = "00112233-4455-6677-8899-aabbccddeeff";
        let found = traces("pseudonym(person)", &TypeFamily::Uuid, &keys, uuid);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].len(), 36);
        assert_eq!(
            found,
            traces("pseudonym(person)", &TypeFamily::Uuid, &keys, &uuid.to_uppercase())
        );
        let array = TypeFamily::Array(Box::new(TypeFamily::Text));
        let single = traces("pseudonym(person)", &TypeFamily::Text, &keys, "bob");
        assert_eq!(traces("pseudonym(person)", &array, &keys, "bob"), single);
        let json = "json('$.email' => pseudonym(person), '$.plan' => keep)";
        assert_eq!(traces(json, &TypeFamily::Json, &keys, "bob"), single);
    }
}
