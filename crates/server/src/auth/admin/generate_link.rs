//! `/admin/generate_link`: a link that the service mails itself.

use axum::{Json, extract::State, http::HeaderMap};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{
    AuthRefusal,
    email::Email,
    events::{self, Event},
    links::{Sent, invited, known, note_sent},
    mail,
    newcomer::Newcomer,
    one_time::{self, Flow, Purpose},
    redirect,
    request::{Asked, Body, service},
    strength::new_password,
    users,
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// The body.
#[derive(Deserialize)]
pub struct LinkWanted {
    #[serde(rename = "type")]
    kind: Option<String>,
    email: Option<String>,
    new_email: Option<String>,
    password: Option<String>,
    data: Option<Map<String, Value>>,
    redirect_to: Option<String>,
}

/// `POST /admin/generate_link`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn generate_link(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Body(body): Body<LinkWanted>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let email = Email::parse(body.email.as_deref().unwrap_or_default()).map_err(|_| AuthRefusal::EmailInvalid)?;
    let target = redirect::target(&app, body.redirect_to.as_deref(), &asked);
    let hash = match &body.password {
        Some(password) => {
            let new = new_password(password, Some(email.as_str()), app.config.settings.logins.score_min)?;
            Some(app.hashing.hash(new).await?)
        }
        None => None,
    };
    let data = body.data.unwrap_or_default();
    let tx = app.db.as_auth().await?;
    let known = known(&tx, &email).await?;
    let (user_id, purpose, address, kind) = match body.kind.as_deref() {
        Some("signup") => {
            let hash = hash.ok_or(AuthRefusal::PasswordNeeded)?;
            let id = match known {
                Some(known) if known.is_confirmed => return Err(AuthRefusal::EmailExists.into()),
                Some(known) => {
                    set_hash(&tx, known.id, &hash).await?;
                    known.id
                }
                None => {
                    Newcomer::with_email(email.as_str(), Some(hash), data)
                        .add(&tx, asked.now)
                        .await?
                }
            };
            note_sent(&tx, id, Sent::Confirmation, &asked).await?;
            (id, Purpose::Confirmation, email, "signup")
        }
        Some("invite") => (
            invited(&tx, &email, data, &asked).await?,
            Purpose::Confirmation,
            email,
            "invite",
        ),
        Some("magiclink") => {
            let id = match known {
                Some(known) => known.id,
                None => {
                    Newcomer::with_email(email.as_str(), None, data)
                        .add(&tx, asked.now)
                        .await?
                }
            };
            note_sent(&tx, id, Sent::Recovery, &asked).await?;
            (id, Purpose::Recovery, email, "magiclink")
        }
        Some("recovery") => {
            let id = known.ok_or(AuthRefusal::NoSuchUser)?.id;
            note_sent(&tx, id, Sent::Recovery, &asked).await?;
            (id, Purpose::Recovery, email, "recovery")
        }
        Some(change @ ("email_change_current" | "email_change_new")) => {
            let id = known.ok_or(AuthRefusal::NoSuchUser)?.id;
            let new =
                Email::parse(body.new_email.as_deref().unwrap_or_default()).map_err(|_| AuthRefusal::EmailInvalid)?;
            begin_change(&app, &tx, id, &email, &new, &asked).await?;
            if change == "email_change_current" {
                (id, Purpose::EmailChangeCurrent, email, "email_change")
            } else {
                (id, Purpose::EmailChangeNew, new, "email_change")
            }
        }
        Some(_) | None => return Err(AuthRefusal::Invalid("Invalid email action link type requested".into()).into()),
    };
    let issued = one_time::issue(
        &tx,
        &app.keys,
        user_id,
        purpose,
        address.as_str(),
        Flow::Implicit,
        asked.now,
    )
    .await?;
    events::note(&tx, Event::LinkMade, Some(user_id), None, asked.now).await?;
    let mut answer = users::shown_by_id(&tx, user_id).await?;
    tx.commit().await?;
    let link = mail::link_to(&app, &issued.token, kind, &target);
    for (key, value) in [
        ("action_link", json!(link)),
        ("email_otp", json!(issued.code)),
        ("hashed_token", json!(issued.token)),
        ("verification_type", json!(body.kind)),
        ("redirect_to", json!(target)),
    ] {
        if let Some(object) = answer.as_object_mut() {
            object.insert(key.to_owned(), value);
        }
    }
    Ok(Json(answer))
}

async fn set_hash(tx: &Tx, id: uuid::Uuid, hash: &str) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!("update auth.users set encrypted_password = $2 where id = $1"),
        &[&id, &hash],
    )
    .await?;
    Ok(())
}

/// Notes the new address, unless the same change is under way; then both must agree.
async fn begin_change(
    app: &App,
    tx: &Tx,
    id: uuid::Uuid,
    current: &Email,
    new: &Email,
    asked: &Asked,
) -> Result<(), Problem> {
    let taken = tx
        .query_opt(sql!("select from auth.users where email = $1"), &[&new.as_str()])
        .await?;
    if taken.is_some() {
        return Err(AuthRefusal::EmailExists.into());
    }
    let begun = tx
        .execute(
            sql!(
                "update auth.users set email_change = $2, email_change_sent_at = $3, email_change_confirm_status = 0
                 where id = $1 and email_change is distinct from $2"
            ),
            &[&id, &new.as_str(), &asked.now],
        )
        .await?;
    if begun > 0 {
        let both = [(Purpose::EmailChangeCurrent, current), (Purpose::EmailChangeNew, new)];
        for (purpose, email) in both {
            one_time::issue(tx, &app.keys, id, purpose, email.as_str(), Flow::Implicit, asked.now).await?;
        }
    }
    Ok(())
}
