//! JSON web keys (RFC 7517): which algorithms a key verifies, and the key itself.
//!
//! A token names the algorithm that it wants; the key decides which it takes. So a public key is never used as a shared
//! secret.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};

/// What a shared secret verifies.
pub const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A key that verifies.
pub struct VerifyingKey {
    /// The algorithms that are tried with it, and no others.
    pub algorithms: &'static [Algorithm],
    /// A key without an id fits every id.
    pub id: Option<String>,
    /// The key.
    pub key: DecodingKey,
}

impl VerifyingKey {
    /// Whether it may have signed a token with this header.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let is_named = match (&self.id, id) {
            (Some(own), Some(asked)) => own == asked,
            (None, _) | (_, None) => true,
        };
        is_named && self.algorithms.contains(&algorithm)
    }
}

/// The key that `jwk` describes.
///
/// # Errors
/// A sentence that completes "expected ...".
// The library may come to know further kinds.
#[allow(clippy::wildcard_enum_match_arm)]
pub fn key_of(jwk: &Jwk) -> Result<VerifyingKey, String> {
    let algorithms: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::OctetKey(_) => HMAC,
        AlgorithmParameters::OctetKeyPair(_) => &[Algorithm::EdDSA],
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::EllipticCurve(_) => &[Algorithm::ES256],
        // Kinds of keys that did not exist when this was written.
        _ => return Err("a key of type RSA, EC, OKP or oct".to_owned()),
    };
    Ok(VerifyingKey {
        algorithms,
        id: jwk.common.key_id.clone(),
        key: DecodingKey::from_jwk(jwk).map_err(|error| format!("a usable JSON web key: {error}"))?,
    })
}

/// A set of public keys, each with an id, as it may be shown to everybody.
///
/// # Errors
/// A sentence that completes "expected ...".
pub fn public_set(text: &str) -> Result<JwkSet, String> {
    let wrong = "a JSON web key set: {\"keys\": [...]}";
    let raw: serde_json::Value = serde_json::from_str(text).map_err(|_| wrong.to_owned())?;
    let has_private = raw
        .get("keys")
        .and_then(serde_json::Value::as_array)
        .is_some_and(|keys| keys.iter().any(|key| key.get("d").is_some() || key.get("k").is_some()));
    if has_private {
        return Err("public keys only: neither a shared secret (k) nor a private part (d)".to_owned());
    }
    let set: JwkSet = serde_json::from_value(raw).map_err(|_| wrong.to_owned())?;
    for jwk in &set.keys {
        key_of(jwk)?;
        if jwk.common.key_id.is_none() {
            return Err("a kid for each key".to_owned());
        }
    }
    Ok(set)
}
