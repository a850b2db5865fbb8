//! `/token`: what is given for a password, a refresh token, a code or a signature.

use axum::{
    Json,
    extract::{Query, State},
    http::HeaderMap,
};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    AuthRefusal,
    email::{Email, Password},
    events::{self, Event},
    limits::{self, Drop},
    passwords::Match,
    pkce, providers, refresh,
    request::{Asked, Body},
    session::{self, Method},
    web3,
};
use crate::{app::App, config::Secret, db::sql, problem::Problem};

/// Which kind of grant.
#[derive(Deserialize)]
pub struct GrantQuery {
    grant_type: Option<String>,
}

/// The body of `grant_type=password`.
#[derive(Deserialize)]
struct ByPassword {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
}

/// `POST /token`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn token(
    State(app): State<App>,
    query: Query<GrantQuery>,
    asked: Asked,
    body: Body<Value>,
) -> Result<(HeaderMap, Json<Value>), Problem> {
    by_client(State(app), query, HeaderMap::new(), asked, body).await
}

/// The same for a client, who may be somebody signed in already.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn by_client(
    State(app): State<App>,
    Query(query): Query<GrantQuery>,
    shown: HeaderMap,
    asked: Asked,
    Body(body): Body<Value>,
) -> Result<(HeaderMap, Json<Value>), Problem> {
    let (headers, answer) = match query.grant_type.as_deref() {
        Some("password") => by_password(&app, &asked, read(body)?).await?,
        Some("refresh_token") => refresh::grant(&app, &asked, &read(body)?).await?,
        Some("pkce") => pkce::grant(&app, &asked, &read(body)?).await?,
        Some("web3") => web3::grant(&app, &asked, &read(body)?).await?,
        Some("id_token") => providers::grant::grant(&app, &shown, &asked, &read(body)?).await?,
        Some(_) | None => return Err(AuthRefusal::UnsupportedGrant.into()),
    };
    let mut headers = headers;
    headers.insert("cache-control", axum::http::HeaderValue::from_static("no-store"));
    Ok((headers, Json(answer)))
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, AuthRefusal> {
    serde_json::from_value(body).map_err(|_| AuthRefusal::Invalid("the body has a field of a wrong type".into()))
}

/// Whoever is unknown, has no password, or gave another one is answered alike, after the same work.
async fn by_password(app: &App, asked: &Asked, body: ByPassword) -> Result<(HeaderMap, Value), Problem> {
    if body.phone.is_some_and(|phone| !phone.is_empty()) {
        return Err(AuthRefusal::PhoneDisabled.into());
    }
    let given = body.email.filter(|email| !email.is_empty());
    let given = given.ok_or(AuthRefusal::Invalid("missing email or phone".into()))?;
    let email = Email::parse(&given).map_err(|_| AuthRefusal::InvalidCredentials)?;
    let password = Secret::new(body.password.unwrap_or_default());

    let tx = app.db.as_auth().await?;
    limits::PASSWORDS_OF_ADDRESS
        .check_address(&tx, &app.keys, asked.address, asked.now)
        .await?;
    let drop = limits::PASSWORDS
        .take(&tx, &app.keys, email.as_str(), asked.now)
        .await?;
    let drop = drop.map_err(|_| AuthRefusal::TooMany)?;
    let row = tx
        .query_opt(
            sql!(
                "select id, encrypted_password from auth.users
                 where email = $1 and not is_sso_user and deleted_at is null"
            ),
            &[&email.as_str()],
        )
        .await?;
    let known: Option<(Uuid, Option<String>)> = match row {
        Some(row) => Some((row.try_get(0)?, row.try_get(1)?)),
        None => None,
    };
    tx.commit().await?;

    let hash = known.as_ref().and_then(|(_, hash)| hash.clone());
    let found = app.hashing.compare(password.clone(), hash.clone()).await?;
    let better = match found {
        // A password that was allowed elsewhere and not here keeps its hash.
        Match::YesByOldHash => match Password::parse(password.expose()) {
            Ok(password) => Some(app.hashing.hash(password).await?),
            Err(_) => None,
        },
        Match::Yes | Match::No => None,
    };
    let tx = app.db.as_auth().await?;
    let user_id = known.map(|(id, _)| id);
    let (Some(user_id), Match::Yes | Match::YesByOldHash) = (user_id, found) else {
        events::note(&tx, Event::SignInRefused, user_id, None, asked.now).await?;
        if drop == Drop::Last {
            events::note(&tx, Event::LockedOut, user_id, None, asked.now).await?;
        }
        tx.commit().await?;
        return Err(AuthRefusal::InvalidCredentials.into());
    };
    // Locked, and compared once more: the password may have been changed while it was hashed.
    let row = tx
        .query_opt(
            sql!(
                "select email_confirmed_at is not null, coalesce(banned_until > $3, false) from auth.users
                 where id = $1 and encrypted_password is not distinct from $2 and deleted_at is null for update"
            ),
            &[&user_id, &hash, &asked.now],
        )
        .await?
        .ok_or(AuthRefusal::InvalidCredentials)?;
    if row.try_get(1)? {
        return Err(AuthRefusal::SignInBanned.into());
    }
    if !row.try_get::<_, bool>(0)? {
        return Err(AuthRefusal::EmailNotConfirmed.into());
    }
    if let Some(better) = better {
        tx.execute(
            sql!("update auth.users set encrypted_password = $2, updated_at = $3 where id = $1"),
            &[&user_id, &better, &asked.now],
        )
        .await?;
        events::note(&tx, Event::PasswordRehashed, Some(user_id), None, asked.now).await?;
    }
    limits::PASSWORDS.forget(&tx, &app.keys, email.as_str()).await?;
    let session = session::begin(&tx, user_id, Method::Password, asked).await?;
    let answer = session::tokens(app, &tx, user_id, session.id, asked.now).await?;
    tx.commit().await?;
    Ok((HeaderMap::new(), answer))
}
