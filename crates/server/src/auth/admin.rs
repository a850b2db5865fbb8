//! `/admin`: what the service does about logins, by its key.

pub mod generate_link;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::{
    AuthRefusal,
    email::Email,
    events::{self, Event},
    newcomer::{Newcomer, merge},
    passwords,
    request::{Asked, Body, nothing, service},
    session::{self, Ending},
    strength::new_password,
    users,
};
use crate::{
    app::App,
    db::{OnConstraint as _, Tx, sql},
    problem::Problem,
};

/// How many people a page has at most.
const PER_PAGE_MAX: i64 = 1000;
const PER_PAGE: i64 = 50;

/// The body of a login to add or change.
#[derive(Debug, Default, Deserialize)]
pub struct AdminUser {
    id: Option<Uuid>,
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    password_hash: Option<String>,
    email_confirm: Option<bool>,
    user_metadata: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
    ban_duration: Option<String>,
}

/// Which page of people.
#[derive(Deserialize)]
pub struct PageQuery {
    page: Option<String>,
    per_page: Option<String>,
    filter: Option<String>,
}

impl PageQuery {
    /// The page, from 1 on, and how many people it has. Clients send empty texts for what they do not say.
    fn numbers(&self) -> Result<(i64, i64), AuthRefusal> {
        let number = |text: &Option<String>, default: i64| match text.as_deref() {
            None | Some("") => Ok(default),
            Some(text) => text
                .parse::<i64>()
                .map_err(|_| AuthRefusal::Invalid("page and per_page are numbers".into())),
        };
        let page = number(&self.page, 1)?.max(1);
        Ok((page, number(&self.per_page, PER_PAGE)?.clamp(1, PER_PAGE_MAX)))
    }
}

/// How to remove somebody.
#[derive(Default, Deserialize)]
pub struct Removal {
    should_soft_delete: Option<bool>,
}

/// `GET /admin/users`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Result<(HeaderMap, Json<Value>), Problem> {
    service(&app, &headers)?;
    let (page, per_page) = query.numbers()?;
    let filter = query.filter.unwrap_or_default();
    let tx = app.db.as_auth().await?;
    let total: i64 = tx
        .query_one(
            sql!(
                "select count(*) from auth.users where deleted_at is null
                   and ($1 = '' or strpos(coalesce(email, ''), lower($1)) > 0)"
            ),
            &[&filter],
        )
        .await?
        .try_get(0)?;
    let ids = tx
        .query(
            sql!(
                "select id from auth.users where deleted_at is null
                   and ($1 = '' or strpos(coalesce(email, ''), lower($1)) > 0)
                 order by created_at desc, id limit $2 offset $3"
            ),
            &[&filter, &per_page, &page.saturating_sub(1).saturating_mul(per_page)],
        )
        .await?;
    let mut people = Vec::with_capacity(ids.len());
    for row in &ids {
        people.push(users::shown_by_id(&tx, row.try_get(0)?).await?);
    }
    tx.commit().await?;
    let last = (total.saturating_add(per_page - 1) / per_page).max(1);
    let mut headers = HeaderMap::new();
    let link = |page: i64, rel: &str| format!("</admin/users?page={page}&per_page={per_page}>; rel=\"{rel}\"");
    let mut links = Vec::new();
    if page < last {
        links.push(link(page + 1, "next"));
    }
    links.push(link(last, "last"));
    headers.extend(HeaderValue::try_from(links.join(", ")).map(|value| (header::LINK, value)));
    headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(total));
    Ok((headers, Json(json!({ "users": people, "aud": "authenticated" }))))
}

pub(super) fn id_of(text: &str) -> Result<Uuid, AuthRefusal> {
    Uuid::parse_str(text).map_err(|_| AuthRefusal::UserIdNotUuid)
}

/// `GET /admin/users/{id}`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn show(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let id = id_of(&id)?;
    let tx = app.db.as_auth().await?;
    let shown = users::shown_by_id(&tx, id).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// The hash to keep: of a password, or one that another program made.
async fn hash_of(app: &App, body: &AdminUser) -> Result<Option<String>, Problem> {
    match (&body.password, &body.password_hash) {
        (Some(_), Some(_)) => {
            Err(AuthRefusal::Invalid("Only a password or a password hash should be provided".into()).into())
        }
        (Some(password), None) => {
            let score_min = app.config.settings.logins.score_min;
            let new = new_password(password, body.email.as_deref(), score_min)?;
            Ok(Some(app.hashing.hash(new).await?))
        }
        (None, Some(hash)) if passwords::is_hash(hash) => Ok(Some(hash.clone())),
        (None, Some(_)) => Err(AuthRefusal::Invalid("password_hash is neither bcrypt nor argon2".into()).into()),
        (None, None) => Ok(None),
    }
}

fn email_of(body: &AdminUser) -> Result<Option<Email>, AuthRefusal> {
    if body.phone.as_deref().is_some_and(|phone| !phone.is_empty()) {
        return Err(AuthRefusal::PhoneDisabled);
    }
    let given = body.email.as_deref().filter(|email| !email.is_empty());
    given
        .map(|email| Email::parse(email).map_err(|_| AuthRefusal::EmailInvalid))
        .transpose()
}

/// `POST /admin/users`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn add(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Body(body): Body<AdminUser>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let email = email_of(&body)?;
    let email = email.ok_or(AuthRefusal::Invalid(
        "Cannot create a user without either an email or phone".into(),
    ))?;
    let hash = hash_of(&app, &body).await?;
    let banned_until = body
        .ban_duration
        .as_deref()
        .map(|text| ban(text, asked.now))
        .transpose()?;
    let mut newcomer = Newcomer::with_email(email.as_str(), hash, body.user_metadata.unwrap_or_default());
    if let Some(id) = body.id {
        newcomer.id = id;
        newcomer.provider_id = id.to_string();
    }
    newcomer.app_metadata = body.app_metadata.unwrap_or_default();
    newcomer.is_confirmed = body.email_confirm.unwrap_or(false);
    let tx = app.db.as_auth().await?;
    let id = newcomer.add(&tx, asked.now).await?;
    if let Some(until) = banned_until {
        set_ban(&tx, id, until).await?;
    }
    events::note(&tx, Event::UserCreated, Some(id), None, asked.now).await?;
    let shown = users::shown_by_id(&tx, id).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// `PUT /admin/users/{id}`.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn change(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path(id): Path<String>,
    Body(body): Body<AdminUser>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let id = id_of(&id)?;
    let email = email_of(&body)?;
    let hash = hash_of(&app, &body).await?;
    let banned_until = body
        .ban_duration
        .as_deref()
        .map(|text| ban(text, asked.now))
        .transpose()?;
    let tx = app.db.as_auth().await?;
    let row = tx
        .query_opt(
            sql!(
                "select coalesce(raw_user_meta_data, '{}'), coalesce(raw_app_meta_data, '{}') from auth.users
                 where id = $1 and deleted_at is null for update"
            ),
            &[&id],
        )
        .await?
        .ok_or(AuthRefusal::NoSuchUser)?;
    let merged = |current: Value, new: Option<Map<String, Value>>| {
        let mut object = current.as_object().cloned().unwrap_or_default();
        merge(&mut object, new.unwrap_or_default());
        Value::Object(object)
    };
    let user_metadata = merged(row.try_get(0)?, body.user_metadata);
    let app_metadata = merged(row.try_get(1)?, body.app_metadata);
    tx.execute(
        sql!(
            "update auth.users set raw_user_meta_data = $2, raw_app_meta_data = $3, updated_at = $4,
               encrypted_password = coalesce($5, encrypted_password),
               email_confirmed_at = case when $6 then coalesce(email_confirmed_at, $4) else email_confirmed_at end
             where id = $1"
        ),
        &[
            &id,
            &user_metadata,
            &app_metadata,
            &asked.now,
            &hash,
            &body.email_confirm.unwrap_or(false),
        ],
    )
    .await?;
    if let Some(email) = email {
        set_email(&tx, id, &email, asked.now).await?;
    }
    if let Some(until) = banned_until {
        set_ban(&tx, id, until).await?;
    }
    // Whoever had the old password, or is locked out, is out.
    if hash.is_some() || banned_until.flatten().is_some() {
        session::end(&tx, id, Ending::All).await?;
    }
    events::note(&tx, Event::UserChanged, Some(id), None, asked.now).await?;
    let shown = users::shown_by_id(&tx, id).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

async fn set_email(tx: &Tx, id: Uuid, email: &Email, now: DateTime<Utc>) -> Result<(), Problem> {
    tx.execute(
        sql!(
            "update auth.users set email = $2::text, updated_at = $3,
               raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || jsonb_build_object('email', $2::text)
             where id = $1"
        ),
        &[&id, &email.as_str(), &now],
    )
    .await
    .on_constraint("users_email_partial_key", || AuthRefusal::EmailExists.into())?;
    tx.execute(
        sql!(
            "update auth.identities set identity_data = identity_data || jsonb_build_object('email', $2::text), updated_at = $3
             where user_id = $1 and provider = 'email'"
        ),
        &[&id, &email.as_str(), &now],
    )
    .await?;
    Ok(())
}

async fn set_ban(tx: &Tx, id: Uuid, until: Option<DateTime<Utc>>) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!("update auth.users set banned_until = $2 where id = $1"),
        &[&id, &until],
    )
    .await?;
    Ok(())
}

/// Until when a ban lasts: `none`, or hours, minutes and seconds as `24h` or `1h30m`.
fn ban(text: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, AuthRefusal> {
    if text == "none" {
        return Ok(None);
    }
    let wrong = || {
        AuthRefusal::Invalid("invalid format for ban duration: expected none, or a time such as 24h or 1h30m".into())
    };
    let (mut total, mut digits) = (0_i64, String::new());
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let unit = match letter {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(wrong()),
        };
        let count: i64 = digits.parse().map_err(|_| wrong())?;
        digits.clear();
        total = count
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
    }
    if total == 0 || !digits.is_empty() {
        return Err(wrong());
    }
    let until = TimeDelta::try_seconds(total).and_then(|length| now.checked_add_signed(length));
    Ok(Some(until.ok_or_else(wrong)?))
}

/// `DELETE /admin/users/{id}`. Whoever has a history stays as a login without anything personal, which nobody can sign
/// in to.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn remove(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Path(id): Path<String>,
    Body(body): Body<Removal>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let id = id_of(&id)?;
    let tx = app.db.as_auth().await?;
    users::find(&tx, id).await?.ok_or(AuthRefusal::NoSuchUser)?;
    if !body.should_soft_delete.unwrap_or(false) {
        let deleted = tx.execute(sql!("delete from auth.users where id = $1"), &[&id]).await;
        let has_history = |error: &tokio_postgres::Error| {
            [&SqlState::FOREIGN_KEY_VIOLATION, &SqlState::RESTRICT_VIOLATION]
                .into_iter()
                .any(|code| error.code() == Some(code))
        };
        match deleted {
            Ok(_) => {
                events::note(&tx, Event::UserDeleted, Some(id), None, asked.now).await?;
                tx.commit().await?;
                return Ok(nothing());
            }
            Err(error) if has_history(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    drop(tx);
    let tx = app.db.as_auth().await?;
    anonymise(&tx, id, asked.now).await?;
    tx.commit().await?;
    Ok(nothing())
}

async fn anonymise(tx: &Tx, id: Uuid, now: DateTime<Utc>) -> Result<(), tokio_postgres::Error> {
    session::end(tx, id, Ending::All).await?;
    for text in [
        sql!("delete from auth.identities where user_id = $1"),
        sql!("delete from auth.mfa_factors where user_id = $1"),
        sql!("delete from auth.one_time_tokens where user_id = $1"),
        sql!("delete from auth.flow_state where user_id = $1"),
        sql!("delete from nexus.login_mails where recipient = (select email from auth.users where id = $1)"),
    ] {
        tx.execute(text, &[&id]).await?;
    }
    tx.execute(
        sql!(
            "update auth.users set email = null, phone = null, email_change = '', phone_change = '',
               encrypted_password = '', raw_user_meta_data = '{}', raw_app_meta_data = '{}',
               deleted_at = $2, updated_at = $2 where id = $1"
        ),
        &[&id, &now],
    )
    .await?;
    tx.query_one(sql!("select nexus.anonymise_profile($1)"), &[&id]).await?;
    events::note(tx, Event::UserAnonymised, Some(id), None, now).await
}

/// `GET /admin/audit`: what happened to logins, newest first.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn audit(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Result<Json<Value>, Problem> {
    service(&app, &headers)?;
    let (page, per_page) = query.numbers()?;
    let offset = page.saturating_sub(1).saturating_mul(per_page);
    let tx = app.db.as_auth().await?;
    let rows = tx
        .query(
            sql!(
                "select id, event, user_id, session_id, at from nexus.login_events
                 order by id desc limit $1 offset $2"
            ),
            &[&per_page, &offset],
        )
        .await?;
    tx.commit().await?;
    let entry = |row: &tokio_postgres::Row| {
        Ok::<_, tokio_postgres::Error>(json!({
            "id": row.try_get::<_, i64>(0)?.to_string(),
            "payload": {
                "action": row.try_get::<_, String>(1)?,
                "actor_id": row.try_get::<_, Option<Uuid>>(2)?,
                "session_id": row.try_get::<_, Option<Uuid>>(3)?,
            },
            "created_at": row.try_get::<_, DateTime<Utc>>(4)?,
            "ip_address": "",
        }))
    };
    Ok(Json(json!(rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_ban_lasts() {
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let seconds = |text: &str| ban(text, now).map(|until| until.map(|until| until.timestamp())).ok();
        assert_eq!(seconds("none"), Some(None));
        assert_eq!(seconds("24h"), Some(Some(86_400)));
        assert_eq!(seconds("1h30m5s"), Some(Some(5405)));
        for wrong in [
            "",
            "h",
            "24",
            "0h",
            "1d",
            "-1h",
            "9223372036854775807h",
            "9223372036854775807s",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
