//! The keys that sign and verify tokens, and the two API keys made with them.
//!
//! We sign with one shared secret (HS256), and access tokens with a key pair where the configuration has one (ES256). Tokens of the public keys that the configuration names count as well. A key
//! knows its algorithms, and only those are tried with it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, jwk::JwkSet};
use ring::hmac;
use serde::Serialize;

use super::{
    jwks::{self, VerifyingKey},
    signing::{self, SigningKey},
    token::{ApiRole, TokenError, Verified, same},
};
use crate::config::{Config, Secret};

/// Until when our own API keys hold (2100-01-01). They are withdrawn by changing the secret.
const API_KEY_EXPIRES: u64 = 4_102_444_800;
/// The expiry of Supabase's well-known local keys.
const DEV_KEY_EXPIRES: u64 = 1_983_812_996;

/// Supabase's well-known local keys of the newer kind, which hold beside the others where those do.
const DEV_OPAQUE: [(ApiRole, &str); 2] = [
    (ApiRole::Anon, "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH"),
    (ApiRole::Service, "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"),
];

/// Signs and verifies.
pub struct Keys {
    secret: Secret,
    signing: EncodingKey,
    /// Signs access tokens in place of the secret, where the configuration has one.
    token_key: Option<SigningKey>,
    verifying: Vec<VerifyingKey>,
    public: JwkSet,
    anon_key: Secret,
    service_key: Secret,
    has_dev_keys: bool,
    /// Tokens whose signature was checked.
    pub(super) remembered: Mutex<HashMap<String, Arc<Verified>>>,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Signing failed.
    #[error("cannot sign with the JWT secret")]
    Sign(#[source] jsonwebtoken::errors::Error),
    /// Signing failed for want of randomness.
    #[error("cannot sign: there is no randomness")]
    NoRandomness,
    /// A public key cannot be used.
    #[error("jwt_jwks: expected {0}")]
    Public(String),
    /// A key of ours cannot be used.
    #[error("jwt_signing_keys: expected {0}")]
    Own(String),
    /// A configured API key would not be accepted.
    #[error(
        "{setting}: expected a token of the role {role} that the JWT secret signed, or a key that begins with {prefix}"
    )]
    Foreign {
        /// The setting.
        setting: &'static str,
        /// The role that the key is for.
        role: &'static str,
        /// How an opaque key of that role begins.
        prefix: &'static str,
        /// What is wrong with it.
        source: TokenError,
    },
}

/// An API key's claims, in the order of Supabase's.
#[derive(Serialize)]
struct ApiKeyClaims {
    iss: &'static str,
    role: &'static str,
    exp: u64,
}

impl Keys {
    /// The keys that the configuration asks for. A configured API key must hold at `now`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn of(config: &Config, now: DateTime<Utc>) -> Result<Keys, KeyError> {
        let secret = config.jwt_secret.expose().as_bytes();
        let mut verifying = vec![VerifyingKey {
            algorithms: &[Algorithm::HS256],
            id: None,
            key: DecodingKey::from_secret(secret),
        }];
        let mut public = config.settings.jwt_jwks.clone().unwrap_or(JwkSet { keys: Vec::new() });
        let own = match &config.settings.jwt_signing_keys {
            Some(text) => signing::keys_of(text.expose()).map_err(KeyError::Own)?,
            None => Vec::new(),
        };
        public.keys.extend(own.iter().map(|key| key.public.clone()));
        for jwk in &public.keys {
            verifying.push(jwks::key_of(jwk).map_err(KeyError::Public)?);
        }
        let empty = Secret::new("");
        let mut keys = Keys {
            secret: config.jwt_secret.clone(),
            signing: EncodingKey::from_secret(secret),
            token_key: own.into_iter().next(),
            verifying,
            public,
            anon_key: empty.clone(),
            service_key: empty,
            has_dev_keys: config.settings.dev_keys,
            remembered: Mutex::default(),
        };
        let given = &config.settings;
        keys.anon_key = keys.api_key(ApiRole::Anon, given.anon_key.as_ref(), given.dev_keys, now)?;
        keys.service_key = keys.api_key(ApiRole::Service, given.service_key.as_ref(), given.dev_keys, now)?;
        Ok(keys)
    }

    /// The visitors' API key: public.
    #[must_use]
    pub fn anon_key(&self) -> &str {
        self.anon_key.expose()
    }

    /// The service's API key: whoever has it may read and write past the policies.
    #[must_use]
    pub fn service_key(&self) -> &Secret {
        &self.service_key
    }

    /// The role of an opaque API key that is ours.
    pub(super) fn role_of_opaque(&self, shown: &str) -> Option<ApiRole> {
        let own = [
            (ApiRole::Anon, self.anon_key()),
            (ApiRole::Service, self.service_key.expose()),
        ];
        let dev = DEV_OPAQUE.into_iter().filter(|_| self.has_dev_keys);
        let found = own.into_iter().chain(dev).find(|(_, key)| same(shown, key));
        found.map(|(role, _)| role)
    }

    /// The public keys whose tokens count, for whoever wants to verify them himself.
    #[must_use]
    pub fn public(&self) -> &JwkSet {
        &self.public
    }

    /// Signs claims, with exactly the bytes that they serialise to.
    ///
    /// # Errors
    /// [`KeyError::Sign`].
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, KeyError> {
        let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Sign(error.into()))?;
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.signing, Algorithm::HS256);
        Ok(format!("{message}.{}", signature.map_err(KeyError::Sign)?))
    }

    /// Signs the claims of an access token: with the first of our own keys, else as [`Keys::sign`] does.
    ///
    /// # Errors
    /// [`KeyError::Sign`], [`KeyError::NoRandomness`].
    pub fn sign_token<C: Serialize>(&self, claims: &C) -> Result<String, KeyError> {
        let Some(key) = &self.token_key else {
            return self.sign(claims);
        };
        let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Sign(error.into()))?;
        key.sign(&payload).map_err(|_| KeyError::NoRandomness)
    }

    /// A keyed hash of `parts` for one purpose: it can neither be made nor tried without the JWT secret, and says nothing
    /// for another purpose. Parts do not run into each other.
    #[must_use]
    pub fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose().as_bytes());
        let mut context = hmac::Context::with_key(&key);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    /// The keys that may have signed a token with this header.
    pub(super) fn candidates(&self, algorithm: Algorithm, id: Option<&str>) -> impl Iterator<Item = &VerifyingKey> {
        self.verifying.iter().filter(move |key| key.fits(algorithm, id))
    }

    fn api_key(
        &self,
        role: ApiRole,
        given: Option<&Secret>,
        dev_keys: bool,
        now: DateTime<Utc>,
    ) -> Result<Secret, KeyError> {
        let Some(given) = given else {
            let (iss, exp) = if dev_keys {
                ("supabase-demo", DEV_KEY_EXPIRES)
            } else {
                ("nexus-mint", API_KEY_EXPIRES)
            };
            return Ok(Secret::new(self.sign(&ApiKeyClaims {
                iss,
                role: role.name(),
                exp,
            })?));
        };
        let (setting, prefix) = match role {
            ApiRole::Service => ("service_key", "sb_secret_"),
            ApiRole::Anon | ApiRole::Authenticated | ApiRole::Staff => ("anon_key", "sb_publishable_"),
        };
        if given.expose().starts_with(prefix) {
            return Ok(given.clone());
        }
        let foreign = |source| KeyError::Foreign {
            setting,
            role: role.name(),
            prefix,
            source,
        };
        let caller = self.verify(given.expose(), now).map_err(foreign)?;
        if caller.role() != role {
            return Err(foreign(TokenError::Role(caller.role().name().to_owned())));
        }
        Ok(given.clone())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{Environment, Flags, Settings};

    /// Keys made from the settings alone; nothing touches the disk.
    pub(crate) fn keys_with(dev_keys: bool, variables: [(&str, &str); 2]) -> Result<Keys, KeyError> {
        let [first, second] = variables;
        let environment = Environment::of([
            ("DATABASE_URL", "postgres://me@db/mint"),
            ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("NEXUS_MINT_DATA_DIR", "/nonexistent"),
            first,
            second,
        ]);
        let settings = Settings::load(
            &Flags {
                dev_keys,
                ..Flags::default()
            },
            &environment,
        )
        .unwrap();
        Keys::of(
            &settings.into_config().unwrap(),
            DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        )
    }

    const NONE: (&str, &str) = ("UNUSED", "");

    #[test]
    fn dev_keys_are_the_well_known_ones_to_the_byte() {
        let keys = keys_with(true, [NONE, NONE]).unwrap();
        assert_eq!(
            keys.anon_key(),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
             eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9.\
             CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0"
        );
        assert!(
            keys.service_key()
                .expose()
                .ends_with(".EGIM96RAZx35lJzdJsyH-qQwv8Hdp7fsn3W0YpN81IU")
        );
    }

    #[test]
    fn well_known_opaque_keys_hold_beside_the_other_dev_keys_alone() {
        let (dev, own) = (
            keys_with(true, [NONE, NONE]).unwrap(),
            keys_with(false, [NONE, NONE]).unwrap(),
        );
        for (role, key) in DEV_OPAQUE {
            assert_eq!(dev.role_of_opaque(key), Some(role));
            assert_eq!(own.role_of_opaque(key), None);
        }
        assert_eq!(dev.role_of_opaque("sb_secret_x"), None);
    }

    #[test]
    fn a_given_key_must_be_one_that_we_would_accept() {
        let secret = ("NEXUS_MINT_JWT_SECRET", crate::config::DEV_JWT_SECRET);
        let dev = keys_with(true, [NONE, NONE]).unwrap();
        let with = |name, value: &str| keys_with(false, [secret, (name, value)]);
        assert_eq!(
            with("NEXUS_MINT_ANON_KEY", dev.anon_key()).unwrap().anon_key(),
            dev.anon_key()
        );
        assert!(with("NEXUS_MINT_SERVICE_KEY", "sb_secret_x").is_ok());
        assert!(
            with("NEXUS_MINT_SERVICE_KEY", dev.anon_key()).is_err(),
            "a key of another role"
        );
        assert!(with("NEXUS_MINT_ANON_KEY", "eyJ.x.y").is_err());
    }
}
