//! Second factors: codes of an authenticator (TOTP).
//!
//! A secret is kept encrypted, since its codes can only be compared by who has it. A code counts once.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    AuthRefusal,
    account::has_factor,
    admin::id_of,
    events::{self, Event},
    limits, refresh,
    request::{Asked, Body, Person, bearer, person, service},
    sealed,
    session::{self, Method},
    totp, users,
    web3::spend,
};
use crate::{
    app::App,
    config::secret::random_bytes,
    db::{OnConstraint as _, Tx, sql},
    problem::Problem,
};

/// How long a challenge holds.
const CHALLENGE_HOLDS: TimeDelta = TimeDelta::seconds(300);
/// How many factors a person has at most.
const FACTORS_MAX: i64 = 10;
/// Bytes of a secret: those of the hash (RFC 4226).
const SECRET_BYTES: usize = 20;

/// The body of a new factor.
#[derive(Deserialize)]
pub struct Enrolment {
    factor_type: Option<String>,
    friendly_name: Option<String>,
    issuer: Option<String>,
}

/// The body of a verification.
#[derive(Deserialize)]
pub struct Shown {
    challenge_id: Option<Uuid>,
    code: Option<String>,
}

/// The body of a change of a factor by the service.
#[derive(Deserialize)]
pub struct FactorChange {
    friendly_name: Option<String>,
}

/// `POST /factors`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn enroll(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Body(body): Body<Enrolment>,
) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    match body.factor_type.as_deref() {
        Some("totp") => {}
        Some("phone") => return Err(AuthRefusal::PhoneFactorsDisabled.into()),
        Some("webauthn") => return Err(AuthRefusal::WebAuthnFactorsDisabled.into()),
        Some(_) | None => {
            return Err(AuthRefusal::Invalid("factor_type needs to be totp, phone, or webauthn".into()).into());
        }
    }
    let tx = app.db.as_auth().await?;
    let Person { user, standing } = person(&app, &headers, &tx, asked.now).await?;
    if standing.aal != "aal2" && has_factor(&tx, user.id).await? {
        return Err(AuthRefusal::FactorNeededToEnroll.into());
    }
    // What was begun and left is no factor.
    tx.execute(
        sql!("delete from auth.mfa_factors where user_id = $1 and status = 'unverified' and created_at < $2"),
        &[&user.id, &(asked.now - TimeDelta::minutes(5))],
    )
    .await?;
    let count: i64 = tx
        .query_one(
            sql!("select count(*) from auth.mfa_factors where user_id = $1"),
            &[&user.id],
        )
        .await?
        .try_get(0)?;
    if count >= FACTORS_MAX {
        return Err(AuthRefusal::TooManyFactors.into());
    }
    let id = Uuid::new_v4();
    let random = random_bytes().map_err(Problem::internal)?;
    let secret = random.get(..SECRET_BYTES).unwrap_or(&random);
    let kept = sealed::seal(&app.config, id, secret)?;
    let name = body.friendly_name.unwrap_or_default();
    tx.execute(
        sql!(
            "insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, secret, created_at, updated_at)
             values ($1, $2, $3, 'totp', 'unverified', $4, $5, $5)"
        ),
        &[&id, &user.id, &name, &kept, &asked.now],
    )
    .await
    .on_constraint("mfa_factors_user_friendly_name_unique", || AuthRefusal::FactorNameTaken.into())?;
    events::note(
        &tx,
        Event::FactorEnrolled,
        Some(user.id),
        Some(standing.session_id),
        asked.now,
    )
    .await?;
    tx.commit().await?;
    let site = app
        .config
        .settings
        .site_url
        .as_ref()
        .unwrap_or(&app.public_url)
        .as_str();
    let issuer = body
        .issuer
        .filter(|issuer| !issuer.is_empty())
        .unwrap_or_else(|| host_of(site));
    let account = if user.email.is_empty() {
        user.id.to_string()
    } else {
        user.email
    };
    let uri = uri(&issuer, &account, &totp::base32(secret));
    Ok(Json(json!({
        "id": id, "type": "totp", "friendly_name": name,
        "totp": { "qr_code": picture(&uri), "secret": totp::base32(secret), "uri": uri },
    })))
}

fn host_of(site: &str) -> String {
    let url = url::Url::parse(site).ok();
    url.and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What authenticators scan.
fn uri(issuer: &str, account: &str, secret: &str) -> String {
    let part = |text: &str| {
        url::form_urlencoded::byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    let (issuer, account) = (part(issuer), part(account));
    format!("otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits=6&issuer={issuer}&period=30&secret={secret}")
}

/// A text as a QR code in SVG; nothing where it does not fit.
fn picture(text: &str) -> String {
    let Ok(code) = qrcodegen::QrCode::encode_text(text, qrcodegen::QrCodeEcc::Medium) else {
        return String::new();
    };
    let mut path = String::new();
    for y in 0..code.size() {
        for x in 0..code.size() {
            if code.get_module(x, y) {
                path.push_str(&format!("M{},{}h1v1h-1z", x + 4, y + 4));
            }
        }
    }
    let side = code.size() + 8;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"256\" height=\"256\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/><path d=\"{path}\" fill=\"black\"/></svg>"
    )
}

/// A factor of the person who asks.
struct Factor {
    id: Uuid,
    is_verified: bool,
    secret: String,
}

async fn factor_of(tx: &Tx, user_id: Uuid, id: &str) -> Result<Factor, Problem> {
    let id = Uuid::parse_str(id).map_err(|_| AuthRefusal::FactorNotFound)?;
    let row = tx
        .query_opt(
            sql!(
                "select status = 'verified', coalesce(secret, '') from auth.mfa_factors
                 where id = $1 and user_id = $2 for update"
            ),
            &[&id, &user_id],
        )
        .await?
        .ok_or(AuthRefusal::FactorNotFound)?;
    Ok(Factor {
        id,
        is_verified: row.try_get(0)?,
        secret: row.try_get(1)?,
    })
}

/// `POST /factors/{id}/challenge`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn challenge(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    let tx = app.db.as_auth().await?;
    let Person { user, .. } = person(&app, &headers, &tx, asked.now).await?;
    let factor = factor_of(&tx, user.id, &id).await?;
    let challenge_id = Uuid::new_v4();
    tx.execute(
        sql!("delete from auth.mfa_challenges where factor_id = $1 and created_at < $2"),
        &[&factor.id, &(asked.now - CHALLENGE_HOLDS * 2)],
    )
    .await?;
    tx.execute(
        sql!("insert into auth.mfa_challenges (id, factor_id, created_at, ip_address) values ($1, $2, $3, $4::text::inet)"),
        &[&challenge_id, &factor.id, &asked.now, &address_of(&asked)],
    )
    .await?;
    tx.commit().await?;
    let ends = (asked.now + CHALLENGE_HOLDS).timestamp();
    Ok(Json(json!({ "id": challenge_id, "type": "totp", "expires_at": ends })))
}

fn address_of(asked: &Asked) -> String {
    asked
        .address
        .map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string())
}

/// `POST /factors/{id}/verify`: the session is of a person who showed two things from now on.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn verify(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path(id): Path<String>,
    Body(body): Body<Shown>,
) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    let tx = app.db.as_auth().await?;
    let Person { user, standing } = person(&app, &headers, &tx, asked.now).await?;
    let factor = factor_of(&tx, user.id, &id).await?;
    limits::CODES
        .check(&tx, &app.keys, &factor.id.to_string(), asked.now)
        .await?;
    let code = body.code.unwrap_or_default();
    check_challenge(&tx, &factor, body.challenge_id, &asked).await?;
    let secret = sealed::open(&app.config, factor.id, &factor.secret)?;
    let step = totp::step_of(&secret, &code, asked.now);
    let is_fresh = match step {
        Some(step) => spend_code(&tx, factor.id, step).await?,
        None => false,
    };
    if !is_fresh {
        events::note(
            &tx,
            Event::FactorRefused,
            Some(user.id),
            Some(standing.session_id),
            asked.now,
        )
        .await?;
        tx.commit().await?;
        return Err(AuthRefusal::FactorCodeWrong.into());
    }
    accept(&tx, &user.id, &standing.session_id, &factor, &asked).await?;
    limits::CODES.forget(&tx, &app.keys, &factor.id.to_string()).await?;
    let kept = sealed::seal(&app.config, factor.id, &secret)?;
    tx.execute(
        sql!("update auth.mfa_factors set secret = $2 where id = $1"),
        &[&factor.id, &kept],
    )
    .await?;
    let answer = session::tokens(&app, &tx, user.id, standing.session_id, asked.now).await?;
    tx.commit().await?;
    Ok(Json(answer))
}

async fn check_challenge(tx: &Tx, factor: &Factor, id: Option<Uuid>, asked: &Asked) -> Result<(), Problem> {
    let row = tx
        .query_opt(
            sql!("select created_at, host(ip_address), verified_at is not null from auth.mfa_challenges where id = $1 and factor_id = $2"),
            &[&id, &factor.id],
        )
        .await?
        .ok_or(AuthRefusal::FactorNotFound)?;
    let (created_at, address, is_used): (DateTime<Utc>, String, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if created_at + CHALLENGE_HOLDS < asked.now || is_used {
        return Err(AuthRefusal::ChallengeExpired.into());
    }
    if address != address_of(asked) {
        return Err(AuthRefusal::ChallengeElsewhere.into());
    }
    Ok(())
}

/// Uses up the code of a step; says whether it was not used yet.
async fn spend_code(tx: &Tx, factor_id: Uuid, step: i64) -> Result<bool, Problem> {
    let Some(end) = totp::end_of(step) else {
        return Ok(false);
    };
    let digest = Sha256::new()
        .chain_update("totp:")
        .chain_update(factor_id.as_bytes())
        .chain_update(step.to_be_bytes())
        .finalize();
    Ok(spend(tx, &digest, end).await?)
}

async fn accept(
    tx: &Tx,
    user_id: &Uuid,
    session_id: &Uuid,
    factor: &Factor,
    asked: &Asked,
) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!("update auth.mfa_challenges set verified_at = $2 where factor_id = $1 and verified_at is null"),
        &[&factor.id, &asked.now],
    )
    .await?;
    if !factor.is_verified {
        tx.execute(
            sql!("update auth.mfa_factors set status = 'verified', updated_at = $2 where id = $1"),
            &[&factor.id, &asked.now],
        )
        .await?;
        tx.execute(
            sql!("delete from auth.mfa_factors where user_id = $1 and status = 'unverified'"),
            &[user_id],
        )
        .await?;
        // Sessions of the time before, which anybody could have begun with the password alone.
        tx.execute(
            sql!("delete from auth.sessions where user_id = $1 and id <> $2 and coalesce(aal, 'aal1') < 'aal2'"),
            &[user_id, session_id],
        )
        .await?;
    }
    tx.execute(
        sql!(
            "update auth.sessions set aal = 'aal2', factor_id = $2, updated_at = $3,
               refresh_token_counter = refresh_token_counter + 1, refreshed_at = $3::timestamptz at time zone 'utc'
             where id = $1"
        ),
        &[session_id, &factor.id, &asked.now],
    )
    .await?;
    refresh::note_given(tx, *session_id).await?;
    session::add_method(tx, *session_id, Method::Totp, asked.now).await?;
    events::note(tx, Event::FactorVerified, Some(*user_id), Some(*session_id), asked.now).await
}

/// `DELETE /factors/{id}`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn unenroll(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    let tx = app.db.as_auth().await?;
    let Person { user, standing } = person(&app, &headers, &tx, asked.now).await?;
    let factor = factor_of(&tx, user.id, &id).await?;
    if factor.is_verified && standing.aal != "aal2" {
        return Err(AuthRefusal::FactorNeededToRemove.into());
    }
    remove(&tx, user.id, factor.id, &asked).await?;
    tx.commit().await?;
    Ok(Json(json!({ "id": factor.id })))
}

/// Sessions that rested on the factor are of somebody who showed one thing again.
async fn remove(tx: &Tx, user_id: Uuid, id: Uuid, asked: &Asked) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "delete from auth.mfa_amr_claims where authentication_method = 'totp'
               and session_id in (select s.id from auth.sessions as s where s.user_id = $1 and s.factor_id = $2)"
        ),
        &[&user_id, &id],
    )
    .await?;
    tx.execute(
        sql!("update auth.sessions set aal = 'aal1', factor_id = null where user_id = $1 and factor_id = $2"),
        &[&user_id, &id],
    )
    .await?;
    tx.execute(
        sql!("delete from auth.mfa_factors where id = $1 and user_id = $2"),
        &[&id, &user_id],
    )
    .await?;
    events::note(tx, Event::FactorRemoved, Some(user_id), None, asked.now).await
}

/// `GET /admin/users/{id}/factors`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn of_user(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let id = id_of(&id)?;
    let tx = app.db.as_auth().await?;
    users::find(&tx, id).await?.ok_or(AuthRefusal::NoSuchUser)?;
    let found = users::factors(&tx, id).await?;
    tx.commit().await?;
    Ok(Json(json!(found)))
}

/// `DELETE /admin/users/{id}/factors/{factor}`: for who lost the authenticator.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn remove_of_user(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path((id, factor)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let id = id_of(&id)?;
    let tx = app.db.as_auth().await?;
    let factor = factor_of(&tx, id, &factor).await?;
    remove(&tx, id, factor.id, &asked).await?;
    tx.commit().await?;
    Ok(Json(json!({ "id": factor.id })))
}

/// `PUT /admin/users/{id}/factors/{factor}`: another name.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn change_of_user(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path((id, factor)): Path<(String, String)>,
    Body(body): Body<FactorChange>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let id = id_of(&id)?;
    let tx = app.db.as_auth().await?;
    let factor = factor_of(&tx, id, &factor).await?;
    tx.execute(
        sql!("update auth.mfa_factors set friendly_name = coalesce($2, friendly_name), updated_at = $3 where id = $1"),
        &[&factor.id, &body.friendly_name, &asked.now],
    )
    .await
    .on_constraint("mfa_factors_user_friendly_name_unique", || {
        AuthRefusal::FactorNameTaken.into()
    })?;
    let found = users::factors(&tx, id).await?;
    tx.commit().await?;
    let shown = found.into_iter().find(|shown| shown["id"] == json!(factor.id));
    Ok(Json(shown.unwrap_or_default()))
}
