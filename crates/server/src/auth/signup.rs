//! `/signup`: a person with an address and a password, or somebody without a name.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    AuthRefusal,
    email::Email,
    events::{self, Event},
    limits,
    mail::{self, Kind},
    newcomer::Newcomer,
    one_time::{self, Purpose},
    pkce::Challenge,
    request::{Asked, Body},
    session::{self, Method},
    strength::new_password,
    users,
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// The body of a sign-up.
#[derive(Deserialize)]
pub struct SignUp {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    data: Option<Map<String, Value>>,
    #[serde(flatten)]
    challenge: Challenge,
}

/// `POST /signup`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn signup(State(app): State<App>, asked: Asked, Body(body): Body<SignUp>) -> Result<Json<Value>, Problem> {
    let is_given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if !app.config.settings.logins.sign_up {
        return Err(AuthRefusal::SignUpDisabled.into());
    }
    if is_given(&body.phone) {
        return Err(AuthRefusal::PhoneDisabled.into());
    }
    if !is_given(&body.email) {
        return anonymous(&app, &asked, body.data.unwrap_or_default()).await.map(Json);
    }
    let email = Email::parse(&body.email.unwrap_or_default()).map_err(|_| AuthRefusal::EmailInvalid)?;
    let password = body
        .password
        .filter(|text| !text.is_empty())
        .ok_or(AuthRefusal::PasswordNeeded)?;
    let flow = body.challenge.flow()?;
    // Before it is known whether the address is taken: both take the same time.
    let hash = app
        .hashing
        .hash(new_password(
            &password,
            Some(email.as_str()),
            app.config.settings.logins.score_min,
        )?)
        .await?;
    let metadata = body.data.unwrap_or_default();

    let tx = app.db.as_auth().await?;
    limits::REQUESTS_OF_ADDRESS
        .check_address(&tx, &app.keys, asked.address, asked.now)
        .await?;
    if app.config.settings.mail_autoconfirm {
        let mut newcomer = Newcomer::with_email(email.as_str(), Some(hash), metadata);
        newcomer.is_confirmed = true;
        let user_id = newcomer.add(&tx, asked.now).await.map_err(as_person)?;
        events::note(&tx, Event::SignedUp, Some(user_id), None, asked.now).await?;
        let session = session::begin(&tx, user_id, Method::Password, &asked).await?;
        let answer = session::tokens(&app, &tx, user_id, session.id, asked.now).await?;
        tx.commit().await?;
        return Ok(Json(answer));
    }
    let interval = app.config.settings.logins.mail_interval;
    limits::check_mail(&tx, &app.keys, email.as_str(), interval, asked.now).await?;
    let known = tx
        .query_opt(
            sql!(
                "select id, email_confirmed_at is not null from auth.users
                 where email = $1 and not is_sso_user and deleted_at is null for update"
            ),
            &[&email.as_str()],
        )
        .await?;
    let user_id = match known {
        Some(row) if row.try_get(1)? => {
            tx.commit().await?;
            return Ok(Json(nobody(email.as_str(), &metadata, &asked)));
        }
        // Nobody has shown yet that the address is theirs. What counts is what was said last, when the mail was sent
        // that will show it.
        Some(row) => {
            let id: Uuid = row.try_get(0)?;
            take_over(&tx, id, &hash, &metadata, &asked).await?;
            id
        }
        None => {
            Newcomer::with_email(email.as_str(), Some(hash), metadata)
                .add(&tx, asked.now)
                .await?
        }
    };
    events::note(&tx, Event::SignedUp, Some(user_id), None, asked.now).await?;
    body.challenge.keep(&tx, user_id, asked.now).await?;
    let issued = one_time::issue(
        &tx,
        &app.keys,
        user_id,
        Purpose::Confirmation,
        email.as_str(),
        flow,
        asked.now,
    )
    .await?;
    tx.execute(
        sql!("update auth.users set confirmation_sent_at = $2 where id = $1"),
        &[&user_id, &asked.now],
    )
    .await?;
    let link = mail::link(&app, &issued.token, "signup", &asked);
    mail::put(
        &app,
        &tx,
        Kind::Confirmation,
        email.as_str(),
        (&issued.code, &link),
        asked.now,
    )
    .await?;
    let shown = users::shown_by_id(&tx, user_id).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// Somebody who asked, and not the service.
fn as_person(problem: Problem) -> Problem {
    if let Problem::Auth(AuthRefusal::EmailExists) = problem {
        return AuthRefusal::UserExists.into();
    }
    problem
}

/// What is shown to whoever signs up with an address that somebody has: what a newcomer would see.
fn nobody(email: &str, metadata: &Map<String, Value>, asked: &Asked) -> Value {
    let id = Uuid::new_v4();
    let mut user_metadata = metadata.clone();
    for (key, value) in [
        ("sub", json!(id)),
        ("email", json!(email)),
        ("email_verified", json!(false)),
        ("phone_verified", json!(false)),
    ] {
        user_metadata.insert(key.to_owned(), value);
    }
    json!({
        "id": id, "aud": "authenticated", "role": "authenticated", "email": email, "phone": "",
        "confirmation_sent_at": asked.now, "app_metadata": { "provider": "email", "providers": ["email"] },
        "user_metadata": user_metadata, "identities": [], "created_at": asked.now, "updated_at": asked.now,
        "is_anonymous": false,
    })
}

async fn take_over(
    tx: &Tx,
    id: Uuid,
    hash: &str,
    metadata: &Map<String, Value>,
    asked: &Asked,
) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "update auth.users set encrypted_password = $2, updated_at = $4,
               raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || $3
             where id = $1"
        ),
        &[&id, &hash, &Value::Object(metadata.clone()), &asked.now],
    )
    .await?;
    Ok(())
}

async fn anonymous(app: &App, asked: &Asked, metadata: Map<String, Value>) -> Result<Value, Problem> {
    if !app.config.settings.logins.anonymous {
        return Err(AuthRefusal::AnonymousDisabled.into());
    }
    let tx = app.db.as_auth().await?;
    limits::REQUESTS_OF_ADDRESS
        .check_address(&tx, &app.keys, asked.address, asked.now)
        .await?;
    let mut newcomer = Newcomer::with_email("", None, metadata);
    newcomer.email = None;
    newcomer.provider = None;
    newcomer.is_anonymous = true;
    let user_id = newcomer.add(&tx, asked.now).await?;
    events::note(&tx, Event::SignedUpAnonymously, Some(user_id), None, asked.now).await?;
    let session = session::begin(&tx, user_id, Method::Anonymous, asked).await?;
    let answer = session::tokens(app, &tx, user_id, session.id, asked.now).await?;
    tx.commit().await?;
    Ok(answer)
}
