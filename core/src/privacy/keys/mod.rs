//! The keys that keyed masks work with.
//!
//! One root key of at least 256 bits. From it HKDF-SHA256 (RFC 5869) derives a key for each purpose,
//! domain and version, so that the same value has unlinkable pseudonyms in two domains and a token
//! says nothing of a pseudonym. A domain starts at version 1; [`Keyring::rotate`] adds one.
//!
//! A version that was [registered](Keyring::register) or rotated to has a random seed of its own in
//! the key file, which enters the derivation. Shredding erases the seed: from then on not even the
//! root key brings the version back (copies of the file aside). The implied first version of a domain
//! that was never registered has no seed; shredding it is a refusal, and is said to be one.
//!
//! What always holds: keys are zeroized when dropped, never printed, and a key that is too short or
//! evidently not random is refused. The extension reads and writes the file.

mod error;
mod file;

pub use error::KeyError;

use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The fewest bytes of a root key: 256 bits.
pub const MIN_ROOT_BYTES: usize = 32;
/// The most, so that a wrong file is refused instead of read.
const MAX_ROOT_BYTES: usize = 1024;
const SEED_BYTES: usize = 32;

/// A kind of entity whose pseudonyms are joinable: `person`, `email`, `order`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if first && rest && name.len() <= 63 {
            Ok(Domain(name.to_owned()))
        } else {
            Err(KeyError::DomainName)
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key is for. Keys of two purposes have nothing in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Pseudonyms.
    Pseudonym,
    /// Reversible tokens.
    Token,
    /// Format-preserving encryption.
    Fpe,
    /// Hashes of exact bytes.
    Hash,
    /// Fakes.
    Fake,
    /// Noise.
    Noise,
    /// Date shifts.
    DateShift,
    /// The fingerprint that tells key files apart.
    Fingerprint,
}

impl Purpose {
    /// Part of the derivation: never to be changed.
    fn label(self) -> &'static str {
        match self {
            Purpose::Pseudonym => "pseudonym",
            Purpose::Token => "token",
            Purpose::Fpe => "fpe",
            Purpose::Hash => "hash",
            Purpose::Fake => "fake",
            Purpose::Noise => "noise",
            Purpose::DateShift => "date_shift",
            Purpose::Fingerprint => "fingerprint",
        }
    }
}

/// What a version may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Masks with it.
    Current,
    /// Reveals what it made.
    Readable,
    /// For nothing.
    Shredded,
}

/// A version of a domain's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyVersion {
    /// Its number, from 1.
    pub number: u32,
    /// What it may be used for.
    pub state: KeyState,
    /// Whether shredding erases it, rather than refuses to use it.
    pub erasable: bool,
}

/// What shredding came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shredded {
    /// Its seed is gone: nobody can derive the key again.
    Erased,
    /// It had no seed: the key is refused, but follows from the root key.
    Refused,
}

type Seed = Zeroizing<[u8; SEED_BYTES]>;

#[derive(Clone)]
enum Version {
    /// Follows from the root key alone.
    Implied,
    Seeded(Seed),
    Gone,
}

/// The root key and the versions of all domains: the contents of a key file.
#[derive(Clone)]
pub struct Keyring {
    root: Zeroizing<Vec<u8>>,
    domains: BTreeMap<Domain, BTreeMap<u32, Version>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("domains", &self.domains.len()).finish_non_exhaustive()
    }
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

/// Whether bytes repeat with a short period, as those of no CSPRNG do.
fn repeats(bytes: &[u8]) -> bool {
    (1..=8).any(|period| bytes.iter().zip(&bytes[period.min(bytes.len())..]).all(|(a, b)| a == b))
}

impl Keyring {
    /// A keyring with this root key and no registered domain.
    ///
    /// # Errors
    /// [`KeyError::TooShort`], [`KeyError::TooLong`], [`KeyError::NotRandom`].
    pub fn from_root(root: Zeroizing<Vec<u8>>) -> Result<Keyring, KeyError> {
        if root.len() < MIN_ROOT_BYTES {
            return Err(KeyError::TooShort { bits: root.len() * 8 });
        }
        if root.len() > MAX_ROOT_BYTES {
            return Err(KeyError::TooLong);
        }
        if repeats(&root) {
            return Err(KeyError::NotRandom);
        }
        Ok(Keyring { root, domains: BTreeMap::new() })
    }

    /// A new root key from the operating system's generator.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn create() -> Result<Keyring, KeyError> {
        Keyring::from_root(Zeroizing::new(random::<MIN_ROOT_BYTES>()?.to_vec()))
    }

    /// Gives a domain a first version with a seed. Returns whether it did: a domain that is known
    /// stays as it is. To be done before the first value of a domain is masked.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn register(&mut self, domain: &Domain) -> Result<bool, KeyError> {
        if self.domains.contains_key(domain) {
            return Ok(false);
        }
        let first = BTreeMap::from([(1, Version::Seeded(random()?))]);
        self.domains.insert(domain.clone(), first);
        Ok(true)
    }

    /// Adds a version to a domain and makes it the current one. Returns its number.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`], [`KeyError::Exhausted`].
    pub fn rotate(&mut self, domain: &Domain) -> Result<u32, KeyError> {
        let seed = random()?;
        let next = self
            .current(domain)
            .checked_add(1)
            .ok_or_else(|| KeyError::Exhausted { domain: domain.0.clone() })?;
        let implied = || BTreeMap::from([(1, Version::Implied)]);
        let versions = self.domains.entry(domain.clone()).or_insert_with(implied);
        versions.insert(next, Version::Seeded(seed));
        Ok(next)
    }

    /// Makes a version that is not the current one unusable.
    ///
    /// # Errors
    /// [`KeyError::NoVersion`], [`KeyError::InUse`], [`KeyError::Shredded`] if it was.
    pub fn shred(&mut self, domain: &Domain, version: u32) -> Result<Shredded, KeyError> {
        let name = || domain.0.clone();
        if version == self.current(domain) {
            return Err(KeyError::InUse { domain: name(), version });
        }
        let found = self.domains.get_mut(domain).and_then(|all| all.get_mut(&version));
        match found {
            None => Err(KeyError::NoVersion { domain: name(), version }),
            Some(Version::Gone) => Err(KeyError::Shredded { domain: name(), version }),
            Some(slot) => {
                let erased = matches!(slot, Version::Seeded(_));
                *slot = Version::Gone;
                Ok(if erased { Shredded::Erased } else { Shredded::Refused })
            }
        }
    }

    /// The domains that have lines in the file.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.keys()
    }

    /// The version that masks: the highest.
    pub fn current(&self, domain: &Domain) -> u32 {
        let versions = self.domains.get(domain);
        versions.and_then(|all| all.keys().next_back().copied()).unwrap_or(1)
    }

    /// The keyring as it was when this version of a domain masked: later ones are not in it.
    pub fn as_of(&self, domain: &Domain, version: u32) -> Keyring {
        let mut before = self.clone();
        if let Some(versions) = before.domains.get_mut(domain) {
            versions.retain(|number, _| *number <= version);
        }
        before
    }

    /// The versions of a domain, the oldest first.
    pub fn versions(&self, domain: &Domain) -> Vec<KeyVersion> {
        let current = self.current(domain);
        let Some(all) = self.domains.get(domain) else {
            return vec![KeyVersion { number: 1, state: KeyState::Current, erasable: false }];
        };
        let state = |number, version: &Version| match version {
            Version::Gone => KeyState::Shredded,
            _ if number == current => KeyState::Current,
            _ => KeyState::Readable,
        };
        all.iter()
            .map(|(number, version)| KeyVersion {
                number: *number,
                state: state(*number, version),
                erasable: matches!(version, Version::Seeded(_)),
            })
            .collect()
    }

    /// The key of `N` bytes for a purpose in a version of a domain.
    ///
    /// HKDF-SHA256 with the root key, the version's seed as salt, and as info the bytes
    /// `warehouse/1`, 0, purpose, 0, domain, 0, version in four bytes, big end first.
    ///
    /// # Errors
    /// [`KeyError::NoVersion`], [`KeyError::Shredded`].
    pub fn derive<const N: usize>(
        &self,
        purpose: Purpose,
        domain: &Domain,
        version: u32,
    ) -> Result<Zeroizing<[u8; N]>, KeyError> {
        const { assert!(N <= 255 * 32, "RFC 5869 derives no longer keys") };
        let name = || domain.0.clone();
        let found = match self.domains.get(domain) {
            Some(all) => all.get(&version),
            None if version == 1 => Some(&Version::Implied),
            None => None,
        };
        let salt = match found {
            None => return Err(KeyError::NoVersion { domain: name(), version }),
            Some(Version::Gone) => return Err(KeyError::Shredded { domain: name(), version }),
            Some(Version::Implied) => None,
            Some(Version::Seeded(seed)) => Some(&seed[..]),
        };
        let mut key = Zeroizing::new([0; N]);
        let info: [&[u8]; 7] = [
            b"warehouse/1\0",
            purpose.label().as_bytes(),
            b"\0",
            domain.0.as_bytes(),
            b"\0",
            &version.to_be_bytes(),
            b"",
        ];
        Hkdf::<Sha256>::new(salt, &self.root)
            .expand_multi_info(&info, &mut *key)
            .expect("invariant: N is at most 255 hashes, which is asserted above");
        Ok(key)
    }

    /// Eight bytes in hexadecimal that tell root keys apart and say nothing of them.
    pub fn fingerprint(&self) -> String {
        let alone = Keyring { root: self.root.clone(), domains: BTreeMap::new() };
        let domain = Domain("root".to_owned());
        let key = alone.derive::<8>(Purpose::Fingerprint, &domain, 1);
        key.map(|key| hex::encode(&key[..])).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
