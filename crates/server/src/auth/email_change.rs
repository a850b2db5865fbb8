//! Another address for a login: both the new and the old one must agree, by a mail each.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    AuthRefusal,
    email::Email,
    events::{self, Event},
    mail::{self, Kind},
    one_time::{self, Flow, Purpose},
    request::Asked,
    users::User,
};
use crate::{
    app::App,
    db::{OnConstraint as _, Tx, sql},
    problem::Problem,
};

/// Asks both addresses. `tx` is the auth role's.
///
/// # Errors
/// [`AuthRefusal::EmailExists`], or what the database answered.
pub async fn ask(app: &App, tx: &Tx, user: &User, new: &Email, flow: Flow, asked: &Asked) -> Result<(), Problem> {
    if is_taken(tx, user.id, new).await? {
        return Err(AuthRefusal::EmailExists.into());
    }
    tx.execute(
        sql!(
            "update auth.users set email_change = $2, email_change_sent_at = $3, email_change_confirm_status = 0,
               updated_at = $3 where id = $1"
        ),
        &[&user.id, &new.as_str(), &asked.now],
    )
    .await?;
    events::note(tx, Event::EmailChangeAsked, Some(user.id), None, asked.now).await?;
    send(app, tx, user.id, &user.email, new.as_str(), flow, asked).await
}

/// Makes the change at once, for somebody without a name whose new address needs no proof.
///
/// # Errors
/// [`AuthRefusal::EmailExists`], or what the database answered.
pub async fn at_once(tx: &Tx, user_id: Uuid, new: &Email, now: DateTime<Utc>) -> Result<(), Problem> {
    tx.execute(
        sql!("update auth.users set email_change = $2 where id = $1"),
        &[&user_id, &new.as_str()],
    )
    .await?;
    apply(tx, user_id, now).await
}

async fn is_taken(tx: &Tx, user_id: Uuid, email: &Email) -> Result<bool, tokio_postgres::Error> {
    let text = sql!("select from auth.users where email = $2 and id <> $1 and not is_sso_user");
    Ok(tx.query_opt(text, &[&user_id, &email.as_str()]).await?.is_some())
}

async fn send(
    app: &App,
    tx: &Tx,
    user_id: Uuid,
    current: &str,
    new: &str,
    flow: Flow,
    asked: &Asked,
) -> Result<(), Problem> {
    let both = [(Purpose::EmailChangeNew, new), (Purpose::EmailChangeCurrent, current)];
    for (purpose, email) in both.into_iter().filter(|(_, email)| !email.is_empty()) {
        let issued = one_time::issue(tx, &app.keys, user_id, purpose, email, flow, asked.now).await?;
        let link = mail::link(app, &issued.token, "email_change", asked);
        mail::put(app, tx, Kind::EmailChange, email, (&issued.code, &link), asked.now).await?;
    }
    Ok(())
}

/// Sends the mails once more to whoever is about to have `new`.
///
/// # Errors
/// What the database answered.
pub async fn resend(app: &App, tx: &Tx, email: &Email, flow: Flow, asked: &Asked) -> Result<(), Problem> {
    let row = tx
        .query_opt(
            sql!(
                "select id, coalesce(email, ''), email_change from auth.users
                 where (email_change = $1 or email = $1 and email_change <> '') and deleted_at is null
                 order by email_change_sent_at desc limit 1 for update"
            ),
            &[&email.as_str()],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let (id, current, new): (Uuid, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    send(app, tx, id, &current, &new, flow, asked).await
}

/// One of the addresses agrees. Says whether the change was made: with the second, or where there is one alone.
///
/// # Errors
/// [`AuthRefusal::EmailExists`], or what the database answered.
pub async fn agree(tx: &Tx, user_id: Uuid, purpose: Purpose, asked: &Asked) -> Result<bool, Problem> {
    // The other half: its token is still there as long as it has not agreed.
    let other = match purpose {
        Purpose::EmailChangeNew => "email_change_token_current",
        Purpose::EmailChangeCurrent | Purpose::Confirmation | Purpose::Recovery | Purpose::Reauthentication => {
            "email_change_token_new"
        }
    };
    let waits = tx
        .query_opt(
            sql!("select from auth.one_time_tokens where user_id = $1 and token_type::text = $2"),
            &[&user_id, &other],
        )
        .await?
        .is_some();
    if waits {
        tx.execute(
            sql!("update auth.users set email_change_confirm_status = 1 where id = $1"),
            &[&user_id],
        )
        .await?;
        return Ok(false);
    }
    apply(tx, user_id, asked.now).await?;
    Ok(true)
}

async fn apply(tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<(), Problem> {
    let row = tx
        .query_opt(
            sql!(
                "update auth.users set email = email_change, email_change = '', email_change_confirm_status = 0,
                   email_confirmed_at = $2, updated_at = $2, is_anonymous = false,
                   raw_user_meta_data = coalesce(raw_user_meta_data, '{}')
                     || jsonb_build_object('email', email_change, 'email_verified', true),
                   raw_app_meta_data = coalesce(raw_app_meta_data, '{}') || jsonb_build_object(
                     'provider', coalesce(raw_app_meta_data ->> 'provider', 'email'),
                     'providers', case when coalesce(raw_app_meta_data -> 'providers', '[]') ? 'email'
                       then raw_app_meta_data -> 'providers'
                       else coalesce(raw_app_meta_data -> 'providers', '[]') || '[\"email\"]' end)
                 where id = $1 and email_change <> '' returning email"
            ),
            &[&user_id, &now],
        )
        .await
        .on_constraint("users_email_partial_key", || AuthRefusal::EmailExists.into())?
        .ok_or(AuthRefusal::LinkExpired)?;
    let email: String = row.try_get(0)?;
    let about = json!({ "sub": user_id, "email": email, "email_verified": true, "phone_verified": false });
    tx.execute(
        sql!(
            "insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
             values ($1, $2::uuid::text, $2, $3, 'email', $4, $4, $4)
             on conflict (provider_id, provider) do update set identity_data = auth.identities.identity_data || excluded.identity_data,
               updated_at = excluded.updated_at"
        ),
        &[&Uuid::new_v4(), &user_id, &about, &now],
    )
    .await?;
    events::note(tx, Event::EmailChanged, Some(user_id), None, now).await?;
    Ok(())
}
