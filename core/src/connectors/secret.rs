//! Credentials in memory.

use std::fmt;
use zeroize::Zeroize;

/// A key or token. It is wiped when dropped, and neither `Debug` nor any error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a credential over.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The credential itself, for the request's header alone.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the credential, for messages that a service may have put it into.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.len() < 4 {
            return text.to_owned();
        }
        text.replace(&self.0, "***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::new("patCANARY.123");
        assert!(!format!("{secret:?}").contains("CANARY"));
        assert_eq!(secret.scrub("no token patCANARY.123 here"), "no token *** here");
    }
}
