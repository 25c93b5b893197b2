//! The key file as text.
//!
//! Its first line is the root key, hexadecimal or base64; that may be all. Further lines are
//! `domain version seed`, with the seed hexadecimal, or `root` for an implied version, or `shredded`.
//! Empty lines and lines that begin with `#` are passed over.

use super::{Domain, KeyError, Keyring, MAX_ROOT_BYTES, SEED_BYTES, Version};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use std::fmt::Write as _;
use zeroize::{Zeroize, Zeroizing};

impl Keyring {
    /// Reads the contents of a key file or the output of a key command.
    ///
    /// # Errors
    /// Any of [`KeyError`] about the root key or a line.
    pub fn parse(contents: &[u8]) -> Result<Keyring, KeyError> {
        let text = std::str::from_utf8(contents).map_err(|_| KeyError::Encoding)?;
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let Some((_, root)) = lines.next() else {
            return Err(KeyError::TooShort { bits: 0 });
        };
        let mut keyring = Keyring::from_root(decode(root)?)?;
        for (line, text) in lines {
            keyring.read_line(text).ok_or(KeyError::Line { line })?;
        }
        Ok(keyring)
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let domain: Domain = words.next()?.parse().ok()?;
        let number: u32 = words.next()?.parse().ok().filter(|number| *number > 0)?;
        let version = match words.next()? {
            "root" if number == 1 => Version::Implied,
            "shredded" => Version::Gone,
            seed => {
                let mut bytes = Zeroizing::new([0; SEED_BYTES]);
                hex::decode_to_slice(seed, &mut *bytes).ok()?;
                Version::Seeded(bytes)
            }
        };
        let new = self.domains.entry(domain).or_default().insert(number, version).is_none();
        (new && words.next().is_none()).then_some(())
    }

    /// The contents of the key file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let lines: usize = self.domains.values().map(|versions| versions.len()).sum();
        // Room for all, so that no copy of a key is left behind by growing.
        let room = self.root.len() * 2 + 64 + lines * (63 + 10 + 2 * SEED_BYTES + 3);
        let mut out = Zeroizing::new(String::with_capacity(room));
        push_hex(&self.root, &mut out);
        out.push('\n');
        for (domain, versions) in &self.domains {
            for (number, version) in versions {
                // Writing to a string does not fail.
                let _ = write!(out, "{domain} {number} ");
                match version {
                    Version::Implied => out.push_str("root"),
                    Version::Seeded(seed) => push_hex(&seed[..], &mut out),
                    Version::Gone => out.push_str("shredded"),
                }
                out.push('\n');
            }
        }
        out
    }
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if text.len() > 2 * MAX_ROOT_BYTES {
        return Err(KeyError::TooLong);
    }
    // With a digit missing it is still hexadecimal, and not base64 of another key.
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return hex::decode(text).map(Zeroizing::new).map_err(|_| KeyError::Encoding);
    }
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = match text.contains(['-', '_']) {
        true => base64::alphabet::URL_SAFE,
        false => base64::alphabet::STANDARD,
    };
    let engine = GeneralPurpose::new(&alphabet, config);
    engine.decode(text).map(Zeroizing::new).map_err(|_| KeyError::Encoding)
}

fn push_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let mut pair = [0; 2];
        if hex::encode_to_slice([*byte], &mut pair).is_ok() {
            out.extend(pair.iter().map(|digit| char::from(*digit)));
        }
        pair.zeroize();
    }
}
