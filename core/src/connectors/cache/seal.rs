//! Pages that lie in files, sealed.
//!
//! What an API answered is in clear until its columns are masked, so that no page of it may lie in a
//! file as it is. AES-SIV (RFC 5297) with a key that is in memory alone: who has the file, has nothing,
//! and a page that was changed, cut or put in another's place does not open.

use aes_siv::siv::Aes256Siv;
use aes_siv::{KeyInit, Tag};

/// Bytes of a tag.
const TAG: usize = 16;

/// The page is not what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed page does not open: the file was changed, or belongs to another server's life")]
pub struct Unsealed;

/// Seals and opens pages.
pub struct Sealer(Aes256Siv);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// With a key.
    pub fn new(key: &[u8; 64]) -> Sealer {
        Sealer(Aes256Siv::new(key.into()))
    }

    /// A key by chance.
    ///
    /// # Errors
    /// The operating system's, if it has no random numbers.
    pub fn random_key() -> Result<[u8; 64], getrandom::Error> {
        let mut key = [0; 64];
        getrandom::fill(&mut key)?;
        Ok(key)
    }

    /// Seals a page that is the `place`th of the file `file`. The result is 16 bytes longer.
    pub fn seal(&mut self, file: u64, place: u64, page: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(TAG + page.len());
        out.resize(TAG, 0);
        out.extend_from_slice(page);
        let headers = [file.to_be_bytes(), place.to_be_bytes()];
        match self.0.encrypt_inout_detached(headers, (&mut out[TAG..]).into()) {
            Ok(tag) => out[..TAG].copy_from_slice(&tag),
            // For more than 126 headers alone; what does not open is better than what lies open.
            Err(_) => out.clear(),
        }
        out
    }

    /// Opens what [`Sealer::seal`] made of the same page.
    ///
    /// # Errors
    /// [`Unsealed`] if it is anything else.
    pub fn open(
        &mut self,
        file: u64,
        place: u64,
        mut sealed: Vec<u8>,
    ) -> Result<Vec<u8>, Unsealed> {
        let (head, body) = sealed.split_at_mut_checked(TAG).ok_or(Unsealed)?;
        let tag = Tag::try_from(&*head).map_err(|_| Unsealed)?;
        let headers = [file.to_be_bytes(), place.to_be_bytes()];
        self.0.decrypt_inout_detached(headers, body.into(), &tag).map_err(|_| Unsealed)?;
        sealed.drain(..TAG);
        Ok(sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_opens_in_its_place_only() {
        let key = Sealer::random_key().unwrap();
        let (mut sealer, mut other) = (Sealer::new(&key), Sealer::new(&key));
        let page = b"Ada Lovelace <ada@example.org>".repeat(100);
        let sealed = sealer.seal(7, 3, &page);
        assert_eq!(sealed.len(), page.len() + TAG);
        assert!(!sealed.windows(3).any(|part| part == b"Ada"));
        assert_eq!(other.open(7, 3, sealed.clone()).as_deref(), Ok(&page[..]));
        assert_eq!(other.open(7, 4, sealed.clone()), Err(Unsealed));
        assert_eq!(other.open(8, 3, sealed.clone()), Err(Unsealed));
        let mut changed = sealed.clone();
        changed[40] ^= 1;
        assert_eq!(other.open(7, 3, changed), Err(Unsealed));
        assert_eq!(other.open(7, 3, sealed[..10].to_vec()), Err(Unsealed));
        let key = Sealer::random_key().unwrap();
        assert_eq!(Sealer::new(&key).open(7, 3, sealed), Err(Unsealed));
        let empty = other.seal(7, 0, b"");
        assert_eq!(sealer.open(7, 0, empty), Ok(Vec::new()));
    }
}
