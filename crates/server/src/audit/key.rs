//! The key that signs seals: Ed25519, 32 random bytes made once, kept beside the other secrets and never in the database.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::chain::Hash;
use crate::config::Secret;

/// What is signed begins with this, so that no signature of ours can be taken for one over something else.
const PREFIX: &[u8] = b"nexus-mint seal 1\n";

/// Signs seals.
#[derive(Clone)]
pub struct SealKey(SigningKey);

/// The configured key is not one.
#[derive(Debug, thiserror::Error)]
#[error("seal_key is not 32 bytes in base64")]
pub struct NoKey;

impl SealKey {
    /// Reads the key from its base64.
    ///
    /// # Errors
    /// When it is not 32 bytes.
    pub fn parse(secret: &Secret) -> Result<SealKey, NoKey> {
        let bytes = STANDARD.decode(secret.expose()).map_err(|_| NoKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| NoKey)?;
        Ok(SealKey(SigningKey::from_bytes(&bytes)))
    }

    /// The half that everybody may know.
    #[must_use]
    pub fn public(&self) -> Hash {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a head.
    #[must_use]
    pub fn sign(&self, head: &Hash) -> [u8; 64] {
        self.0.sign(&message(head)).to_bytes()
    }
}

/// Whether the owner of `public_key` signed `head`.
#[must_use]
pub fn is_signed(public_key: &Hash, head: &Hash, signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key).is_ok_and(|key| {
        key.verify_strict(&message(head), &Signature::from_bytes(signature))
            .is_ok()
    })
}

fn message(head: &Hash) -> Vec<u8> {
    [PREFIX, head].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_head_and_its_key_alone() {
        let key = |byte: u8| SealKey::parse(&Secret::new(STANDARD.encode([byte; 32]))).unwrap();
        let signature = key(1).sign(&[7; 32]);
        assert!(is_signed(&key(1).public(), &[7; 32], &signature));
        assert!(!is_signed(&key(1).public(), &[8; 32], &signature));
        assert!(!is_signed(&key(2).public(), &[7; 32], &signature));
        assert!(!is_signed(&[0; 32], &[7; 32], &[0; 64]), "a key of small order");
        assert!(SealKey::parse(&Secret::new("short")).is_err());
    }
}
