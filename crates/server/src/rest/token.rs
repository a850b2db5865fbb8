//! Tokens as PostgREST takes them, for the engine alone: any secret or key set, any role that the database has.
//! The server itself takes only the tokens of [`crate::auth::token`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, JwkSet},
};
use pgrest::error::Refusal;
use serde_json::{Map, Value};

use super::{engine::Identity, metrics::Lookups, role_claim::RoleClaim};
use crate::auth::jwks::{HMAC, VerifyingKey, key_of};

/// How far two clocks may differ (s).
const LEEWAY_S: f64 = 30.0;

/// How many verified tokens are remembered.
const REMEMBERED_MAX: usize = 1000;

const UNSECURED: &str = "JWT is unsecured but expected 'alg' was not 'none'";

/// Verifies tokens.
pub struct Verifier {
    keys: Vec<VerifyingKey>,
    audience: Option<String>,
    role_claim: RoleClaim,
    anonymous: Option<Arc<str>>,
    visitors_claims: Arc<str>,
    remembered: Mutex<HashMap<String, Arc<Verified>>>,
    pub(super) lookups: Lookups,
}

struct Verified {
    claims: Map<String, Value>,
    identity: Option<Identity>,
}

impl Verifier {
    /// A verifier with the keys of `secret`: a JSON web key, a set of them, or a shared secret.
    ///
    /// # Errors
    /// When the secret is not what it says it is.
    pub fn new(
        secret: Option<&str>,
        is_base64: bool,
        audience: Option<String>,
        role_claim: RoleClaim,
        anonymous: Option<&str>,
    ) -> Result<Verifier, String> {
        let keys = secret.map_or(Ok(Vec::new()), |secret| keys_of(secret, is_base64))?;
        let claims = serde_json::json!({ "role": anonymous.unwrap_or_default() }).to_string();
        Ok(Verifier {
            keys,
            audience,
            role_claim,
            anonymous: anonymous.map(Arc::from),
            visitors_claims: Arc::from(claims),
            remembered: Mutex::default(),
            lookups: Lookups::default(),
        })
    }

    /// Who shows this `Authorization` header at `now` (seconds).
    ///
    /// # Errors
    /// When the token does not hold, or visitors may not come in.
    pub fn identify(&self, authorization: Option<&str>, now: f64) -> Result<Identity, Refusal> {
        let token = authorization.and_then(|value| {
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let Some(token) = token else {
            return self.visitor();
        };
        if token.is_empty() {
            return Err(refused("Empty JWT is sent in Authorization header", None));
        }
        let remembered = self.remembered(token);
        self.lookups.note(remembered.is_some());
        let verified = match remembered {
            Some(verified) => verified,
            None => self.remember(token, self.verify(token)?),
        };
        self.check_claims(&verified.claims, now)?;
        verified.identity.clone().ok_or(Refusal::AnonymousDisabled)
    }

    fn visitor(&self) -> Result<Identity, Refusal> {
        let role = self.anonymous.clone().ok_or(Refusal::AnonymousDisabled)?;
        Ok(Identity {
            role,
            claims: self.visitors_claims.clone(),
            is_authenticated: false,
        })
    }

    fn remembered(&self, token: &str) -> Option<Arc<Verified>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()
    }

    fn remember(&self, token: &str, claims: Map<String, Value>) -> Arc<Verified> {
        let identity = self.identity(&claims);
        let verified = Arc::new(Verified { claims, identity });
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            self.lookups.forgot(remembered.len());
            remembered.clear();
        }
        remembered.insert(token.to_owned(), verified.clone());
        verified
    }

    fn identity(&self, claims: &Map<String, Value>) -> Option<Identity> {
        let found = self.role_claim.of(claims);
        let role = found.map(|role| role.as_str().map_or_else(|| role.to_string(), str::to_owned));
        self.as_role(claims, role.as_deref())
    }

    fn as_role(&self, claims: &Map<String, Value>, role: Option<&str>) -> Option<Identity> {
        let role: Arc<str> = role.map(Arc::from).or_else(|| self.anonymous.clone())?;
        let mut claims = claims.clone();
        claims.insert("role".to_owned(), Value::from(&*role));
        Some(Identity {
            is_authenticated: self.anonymous.as_ref() != Some(&role),
            role,
            claims: Arc::from(Value::Object(claims).to_string()),
        })
    }

    fn verify(&self, token: &str) -> Result<Map<String, Value>, Refusal> {
        if self.keys.is_empty() {
            return Err(Refusal::NoSecret);
        }
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, payload, signature] = parts.as_slice() else {
            return Err(refused(&format!("Expected 3 parts in JWT; got {}", parts.len()), None));
        };
        let broken = || refused("JWT cryptographic operation failed", None);
        let known: Map<String, Value> = decoded(header).ok_or_else(broken)?;
        let name = known.get("alg").and_then(Value::as_str).ok_or_else(broken)?;
        if name == "none" {
            return Err(refused("Wrong or unsupported encoding algorithm", Some(UNSECURED)));
        }
        let algorithm = name.parse::<Algorithm>().map_err(|_| broken())?;
        let id = known.get("kid").and_then(Value::as_str);
        let mut tried = self.keys.iter().filter(|key| key.fits(algorithm, id)).peekable();
        let no_key = |details| refused("No suitable key or wrong key type", Some(details));
        if tried.peek().is_none() {
            return Err(no_key("No suitable key was found to decode the JWT"));
        }
        let message = format!("{header}.{payload}");
        let is_genuine = tried.any(|key| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, algorithm).unwrap_or(false)
        });
        if !is_genuine {
            return Err(no_key("None of the keys was able to decode the JWT"));
        }
        decoded(payload).ok_or_else(|| Refusal::Claims("Parsing claims failed".to_owned()))
    }

    fn check_claims(&self, claims: &Map<String, Value>, now: f64) -> Result<(), Refusal> {
        let refused = |text: &str| Err(Refusal::Claims(text.to_owned()));
        let number = |claim: &str| match claims.get(claim) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| Refusal::Claims(format!("The JWT '{claim}' claim must be a number"))),
        };
        let (expires, from, issued) = (number("exp")?, number("nbf")?, number("iat")?);
        let audience: Option<Vec<&str>> = match claims.get("aud") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::String(one)) => Some(vec![one.as_str()]),
            Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        let Some(audience) = audience else {
            return refused("The JWT 'aud' claim must be a string or an array of strings");
        };
        if expires.is_some_and(|expires| now - LEEWAY_S > expires) {
            return refused("JWT expired");
        }
        if from.is_some_and(|from| now + LEEWAY_S < from) {
            return refused("JWT not yet valid");
        }
        if issued.is_some_and(|issued| now + LEEWAY_S < issued) {
            return refused("JWT issued at future");
        }
        match &self.audience {
            Some(ours) if !audience.is_empty() && !audience.contains(&ours.as_str()) => refused("JWT not in audience"),
            Some(_) | None => Ok(()),
        }
    }
}

fn refused(text: &str, details: Option<&'static str>) -> Refusal {
    Refusal::Token {
        text: text.to_owned(),
        details,
    }
}

fn decoded(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn keys_of(secret: &str, is_base64: bool) -> Result<Vec<VerifyingKey>, String> {
    if let Ok(set) = serde_json::from_str::<JwkSet>(secret) {
        return set.keys.iter().map(key_of).collect();
    }
    if let Ok(one) = serde_json::from_str::<Jwk>(secret) {
        return Ok(vec![key_of(&one)?]);
    }
    let bytes = if is_base64 {
        let standard: String = secret.trim().replace('-', "+").replace('_', "/").replace('.', "=");
        STANDARD
            .decode(standard)
            .map_err(|_| "base64, because PGRST_JWT_SECRET_IS_BASE64 is set".to_owned())?
    } else {
        secret.as_bytes().to_vec()
    };
    if bytes.len() < 32 {
        return Err("at least 32 characters".to_owned());
    }
    Ok(vec![VerifyingKey {
        id: None,
        algorithms: HMAC,
        key: DecodingKey::from_secret(&bytes),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_nobody_signed_is_not_taken(
            header in "(\\{\"alg\":\"(HS256|none|RS256|ES256|EdDSA)\"(,\"kid\":\"[a-z]?\")?\\}|[ -~]{0,20})",
            claims in "(\\{\"role\":\"[a-z]{0,5}\",\"exp\":[0-9e.-]{1,6}\\}|[ -~]{0,20})",
            rest in "[A-Za-z0-9_.-]{0,60}",
        ) {
            let path = RoleClaim::parse(".role").unwrap();
            let verifier = Verifier::new(Some("a secret of at least thirty-two letters"), false, None, path, None).unwrap();
            let made = format!("{}.{}.{rest}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            for token in [&made, &rest] {
                let shown = format!("Bearer {token}");
                proptest::prop_assert!(verifier.identify(Some(&shown), 0.0).is_err());
            }
        }
    }

    #[test]
    fn refusals_say_what_is_wrong_with_a_token() {
        let path = RoleClaim::parse(".role").unwrap();
        let verifier = Verifier::new(Some("a secret of at least thirty-two letters"), false, None, path, None).unwrap();
        let check = |header: &str, text: &str, details: Option<&'static str>| {
            let token = format!(
                "Bearer {}.{}.x",
                URL_SAFE_NO_PAD.encode(header),
                URL_SAFE_NO_PAD.encode("{}")
            );
            assert_eq!(
                verifier.identify(Some(&token), 0.0).unwrap_err(),
                refused(text, details),
                "{header}"
            );
        };
        let (no_key, broken) = (
            "No suitable key or wrong key type",
            "JWT cryptographic operation failed",
        );
        check(
            r#"{"alg":"HS256"}"#,
            no_key,
            Some("None of the keys was able to decode the JWT"),
        );
        check(
            r#"{"alg":"RS256"}"#,
            no_key,
            Some("No suitable key was found to decode the JWT"),
        );
        check(
            r#"{"alg":"none"}"#,
            "Wrong or unsupported encoding algorithm",
            Some(UNSECURED),
        );
        check(r#"{"alg":"HS1"}"#, broken, None);
        check(r#"{"typ":"JWT"}"#, broken, None);
        check("rubbish", broken, None);
    }

    #[test]
    fn a_role_that_is_no_text_is_none_that_is_missing() {
        let verifier = Verifier::new(None, false, None, RoleClaim::parse(".role").unwrap(), Some("anon")).unwrap();
        let check = |claims: Value, expect: &str| {
            let identity = verifier.identity(claims.as_object().unwrap()).unwrap();
            assert_eq!(&*identity.role, expect, "{claims}");
        };
        check(serde_json::json!({ "role": "staff" }), "staff");
        check(serde_json::json!({}), "anon");
        check(serde_json::json!({ "role": 3 }), "3");
        check(serde_json::json!({ "role": null }), "null");
    }

    #[test]
    fn claims_are_checked_strictly() {
        let path = RoleClaim::parse(".role").unwrap();
        let verifier = Verifier::new(None, false, Some("us".to_owned()), path, Some("anon")).unwrap();
        let check = |claims: Value, expect: Option<&str>| {
            let claims = claims.as_object().unwrap().clone();
            let got = verifier.check_claims(&claims, 1000.0).err();
            assert_eq!(got, expect.map(|text| Refusal::Claims(text.to_owned())), "{claims:?}");
        };
        check(serde_json::json!({}), None);
        check(serde_json::json!({ "exp": 971, "aud": [] }), None);
        check(serde_json::json!({ "exp": 969 }), Some("JWT expired"));
        check(serde_json::json!({ "nbf": 1031 }), Some("JWT not yet valid"));
        check(serde_json::json!({ "iat": 1031 }), Some("JWT issued at future"));
        check(
            serde_json::json!({ "iat": "x" }),
            Some("The JWT 'iat' claim must be a number"),
        );
        check(serde_json::json!({ "aud": "them" }), Some("JWT not in audience"));
        check(serde_json::json!({ "aud": ["them", "us"] }), None);
    }
}
