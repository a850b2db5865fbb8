//! Rows of `auth.users` and their identities, and the roles that people have in the company.

use chrono::{DateTime, Utc};
use mint_core::role::Role;
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{AuthRefusal, email::Email};
use crate::{
    db::{CommitError, Tx, sql},
    problem::Problem,
};

/// Why an operator's command about a user was refused.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The address is taken.
    #[error("there is already a user with the address {0}")]
    EmailExists(String),
    /// Nobody has this address.
    #[error("there is no user with the address {0}")]
    NotFound(String),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] tokio_postgres::Error),
    /// The database could not be reached.
    #[error(transparent)]
    Connection(#[from] crate::db::DbError),
    /// The change could not be made permanent.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A person to create. The password is hashed already: that does not belong into a transaction.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The id to give.
    pub id: Uuid,
    /// The address; counts as confirmed.
    pub email: Email,
    /// As [`Password::hashed`](super::email::Password::hashed) gives it.
    pub password_hash: String,
    /// The name to show, for `handle_new_user()`.
    pub name: Option<String>,
}

/// A row of `auth.users`, as the protocol shows it.
#[derive(Debug, Clone)]
pub struct User {
    /// The id, which is the token's `sub`.
    pub id: Uuid,
    /// The address, or nothing.
    pub email: String,
    /// The phone number, or nothing.
    pub phone: String,
    /// What the program knows: provider, providers.
    pub app_metadata: Value,
    /// What the person may change.
    pub user_metadata: Value,
    /// Until when the person is locked out.
    pub banned_until: Option<DateTime<Utc>>,
    /// Whether it is a visitor with a session.
    pub is_anonymous: bool,
    /// The rest of the wire object, ready.
    rest: Map<String, Value>,
}

impl User {
    /// Whether the person is locked out at `now`.
    #[must_use]
    pub fn is_banned(&self, now: DateTime<Utc>) -> bool {
        self.banned_until.is_some_and(|until| until > now)
    }

    /// GoTrue's user object.
    #[must_use]
    pub fn to_json(&self, identities: &[Value], factors: &[Value]) -> Value {
        let mut object = self.rest.clone();
        object.insert("id".to_owned(), json!(self.id));
        object.insert("email".to_owned(), json!(self.email));
        object.insert("phone".to_owned(), json!(self.phone));
        object.insert("app_metadata".to_owned(), self.app_metadata.clone());
        object.insert("user_metadata".to_owned(), self.user_metadata.clone());
        object.insert("is_anonymous".to_owned(), json!(self.is_anonymous));
        object.insert("identities".to_owned(), json!(identities));
        if !factors.is_empty() {
            object.insert("factors".to_owned(), json!(factors));
        }
        Value::Object(object)
    }
}

/// Adds a person who logs in with address and password. `tx` is the auth role's.
///
/// # Errors
/// [`UserError::EmailExists`], or what the database answered.
pub async fn create(tx: &Tx, new: &NewUser, now: DateTime<Utc>) -> Result<(), UserError> {
    let email = new.email.as_str();
    let mut user_metadata = json!({
        "sub": new.id, "email": email, "email_verified": true, "phone_verified": false,
    });
    if let (Some(name), Some(object)) = (&new.name, user_metadata.as_object_mut()) {
        object.insert("full_name".to_owned(), json!(name));
    }
    let app_metadata = json!({ "provider": "email", "providers": ["email"] });
    let inserted = tx
        .execute(
            sql!(
                "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
                                     raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
             values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', $2, $3, $4,
                     $5, $6, $4, $4)"
            ),
            &[&new.id, &email, &new.password_hash, &now, &app_metadata, &user_metadata],
        )
        .await;
    inserted.map_err(|error| match error.as_db_error().and_then(|error| error.constraint()) {
        Some("users_email_partial_key") => UserError::EmailExists(email.to_owned()),
        Some(_) | None => error.into(),
    })?;
    let identity = json!({ "sub": new.id, "email": email, "email_verified": true, "phone_verified": false });
    tx.execute(
        sql!(
            "insert into auth.identities (id, provider_id, user_id, identity_data, provider,
                                          last_sign_in_at, created_at, updated_at)
             values ($1, $2::uuid::text, $2, $3, 'email', $4, $4, $4)"
        ),
        &[&Uuid::new_v4(), &new.id, &identity, &now],
    )
    .await?;
    Ok(())
}

/// The person with this id, deleted ones excepted. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn find(tx: &Tx, id: Uuid) -> Result<Option<User>, tokio_postgres::Error> {
    let row = tx
        .query_opt(
            sql!(
                "select id, aud, role, email, phone, raw_app_meta_data, raw_user_meta_data, banned_until, is_anonymous,
                    email_change, phone_change, email_confirmed_at, invited_at, phone_confirmed_at,
                    confirmation_sent_at, confirmed_at, recovery_sent_at, email_change_sent_at, phone_change_sent_at,
                    reauthentication_sent_at, last_sign_in_at, created_at, updated_at
             from auth.users where id = $1 and deleted_at is null"
            ),
            &[&id],
        )
        .await?;
    row.as_ref().map(user_of).transpose()
}

/// The whole user object of a person: with identities and factors. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn shown(tx: &Tx, user: &User) -> Result<Value, tokio_postgres::Error> {
    let (identities, factors) = tokio::try_join!(identities(tx, user.id), factors(tx, user.id))?;
    Ok(user.to_json(&identities, &factors))
}

/// The same by the id.
///
/// # Errors
/// [`AuthRefusal::NoSuchUser`], or what the database answered.
pub async fn shown_by_id(tx: &Tx, id: Uuid) -> Result<Value, Problem> {
    let user = find(tx, id).await?.ok_or(AuthRefusal::NoSuchUser)?;
    Ok(shown(tx, &user).await?)
}

/// The id of the person with this address. `tx` is the auth role's.
///
/// # Errors
/// [`UserError::NotFound`], or what the database answered.
pub async fn id_of(tx: &Tx, email: &Email) -> Result<Uuid, UserError> {
    let text = sql!("select id from auth.users where email = $1 and not is_sso_user and deleted_at is null");
    match tx.query_opt(text, &[&email.as_str()]).await? {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(UserError::NotFound(email.as_str().to_owned())),
    }
}

/// A person's identities as GoTrue shows them, oldest first. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn identities(tx: &Tx, user_id: Uuid) -> Result<Vec<Value>, tokio_postgres::Error> {
    let rows = tx
        .query(
            sql!(
            "select id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at, email
             from auth.identities where user_id = $1 order by created_at, id"
        ),
            &[&user_id],
        )
        .await?;
    let identity = |row: &Row| {
        let mut object = Map::new();
        object.insert("identity_id".to_owned(), json!(row.try_get::<_, Uuid>("id")?));
        object.insert("id".to_owned(), json!(row.try_get::<_, String>("provider_id")?));
        object.insert("user_id".to_owned(), json!(row.try_get::<_, Uuid>("user_id")?));
        object.insert("identity_data".to_owned(), row.try_get("identity_data")?);
        object.insert("provider".to_owned(), json!(row.try_get::<_, String>("provider")?));
        for key in ["last_sign_in_at", "created_at", "updated_at"] {
            object.insert(key.to_owned(), json!(row.try_get::<_, Option<DateTime<Utc>>>(key)?));
        }
        if let Some(email) = row.try_get::<_, Option<String>>("email")? {
            object.insert("email".to_owned(), json!(email));
        }
        Ok(Value::Object(object))
    };
    rows.iter().map(identity).collect()
}

/// A person's second factors as GoTrue shows them. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn factors(tx: &Tx, user_id: Uuid) -> Result<Vec<Value>, tokio_postgres::Error> {
    let rows = tx
        .query(
            sql!(
                "select id, created_at, updated_at, status::text, friendly_name, factor_type::text, phone,
                    last_challenged_at
             from auth.mfa_factors where user_id = $1 order by created_at, id"
            ),
            &[&user_id],
        )
        .await?;
    let factor = |row: &Row| {
        Ok(json!({
            "id": row.try_get::<_, Uuid>("id")?,
            "created_at": row.try_get::<_, DateTime<Utc>>("created_at")?,
            "updated_at": row.try_get::<_, DateTime<Utc>>("updated_at")?,
            "status": row.try_get::<_, String>("status")?,
            "friendly_name": row.try_get::<_, Option<String>>("friendly_name")?,
            "factor_type": row.try_get::<_, String>("factor_type")?,
            "phone": row.try_get::<_, Option<String>>("phone")?,
            "last_challenged_at": row.try_get::<_, Option<DateTime<Utc>>>("last_challenged_at")?,
        }))
    };
    rows.iter().map(factor).collect()
}

/// Gives a person a role; again changes nothing. `tx` is the service's.
///
/// # Errors
/// What the database answered.
pub async fn grant(tx: &Tx, user_id: Uuid, role: Role) -> Result<(), tokio_postgres::Error> {
    let text = sql!(
        "insert into public.user_role_assignments as assigned (user_id, role) values ($1, $2)
         on conflict on constraint user_role_assignments_once_a_role
         do update set is_active = true, assigned_by = excluded.assigned_by, assigned_at = excluded.assigned_at
         where not assigned.is_active"
    );
    tx.execute(text, &[&user_id, &role.name()]).await?;
    Ok(())
}

/// Takes a role from a person, and says whether they had it. Policies see it at once. `tx` is the service's.
///
/// # Errors
/// What the database answered.
pub async fn revoke(tx: &Tx, user_id: Uuid, role: Role) -> Result<bool, tokio_postgres::Error> {
    let text = sql!(
        "update public.user_role_assignments set is_active = false where user_id = $1 and role = $2 and is_active"
    );
    Ok(tx.execute(text, &[&user_id, &role.name()]).await? > 0)
}

/// The roles that a person has now, by name. `tx` is the service's.
///
/// # Errors
/// What the database answered.
pub async fn roles_of(tx: &Tx, user_id: Uuid) -> Result<Vec<Role>, tokio_postgres::Error> {
    let text =
        sql!("select role::text from public.user_role_assignments where user_id = $1 and is_active order by role");
    let mut roles = Vec::new();
    for row in tx.query(text, &[&user_id]).await? {
        // A role of a newer program gives no rights in this one.
        roles.extend(row.try_get::<_, String>(0)?.parse::<Role>().ok());
    }
    Ok(roles)
}

/// A line of the list of people.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The id.
    pub id: Uuid,
    /// The address, or nothing.
    pub email: String,
    /// When the login was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// Everybody, oldest first. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn all(tx: &Tx) -> Result<Vec<Listed>, tokio_postgres::Error> {
    let text = sql!(
        "select id, coalesce(email, ''), created_at from auth.users where deleted_at is null order by created_at, id"
    );
    let listed = |row: &Row| {
        Ok(Listed {
            id: row.try_get(0)?,
            email: row.try_get(1)?,
            created_at: row.try_get(2)?,
        })
    };
    tx.query(text, &[]).await?.iter().map(listed).collect()
}

fn user_of(row: &Row) -> Result<User, tokio_postgres::Error> {
    let text = |key: &str| Ok::<_, tokio_postgres::Error>(row.try_get::<_, Option<String>>(key)?.unwrap_or_default());
    let metadata =
        |key: &str| Ok::<_, tokio_postgres::Error>(row.try_get::<_, Option<Value>>(key)?.unwrap_or(json!({})));
    let mut rest = Map::new();
    rest.insert("aud".to_owned(), json!(text("aud")?));
    rest.insert("role".to_owned(), json!(text("role")?));
    for key in INSTANTS {
        if let Some(instant) = row.try_get::<_, Option<DateTime<Utc>>>(key)? {
            rest.insert(key.to_owned(), json!(instant));
        }
    }
    for (shown, key) in [("new_email", "email_change"), ("new_phone", "phone_change")] {
        let new = text(key)?;
        if !new.is_empty() {
            rest.insert(shown.to_owned(), json!(new));
        }
    }
    Ok(User {
        id: row.try_get("id")?,
        email: text("email")?,
        phone: text("phone")?,
        app_metadata: metadata("raw_app_meta_data")?,
        user_metadata: metadata("raw_user_meta_data")?,
        banned_until: row.try_get("banned_until")?,
        is_anonymous: row.try_get("is_anonymous")?,
        rest,
    })
}

/// The points in time of the user object: left out where there is none.
const INSTANTS: [&str; 13] = [
    "banned_until",
    "email_confirmed_at",
    "invited_at",
    "phone_confirmed_at",
    "confirmation_sent_at",
    "confirmed_at",
    "recovery_sent_at",
    "email_change_sent_at",
    "phone_change_sent_at",
    "reauthentication_sent_at",
    "last_sign_in_at",
    "created_at",
    "updated_at",
];
