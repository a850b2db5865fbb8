//! Messages of Sign-In with Ethereum (EIP-4361) and whose signature is under them (EIP-191). Pure.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest as _, Keccak256};

/// The longest message that is read (bytes): GoTrue's.
pub const MESSAGE_BYTES_MAX: usize = 20 * 1024;
/// How long after it was issued a message signs in.
pub const HOLDS: TimeDelta = TimeDelta::minutes(10);
/// How far two clocks may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// An Ethereum address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub [u8; 20]);

/// A message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `https` and its like, where the message says it.
    pub scheme: Option<String>,
    /// Host and port that ask.
    pub domain: String,
    /// Who signs in.
    pub address: Address,
    /// What the person read.
    pub statement: Option<String>,
    /// Where.
    pub uri: String,
    /// On which chain.
    pub chain_id: u64,
    /// What makes it unlike any other.
    pub nonce: String,
    /// When it was made.
    pub issued_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it begins.
    pub not_before: Option<DateTime<Utc>>,
}

/// Why a message is none, or does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SiweError {
    /// Not of the form of EIP-4361.
    #[error("the message is not of the form of EIP-4361: {0}")]
    Form(&'static str),
    /// Too early or too late.
    #[error("the message does not hold at this time")]
    Time,
    /// Not a signature.
    #[error("the signature is not 65 bytes in hexadecimal digits")]
    Signature,
}

impl Address {
    /// Reads `0x` and 40 digits; where they are of both cases, their checksum must hold.
    #[must_use]
    pub fn parse(text: &str) -> Option<Address> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40)?;
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&bytes_of(digits)?);
        let address = Address(bytes);
        // Digits of one case carry no checksum.
        let is_mixed = digits.contains(|letter: char| letter.is_ascii_lowercase())
            && digits.contains(|letter: char| letter.is_ascii_uppercase());
        (!is_mixed || address.checksummed() == text).then_some(address)
    }

    /// `0x` and digits in lower case.
    #[must_use]
    pub fn plain(self) -> String {
        format!("0x{}", hex(&self.0))
    }

    /// With the checksum of EIP-55 in the case of its digits.
    #[must_use]
    pub fn checksummed(self) -> String {
        let digits = hex(&self.0);
        let hash = hex(&Keccak256::digest(digits.as_bytes()));
        let cased = digits.chars().zip(hash.chars()).map(|(digit, check)| {
            if check >= '8' {
                digit.to_ascii_uppercase()
            } else {
                digit
            }
        });
        std::iter::once("0x".to_owned())
            .chain(cased.map(String::from))
            .collect()
    }
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`SiweError::Form`].
    pub fn parse(text: &str) -> Result<Message, SiweError> {
        if text.len() > MESSAGE_BYTES_MAX || text.contains(|letter: char| letter.is_control() && letter != '\n') {
            return Err(SiweError::Form("too long, or with control characters"));
        }
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let first = next()
            .strip_suffix(" wants you to sign in with your Ethereum account:")
            .ok_or(SiweError::Form("its first line"))?;
        let (scheme, domain) = match first.split_once("://") {
            Some((scheme, domain)) => (Some(scheme.to_owned()), domain),
            None => (None, first),
        };
        if domain.is_empty() || domain.contains(|letter: char| letter.is_whitespace() || "/?#@".contains(letter)) {
            return Err(SiweError::Form("its domain"));
        }
        let address = Address::parse(next()).ok_or(SiweError::Form("its address"))?;
        if !next().is_empty() {
            return Err(SiweError::Form("the line after its address"));
        }
        let statement = match next() {
            "" => None,
            statement => {
                if !next().is_empty() {
                    return Err(SiweError::Form("the line after its statement"));
                }
                Some(statement.to_owned())
            }
        };
        let rest: Vec<&str> = lines.collect();
        let mut fields = Fields { lines: &rest };
        let uri = fields.needed("URI: ")?.to_owned();
        if fields.needed("Version: ")? != "1" {
            return Err(SiweError::Form("its version"));
        }
        let chain_id = fields
            .needed("Chain ID: ")?
            .parse()
            .map_err(|_| SiweError::Form("its chain"))?;
        let nonce = fields.needed("Nonce: ")?.to_owned();
        if nonce.len() < 8 || !nonce.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Err(SiweError::Form("its nonce"));
        }
        let issued_at = instant(fields.needed("Issued At: ")?)?;
        let expires_at = fields.wanted("Expiration Time: ").map(instant).transpose()?;
        let not_before = fields.wanted("Not Before: ").map(instant).transpose()?;
        fields.wanted("Request ID: ");
        fields.end()?;
        Ok(Message {
            scheme,
            domain: domain.to_owned(),
            address,
            statement,
            uri,
            chain_id,
            nonce,
            issued_at,
            expires_at,
            not_before,
        })
    }

    /// The text that a wallet shows and signs; [`Message::parse`] reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let scheme = self
            .scheme
            .as_ref()
            .map(|scheme| format!("{scheme}://"))
            .unwrap_or_default();
        let statement = self
            .statement
            .as_ref()
            .map(|text| format!("{text}\n"))
            .unwrap_or_default();
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut text = format!(
            "{scheme}{} wants you to sign in with your Ethereum account:\n{}\n\n{statement}\nURI: {}\nVersion: 1\nChain ID: {}\n\
             Nonce: {}\nIssued At: {}",
            self.domain,
            self.address.checksummed(),
            self.uri,
            self.chain_id,
            self.nonce,
            instant(self.issued_at)
        );
        for (name, at) in [("Expiration Time", self.expires_at), ("Not Before", self.not_before)] {
            if let Some(at) = at {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n{name}: {}", instant(at));
            }
        }
        text
    }

    /// Makes sure that it holds at `now`.
    ///
    /// # Errors
    /// [`SiweError::Time`].
    pub fn check_time(&self, now: DateTime<Utc>) -> Result<(), SiweError> {
        let is_early = self.issued_at > now + LEEWAY || self.not_before.is_some_and(|from| from > now + LEEWAY);
        let is_late = now - self.issued_at > HOLDS || self.expires_at.is_some_and(|end| end <= now);
        if is_early || is_late {
            Err(SiweError::Time)
        } else {
            Ok(())
        }
    }
}

struct Fields<'a> {
    lines: &'a [&'a str],
}

impl<'a> Fields<'a> {
    fn wanted(&mut self, name: &str) -> Option<&'a str> {
        let (first, rest) = self.lines.split_first()?;
        let value = first.strip_prefix(name)?;
        self.lines = rest;
        Some(value)
    }

    fn needed(&mut self, name: &'static str) -> Result<&'a str, SiweError> {
        self.wanted(name)
            .filter(|value| !value.is_empty())
            .ok_or(SiweError::Form(name))
    }

    fn end(mut self) -> Result<(), SiweError> {
        if self.wanted("Resources:").is_some() {
            while self.wanted("- ").is_some() {}
        }
        // A last line that ends is one more, empty.
        match self.lines {
            [] | [""] => Ok(()),
            [..] => Err(SiweError::Form("its last lines")),
        }
    }
}

fn instant(text: &str) -> Result<DateTime<Utc>, SiweError> {
    let read = DateTime::parse_from_rfc3339(text).map_err(|_| SiweError::Form("a time"))?;
    Ok(read.to_utc())
}

/// Whose signature is under a text, as wallets sign it.
///
/// # Errors
/// [`SiweError::Signature`].
pub fn signer(text: &str, signature: &str) -> Result<Address, SiweError> {
    let bytes = bytes_of(signature.strip_prefix("0x").unwrap_or(signature)).ok_or(SiweError::Signature)?;
    let (&last, first) = bytes.split_last().ok_or(SiweError::Signature)?;
    let signature = Signature::from_slice(first).map_err(|_| SiweError::Signature)?;
    let recovery = RecoveryId::from_byte(if last >= 27 { last - 27 } else { last }).ok_or(SiweError::Signature)?;
    let mut hash = Keccak256::new();
    hash.update(format!("\u{19}Ethereum Signed Message:\n{}", text.len()));
    hash.update(text);
    let key =
        VerifyingKey::recover_from_prehash(&hash.finalize(), &signature, recovery).map_err(|_| SiweError::Signature)?;
    address_of(&key).ok_or(SiweError::Signature)
}

fn address_of(key: &VerifyingKey) -> Option<Address> {
    let point = key.to_encoded_point(false);
    let hash = Keccak256::digest(point.as_bytes().get(1..)?);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(hash.get(12..)?);
    Some(Address(bytes))
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
