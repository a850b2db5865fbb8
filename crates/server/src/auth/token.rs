//! Access tokens: a JWT in, a [`Caller`] out, or the reason why not.
//!
//! The signature is checked first, with the algorithm of the key and no other; then the claims, strictly: a wrong type
//! is refused and not passed over. The wording of the refusals is PostgREST's, since clients show and match it.

use std::{
    fmt,
    sync::{Arc, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::keys::Keys;

/// How far two clocks may differ (s): Supabase's value.
const LEEWAY_S: f64 = 30.0;

/// How many tokens are remembered whose signature was checked: those of everybody who is there at once. Each takes
/// about 2 KiB.
const REMEMBERED_MAX: usize = 4096;

/// A role that a token can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiRole {
    /// A visitor.
    Anon,
    /// A person.
    Authenticated,
    /// A person with a role in the company.
    Staff,
    /// Other programs.
    Service,
}

impl ApiRole {
    /// All of them.
    pub const ALL: [ApiRole; 4] = [ApiRole::Anon, ApiRole::Authenticated, ApiRole::Staff, ApiRole::Service];

    /// Its name in tokens and in PostgreSQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ApiRole::Anon => "anon",
            ApiRole::Authenticated => "authenticated",
            ApiRole::Staff => "nexus_staff",
            ApiRole::Service => "service_role",
        }
    }

    fn is_a_persons(self) -> bool {
        match self {
            ApiRole::Authenticated | ApiRole::Staff => true,
            ApiRole::Anon | ApiRole::Service => false,
        }
    }
}

/// Somebody whose token was verified, or a visitor without one. Only this module makes it.
#[derive(Debug, Clone)]
pub struct Caller {
    role: ApiRole,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    claims: Arc<str>,
}

impl Caller {
    /// Somebody who showed no token. Grants nothing that a visitor has not.
    #[must_use]
    pub fn visitor() -> Caller {
        Caller {
            role: ApiRole::Anon,
            user_id: None,
            session_id: None,
            claims: Arc::from(r#"{"role":"anon"}"#),
        }
    }

    /// The role to act as.
    #[must_use]
    pub fn role(&self) -> ApiRole {
        self.role
    }

    /// The person, where the token is a person's.
    #[must_use]
    pub fn user_id(&self) -> Option<Uuid> {
        self.user_id
    }

    /// The session, where the token belongs to one.
    #[must_use]
    pub fn session_id(&self) -> Option<Uuid> {
        self.session_id
    }

    /// All claims as JSON, as policies read them: what was checked, with the role in force.
    #[must_use]
    pub fn claims(&self) -> &str {
        &self.claims
    }
}

/// Why a token is refused. The text is what PostgREST says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing after `Bearer`.
    #[error("Empty JWT is sent in Authorization header")]
    Empty,
    /// Not three parts.
    #[error("Expected 3 parts in JWT; got {0}")]
    Parts(usize),
    /// A part is not base64url or not a JSON object.
    #[error("JWT could not be decoded")]
    Malformed,
    /// An algorithm that none of our keys has; `none` among them.
    #[error("Wrong or unsupported encoding algorithm")]
    Algorithm,
    /// No key has the id that the token names.
    #[error("No suitable key or wrong key type")]
    NoKey,
    /// Nobody who has our keys signed this.
    #[error("JWT cryptographic operation failed")]
    Signature,
    /// `exp` has passed.
    #[error("JWT expired")]
    Expired,
    /// `nbf` has not come.
    #[error("JWT not yet valid")]
    NotYetValid,
    /// `iat` has not come.
    #[error("JWT issued at future")]
    IssuedAtFuture,
    /// A person's token that never ends cannot be withdrawn.
    #[error("JWT has no exp claim")]
    NoExpiry,
    /// A claim has a wrong type.
    #[error("The JWT '{claim}' claim must be {expected}")]
    ClaimType {
        /// Which claim.
        claim: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A role that tokens cannot carry.
    #[error("role {0:?} does not exist")]
    Role(String),
}

impl TokenError {
    /// Whether the token was genuine and its claims refused (PGRST303), or not even that (PGRST301).
    #[must_use]
    pub fn is_about_claims(&self) -> bool {
        match self {
            TokenError::Empty
            | TokenError::Parts(_)
            | TokenError::Malformed
            | TokenError::Algorithm
            | TokenError::NoKey
            | TokenError::Signature => false,
            TokenError::Expired
            | TokenError::NotYetValid
            | TokenError::IssuedAtFuture
            | TokenError::NoExpiry
            | TokenError::ClaimType { .. }
            | TokenError::Role(_) => true,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; we understand none.
    crit: Option<Value>,
}

/// A token whose signature was checked. Its times are checked each time that it is shown.
pub(super) struct Verified {
    caller: Caller,
    times: Times,
}

/// Between which instants a token holds (s).
#[derive(Debug, Clone, Copy)]
struct Times {
    expires: Option<f64>,
    from: Option<f64>,
    issued: Option<f64>,
}

impl Keys {
    /// Makes sure that `token` is ours and holds at `now`.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Caller, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        if let Some(known) = self.remembered(token) {
            known.times.check(now)?;
            return Ok(known.caller.clone());
        }
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, payload, signature] = parts.as_slice() else {
            return Err(TokenError::Parts(parts.len()));
        };
        self.check_signature(header, payload, signature)?;
        let claims: Map<String, Value> = decoded(payload)?;
        let times = Times::of(&claims)?;
        times.check(now)?;
        let caller = caller_of(claims)?;
        self.remember(
            token,
            Verified {
                caller: caller.clone(),
                times,
            },
        );
        Ok(caller)
    }

    fn remembered(&self, token: &str) -> Option<Arc<Verified>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(token).cloned()
    }

    /// Only what is genuine is remembered, so that nobody outside can push others out.
    fn remember(&self, token: &str, verified: Verified) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(token.to_owned(), Arc::new(verified));
    }

    /// The caller whom a token or one of our API keys proves. An API key may be opaque: then only the one that is
    /// configured counts.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn caller(&self, shown: &str, now: DateTime<Utc>) -> Result<Caller, TokenError> {
        if !shown.starts_with("sb_") {
            return self.verify(shown, now);
        }
        match self.role_of_opaque(shown) {
            None => Err(TokenError::NoKey),
            Some(ApiRole::Anon) => Ok(Caller::visitor()),
            Some(role) => Ok(Caller {
                role,
                user_id: None,
                session_id: None,
                claims: Arc::from(serde_json::json!({ "role": role.name() }).to_string()),
            }),
        }
    }

    fn check_signature(&self, header: &str, payload: &str, signature: &str) -> Result<(), TokenError> {
        let known: Header = decoded(header)?;
        if known.crit.is_some() {
            return Err(TokenError::Algorithm);
        }
        let algorithm: Algorithm = known.alg.parse().map_err(|_| TokenError::Algorithm)?;
        if self.candidates(algorithm, None).next().is_none() {
            return Err(TokenError::Algorithm);
        }
        let message = format!("{header}.{payload}");
        let mut refusal = TokenError::NoKey;
        for key in self.candidates(algorithm, known.kid.as_deref()) {
            match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, algorithm) {
                Ok(true) => return Ok(()),
                Ok(false) | Err(_) => refusal = TokenError::Signature,
            }
        }
        Err(refusal)
    }
}

/// Compares without telling by its time how much was right.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .fold(0, |differing, (a, b)| differing | (a ^ b))
            == 0
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

fn caller_of(mut claims: Map<String, Value>) -> Result<Caller, TokenError> {
    check_audience(&claims)?;
    let role = match text(&claims, "role")? {
        None => ApiRole::Anon,
        Some(name) => ApiRole::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| TokenError::Role(name.to_owned()))?,
    };
    if role.is_a_persons() && !claims.contains_key("exp") {
        return Err(TokenError::NoExpiry);
    }
    // Who else signs tokens may name itself as it likes.
    let user_id = match id(&claims, "sub") {
        Err(_) if role == ApiRole::Service => None,
        known => known?,
    };
    let session_id = id(&claims, "session_id")?;
    claims.insert("role".to_owned(), Value::from(role.name()));
    let claims = Arc::from(Value::Object(claims).to_string());
    Ok(Caller {
        role,
        user_id,
        session_id,
        claims,
    })
}

impl Times {
    fn of(claims: &Map<String, Value>) -> Result<Times, TokenError> {
        Ok(Times {
            expires: number(claims, "exp")?,
            from: number(claims, "nbf")?,
            issued: number(claims, "iat")?,
        })
    }

    fn check(self, now: DateTime<Utc>) -> Result<(), TokenError> {
        // As seconds in a float: exact for every instant that a clock can show, and no claim can overflow it.
        let now = f64::from(u32::try_from(now.timestamp()).unwrap_or(u32::MAX));
        if self.expires.is_some_and(|expires| now - LEEWAY_S > expires) {
            return Err(TokenError::Expired);
        }
        if self.from.is_some_and(|from| now + LEEWAY_S < from) {
            return Err(TokenError::NotYetValid);
        }
        if self.issued.is_some_and(|issued| now + LEEWAY_S < issued) {
            return Err(TokenError::IssuedAtFuture);
        }
        Ok(())
    }
}

fn check_audience(claims: &Map<String, Value>) -> Result<(), TokenError> {
    match claims.get("aud") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(TokenError::ClaimType {
            claim: "aud",
            expected: "a string or an array of strings",
        }),
    }
}

fn number(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<f64>, TokenError> {
    let wrong = TokenError::ClaimType {
        claim,
        expected: "a number",
    };
    claims.get(claim).map(|value| value.as_f64().ok_or(wrong)).transpose()
}

fn text<'a>(claims: &'a Map<String, Value>, claim: &'static str) -> Result<Option<&'a str>, TokenError> {
    let wrong = TokenError::ClaimType {
        claim,
        expected: "a string",
    };
    claims.get(claim).map(|value| value.as_str().ok_or(wrong)).transpose()
}

fn id(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<Uuid>, TokenError> {
    let wrong = |_| TokenError::ClaimType {
        claim,
        expected: "a UUID",
    };
    text(claims, claim)?
        .map(|text| Uuid::parse_str(text).map_err(wrong))
        .transpose()
}

impl fmt::Display for ApiRole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
