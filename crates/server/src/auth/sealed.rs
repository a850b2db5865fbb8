//! Secrets that must be read again, at rest: those of factors, and tokens of other providers. AES-256-GCM under the key of
//! stored files, bound to the row.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use uuid::Uuid;

use crate::{
    config::{Config, Secret, secret::random_bytes},
    problem::Problem,
};

/// How a sealed secret begins.
const PREFIX: &str = "v1.";

/// Encrypts a secret. A nonce is random and used once: a row is sealed a few times in its life.
pub(super) fn seal(config: &Config, id: Uuid, secret: &[u8]) -> Result<String, Problem> {
    let random = random_bytes().map_err(Problem::internal)?;
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(random.get(..NONCE_LEN).unwrap_or_default());
    let mut bytes = secret.to_vec();
    key(&config.file_key)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(id.as_bytes()),
            &mut bytes,
        )
        .map_err(|_| Problem::internal("a secret could not be encrypted"))?;
    Ok(format!(
        "{PREFIX}{}",
        STANDARD.encode([nonce.as_slice(), &bytes].concat())
    ))
}

/// Decrypts it, by the key in use or an earlier one.
pub(super) fn open(config: &Config, id: Uuid, sealed: &str) -> Result<Vec<u8>, Problem> {
    let broken = || Problem::internal("a sealed secret cannot be read: was the file key changed?");
    let bytes = sealed
        .strip_prefix(PREFIX)
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(broken)?;
    let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
    for known in std::iter::once(&config.file_key).chain(&config.settings.file_keys_old) {
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut opened = rest.to_vec();
        if let Ok(secret) = key(known)?.open_in_place(nonce, Aad::from(id.as_bytes()), &mut opened) {
            return Ok(secret.to_vec());
        }
    }
    Err(broken())
}

/// A key for this alone.
fn key(file_key: &Secret) -> Result<LessSafeKey, Problem> {
    let master = STANDARD.decode(file_key.expose()).map_err(Problem::internal)?;
    let derived = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, &master),
        b"nexus-mint second factors",
    );
    let key = UnboundKey::new(&AES_256_GCM, derived.as_ref()).map_err(|_| Problem::internal("no key"))?;
    Ok(LessSafeKey::new(key))
}
