//! Asking for mails that sign in: `/recover`, `/otp`, `/magiclink`, `/resend`, and the service's `/invite`.
//!
//! Whether somebody has the address is not told: the answer and the pause between two mails are the same.

use axum::{Json, extract::State, http::HeaderMap};
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
    one_time::{self, Flow, Purpose},
    pkce::Challenge,
    request::{Asked, Body, nothing, service},
    users,
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// The body of these requests.
#[derive(Deserialize)]
pub struct LinkBody {
    email: Option<String>,
    phone: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    create_user: Option<bool>,
    data: Option<Map<String, Value>>,
    #[serde(flatten)]
    challenge: Challenge,
}

impl LinkBody {
    fn address(&self) -> Result<Email, AuthRefusal> {
        if self.phone.as_deref().is_some_and(|phone| !phone.is_empty()) {
            return Err(AuthRefusal::PhoneDisabled);
        }
        let text = self.email.as_deref().filter(|email| !email.is_empty());
        let text = text.ok_or(AuthRefusal::Invalid("One of email or phone must be set".into()))?;
        Email::parse(text).map_err(|_| AuthRefusal::EmailInvalid)
    }
}

/// A login by its address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) id: Uuid,
    pub(super) is_confirmed: bool,
}

/// The login with an address, locked. `tx` is the auth role's.
pub(super) async fn known(tx: &Tx, email: &Email) -> Result<Option<Known>, tokio_postgres::Error> {
    let row = tx
        .query_opt(
            sql!(
                "select id, email_confirmed_at is not null from auth.users
                 where email = $1 and not is_sso_user and deleted_at is null for update"
            ),
            &[&email.as_str()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Known {
        id: row.try_get(0)?,
        is_confirmed: row.try_get(1)?,
    }))
}

/// Which instant of the login's row says that a mail was sent.
#[derive(Clone, Copy)]
pub(super) enum Sent {
    Confirmation,
    Recovery,
    Invite,
}

pub(super) async fn note_sent(tx: &Tx, id: Uuid, what: Sent, asked: &Asked) -> Result<(), tokio_postgres::Error> {
    let text = match what {
        Sent::Confirmation => sql!("update auth.users set confirmation_sent_at = $2 where id = $1"),
        Sent::Recovery => sql!("update auth.users set recovery_sent_at = $2 where id = $1"),
        Sent::Invite => sql!("update auth.users set invited_at = $2, confirmation_sent_at = $2 where id = $1"),
    };
    tx.execute(text, &[&id, &asked.now]).await?;
    Ok(())
}

/// The transaction of a request for a mail, after the limits.
async fn begin(app: &App, asked: &Asked, email: &Email) -> Result<Tx, Problem> {
    let tx = app.db.as_auth().await?;
    limits::REQUESTS_OF_ADDRESS
        .check_address(&tx, &app.keys, asked.address, asked.now)
        .await?;
    let interval = app.config.settings.logins.mail_interval;
    limits::check_mail(&tx, &app.keys, email.as_str(), interval, asked.now).await?;
    Ok(tx)
}

/// `POST /recover`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn recover(State(app): State<App>, asked: Asked, Body(body): Body<LinkBody>) -> Result<Json<Value>, Problem> {
    let (email, flow) = (body.address()?, body.challenge.flow()?);
    let tx = begin(&app, &asked, &email).await?;
    if let Some(known) = known(&tx, &email).await? {
        body.challenge.keep(&tx, known.id, asked.now).await?;
        send(&app, &tx, known.id, &email, (Kind::Recovery, "recovery"), flow, &asked).await?;
        events::note(&tx, Event::RecoveryAsked, Some(known.id), None, asked.now).await?;
    }
    tx.commit().await?;
    Ok(nothing())
}

/// `POST /otp`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn otp(State(app): State<App>, asked: Asked, Body(body): Body<LinkBody>) -> Result<Json<Value>, Problem> {
    let may_add = body.create_user.unwrap_or(true);
    sign_in_by_mail(&app, &asked, body, may_add).await
}

/// `POST /magiclink`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn magic_link(
    State(app): State<App>,
    asked: Asked,
    Body(body): Body<LinkBody>,
) -> Result<Json<Value>, Problem> {
    sign_in_by_mail(&app, &asked, body, true).await
}

async fn sign_in_by_mail(app: &App, asked: &Asked, body: LinkBody, may_add: bool) -> Result<Json<Value>, Problem> {
    let (email, flow) = (body.address()?, body.challenge.flow()?);
    let tx = begin(app, asked, &email).await?;
    let user_id = match known(&tx, &email).await? {
        Some(known) => known.id,
        None if !may_add => {
            tx.commit().await?;
            return Err(AuthRefusal::CodeDisabled.into());
        }
        None if !app.config.settings.logins.sign_up => {
            tx.commit().await?;
            return Err(AuthRefusal::SignUpDisabled.into());
        }
        None => {
            let newcomer = Newcomer::with_email(email.as_str(), None, body.data.unwrap_or_default());
            let id = newcomer.add(&tx, asked.now).await?;
            events::note(&tx, Event::SignedUp, Some(id), None, asked.now).await?;
            id
        }
    };
    body.challenge.keep(&tx, user_id, asked.now).await?;
    send(app, &tx, user_id, &email, (Kind::MagicLink, "magiclink"), flow, asked).await?;
    events::note(&tx, Event::LinkAsked, Some(user_id), None, asked.now).await?;
    tx.commit().await?;
    Ok(nothing())
}

/// Mails a code and link that signs in.
async fn send(
    app: &App,
    tx: &Tx,
    user_id: Uuid,
    email: &Email,
    (kind, word): (Kind, &str),
    flow: Flow,
    asked: &Asked,
) -> Result<(), Problem> {
    let (keys, email) = (&app.keys, email.as_str());
    let issued = one_time::issue(tx, keys, user_id, Purpose::Recovery, email, flow, asked.now).await?;
    note_sent(tx, user_id, Sent::Recovery, asked).await?;
    let link = mail::link(app, &issued.token, word, asked);
    mail::put(app, tx, kind, email, (&issued.code, &link), asked.now).await?;
    Ok(())
}

/// `POST /resend`: the mail of a sign-up or of a change of address once more.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn resend(State(app): State<App>, asked: Asked, Body(body): Body<LinkBody>) -> Result<Json<Value>, Problem> {
    let flow = body.challenge.flow()?;
    let is_change = match body.kind.as_deref() {
        Some("signup") => false,
        Some("email_change") => true,
        Some("sms" | "phone_change") => return Err(AuthRefusal::PhoneDisabled.into()),
        Some(_) | None => {
            return Err(AuthRefusal::Invalid(
                "Missing one of these types: signup, email_change, sms, phone_change".into(),
            )
            .into());
        }
    };
    let email = body.address()?;
    let tx = begin(&app, &asked, &email).await?;
    if is_change {
        super::email_change::resend(&app, &tx, &email, flow, &asked).await?;
    } else if let Some(known) = known(&tx, &email).await?.filter(|known| !known.is_confirmed) {
        body.challenge.keep(&tx, known.id, asked.now).await?;
        let purpose = Purpose::Confirmation;
        let issued = one_time::issue(&tx, &app.keys, known.id, purpose, email.as_str(), flow, asked.now).await?;
        note_sent(&tx, known.id, Sent::Confirmation, &asked).await?;
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
    }
    tx.commit().await?;
    Ok(nothing())
}

/// `POST /invite`: the service asks somebody in.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn invite(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Body(body): Body<LinkBody>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let email = body.address()?;
    let tx = app.db.as_auth().await?;
    let user_id = invited(&tx, &email, body.data.unwrap_or_default(), &asked).await?;
    let purpose = Purpose::Confirmation;
    let issued = one_time::issue(
        &tx,
        &app.keys,
        user_id,
        purpose,
        email.as_str(),
        Flow::Implicit,
        asked.now,
    )
    .await?;
    let link = mail::link(&app, &issued.token, "invite", &asked);
    mail::put(
        &app,
        &tx,
        Kind::Invite,
        email.as_str(),
        (&issued.code, &link),
        asked.now,
    )
    .await?;
    let shown = users::shown_by_id(&tx, user_id).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// The login of somebody who is invited, added where there is none.
pub(super) async fn invited(tx: &Tx, email: &Email, data: Map<String, Value>, asked: &Asked) -> Result<Uuid, Problem> {
    let user_id = match known(tx, email).await? {
        Some(known) if known.is_confirmed => return Err(AuthRefusal::EmailExists.into()),
        Some(known) => {
            // Whoever signed up with the address before did not show that it is theirs.
            tx.execute(
                sql!("update auth.users set encrypted_password = '', raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || $2 where id = $1"),
                &[&known.id, &json!(data)],
            )
            .await?;
            known.id
        }
        None => {
            Newcomer::with_email(email.as_str(), None, data)
                .add(tx, asked.now)
                .await?
        }
    };
    note_sent(tx, user_id, Sent::Invite, asked).await?;
    events::note(tx, Event::Invited, Some(user_id), None, asked.now).await?;
    Ok(user_id)
}
