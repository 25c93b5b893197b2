//! What can be wrong with a key. No error holds one.

use super::MAX_ROOT_BYTES;

/// What is wrong with a key, its file or what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The root key has fewer than 256 bits.
    #[error("the key has {bits} bits, at least 256 are needed")]
    TooShort {
        /// Its bits.
        bits: usize,
    },
    /// The root key is longer than any key is.
    #[error("the key is longer than {MAX_ROOT_BYTES} bytes")]
    TooLong,
    /// The root key is neither hexadecimal nor base64.
    #[error("the key is neither hexadecimal nor base64")]
    Encoding,
    /// The root key repeats itself.
    #[error("the key is not random")]
    NotRandom,
    /// A line of the key file is none of its lines. Counted from 1.
    #[error("line {line} of the key file is malformed")]
    Line {
        /// Which.
        line: usize,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// The name of a domain is none.
    #[error("a domain is 1 to 63 letters a-z, digits and underscores, and starts with a letter")]
    DomainName,
    /// The domain has no such version.
    #[error("domain {domain} has no key version {version}")]
    NoVersion {
        /// The domain.
        domain: String,
        /// The version.
        version: u32,
    },
    /// The version was shredded.
    #[error("key version {version} of domain {domain} was shredded")]
    Shredded {
        /// The domain.
        domain: String,
        /// The version.
        version: u32,
    },
    /// The current version cannot be shredded.
    #[error("key version {version} of domain {domain} is the current one")]
    InUse {
        /// The domain.
        domain: String,
        /// The version.
        version: u32,
    },
    /// There are no more version numbers.
    #[error("domain {domain} has no more key versions")]
    Exhausted {
        /// The domain.
        domain: String,
    },
}
