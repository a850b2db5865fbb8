//! What a person does with the own login: `/user`, `/logout`, `/reauthenticate`.

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    AuthRefusal,
    email::Email,
    email_change,
    events::{self, Event},
    limits,
    mail::{self, Kind},
    newcomer::merge,
    one_time::{self, Flow, Purpose},
    passwords::Match,
    pkce::Challenge,
    request::{Asked, Body, Person, bearer, nothing, person},
    session::{self, Ending},
    strength::new_password,
    users,
};
use crate::{
    app::App,
    config::Secret,
    db::{Tx, sql},
    problem::Problem,
};

/// A session that is older must show once more who it is before it sets a password: a token that was taken from a machine
/// left alone is not enough to lock its person out. Supabase's value.
const FRESH_FOR: TimeDelta = TimeDelta::hours(24);

/// `GET /user`: who is asking. A session that was ended is refused here at once, whatever its tokens say.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn show(State(app): State<App>, headers: HeaderMap, asked: Asked) -> Result<Json<Value>, Problem> {
    // Before a connection is taken: whoever shows nothing costs nothing.
    bearer(&app, &headers)?;
    let tx = app.db.as_auth().await?;
    let Person { user, .. } = person(&app, &headers, &tx, asked.now).await?;
    let shown = users::shown(&tx, &user).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// The body of a change.
#[derive(Deserialize)]
pub struct Change {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    current_password: Option<String>,
    nonce: Option<String>,
    data: Option<Map<String, Value>>,
    #[serde(flatten)]
    challenge: Challenge,
}

/// `PUT /user`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn change(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Body(body): Body<Change>,
) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    let flow = body.challenge.flow()?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    if given(body.phone).is_some() {
        return Err(AuthRefusal::PhoneDisabled.into());
    }
    let email = match given(body.email) {
        Some(text) => Some(Email::parse(&text).map_err(|_| AuthRefusal::EmailInvalid)?),
        None => None,
    };
    let tx = app.db.as_auth().await?;
    let person = person(&app, &headers, &tx, asked.now).await?;
    let user_id = person.user.id;
    let email = email.filter(|email| email.as_str() != person.user.email);
    if (email.is_some() || body.password.is_some()) && person.standing.aal != "aal2" && has_factor(&tx, user_id).await?
    {
        return Err(AuthRefusal::FactorNeeded.into());
    }
    let old_hash: Option<String> = tx
        .query_one(
            sql!("select encrypted_password from auth.users where id = $1"),
            &[&user_id],
        )
        .await?
        .try_get(0)?;
    tx.commit().await?;

    let hash = match body.password {
        Some(text) => {
            let current = given(body.current_password);
            let proof = Proof {
                current,
                nonce: given(body.nonce),
            };
            check_password_change(&app, &person, &proof, &text, old_hash.clone(), &asked).await?;
            let score_min = app.config.settings.logins.score_min;
            let new = new_password(&text, Some(person.user.email.as_str()), score_min)?;
            Some(app.hashing.hash(new).await?)
        }
        None => None,
    };
    let tx = app.db.as_auth().await?;
    if let Some(hash) = hash {
        set_password(&tx, &person, old_hash, &hash, &asked).await?;
    }
    if let Some(data) = body.data {
        set_metadata(&tx, user_id, data, &asked).await?;
    }
    if let Some(email) = email {
        if person.user.is_anonymous && app.config.settings.mail_autoconfirm {
            email_change::at_once(&tx, user_id, &email, asked.now).await?;
        } else {
            let interval = app.config.settings.logins.mail_interval;
            limits::check_mail(&tx, &app.keys, email.as_str(), interval, asked.now).await?;
            body.challenge.keep(&tx, user_id, asked.now).await?;
            email_change::ask(&app, &tx, &person.user, &email, flow, &asked).await?;
        }
    }
    let shown = users::shown_by_id(&tx, user_id).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// Whether a person has a second factor that counts. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn has_factor(tx: &Tx, user_id: Uuid) -> Result<bool, tokio_postgres::Error> {
    let text = sql!("select from auth.mfa_factors where user_id = $1 and status = 'verified' limit 1");
    Ok(tx.query_opt(text, &[&user_id]).await?.is_some())
}

/// By what a person shows once more who it is.
struct Proof {
    current: Option<String>,
    nonce: Option<String>,
}

async fn check_password_change(
    app: &App,
    person: &Person,
    proof: &Proof,
    new: &str,
    old_hash: Option<String>,
    asked: &Asked,
) -> Result<(), Problem> {
    let has_password = old_hash.as_deref().is_some_and(|hash| !hash.is_empty());
    let mut is_shown = asked.now - person.standing.since <= FRESH_FOR || person.user.email.is_empty();
    if let Some(current) = &proof.current {
        if app
            .hashing
            .compare(Secret::new(current.clone()), old_hash.clone())
            .await?
            == Match::No
        {
            return Err(AuthRefusal::CurrentPasswordWrong.into());
        }
        is_shown = true;
    }
    if let Some(nonce) = &proof.nonce {
        redeem_nonce(app, person, nonce, asked).await?;
        is_shown = true;
    }
    if !is_shown {
        return Err(AuthRefusal::ReauthenticationNeeded.into());
    }
    if has_password && app.hashing.compare(Secret::new(new.to_owned()), old_hash).await? != Match::No {
        return Err(AuthRefusal::SamePassword.into());
    }
    Ok(())
}

async fn redeem_nonce(app: &App, person: &Person, nonce: &str, asked: &Asked) -> Result<(), Problem> {
    let email = person.user.email.as_str();
    let tx = app.db.as_auth().await?;
    limits::CODES.check(&tx, &app.keys, email, asked.now).await?;
    tx.commit().await?;
    let tx = app.db.as_auth().await?;
    let purposes = [Purpose::Reauthentication];
    let redeemed = one_time::redeem_code(&tx, &app.keys, email, nonce, &purposes, asked.now).await;
    match redeemed {
        Ok(redeemed) if redeemed.user_id == person.user.id => {}
        Ok(_) | Err(Problem::Auth(_)) => return Err(AuthRefusal::ReauthenticationInvalid.into()),
        Err(other) => return Err(other),
    }
    tx.commit().await?;
    Ok(())
}

/// The other sessions end: whoever knew the old password may have them.
async fn set_password(
    tx: &Tx,
    person: &Person,
    old_hash: Option<String>,
    hash: &str,
    asked: &Asked,
) -> Result<(), Problem> {
    let user_id = person.user.id;
    let changed = tx
        .execute(
            sql!(
                "update auth.users set encrypted_password = $3, updated_at = $4
                 where id = $1 and encrypted_password is not distinct from $2"
            ),
            &[&user_id, &old_hash, &hash, &asked.now],
        )
        .await?;
    if changed == 0 {
        return Err(AuthRefusal::ReauthenticationNeeded.into());
    }
    session::end(tx, user_id, Ending::Others(person.standing.session_id)).await?;
    events::note(
        tx,
        Event::PasswordChanged,
        Some(user_id),
        Some(person.standing.session_id),
        asked.now,
    )
    .await?;
    Ok(())
}

async fn set_metadata(tx: &Tx, user_id: Uuid, data: Map<String, Value>, asked: &Asked) -> Result<(), Problem> {
    let row = tx
        .query_one(
            sql!("select coalesce(raw_user_meta_data, '{}') from auth.users where id = $1 for update"),
            &[&user_id],
        )
        .await?;
    let mut metadata = match row.try_get(0)? {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    merge(&mut metadata, data);
    tx.execute(
        sql!("update auth.users set raw_user_meta_data = $2, updated_at = $3 where id = $1"),
        &[&user_id, &json!(metadata), &asked.now],
    )
    .await?;
    Ok(())
}

/// Which sessions.
#[derive(Deserialize)]
pub struct LogoutQuery {
    scope: Option<String>,
}

/// `POST /logout`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn logout(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Query(query): Query<LogoutQuery>,
) -> Result<StatusCode, Problem> {
    bearer(&app, &headers)?;
    let tx = app.db.as_auth().await?;
    let person = person(&app, &headers, &tx, asked.now).await?;
    let session_id = person.standing.session_id;
    let which = match query.scope.as_deref() {
        Some("global") | None => Ending::All,
        Some("local") => Ending::This(session_id),
        Some("others") => Ending::Others(session_id),
        Some(_) => return Err(AuthRefusal::Invalid("Unsupported logout scope".into()).into()),
    };
    session::end(&tx, person.user.id, which).await?;
    events::note(&tx, Event::SignedOut, Some(person.user.id), Some(session_id), asked.now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /reauthenticate`: mails a code by which the person shows once more who it is.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn reauthenticate(State(app): State<App>, headers: HeaderMap, asked: Asked) -> Result<Json<Value>, Problem> {
    bearer(&app, &headers)?;
    let tx = app.db.as_auth().await?;
    let Person { user, .. } = person(&app, &headers, &tx, asked.now).await?;
    if user.email.is_empty() {
        return Err(AuthRefusal::Invalid(
            "Reauthentication requires the user to have an email or a phone number".into(),
        )
        .into());
    }
    let interval = app.config.settings.logins.mail_interval;
    limits::check_mail(&tx, &app.keys, &user.email, interval, asked.now).await?;
    let purpose = Purpose::Reauthentication;
    let issued = one_time::issue(&tx, &app.keys, user.id, purpose, &user.email, Flow::Implicit, asked.now).await?;
    tx.execute(
        sql!("update auth.users set reauthentication_sent_at = $2 where id = $1"),
        &[&user.id, &asked.now],
    )
    .await?;
    mail::put(
        &app,
        &tx,
        Kind::Reauthentication,
        &user.email,
        (&issued.code, ""),
        asked.now,
    )
    .await?;
    events::note(&tx, Event::ReauthenticationAsked, Some(user.id), None, asked.now).await?;
    tx.commit().await?;
    Ok(nothing())
}
