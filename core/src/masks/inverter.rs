//! From a masked value back to what to ask a source for.
//!
//! A query that compares a column under an invertible mask with a literal may be sent: the literal is
//! made clear here and bound as a value. Every row that matches here then matches at the source. The
//! source may find more, where its type calls different texts equal (`citext`, `1.5` and `1.50`, a
//! collation that is not deterministic), so the comparison of masked values is still made here.

use super::fpe::{Fpe, IntegerFpe};
use super::{Context, IntWidth, Mask, MaskError, Masked, Tokens, TypeFamily, Value};
use crate::privacy::Purpose;

enum Work {
    Token(Box<Tokens>),
    Fpe(Box<Fpe>),
    IntegerFpe(Box<IntegerFpe>, IntWidth),
}

/// Makes literals of one masked column clear.
pub struct Inverter(Work);

impl Mask {
    /// What makes literals of a masked column clear; nothing for a mask that cannot be inverted, and
    /// for `keep`, whose literals are clear.
    ///
    /// # Errors
    /// As for [`Mask::prepare`].
    pub fn inverter(
        &self,
        family: &TypeFamily,
        context: &Context<'_>,
    ) -> Result<Option<Inverter>, MaskError> {
        self.result(family)?;
        let no_key = || MaskError::NoKey { mask: self.name() };
        let work = match self {
            Mask::Token { domain } => {
                Work::Token(Box::new(Tokens::new(context.keys.ok_or_else(no_key)?, domain)?))
            }
            Mask::Fpe { domain, alphabet } => {
                let keys = context.keys.ok_or_else(no_key)?;
                let key = keys.derive::<32>(Purpose::Fpe, domain, keys.current(domain))?;
                match family {
                    TypeFamily::Integer(width) => {
                        let fpe = IntegerFpe::new(&key, *width);
                        let fpe = fpe.ok_or_else(|| self.misfit(family))?;
                        Work::IntegerFpe(Box::new(fpe), *width)
                    }
                    TypeFamily::Text => Work::Fpe(Box::new(Fpe::new(&key, alphabet))),
                    // No array is compared element by element.
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Inverter(work)))
    }
}

impl Inverter {
    /// The value whose masked one is exactly `masked`; nothing if there is none, so that no row can
    /// match. Of a token the text form of the value, whatever the column's type at the source.
    pub fn clear<'o>(&mut self, masked: Value<'_>, out: &'o mut String) -> Option<Masked<'o>> {
        out.clear();
        match (&mut self.0, masked) {
            (Work::Token(tokens), Value::Text(token)) => {
                out.push_str(&tokens.clear_literal(token)?);
                Some(Masked::Text(out))
            }
            (Work::Fpe(fpe), Value::Text(text)) => {
                fpe.decrypt(text, out).ok()?;
                Some(Masked::Text(out))
            }
            (Work::IntegerFpe(fpe, width), Value::Integer(number)) if width.holds(number) => {
                Some(Masked::Integer(fpe.decrypt(number)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::Keyring;
    use proptest::prelude::*;

    fn keys() -> Keyring {
        Keyring::parse(b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
    }

    fn round_trip(mask: &str, family: &TypeFamily, clear: Value<'_>) -> Option<String> {
        let keys = keys();
        let context = Context { keys: Some(&keys), ..Context::default() };
        let mask: Mask = mask.parse().unwrap();
        let mut inverter = mask.inverter(family, &context).unwrap()?;
        let (mut out, mut back) = (String::new(), String::new());
        let masked =
            mask.prepare(family, &context).unwrap().mask(clear, &[], &mut out).ok()?.into_text();
        let masked = match &masked {
            Ok(text) => Value::Text(text),
            Err(number) => Value::Integer(*number),
        };
        Some(match inverter.clear(masked, &mut back)? {
            Masked::Text(text) => text.to_owned(),
            Masked::Integer(number) => number.to_string(),
            other => panic!("{other:?}"),
        })
    }

    impl Masked<'_> {
        fn into_text(self) -> Result<String, i64> {
            match self {
                Masked::Text(text) => Ok(text.to_owned()),
                Masked::Integer(number) => Err(number),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn literals_become_clear() {
        let text = &TypeFamily::Text;
        let bigint = &TypeFamily::Integer(IntWidth::Eight);
        let of = |mask, family, value| round_trip(mask, family, value);
        assert_eq!(of("token(p)", text, Value::Text("bob")).as_deref(), Some("bob"));
        assert_eq!(of("token(p)", bigint, Value::Integer(-42)).as_deref(), Some("-42"));
        assert_eq!(
            of("token(p)", &TypeFamily::Date, Value::Date(0)).as_deref(),
            Some("2000-01-01")
        );
        assert_eq!(of("fpe(p)", text, Value::Text("030-1234567")).as_deref(), Some("030-1234567"));
        assert_eq!(of("fpe(p)", bigint, Value::Integer(7)).as_deref(), Some("7"));
        assert_eq!(of("pseudonym(p)", text, Value::Text("bob")), None);
    }

    #[test]
    fn what_no_row_can_have_is_nothing() {
        let keys = keys();
        let context = Context { keys: Some(&keys), ..Context::default() };
        let mut out = String::new();
        let mut of = |mask: &str, family: TypeFamily, value: Value<'_>| {
            let mask: Mask = mask.parse().unwrap();
            let mut inverter = mask.inverter(&family, &context).unwrap().unwrap();
            inverter.clear(value, &mut out).is_some()
        };
        assert!(!of("token(p)", TypeFamily::Text, Value::Text("bob")));
        assert!(!of("fpe(p)", TypeFamily::Text, Value::Text("12")));
        assert!(!of("fpe(p)", TypeFamily::Text, Value::Text("abcdefgh")));
        let int = TypeFamily::Integer(IntWidth::Four);
        assert!(!of("fpe(p)", int, Value::Integer(1 << 40)));
        let error = "token(p)".parse::<Mask>().unwrap();
        let error = error.inverter(&TypeFamily::Text, &Context::default()).map(|_| ());
        assert_eq!(error, Err(MaskError::NoKey { mask: "token" }));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(text in any::<String>(), number in any::<i64>()) {
            let back = round_trip("token(p)", &TypeFamily::Text, Value::Text(&text));
            prop_assert_eq!(back, Some(text));
            let bigint = TypeFamily::Integer(IntWidth::Eight);
            let back = round_trip("fpe(p)", &bigint, Value::Integer(number));
            prop_assert_eq!(back, Some(number.to_string()));
        }
    }
}
