//! What is known of a provider: its addresses, said or found out (OpenID Connect Discovery), and its public keys.
//!
//! Both are remembered for an hour. Keys are asked for again when a token names one that is not known, at most once a minute:
//! nobody outside makes us ask more. A provider that did not answer is left alone for a few seconds.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::Jwk;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::{
    ProviderError,
    id_token::{self, IdTokenError, Wanted},
};
use crate::{
    auth::jwks::{self, HMAC, VerifyingKey},
    config::providers::Provider,
    http_client::{self, HttpError, Outgoing, may_be_asked},
};

/// How long what was found out counts.
const REMEMBERED_FOR: TimeDelta = TimeDelta::hours(1);
/// How long keys count when a token names another one.
const KEYS_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(1);
/// How long a provider that did not answer is not asked.
const LEFT_ALONE_FOR: TimeDelta = TimeDelta::seconds(5);

/// A provider and what was found out about it.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) provider: Provider,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    endpoints: Option<(Endpoints, DateTime<Utc>)>,
    keys: Option<(Arc<Vec<VerifyingKey>>, DateTime<Utc>)>,
    failed_at: Option<DateTime<Utc>>,
}

/// A provider's addresses.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) authorization: String,
    pub(super) token: String,
    pub(super) userinfo: Option<String>,
    pub(super) keys: Option<String>,
    /// Whether the secret goes into a header, else into the form.
    pub(super) takes_basic: bool,
    /// Whether its answers say who they are from (RFC 9207).
    pub(super) names_itself: bool,
}

impl Known {
    pub(super) fn new(name: &str, provider: &Provider) -> Known {
        Known {
            name: name.to_owned(),
            provider: provider.clone(),
            found: Mutex::default(),
        }
    }

    pub(super) fn silent(&self, error: HttpError) -> ProviderError {
        ProviderError::Silent(self.name.clone(), error)
    }

    pub(super) fn lacking(&self, what: &'static str) -> ProviderError {
        ProviderError::Lacking(self.name.clone(), what)
    }

    /// Its addresses.
    pub(super) async fn endpoints(&self, now: DateTime<Utc>) -> Result<Endpoints, ProviderError> {
        let mut found = self.found.lock().await;
        self.endpoints_in(&mut found, now).await
    }

    async fn endpoints_in(&self, found: &mut Found, now: DateTime<Utc>) -> Result<Endpoints, ProviderError> {
        if let Some((endpoints, at)) = &found.endpoints
            && now - *at < REMEMBERED_FOR
        {
            return Ok(endpoints.clone());
        }
        let document = match &self.provider.issuer {
            Some(issuer) => {
                let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                let document = self.fetched(found, &url, now).await?;
                // A document of another issuer would let that one answer for this one.
                if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
                    return Err(self.lacking("the issuer of the configuration in its description"));
                }
                document
            }
            None => Value::Null,
        };
        let endpoints = self.endpoints_of(&document)?;
        found.endpoints = Some((endpoints.clone(), now));
        Ok(endpoints)
    }

    fn endpoints_of(&self, document: &Value) -> Result<Endpoints, ProviderError> {
        let provider = &self.provider;
        let address = |given: &Option<String>, key: &str| {
            let found = document.get(key).and_then(Value::as_str).map(str::to_owned);
            given.clone().or(found).filter(|address| may_be_asked(address))
        };
        let methods = document
            .get("token_endpoint_auth_methods_supported")
            .and_then(Value::as_array);
        let names_itself = document.get("authorization_response_iss_parameter_supported");
        Ok(Endpoints {
            authorization: address(&provider.authorization_endpoint, "authorization_endpoint")
                .ok_or_else(|| self.lacking("an authorization_endpoint"))?,
            token: address(&provider.token_endpoint, "token_endpoint")
                .ok_or_else(|| self.lacking("a token_endpoint"))?,
            userinfo: address(&provider.userinfo_endpoint, "userinfo_endpoint"),
            keys: address(&provider.jwks_uri, "jwks_uri"),
            takes_basic: methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
            names_itself: names_itself == Some(&Value::Bool(true)),
        })
    }

    async fn fetched(&self, found: &mut Found, url: &str, now: DateTime<Utc>) -> Result<Value, ProviderError> {
        if found.failed_at.is_some_and(|at| now - at < LEFT_ALONE_FOR) {
            let error = HttpError::Silent(self.name.clone(), "it did not answer a moment ago".into());
            return Err(self.silent(error));
        }
        let answer = http_client::ask(Outgoing::get(url)).await;
        found.failed_at = answer.is_err().then_some(now);
        answer.map_err(|error| self.silent(error))
    }

    /// The claims of an ID token of this provider.
    pub(super) async fn verified(
        &self,
        token: &str,
        wanted: &Wanted<'_>,
        now: DateTime<Utc>,
    ) -> Result<Map<String, Value>, ProviderError> {
        let mut found = self.found.lock().await;
        let mut fresh = REMEMBERED_FOR;
        loop {
            let (keys, at) = self.keys_in(&mut found, fresh, now).await?;
            match id_token::verify(token, &keys, &self.provider, wanted, now) {
                Err(IdTokenError::NoKey) if fresh == REMEMBERED_FOR && now - at >= KEYS_AGAIN_AFTER => {
                    fresh = KEYS_AGAIN_AFTER;
                }
                outcome => return outcome.map_err(|error| ProviderError::IdToken(self.name.clone(), error)),
            }
        }
    }

    async fn keys_in(
        &self,
        found: &mut Found,
        fresh: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<(Arc<Vec<VerifyingKey>>, DateTime<Utc>), ProviderError> {
        if let Some((keys, at)) = &found.keys
            && now - *at < fresh
        {
            return Ok((keys.clone(), *at));
        }
        let endpoints = self.endpoints_in(found, now).await?;
        let url = endpoints.keys.ok_or_else(|| self.lacking("a jwks_uri"))?;
        let document = self.fetched(found, &url, now).await?;
        let set = document.get("keys").and_then(Value::as_array);
        let set = set.ok_or_else(|| self.lacking("its public keys"))?;
        let keys = Arc::new(set.iter().filter_map(public_key).collect::<Vec<_>>());
        found.keys = Some((keys.clone(), now));
        Ok((keys, now))
    }
}

/// A key that signs; kinds that we do not know are passed over. A shared secret is never a public key.
fn public_key(jwk: &Value) -> Option<VerifyingKey> {
    if jwk.get("use").and_then(Value::as_str).is_some_and(|used| used != "sig") {
        return None;
    }
    let jwk: Jwk = serde_json::from_value(jwk.clone()).ok()?;
    jwks::key_of(&jwk).ok().filter(|key| key.algorithms != HMAC)
}
