//! Signing in at other providers, those of the configuration: OpenID Connect and OAuth 2.0.
//!
//! - A provider is asked outside of every transaction, and what it says counts only under its own signature, or where its
//!   own address said it over TLS.
//! - A person is known by the provider's subject, never by an address alone. An address joins a login that has it where
//!   the provider says that it was verified, and nowhere else.
//! - What travels with the browser (state) is random and counts once; nonce and verifier follow from it under the JWT
//!   secret, so that the database has nothing that ends somebody else's flow.
//!
//! Absent: SAML, and this server as a provider.

pub mod account;
pub mod flow;
pub mod grant;
pub mod id_token;
mod metadata;

use std::collections::BTreeMap;

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use self::{
    id_token::{IdTokenError, Wanted},
    metadata::{Endpoints, Known},
};
use super::{AuthRefusal, email::Email, redirect::encoded};
use crate::{
    config::providers::Provider,
    http_client::{self, HttpError, Outgoing},
    problem::Problem,
};

/// The longest text about a person that is kept (characters).
const TEXT_LENGTH_MAX: usize = 300;
/// The longest subject that counts: longer ones are refused, since two could be cut to the same (OpenID Connect allows 255).
const SUBJECT_LENGTH_MAX: usize = 255;

/// The providers of the configuration.
pub struct Providers(BTreeMap<String, Known>);

/// Why a provider's word does not count.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It cannot be asked.
    #[error("the provider {0} cannot be asked")]
    Silent(String, #[source] HttpError),
    /// It does not describe itself as it must.
    #[error("the provider {0} does not say {1}")]
    Lacking(String, &'static str),
    /// Its ID token does not hold.
    #[error("the ID token of the provider {0} does not hold")]
    IdToken(String, #[source] IdTokenError),
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Problem {
        match error {
            // A client keeps its session and may try again.
            ProviderError::Silent(_, HttpError::Silent(..)) => Problem::Unavailable(error.into()),
            ProviderError::Silent(..) | ProviderError::Lacking(..) | ProviderError::IdToken(..) => {
                tracing::warn!(cause = %crate::problem::chain(&error), "a provider's answer does not count");
                AuthRefusal::ProviderAnswer.into()
            }
        }
    }
}

/// Who a provider says that somebody is.
#[derive(Debug, Clone)]
pub struct External {
    /// The provider's name in the configuration.
    pub provider: String,
    /// What it knows the person by, for ever.
    pub subject: String,
    /// The address, where there is one.
    pub email: Option<Email>,
    /// Whether the provider made sure that the address is the person's.
    pub is_verified: bool,
    /// What it says besides, in GoTrue's names.
    pub about: Map<String, Value>,
}

/// Tokens with which the client may ask the provider itself. None is kept longer than a flow lasts.
#[derive(Clone, Default)]
pub struct ProviderTokens {
    /// The access token.
    pub access: Option<String>,
    /// The refresh token.
    pub refresh: Option<String>,
}

impl Providers {
    /// Those of the configuration. Nothing is asked yet.
    #[must_use]
    pub fn of(all: &BTreeMap<String, Provider>) -> Providers {
        Providers(
            all.iter()
                .map(|(name, provider)| (name.clone(), Known::new(name, provider)))
                .collect(),
        )
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn get(&self, name: Option<&str>) -> Result<&Known, AuthRefusal> {
        name.and_then(|name| self.0.get(name))
            .ok_or(AuthRefusal::ProviderDisabled)
    }
}

/// What a flow shows at the token endpoint.
struct Redeeming<'a> {
    code: &'a str,
    verifier: &'a str,
    nonce: &'a str,
    redirect_uri: &'a str,
}

/// Who somebody is by a code that the provider gave to the browser.
async fn redeem(
    known: &Known,
    redeeming: &Redeeming<'_>,
    now: DateTime<Utc>,
) -> Result<(External, ProviderTokens), ProviderError> {
    let endpoints = known.endpoints(now).await?;
    let given = exchange(known, &endpoints, redeeming).await?;
    let text = |key: &str| given.get(key).and_then(Value::as_str).map(str::to_owned);
    let tokens = ProviderTokens {
        access: text("access_token"),
        refresh: text("refresh_token"),
    };
    let access = tokens
        .access
        .as_deref()
        .ok_or_else(|| known.lacking("an access_token"))?;
    let mut claims = match (&known.provider.issuer, text("id_token")) {
        (Some(_), Some(token)) => {
            let wanted = Wanted {
                nonce: Some(redeeming.nonce),
                access_token: Some(access),
            };
            known.verified(&token, &wanted, now).await?
        }
        (Some(_), None) => return Err(known.lacking("an id_token")),
        (None, _) => asked(known, &endpoints, access).await?,
    };
    if known.provider.issuer.is_some() && !claims.contains_key("email") && endpoints.userinfo.is_some() {
        let more = asked(known, &endpoints, access).await?;
        // Somebody else's description would be taken for this person's.
        if more.get("sub") == claims.get("sub") {
            for (key, value) in more {
                claims.entry(key).or_insert(value);
            }
        }
    }
    Ok((external(known, &claims)?, tokens))
}

/// Gives the code, and takes what there is for it.
async fn exchange(known: &Known, endpoints: &Endpoints, redeeming: &Redeeming<'_>) -> Result<Value, ProviderError> {
    let provider = &known.provider;
    let secret = provider.client_secret.as_ref().map(|secret| secret.expose());
    let (header, field) = if endpoints.takes_basic {
        (secret, None)
    } else {
        (None, secret)
    };
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", redeeming.code),
        ("redirect_uri", redeeming.redirect_uri),
        ("code_verifier", redeeming.verifier),
        ("client_id", &provider.client_id),
    ];
    pairs.extend(field.map(|secret| ("client_secret", secret)));
    let outgoing = Outgoing {
        method: Method::POST,
        url: &endpoints.token,
        authorization: header.map(|secret| basic(&provider.client_id, secret)),
        form: Some(encoded(&pairs)),
    };
    http_client::ask(outgoing).await.map_err(|error| known.silent(error))
}

/// RFC 6749, 2.3.1: both are encoded as in a form first.
fn basic(client_id: &str, secret: &str) -> String {
    let part = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", part(client_id), part(secret)))
    )
}

/// What the provider says of the holder of an access token.
async fn asked(known: &Known, endpoints: &Endpoints, access: &str) -> Result<Map<String, Value>, ProviderError> {
    let url = endpoints
        .userinfo
        .as_deref()
        .ok_or_else(|| known.lacking("a userinfo_endpoint"))?;
    let mut outgoing = Outgoing::get(url);
    outgoing.authorization = Some(format!("Bearer {access}"));
    match http_client::ask(outgoing).await.map_err(|error| known.silent(error))? {
        Value::Object(claims) => Ok(claims),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(known.lacking("who somebody is, as a JSON object"))
        }
    }
}

/// The person whom claims describe.
fn external(known: &Known, claims: &Map<String, Value>) -> Result<External, ProviderError> {
    let key = known.provider.subject_claim.as_deref().unwrap_or("sub");
    let subject = match claims.get(key) {
        Some(Value::String(text)) => text.clone(),
        // GitHub's ids are numbers.
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    };
    if subject.is_empty() || subject.len() > SUBJECT_LENGTH_MAX || subject.contains(char::is_control) {
        return Err(known.lacking("a subject"));
    }
    let text = |key: &str| {
        let text = claims.get(key)?.as_str()?.trim();
        let text: String = text
            .chars()
            .filter(|letter| !letter.is_control())
            .take(TEXT_LENGTH_MAX)
            .collect();
        (!text.is_empty()).then_some(text)
    };
    let email = text("email").and_then(|text| Email::parse(&text).ok());
    // Some providers write it as a text.
    let is_verified = email.is_some()
        && claims
            .get("email_verified")
            .is_some_and(|value| *value == Value::Bool(true) || value.as_str() == Some("true"));
    let mut about = Map::new();
    about.insert("sub".to_owned(), json!(subject));
    about.insert("provider_id".to_owned(), json!(subject));
    about.insert("email_verified".to_owned(), json!(is_verified));
    about.insert("phone_verified".to_owned(), json!(false));
    if let Some(email) = &email {
        about.insert("email".to_owned(), json!(email.as_str()));
    }
    let pairs = [
        ("iss", text("iss")),
        ("name", text("name")),
        ("full_name", text("name")),
        ("picture", text("picture")),
        ("avatar_url", text("picture").or_else(|| text("avatar_url"))),
        (
            "preferred_username",
            text("preferred_username").or_else(|| text("login")),
        ),
    ];
    for (key, value) in pairs {
        if let Some(value) = value {
            about.insert(key.to_owned(), json!(value));
        }
    }
    Ok(External {
        provider: known.name.clone(),
        subject,
        email,
        is_verified,
        about,
    })
}
