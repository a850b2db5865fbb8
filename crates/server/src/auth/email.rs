//! E-mail addresses and passwords: parsed once.

use argon2::{
    Argon2, PasswordHasher as _,
    password_hash::{self, SaltString},
};

use crate::config::{Secret, secret::random_bytes};

/// The longest address that a mail server takes (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;
/// Supabase's default minimum.
pub(super) const PASSWORD_CHARACTERS_MIN: usize = 6;
/// What bcrypt can read: a longer one could not move to another Supabase server.
pub(super) const PASSWORD_BYTES_MAX: usize = 72;

/// An e-mail address in lower case, as GoTrue keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// A password that is long enough, not yet hashed.
#[derive(Debug, Clone)]
pub struct Password(Secret);

/// Why a text is no address or no password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CredentialError {
    /// Not an address.
    #[error("expected an e-mail address such as name@example.com")]
    Email,
    /// Too short or too long.
    #[error("a password has at least {PASSWORD_CHARACTERS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes")]
    Password,
}

impl Email {
    /// Reads an address. Whether it exists only a mail can tell.
    ///
    /// # Errors
    /// [`CredentialError::Email`].
    pub fn parse(text: &str) -> Result<Email, CredentialError> {
        let text = text.trim();
        let (name, host) = text.rsplit_once('@').ok_or(CredentialError::Email)?;
        let strange = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '@';
        if name.is_empty() || host.is_empty() || text.len() > EMAIL_BYTES_MAX {
            return Err(CredentialError::Email);
        }
        if name.contains(strange) || host.contains(strange) {
            return Err(CredentialError::Email);
        }
        Ok(Email(text.to_lowercase()))
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Password {
    /// Takes a password that is long enough.
    ///
    /// # Errors
    /// [`CredentialError::Password`].
    pub fn parse(text: &str) -> Result<Password, CredentialError> {
        if text.chars().count() < PASSWORD_CHARACTERS_MIN || text.len() > PASSWORD_BYTES_MAX {
            return Err(CredentialError::Password);
        }
        Ok(Password(Secret::new(text)))
    }

    /// Hashes it with argon2id and a fresh salt, in the form that GoTrue verifies. Takes tens of milliseconds of one
    /// core: not inside a transaction.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn hashed(&self) -> Result<String, password_hash::Error> {
        let random = random_bytes().map_err(|_| password_hash::Error::Crypto)?;
        let salt = SaltString::encode_b64(random.get(..16).unwrap_or(&random))?;
        Ok(Argon2::default()
            .hash_password(self.0.expose().as_bytes(), &salt)?
            .to_string())
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHash, PasswordVerifier as _};

    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Email::parse(" Ada@Example.COM ").unwrap().as_str(), "ada@example.com");
        for wrong in ["", "ada", "@x", "ada@", "a da@x", "a@b@c", "ada@x\u{0}"] {
            assert_eq!(Email::parse(wrong), Err(CredentialError::Email), "{wrong}");
        }
    }

    #[test]
    fn passwords_are_hashed_with_argon2id() {
        let hash = Password::parse("correct horse").unwrap().hashed().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        let parsed = PasswordHash::new(&hash).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
        assert!(Password::parse("short").is_err() && Password::parse(&"x".repeat(73)).is_err());
    }
}
