//! Reversible tokens: AES-256-SIV (RFC 5297), deterministic and authenticated.
//!
//! A token is `t`, the key's version, `_` and base64url of SIV and ciphertext. The text is padded to a
//! multiple of 16 bytes (a 1 bit and zeros, ISO/IEC 7816-4), so that a token tells its length only
//! coarsely. Unlike a pseudonym it stands for the exact spelling, which it gives back.

use super::{MaskError, Masked, Value, text};
use crate::privacy::{Domain, KeyState, Keyring, Purpose};
use aes_siv::KeyInit;
use aes_siv::Tag;
use aes_siv::siv::Aes256Siv;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const BLOCK: usize = 16;
const NO_HEADERS: [&[u8]; 0] = [];

/// Makes the tokens of a domain and reads them, those of older versions as well.
pub struct Tokens {
    current: u32,
    ciphers: Vec<(u32, Aes256Siv)>,
    bytes: Vec<u8>,
    name: String,
}

impl Tokens {
    /// With the keys of all versions of a domain that were not shredded.
    ///
    /// # Errors
    /// [`MaskError::Key`].
    pub fn new(keys: &Keyring, domain: &Domain) -> Result<Tokens, MaskError> {
        let mut ciphers = Vec::new();
        for version in keys.versions(domain) {
            if version.state != KeyState::Shredded {
                let key = keys.derive::<64>(Purpose::Token, domain, version.number)?;
                ciphers.push((version.number, Aes256Siv::new((&*key).into())));
            }
        }
        let current = keys.current(domain);
        let name = format!("t{current}_");
        Ok(Tokens { current, ciphers, bytes: Vec::with_capacity(128), name })
    }

    /// Adds the token of a text to `out`.
    ///
    /// # Errors
    /// [`MaskError::NotAToken`] if the current version has no key, which a keyring never lets happen.
    pub fn make(&mut self, clear: &str, out: &mut String) -> Result<(), MaskError> {
        let current = self.current;
        let cipher = self.ciphers.iter_mut().find(|(version, _)| *version == current);
        let (_, cipher) = cipher.ok_or(MaskError::NotAToken)?;
        self.bytes.clear();
        self.bytes.resize(BLOCK, 0);
        self.bytes.extend_from_slice(clear.as_bytes());
        self.bytes.push(0x80);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        let (head, body) = self.bytes.split_at_mut(BLOCK);
        let tag = cipher
            .encrypt_inout_detached(NO_HEADERS, body.into())
            .map_err(|_| MaskError::NotAToken)?;
        head.copy_from_slice(&tag);
        out.push_str(&self.name);
        URL_SAFE_NO_PAD.encode_string(&self.bytes, out);
        Ok(())
    }

    /// The text that a token stands for.
    ///
    /// # Errors
    /// [`MaskError::NotAToken`] for anything else, a token of another domain and one of a version
    /// that was shredded.
    pub fn reveal(&mut self, token: &str) -> Result<String, MaskError> {
        let rest = token.strip_prefix('t').and_then(|rest| rest.split_once('_'));
        let (version, body) = rest.ok_or(MaskError::NotAToken)?;
        let cipher = self.ciphers.iter_mut().find(|(known, _)| known.to_string() == version);
        let (_, cipher) = cipher.ok_or(MaskError::NotAToken)?;
        let mut bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| MaskError::NotAToken)?;
        let (head, body) = bytes.split_at_mut_checked(BLOCK).ok_or(MaskError::NotAToken)?;
        let tag = Tag::try_from(&*head).map_err(|_| MaskError::NotAToken)?;
        cipher
            .decrypt_inout_detached(NO_HEADERS, (&mut *body).into(), &tag)
            .map_err(|_| MaskError::NotAToken)?;
        let end = body.iter().rposition(|byte| *byte != 0).filter(|at| body[*at] == 0x80);
        let clear = end.and_then(|end| body.get(..end)).ok_or(MaskError::NotAToken)?;
        String::from_utf8(clear.to_vec()).map_err(|_| MaskError::NotAToken)
    }

    /// The text to ask a source for where a query compares the masked column with this literal:
    /// nothing if no row can have it, because it is no token or one that is not made any more.
    pub fn clear_literal(&mut self, token: &str) -> Option<String> {
        let clear = self.reveal(token).ok()?;
        let mut again = String::new();
        self.make(&clear, &mut again).ok()?;
        (again == token).then_some(clear)
    }

    pub(super) fn mask<'o>(
        &mut self,
        value: Value<'_>,
        room: &mut String,
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        match value {
            Value::Text(text) => self.make(text, out)?,
            _ => {
                room.clear();
                text::write(value, room).ok_or(MaskError::Unreadable { mask: "token" })?;
                self.make(room, out)?;
            }
        }
        Ok(Masked::Text(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes_siv::siv::Aes128Siv;
    use proptest::prelude::*;

    fn keys() -> Keyring {
        Keyring::parse(b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
    }

    fn person() -> Domain {
        "person".parse().unwrap()
    }

    fn token(tokens: &mut Tokens, clear: &str) -> String {
        let mut out = String::new();
        tokens.make(clear, &mut out).unwrap();
        out
    }

    #[test]
    fn siv_is_that_of_rfc_5297() {
        let of = |text: &str| hex::decode(text).unwrap();
        let key = of("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let header = of("101112131415161718191a1b1c1d1e1f2021222324252627");
        let mut body = of("112233445566778899aabbccddee");
        let mut siv = Aes128Siv::new_from_slice(&key).unwrap();
        let tag = siv.encrypt_inout_detached([&header], body.as_mut_slice().into()).unwrap();
        assert_eq!(
            format!("{}{}", hex::encode(tag), hex::encode(body)),
            "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
        );
    }

    #[test]
    fn older_versions_are_read_until_shredded() {
        let mut keys = keys();
        let old = token(&mut Tokens::new(&keys, &person()).unwrap(), "bob");
        keys.rotate(&person()).unwrap();
        let mut tokens = Tokens::new(&keys, &person()).unwrap();
        let new = token(&mut tokens, "bob");
        assert!(old.starts_with("t1_") && new.starts_with("t2_"));
        assert_eq!(tokens.reveal(&old).as_deref(), Ok("bob"));
        // No row has the old one any more.
        assert_eq!(tokens.clear_literal(&old), None);
        assert_eq!(tokens.clear_literal(&new).as_deref(), Some("bob"));
        keys.shred(&person(), 1).unwrap();
        let mut tokens = Tokens::new(&keys, &person()).unwrap();
        assert_eq!(tokens.reveal(&old), Err(MaskError::NotAToken));
        assert_eq!(tokens.reveal(&new).as_deref(), Ok("bob"));
    }

    #[test]
    fn another_domain_or_a_changed_token_is_none() {
        let keys = keys();
        let mut tokens = Tokens::new(&keys, &person()).unwrap();
        let good = token(&mut tokens, "bob");
        let mut other = Tokens::new(&keys, &"order".parse().unwrap()).unwrap();
        assert_eq!(other.reveal(&good), Err(MaskError::NotAToken));
        for at in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            assert!(tokens.reveal(std::str::from_utf8(&bad).unwrap()).is_err(), "{at}");
        }
    }

    #[test]
    fn length_shows_only_in_steps() {
        let mut tokens = Tokens::new(&keys(), &person()).unwrap();
        assert_eq!(token(&mut tokens, "").len(), token(&mut tokens, "fifteen letters").len());
    }

    proptest! {
        #[test]
        fn round_trips(clear in any::<String>()) {
            let mut tokens = Tokens::new(&keys(), &person()).unwrap();
            let token = token(&mut tokens, &clear);
            prop_assert_eq!(tokens.reveal(&token), Ok(clear.clone()));
            prop_assert_eq!(tokens.clear_literal(&token), Some(clear));
        }

        #[test]
        fn no_text_panics(token in any::<String>(), tail in "[A-Za-z0-9_-]{0,80}") {
            let mut tokens = Tokens::new(&keys(), &person()).unwrap();
            prop_assert!(tokens.reveal(&token).is_err());
            let likely = format!("t1_{tail}");
            prop_assert!(tokens.reveal(&likely).is_err());
        }
    }
}
