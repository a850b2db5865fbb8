//! Whose login it is that a provider vouches for: the one that has the identity, else the one that has the verified
//! address, else a new one.

use serde_json::Value;
use uuid::Uuid;

use super::External;
use crate::{
    app::App,
    auth::{
        AuthRefusal,
        events::{self, Event},
        identities::note_providers,
        limits, links,
        mail::{self, Kind},
        newcomer::{self, Newcomer, merge},
        one_time::{self, Flow, Purpose},
        redirect,
        request::Asked,
        session::{self, Ending},
        users,
    },
    db::{Tx, sql},
    problem::Problem,
};

/// What came of it. Both are to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// This login may sign in.
    Login(Uuid),
    /// The provider does not know whether the address is the person's: a mail was sent to it first.
    ConfirmFirst,
}

/// The login that signs in, made or joined where there is none. `tx` is the auth role's.
///
/// # Errors
/// See [`AuthRefusal`], or what the database answered.
pub(super) async fn login_of(app: &App, tx: &Tx, external: &External, asked: &Asked) -> Result<Outcome, Problem> {
    let known = tx
        .query_opt(
            sql!(
                "select i.user_id, coalesce(u.banned_until > $3, false), coalesce(u.email, ''), u.email_confirmed_at is not null
                 from auth.identities as i join auth.users as u on u.id = i.user_id
                 where i.provider = $1 and i.provider_id = $2 and u.deleted_at is null for update of u"
            ),
            &[&external.provider, &external.subject, &asked.now],
        )
        .await?;
    if let Some(row) = known {
        let (user_id, is_banned): (Uuid, bool) = (row.try_get(0)?, row.try_get(1)?);
        let (email, is_confirmed): (String, bool) = (row.try_get(2)?, row.try_get(3)?);
        if is_banned {
            return Err(AuthRefusal::SignInBanned.into());
        }
        note_seen(tx, user_id, external, asked).await?;
        let waits = !email.is_empty() && !is_confirmed;
        if waits && external.is_verified && external.email.as_ref().is_some_and(|own| own.as_str() == email) {
            confirm(tx, user_id, asked).await?;
        } else if waits {
            send_confirmation(app, tx, user_id, &email, asked).await?;
            return Ok(Outcome::ConfirmFirst);
        }
        return Ok(Outcome::Login(user_id));
    }
    if external.is_verified
        && let Some(email) = &external.email
        && let Some(found) = links::known(tx, email).await?
    {
        join(app, tx, found, external, asked).await?;
        return Ok(Outcome::Login(found.id));
    }
    add(app, tx, external, asked).await
}

/// Gives the person who asks one more way to sign in.
///
/// # Errors
/// [`AuthRefusal::IdentityExists`], or what the database answered.
pub(super) async fn link(tx: &Tx, user_id: Uuid, external: &External, asked: &Asked) -> Result<(), Problem> {
    let user = users::find(tx, user_id).await?.ok_or(AuthRefusal::UserNotFound)?;
    if user.is_banned(asked.now) {
        return Err(AuthRefusal::UserBanned.into());
    }
    add_identity(tx, user_id, external, asked).await?;
    // Somebody without a name has one now, and the address where nobody else has it.
    if user.is_anonymous {
        let email = match &external.email {
            Some(email) if external.is_verified && links::known(tx, email).await?.is_none() => Some(email.as_str()),
            Some(_) | None => None,
        };
        tx.execute(
            sql!(
                "update auth.users set is_anonymous = false, email = coalesce($2, email), updated_at = $3,
                   email_confirmed_at = case when $2 is null then email_confirmed_at else $3 end
                 where id = $1"
            ),
            &[&user_id, &email, &asked.now],
        )
        .await?;
    }
    Ok(())
}

/// Joins an identity with the login that has its address. Whoever signed up with the address before and never showed that
/// it is theirs has no way in any more; where addresses count at once, that is everybody.
async fn join(app: &App, tx: &Tx, found: links::Known, external: &External, asked: &Asked) -> Result<(), Problem> {
    let user = users::find(tx, found.id).await?.ok_or(AuthRefusal::UserNotFound)?;
    if user.is_banned(asked.now) {
        return Err(AuthRefusal::SignInBanned.into());
    }
    if !found.is_confirmed || app.config.settings.mail_autoconfirm {
        confirm(tx, found.id, asked).await?;
        session::end(tx, found.id, Ending::All).await?;
        for text in [
            sql!("delete from auth.identities where user_id = $1 and provider <> 'email'"),
            sql!("delete from auth.one_time_tokens where user_id = $1"),
        ] {
            tx.execute(text, &[&found.id]).await?;
        }
    }
    add_identity(tx, found.id, external, asked).await
}

async fn confirm(tx: &Tx, user_id: Uuid, asked: &Asked) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "update auth.users set email_confirmed_at = $2, updated_at = $2, encrypted_password = '',
               raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{\"email_verified\": true}'
             where id = $1"
        ),
        &[&user_id, &asked.now],
    )
    .await?;
    events::note(tx, Event::EmailConfirmed, Some(user_id), None, asked.now).await
}

async fn add_identity(tx: &Tx, user_id: Uuid, external: &External, asked: &Asked) -> Result<(), Problem> {
    let about = Value::Object(external.about.clone());
    newcomer::add_identity(tx, user_id, &external.provider, &external.subject, &about, asked.now).await?;
    tx.execute(
        sql!(
            "update auth.users set raw_user_meta_data = $2::jsonb || coalesce(raw_user_meta_data, '{}') where id = $1"
        ),
        &[&user_id, &about],
    )
    .await?;
    note_providers(tx, user_id, asked.now).await?;
    events::note(tx, Event::IdentityLinked, Some(user_id), None, asked.now).await?;
    Ok(())
}

/// What the provider says now, and when it was.
async fn note_seen(tx: &Tx, user_id: Uuid, external: &External, asked: &Asked) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "update auth.identities set identity_data = $4, last_sign_in_at = $3, updated_at = $3
             where provider = $1 and provider_id = $2 and user_id = $5"
        ),
        &[
            &external.provider,
            &external.subject,
            &asked.now,
            &Value::Object(external.about.clone()),
            &user_id,
        ],
    )
    .await?;
    Ok(())
}

async fn add(app: &App, tx: &Tx, external: &External, asked: &Asked) -> Result<Outcome, Problem> {
    let settings = &app.config.settings;
    if !settings.logins.sign_up {
        return Err(AuthRefusal::SignUpDisabled.into());
    }
    // An address that nobody verified and that somebody has is not this person's as far as we know.
    let email = match &external.email {
        Some(email) if links::known(tx, email).await?.is_none() => Some(email.clone()),
        Some(_) | None => None,
    };
    let mut newcomer = Newcomer::with_email("", None, external.about.clone());
    newcomer.email = email.as_ref().map(|email| email.as_str().to_owned());
    newcomer.is_confirmed = external.is_verified || settings.mail_autoconfirm;
    newcomer.provider = Some(external.provider.clone().into());
    newcomer.provider_id.clone_from(&external.subject);
    merge(&mut newcomer.about, external.about.clone());
    if email.is_none() {
        for about in [&mut newcomer.about, &mut newcomer.user_metadata] {
            about.remove("email");
        }
    }
    let is_confirmed = newcomer.is_confirmed;
    let user_id = newcomer.add(tx, asked.now).await?;
    events::note(tx, Event::SignedUp, Some(user_id), None, asked.now).await?;
    match email {
        Some(email) if !is_confirmed => {
            send_confirmation(app, tx, user_id, email.as_str(), asked).await?;
            Ok(Outcome::ConfirmFirst)
        }
        Some(_) | None => Ok(Outcome::Login(user_id)),
    }
}

/// A mail that asks whether the address is the person's. One that was sent a moment ago is enough.
async fn send_confirmation(app: &App, tx: &Tx, user_id: Uuid, email: &str, asked: &Asked) -> Result<(), Problem> {
    let interval = app.config.settings.logins.mail_interval;
    match limits::check_mail(tx, &app.keys, email, interval, asked.now).await {
        Ok(()) => {}
        Err(Problem::Auth(AuthRefusal::MailTooSoon(_))) => return Ok(()),
        Err(other) => return Err(other),
    }
    let purpose = Purpose::Confirmation;
    let issued = one_time::issue(tx, &app.keys, user_id, purpose, email, Flow::Implicit, asked.now).await?;
    links::note_sent(tx, user_id, links::Sent::Confirmation, asked).await?;
    let link = mail::link_to(app, &issued.token, "signup", &redirect::target(app, None, asked));
    mail::put(app, tx, Kind::Confirmation, email, (&issued.code, &link), asked.now).await?;
    Ok(())
}
