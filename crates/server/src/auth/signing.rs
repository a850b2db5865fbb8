//! Keys of ours that sign access tokens so that others can verify them (ES256).
//!
//! The first key signs; all verify. To change keys, put a new one in front, and take the old one away once its last token
//! has ended.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::config::Secret;

/// Bytes of each number of a key on the curve P-256.
const NUMBER_BYTES: usize = 32;

/// A key that signs.
pub struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
    /// Its public part, as it is shown to everybody.
    pub public: Jwk,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Private>,
}

#[derive(Deserialize)]
struct Private {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    y: String,
    d: String,
}

impl SigningKey {
    /// `header.payload.signature` over a payload.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn sign(&self, payload: &[u8]) -> Result<String, ring::error::Unspecified> {
        let header = json!({ "alg": "ES256", "kid": self.id, "typ": "JWT" }).to_string();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The keys of a JSON web key set with private parts.
///
/// # Errors
/// A sentence that completes "expected ...".
pub fn keys_of(text: &str) -> Result<Vec<SigningKey>, String> {
    let wrong = "a JSON web key set of private keys of type EC on the curve P-256, each with a kid";
    let set: Set = serde_json::from_str(text).map_err(|_| wrong.to_owned())?;
    set.keys
        .iter()
        .map(|key| key_of(key).ok_or_else(|| wrong.to_owned()))
        .collect()
}

/// The library makes sure that the two parts belong together.
fn key_of(key: &Private) -> Option<SigningKey> {
    if key.kty != "EC" || key.crv != "P-256" || key.kid.is_empty() {
        return None;
    }
    let number = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == NUMBER_BYTES).then_some(bytes)
    };
    let (x, y, d) = (number(&key.x)?, number(&key.y)?, number(&key.d)?);
    let point = [&[4], x.as_slice(), &y].concat();
    let random = SystemRandom::new();
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &point, &random).ok()?;
    let public = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": ["verify"], "kid": key.kid,
        "x": key.x, "y": key.y,
    });
    Some(SigningKey {
        id: key.kid.clone(),
        pair,
        public: serde_json::from_value(public).ok()?,
    })
}

/// A fresh key, as a set that the configuration takes.
///
/// # Errors
/// When there is no randomness.
pub fn fresh() -> Result<Secret, ring::error::Unspecified> {
    // PKCS #8 as the library writes it: the private number, and the point at the end.
    const PRIVATE_AT: usize = 36;
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
    let bytes = document.as_ref();
    let point_at = bytes.len().saturating_sub(2 * NUMBER_BYTES);
    let part = |at: usize| bytes.get(at..at + NUMBER_BYTES).ok_or(ring::error::Unspecified);
    let (d, x, y) = (part(PRIVATE_AT)?, part(point_at)?, part(point_at + NUMBER_BYTES)?);
    let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(x).get(..12).unwrap_or_default());
    let [d, x, y] = [d, x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
    let set = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "x": x, "y": y, "d": d }] });
    Ok(Secret::new(set.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_taken_and_a_spoilt_one_is_not() {
        let set = fresh().unwrap();
        let keys = keys_of(set.expose()).unwrap();
        assert_eq!(keys.len(), 1);
        let shown = serde_json::to_string(&keys[0].public).unwrap();
        assert!(!shown.contains("\"d\""), "the private part is not shown: {shown}");
        let other: serde_json::Value = serde_json::from_str(fresh().unwrap().expose()).unwrap();
        let mut mixed: serde_json::Value = serde_json::from_str(set.expose()).unwrap();
        mixed["keys"][0]["d"] = other["keys"][0]["d"].clone();
        assert!(keys_of(&mixed.to_string()).is_err(), "a private part of another key");
        for wrong in ["", "{}", r#"{"keys":[{"kty":"RSA"}]}"#] {
            assert!(keys_of(wrong).is_err(), "{wrong}");
        }
    }
}
