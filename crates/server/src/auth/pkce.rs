//! Flows that end with a code for the client that began them (RFC 7636): who only sees the link cannot use it.

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    AuthRefusal,
    one_time::Flow,
    providers::ProviderTokens,
    request::Asked,
    sealed,
    session::{self, Method},
    token::same,
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// How long a code holds.
const CODE_HOLDS: TimeDelta = TimeDelta::minutes(5);

/// How long a flow that nobody ended is kept.
const KEPT_FOR: TimeDelta = TimeDelta::days(2);

/// The part of a body that begins such a flow.
#[derive(Debug, Default, Deserialize)]
pub struct Challenge {
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// The body of `grant_type=pkce`.
#[derive(Deserialize)]
pub struct Exchange {
    auth_code: Option<String>,
    code_verifier: Option<String>,
}

impl Challenge {
    /// Which kind of flow this is.
    ///
    /// # Errors
    /// When the challenge is none.
    pub fn flow(&self) -> Result<Flow, AuthRefusal> {
        Ok(match self.parts()? {
            Some(_) => Flow::Pkce,
            None => Flow::Implicit,
        })
    }

    /// Challenge and method, if there are any.
    pub(super) fn parts(&self) -> Result<Option<(&str, &'static str)>, AuthRefusal> {
        let challenge = self.code_challenge.as_deref().filter(|text| !text.is_empty());
        let method = self.code_challenge_method.as_deref().filter(|text| !text.is_empty());
        let (challenge, method) = match (challenge, method) {
            (None, None) => return Ok(None),
            (Some(challenge), Some(method)) => (challenge, method),
            (None, Some(_)) | (Some(_), None) => {
                return Err(AuthRefusal::Invalid(
                    "PKCE flow requires code_challenge_method and code_challenge".into(),
                ));
            }
        };
        let method = match method.to_ascii_lowercase().as_str() {
            "s256" => "s256",
            "plain" => "plain",
            _ => {
                return Err(AuthRefusal::Invalid(
                    "code_challenge_method is neither s256 nor plain".into(),
                ));
            }
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || ".-_~".contains(letter);
        if !(43..=128).contains(&challenge.len()) || !challenge.chars().all(fits) {
            return Err(AuthRefusal::Invalid(
                "code challenge has to be between 43 and 128 characters of A-Z a-z 0-9 - . _ ~".into(),
            ));
        }
        Ok(Some((challenge, method)))
    }

    /// Remembers the challenge, if there is one, for when the person has shown who it is. `tx` is the auth role's.
    ///
    /// # Errors
    /// When the challenge is none, or what the database answered.
    pub async fn keep(&self, tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<(), Problem> {
        let Some((challenge, method)) = self.parts()? else {
            return Ok(());
        };
        tx.execute(
            sql!("delete from auth.flow_state where user_id = $1 or created_at < $2"),
            &[&user_id, &(now - KEPT_FOR)],
        )
        .await?;
        tx.execute(
            sql!(
                "insert into auth.flow_state (id, user_id, auth_code, code_challenge_method, code_challenge,
                   provider_type, authentication_method, created_at, updated_at)
                 values ($1, $2, '', $3::text::auth.code_challenge_method, $4, 'email', 'otp', $5, $5)"
            ),
            &[&Uuid::new_v4(), &user_id, &method, &challenge, &now],
        )
        .await?;
        Ok(())
    }
}

/// The code for the client whose person has just shown who it is.
///
/// # Errors
/// [`AuthRefusal::FlowNotFound`], or what the database answered.
pub async fn code(tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<String, Problem> {
    let code = Uuid::new_v4().to_string();
    let kept = tx
        .execute(
            sql!(
                "update auth.flow_state set auth_code = $2, auth_code_issued_at = $3, updated_at = $3
                 where user_id = $1 and auth_code = ''"
            ),
            &[&user_id, &digest(&code), &now],
        )
        .await?;
    if kept == 0 {
        return Err(AuthRefusal::FlowNotFound.into());
    }
    Ok(code)
}

/// A code for a client whose person a provider has just vouched for; with it the client gets the provider's tokens.
/// `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub(super) async fn code_by_provider(
    app: &App,
    tx: &Tx,
    user_id: Uuid,
    (challenge, method): (&str, &str),
    (provider, tokens): (&str, &ProviderTokens),
    now: DateTime<Utc>,
) -> Result<String, Problem> {
    let (id, code) = (Uuid::new_v4(), Uuid::new_v4().to_string());
    let sealed = |text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| sealed::seal(&app.config, id, text.as_bytes()))
            .transpose()
    };
    tx.execute(
        sql!("delete from auth.flow_state where created_at < $1"),
        &[&(now - KEPT_FOR)],
    )
    .await?;
    tx.execute(
        sql!(
            "insert into auth.flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, provider_type,
               authentication_method, provider_access_token, provider_refresh_token, created_at, updated_at, auth_code_issued_at)
             values ($1, $2, $3, $4::text::auth.code_challenge_method, $5, $6, 'oauth', $7, $8, $9, $9, $9)"
        ),
        &[
            &id,
            &user_id,
            &digest(&code),
            &method,
            &challenge,
            &provider,
            &sealed(&tokens.access)?,
            &sealed(&tokens.refresh)?,
            &now,
        ],
    )
    .await?;
    Ok(code)
}

/// Gives tokens for a code and the verifier of its challenge. A code is tried once.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn grant(app: &App, asked: &Asked, body: &Exchange) -> Result<(HeaderMap, Value), Problem> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (Some(code), Some(verifier)) = (given(&body.auth_code), given(&body.code_verifier)) else {
        return Err(AuthRefusal::Invalid(
            "invalid request: both auth code and code verifier should be non-empty".into(),
        )
        .into());
    };
    let tx = app.db.as_auth().await?;
    let row = tx
        .query_opt(
            sql!(
                "delete from auth.flow_state where auth_code = $1
                 returning user_id, code_challenge, code_challenge_method::text, auth_code_issued_at, id,
                   authentication_method = 'oauth', provider_access_token, provider_refresh_token"
            ),
            &[&digest(&code)],
        )
        .await?
        .ok_or(AuthRefusal::FlowNotFound)?;
    let user_id: Uuid = row.try_get::<_, Option<Uuid>>(0)?.ok_or(AuthRefusal::FlowNotFound)?;
    let issued: Option<DateTime<Utc>> = row.try_get(3)?;
    let refusal = if issued.is_none_or(|at| at + CODE_HOLDS < asked.now) {
        Some(AuthRefusal::FlowExpired)
    } else if !is_verified(&verifier, row.try_get(1)?, row.try_get(2)?) {
        Some(AuthRefusal::BadVerifier)
    } else {
        None
    };
    if let Some(refusal) = refusal {
        tx.commit().await?;
        return Err(refusal.into());
    }
    let method = if row.try_get(5)? { Method::OAuth } else { Method::Otp };
    let session = session::begin(&tx, user_id, method, asked).await?;
    let mut answer = session::tokens(app, &tx, user_id, session.id, asked.now).await?;
    if let Some(object) = answer.as_object_mut() {
        for (key, at) in [("provider_token", 6), ("provider_refresh_token", 7)] {
            if let Some(kept) = row.try_get::<_, Option<String>>(at)? {
                let opened = sealed::open(&app.config, row.try_get(4)?, &kept)?;
                object.insert(key.to_owned(), String::from_utf8_lossy(&opened).into());
            }
        }
    }
    tx.commit().await?;
    Ok((HeaderMap::new(), answer))
}

fn is_verified(verifier: &str, challenge: &str, method: &str) -> bool {
    match method {
        "s256" => same(&URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())), challenge),
        _ => same(verifier, challenge),
    }
}

fn digest(code: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_of_the_standard() {
        // RFC 7636, appendix B.
        let (verifier, challenge) = (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        );
        assert!(is_verified(verifier, challenge, "s256"));
        assert!(
            !is_verified(challenge, challenge, "s256"),
            "the challenge alone is not enough"
        );
        assert!(is_verified(challenge, challenge, "plain"));
        assert!(!is_verified("", challenge, "plain"));
    }

    #[test]
    fn a_challenge_is_whole() {
        let flow = |challenge: &str, method: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let challenge = Challenge {
                code_challenge: some(challenge),
                code_challenge_method: some(method),
            };
            challenge.flow().map_err(|refusal| refusal.code())
        };
        let long = "a".repeat(43);
        assert_eq!(flow(&long, "s256"), Ok(Flow::Pkce));
        assert_eq!(flow(&long, "S256"), Ok(Flow::Pkce));
        assert_eq!(flow("", ""), Ok(Flow::Implicit));
        for (challenge, method) in [
            (long.as_str(), ""),
            ("", "s256"),
            ("short", "s256"),
            (&long, "md5"),
            (&"a".repeat(129), "plain"),
        ] {
            assert_eq!(
                flow(challenge, method),
                Err("validation_failed"),
                "{challenge} {method}"
            );
        }
    }
}
