//! A value that must not be seen: printing it, in whatever way, shows that it is there and nothing more.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A secret text. `expose` is the one way to its value, so that every use can be found by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret that somebody chose.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// A fresh secret of 32 random bytes, as 43 characters of `A-Z a-z 0-9 - _`.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn random() -> Result<Secret, getrandom::Error> {
        Ok(Secret(URL_SAFE_NO_PAD.encode(random_bytes()?)))
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Thirty-two random bytes from the operating system.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn random_bytes() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_shows_nothing() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
    }

    #[test]
    fn random_secrets_differ() {
        assert_ne!(Secret::random().unwrap(), Secret::random().unwrap());
        assert_eq!(Secret::random().unwrap().expose().len(), 43);
    }
}
