//! ID tokens of OpenID Connect: whether one is the provider's, for us, now, and of this flow. Pure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::{
    auth::{jwks::VerifyingKey, token::same},
    config::providers::Provider,
};

/// How far two clocks may differ (s).
const LEEWAY_S: i64 = 30;
/// The longest token that is read (bytes).
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Why an ID token does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Not three parts of base64url with JSON objects in the first two.
    #[error("it is no JWT")]
    Form,
    /// `none`, a shared secret, or something unknown.
    #[error("its algorithm is not one of public keys")]
    Algorithm,
    /// None of the provider's keys has its id.
    #[error("no key of the provider has its id")]
    NoKey,
    /// Somebody else signed it.
    #[error("its signature does not hold")]
    Signature,
    /// Another provider's.
    #[error("it is from another issuer")]
    Issuer,
    /// For somebody else.
    #[error("it is for somebody else")]
    Audience,
    /// Too late.
    #[error("it has expired")]
    Expired,
    /// Too early.
    #[error("it does not hold yet")]
    TooEarly,
    /// Of another flow.
    #[error("its nonce is another one")]
    Nonce,
    /// It came with another access token.
    #[error("it belongs to another access token")]
    AccessToken,
}

/// What a token must fit, where it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// The nonce as the token must have it. Without one, the token must have none either.
    pub nonce: Option<&'a str>,
    /// The access token that came with it.
    pub access_token: Option<&'a str>,
}

/// The claims of a token that holds.
///
/// # Errors
/// See [`IdTokenError`].
pub fn verify(
    token: &str,
    keys: &[VerifyingKey],
    provider: &Provider,
    wanted: &Wanted<'_>,
    now: DateTime<Utc>,
) -> Result<Map<String, Value>, IdTokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(IdTokenError::Form);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, payload, signature] = parts.as_slice() else {
        return Err(IdTokenError::Form);
    };
    let algorithm = check_signature(header, payload, signature, keys)?;
    let claims = decoded(payload)?;
    let text = |key: &str| claims.get(key).and_then(Value::as_str);
    if provider.issuer.is_none() || text("iss") != provider.issuer.as_deref() {
        return Err(IdTokenError::Issuer);
    }
    check_audience(&claims, provider)?;
    check_times(&claims, now)?;
    match (wanted.nonce, text("nonce")) {
        (None, None) => {}
        (Some(wanted), Some(shown)) if same(wanted, shown) => {}
        (None | Some(_), _) => return Err(IdTokenError::Nonce),
    }
    if let (Some(access), Some(hash)) = (wanted.access_token, text("at_hash"))
        && !same(hash, &half_hash(algorithm, access))
    {
        return Err(IdTokenError::AccessToken);
    }
    Ok(claims)
}

fn check_signature(
    header: &str,
    payload: &str,
    signature: &str,
    keys: &[VerifyingKey],
) -> Result<Algorithm, IdTokenError> {
    let known = decoded(header)?;
    if known.contains_key("crit") {
        return Err(IdTokenError::Algorithm);
    }
    let text = |key: &str| known.get(key).and_then(Value::as_str);
    let algorithm: Algorithm = text("alg")
        .and_then(|name| name.parse().ok())
        .ok_or(IdTokenError::Algorithm)?;
    if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err(IdTokenError::Algorithm);
    }
    let message = format!("{header}.{payload}");
    let mut refusal = IdTokenError::NoKey;
    for key in keys.iter().filter(|key| key.fits(algorithm, text("kid"))) {
        match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, algorithm) {
            Ok(true) => return Ok(algorithm),
            Ok(false) | Err(_) => refusal = IdTokenError::Signature,
        }
    }
    Err(refusal)
}

/// A token for several must say that we are the one who asked for it (`azp`).
fn check_audience(claims: &Map<String, Value>, provider: &Provider) -> Result<(), IdTokenError> {
    let is_ours = |name: &str| name == provider.client_id || provider.audiences.iter().any(|own| own == name);
    let fits = match claims.get("aud") {
        Some(Value::String(name)) => is_ours(name),
        Some(Value::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            let azp = claims.get("azp").and_then(Value::as_str);
            names.is_some_and(|names| {
                names.iter().any(|name| is_ours(name)) && (names.len() == 1 || azp.is_some_and(is_ours))
            })
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    };
    if fits { Ok(()) } else { Err(IdTokenError::Audience) }
}

fn check_times(claims: &Map<String, Value>, now: DateTime<Utc>) -> Result<(), IdTokenError> {
    let now = now.timestamp();
    let instant = |key: &str| match claims.get(key) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(IdTokenError::Form),
    };
    let expires = instant("exp")?.ok_or(IdTokenError::Expired)?;
    if now > expires.saturating_add(LEEWAY_S) {
        return Err(IdTokenError::Expired);
    }
    for key in ["iat", "nbf"] {
        if instant(key)?.is_some_and(|from| now.saturating_add(LEEWAY_S) < from) {
            return Err(IdTokenError::TooEarly);
        }
    }
    Ok(())
}

/// The left half of a hash, as `at_hash` has it.
// The library may come to know further kinds.
#[allow(clippy::wildcard_enum_match_arm)]
fn half_hash(algorithm: Algorithm, text: &str) -> String {
    let hash = match algorithm {
        Algorithm::ES384 | Algorithm::RS384 | Algorithm::PS384 | Algorithm::HS384 => Sha384::digest(text).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::HS512 | Algorithm::EdDSA => Sha512::digest(text).to_vec(),
        _ => Sha256::digest(text).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(hash.get(..hash.len() / 2).unwrap_or_default())
}

fn decoded(part: &str) -> Result<Map<String, Value>, IdTokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| IdTokenError::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| IdTokenError::Form)
}

#[cfg(test)]
mod tests;
