//! `grant_type=id_token`: an app has an ID token of a provider already.

use axum::http::HeaderMap;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    ProviderError,
    account::{self, Outcome},
    external,
    id_token::{IdTokenError, Wanted},
};
use crate::{
    app::App,
    auth::{
        AuthRefusal, limits,
        request::{Asked, person},
        session::{self, Method},
        web3::spend,
    },
    problem::Problem,
};

/// How long a token that was shown is remembered after it has expired: as long as clocks may differ, and a little more.
const REMEMBERED_AFTER: TimeDelta = TimeDelta::minutes(2);

/// The body of `grant_type=id_token`.
#[derive(Deserialize)]
pub struct Shown {
    provider: Option<String>,
    id_token: Option<String>,
    access_token: Option<String>,
    nonce: Option<String>,
    link_identity: Option<bool>,
}

/// The issuers that clients know by name.
fn issuer_of(provider: Option<&str>) -> Option<&'static str> {
    match provider? {
        "google" => Some("https://accounts.google.com"),
        "apple" => Some("https://appleid.apple.com"),
        "facebook" => Some("https://www.facebook.com"),
        "kakao" => Some("https://kauth.kakao.com"),
        _ => None,
    }
}

/// Gives tokens for an ID token. One that has a nonce counts once: whoever copied it is late.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn grant(app: &App, headers: &HeaderMap, asked: &Asked, body: &Shown) -> Result<(HeaderMap, Value), Problem> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let token = given(&body.id_token).ok_or(AuthRefusal::OAuth("id_token required"))?;
    let known = app
        .providers
        .get(body.provider.as_deref())
        .map_err(|refusal| issuer_of(body.provider.as_deref()).map_or(refusal, AuthRefusal::IssuerDisabled))?;
    if known.provider.issuer.is_none() {
        return Err(AuthRefusal::ProviderDisabled.into());
    }
    let tx = app.db.as_auth().await?;
    limits::REQUESTS_OF_ADDRESS
        .check_address(&tx, &app.keys, asked.address, asked.now)
        .await?;
    tx.commit().await?;
    // The app gives the provider the hash, and us the nonce: who sees the token does not know it.
    let nonce = given(&body.nonce).map(|nonce| hex(&Sha256::digest(nonce)));
    let access = given(&body.access_token);
    let wanted = Wanted {
        nonce: nonce.as_deref(),
        access_token: access.as_deref(),
    };
    let claims = match known.verified(&token, &wanted, asked.now).await {
        Ok(claims) => claims,
        Err(ProviderError::IdToken(_, error)) => return Err(AuthRefusal::OAuth(told(error)).into()),
        Err(other) => return Err(other.into()),
    };
    let external = external(known, &claims)?;
    let tx = app.db.as_auth().await?;
    if nonce.is_some() {
        let expires = claims.get("exp").and_then(Value::as_i64).unwrap_or_default();
        let ends = chrono::DateTime::from_timestamp(expires, 0).unwrap_or(asked.now) + REMEMBERED_AFTER;
        let digest = Sha256::new().chain_update("id_token:").chain_update(&token).finalize();
        if !spend(&tx, &digest, ends).await? {
            return Err(AuthRefusal::OAuth("id_token was used before").into());
        }
    }
    let user_id = if body.link_identity == Some(true) {
        if !app.config.settings.logins.linking {
            return Err(AuthRefusal::LinkingDisabled.into());
        }
        let person = person(app, headers, &tx, asked.now).await?;
        account::link(&tx, person.user.id, &external, asked).await?;
        person.user.id
    } else {
        match account::login_of(app, &tx, &external, asked).await? {
            Outcome::Login(user_id) => user_id,
            Outcome::ConfirmFirst => {
                tx.commit().await?;
                return Err(AuthRefusal::EmailNeedsVerification.into());
            }
        }
    };
    let session = session::begin(&tx, user_id, Method::OAuth, asked).await?;
    let answer = session::tokens(app, &tx, user_id, session.id, asked.now).await?;
    tx.commit().await?;
    Ok((HeaderMap::new(), answer))
}

/// What an app may know: which of its own mistakes it is.
fn told(error: IdTokenError) -> &'static str {
    match error {
        IdTokenError::Audience => "Unacceptable audience in id_token",
        IdTokenError::Nonce => "Nonces mismatch",
        IdTokenError::Expired => "id_token has expired",
        IdTokenError::Form
        | IdTokenError::Algorithm
        | IdTokenError::NoKey
        | IdTokenError::Signature
        | IdTokenError::Issuer
        | IdTokenError::TooEarly
        | IdTokenError::AccessToken => "Bad ID token",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
