//! Signing in with an Ethereum wallet, and giving a login one more. A message is taken once.

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;
use uuid::Uuid;

use super::{
    AuthRefusal,
    account::has_factor,
    events::{self, Event},
    identities::note_providers,
    limits,
    newcomer::{Newcomer, add_identity},
    redirect,
    request::{Asked, Person, bearer, person},
    session::{self, Method},
    siwe::{self, Address, Message},
};
use crate::{
    app::App,
    config::secret::random_bytes,
    db::{Tx, sql},
    problem::Problem,
};

/// The body of `grant_type=web3`.
#[derive(Deserialize)]
pub struct Signed {
    chain: Option<String>,
    message: Option<String>,
    signature: Option<String>,
}

/// Gives tokens for a message that a wallet signed.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn grant(app: &App, asked: &Asked, body: &Signed) -> Result<(HeaderMap, Value), Problem> {
    let message = checked(app, asked, body)?;
    let tx = app.db.as_auth().await?;
    take(app, &tx, body, &message, asked).await?;
    let user_id = owner(app, &tx, &message, asked).await?;
    let session = session::begin(&tx, user_id, Method::Web3, asked).await?;
    let answer = session::tokens(app, &tx, user_id, session.id, asked.now).await?;
    tx.commit().await?;
    Ok((HeaderMap::new(), answer))
}

/// Gives the login of whoever asks one more wallet to sign in with, by a message that the wallet signed.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn link(app: &App, headers: &HeaderMap, asked: &Asked, body: &Signed) -> Result<(), Problem> {
    bearer(app, headers)?;
    if !app.config.settings.logins.linking {
        return Err(AuthRefusal::LinkingDisabled.into());
    }
    let message = checked(app, asked, body)?;
    let tx = app.db.as_auth().await?;
    let Person { user, standing } = person(app, headers, &tx, asked.now).await?;
    if standing.aal != "aal2" && has_factor(&tx, user.id).await? {
        return Err(AuthRefusal::FactorNeeded.into());
    }
    take(app, &tx, body, &message, asked).await?;
    let mut about = about(&message);
    about.insert("sub".to_owned(), json!(provider_id(&message)));
    add_identity(
        &tx,
        user.id,
        "web3",
        &provider_id(&message),
        &Value::Object(about),
        asked.now,
    )
    .await?;
    note_providers(&tx, user.id, asked.now).await?;
    let session_id = Some(standing.session_id);
    events::note(&tx, Event::IdentityLinked, Some(user.id), session_id, asked.now).await?;
    tx.commit().await?;
    Ok(())
}

/// What a wallet is asked to sign, so that it signs in here, on this chain and within [`siwe::HOLDS`].
///
/// # Errors
/// [`Problem::Internal`] when there is no randomness.
pub fn message(app: &App, address: Address, chain_id: u64, now: DateTime<Utc>) -> Result<Message, Problem> {
    let uri = app.public_url.as_str();
    let domain = uri
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default();
    let random: [u8; 32] = random_bytes().map_err(Problem::internal)?;
    let nonce = random
        .iter()
        .take(16)
        .fold(String::new(), |nonce, byte| format!("{nonce}{byte:02x}"));
    Ok(Message {
        scheme: None,
        domain: domain.to_owned(),
        address,
        statement: Some("Sign in to Nexus Mint. This costs nothing and moves nothing.".to_owned()),
        uri: uri.to_owned(),
        chain_id,
        nonce,
        issued_at: now,
        expires_at: Some(now + siwe::HOLDS),
        not_before: None,
    })
}

/// Reads a signed message that holds here and now.
fn checked(app: &App, asked: &Asked, body: &Signed) -> Result<Message, Problem> {
    if !app.config.settings.logins.ethereum {
        return Err(AuthRefusal::Web3Disabled.into());
    }
    if body.chain.as_deref() != Some("ethereum") {
        return Err(AuthRefusal::Web3ChainUnknown.into());
    }
    let text = body.message.as_deref().unwrap_or_default();
    let invalid = |error: siwe::SiweError| AuthRefusal::Invalid(error.to_string().into());
    let message = Message::parse(text).map_err(invalid)?;
    let signer = siwe::signer(text, body.signature.as_deref().unwrap_or_default()).map_err(invalid)?;
    if signer != message.address {
        return Err(AuthRefusal::Web3Invalid.into());
    }
    message.check_time(asked.now).map_err(invalid)?;
    if !is_ours(app, &message) {
        return Err(AuthRefusal::Invalid("the message was made for another site".into()).into());
    }
    Ok(message)
}

/// Uses a message up.
async fn take(app: &App, tx: &Tx, body: &Signed, message: &Message, asked: &Asked) -> Result<(), Problem> {
    limits::REQUESTS_OF_ADDRESS
        .check_address(tx, &app.keys, asked.address, asked.now)
        .await?;
    let text = body.message.as_deref().unwrap_or_default();
    let digest = Sha256::new().chain_update("siwe:").chain_update(text).finalize();
    if !spend(tx, &digest, message.issued_at + siwe::HOLDS).await? {
        return Err(AuthRefusal::Invalid("the message was used before".into()).into());
    }
    Ok(())
}

/// What the platform knows a wallet by.
fn provider_id(message: &Message) -> String {
    format!("web3:ethereum:{}", message.address.plain())
}

fn about(message: &Message) -> Map<String, Value> {
    let claims = json!({
        "address": message.address.checksummed(), "chain": "ethereum", "network": message.chain_id.to_string(),
        "domain": message.domain, "statement": message.statement,
    });
    Map::from_iter([("custom_claims".to_owned(), claims)])
}

/// A message that was signed for another site says so in its domain or address: it is no use here.
fn is_ours(app: &App, message: &Message) -> bool {
    let Ok(uri) = Url::parse(&message.uri) else {
        return false;
    };
    let authority = match uri.port() {
        Some(port) => format!("{}:{port}", uri.host_str().unwrap_or_default()),
        None => uri.host_str().unwrap_or_default().to_owned(),
    };
    let scheme_fits = message.scheme.as_deref().is_none_or(|scheme| scheme == uri.scheme());
    message.domain == authority && scheme_fits && redirect::is_target(app, &message.uri)
}

/// Uses up a proof; says whether it was still there to be used. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn spend(tx: &Tx, digest: &[u8], holds_to: DateTime<Utc>) -> Result<bool, tokio_postgres::Error> {
    let text = sql!("insert into nexus.spent_proofs (digest, holds_to) values ($1, $2) on conflict do nothing");
    Ok(tx.execute(text, &[&digest, &holds_to]).await? > 0)
}

/// The login of a wallet, added where there is none.
async fn owner(app: &App, tx: &Tx, message: &Message, asked: &Asked) -> Result<Uuid, Problem> {
    let provider_id = provider_id(message);
    let known = tx
        .query_opt(
            sql!(
                "select i.user_id, coalesce(u.banned_until > $2, false) from auth.identities as i join auth.users as u on u.id = i.user_id
                 where i.provider = 'web3' and i.provider_id = $1 and u.deleted_at is null"
            ),
            &[&provider_id, &asked.now],
        )
        .await?;
    if let Some(row) = known {
        if row.try_get(1)? {
            return Err(AuthRefusal::SignInBanned.into());
        }
        return Ok(row.try_get(0)?);
    }
    if !app.config.settings.logins.sign_up {
        return Err(AuthRefusal::SignUpDisabled.into());
    }
    let mut newcomer = Newcomer::with_email("", None, about(message));
    newcomer.email = None;
    newcomer.provider = Some("web3".into());
    newcomer.provider_id = provider_id;
    let id = newcomer.add(tx, asked.now).await?;
    events::note(tx, Event::SignedUp, Some(id), None, asked.now).await?;
    Ok(id)
}
