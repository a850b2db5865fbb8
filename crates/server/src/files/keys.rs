//! The keys under which files' own keys are wrapped: the one in use, and those that older files still need.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{hkdf, hmac};

use crate::config::Secret;

/// Names a key without telling it: a digest of it.
pub type KeyId = [u8; 8];

/// The keys that can be had. The first is the one in use.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<(KeyId, [u8; 32])>,
}

/// A configured key is not one.
#[derive(Debug, thiserror::Error)]
#[error("a file key is not 32 bytes in base64")]
pub struct NoKey;

impl KeyRing {
    /// The key in use and the older ones, each as base64.
    ///
    /// # Errors
    /// When one is not 32 bytes.
    pub fn parse(current: &Secret, old: &[Secret]) -> Result<KeyRing, NoKey> {
        let keys = std::iter::once(current).chain(old).map(|secret| {
            let bytes = STANDARD.decode(secret.expose()).map_err(|_| NoKey)?;
            let key: [u8; 32] = bytes.try_into().map_err(|_| NoKey)?;
            Ok((id_of(&key), key))
        });
        Ok(KeyRing {
            keys: keys.collect::<Result<_, NoKey>>()?,
        })
    }

    /// The key in use.
    #[must_use]
    pub fn current(&self) -> KeyId {
        self.keys.first().map_or([0; 8], |(id, _)| *id)
    }

    /// The key that wraps the key of one file: derived, so that no two files share it. None where the ring lacks it.
    pub(super) fn wrapping(&self, id: KeyId, file_id: &[u8; 16]) -> Option<[u8; 32]> {
        let (_, key) = self.keys.iter().find(|(known, _)| *known == id)?;
        let mut derived = [0; 32];
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, file_id);
        salt.extract(key)
            .expand(&[b"nexus-mint file wrap 1"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .ok()?;
        Some(derived)
    }
}

fn id_of(key: &[u8; 32]) -> KeyId {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"nexus-mint file key id 1");
    let mut id = [0; 8];
    id.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_finds_old_keys_and_uses_the_first() {
        let secret = |byte: u8| Secret::new(STANDARD.encode([byte; 32]));
        let (old, new) = (
            KeyRing::parse(&secret(1), &[]).unwrap(),
            KeyRing::parse(&secret(2), &[secret(1)]).unwrap(),
        );
        assert_ne!(old.current(), new.current());
        let wrapped = old.wrapping(old.current(), &[7; 16]);
        assert_eq!(wrapped, new.wrapping(old.current(), &[7; 16]));
        assert_ne!(wrapped, new.wrapping(new.current(), &[7; 16]));
        assert_ne!(wrapped, old.wrapping(old.current(), &[8; 16]), "no two files share one");
        assert_eq!(old.wrapping(new.current(), &[7; 16]), None);
        assert!(KeyRing::parse(&Secret::new("short"), &[]).is_err());
    }
}
