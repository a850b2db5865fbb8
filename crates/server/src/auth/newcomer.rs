//! Adding a login: its row and the identity that it signs in with. Its party, profile and role follow by a trigger.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::AuthRefusal;
use crate::{
    db::{OnConstraint as _, Tx, sql},
    problem::Problem,
};

/// A login to add.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// The id to give.
    pub id: Uuid,
    /// The address; none for somebody without a name or with a wallet.
    pub email: Option<String>,
    /// The hash of the password, where there is one.
    pub password_hash: Option<String>,
    /// Whether the address counts as the person's.
    pub is_confirmed: bool,
    /// What the person, or who adds it, says of it.
    pub user_metadata: Map<String, Value>,
    /// What the service says of it, beside the provider.
    pub app_metadata: Map<String, Value>,
    /// How it signs in: `email`, `web3`, another provider's name; none for somebody without a name.
    pub provider: Option<Cow<'static, str>>,
    /// What the provider knows it by; the login's own id for `email`.
    pub provider_id: String,
    /// What the provider says of it.
    pub about: Map<String, Value>,
    /// Whether nobody knows who it is.
    pub is_anonymous: bool,
}

impl Newcomer {
    /// Somebody with an address.
    #[must_use]
    pub fn with_email(email: &str, password_hash: Option<String>, user_metadata: Map<String, Value>) -> Newcomer {
        let id = Uuid::new_v4();
        Newcomer {
            id,
            email: Some(email.to_owned()),
            password_hash,
            is_confirmed: false,
            user_metadata,
            app_metadata: Map::new(),
            provider: Some("email".into()),
            provider_id: id.to_string(),
            about: Map::new(),
            is_anonymous: false,
        }
    }

    /// Adds it. `tx` is the auth role's.
    ///
    /// # Errors
    /// [`AuthRefusal::EmailExists`], [`AuthRefusal::IdExists`], or what the database answered.
    pub async fn add(self, tx: &Tx, now: DateTime<Utc>) -> Result<Uuid, Problem> {
        let mut user_metadata = self.user_metadata;
        let mut app_metadata = self.app_metadata;
        let mut about = self.about;
        if let Some(provider) = &self.provider {
            app_metadata.insert("provider".to_owned(), json!(provider));
            app_metadata.insert("providers".to_owned(), json!([provider]));
            about.insert("sub".to_owned(), json!(self.provider_id));
            if let Some(email) = &self.email {
                about.insert("email".to_owned(), json!(email));
            }
            about.insert("email_verified".to_owned(), json!(self.is_confirmed));
            about.insert("phone_verified".to_owned(), json!(false));
            user_metadata.extend(about.clone());
        }
        let confirmed_at = (self.is_confirmed && self.email.is_some()).then_some(now);
        tx.execute(
            sql!(
                "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
                   raw_app_meta_data, raw_user_meta_data, is_anonymous, created_at, updated_at)
                 values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', $2, $3, $4,
                   $5, $6, $7, $8, $8)"
            ),
            &[
                &self.id,
                &self.email,
                &self.password_hash.unwrap_or_default(),
                &confirmed_at,
                &Value::Object(app_metadata),
                &Value::Object(user_metadata),
                &self.is_anonymous,
                &now,
            ],
        )
        .await
        .on_constraint("users_email_partial_key", || AuthRefusal::EmailExists.into())
        .on_constraint("users_pkey", || AuthRefusal::IdExists.into())?;
        if let Some(provider) = self.provider {
            add_identity(tx, self.id, &provider, &self.provider_id, &Value::Object(about), now).await?;
        }
        Ok(self.id)
    }
}

/// Gives a login one more way to sign in. `tx` is the auth role's.
///
/// # Errors
/// [`AuthRefusal::IdentityExists`], or what the database answered.
pub async fn add_identity(
    tx: &Tx,
    user_id: Uuid,
    provider: &str,
    provider_id: &str,
    about: &Value,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    tx.execute(
        sql!(
            "insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $6, $6)"
        ),
        &[&Uuid::new_v4(), &provider_id, &user_id, about, &provider, &now],
    )
    .await
    .on_constraint("identities_provider_id_provider_unique", || AuthRefusal::IdentityExists.into())?;
    Ok(())
}

/// Adds what is new to an object; null takes a key away.
pub fn merge(into: &mut Map<String, Value>, new: Map<String, Value>) {
    for (key, value) in new {
        if value.is_null() {
            into.remove(&key);
        } else {
            into.insert(key, value);
        }
    }
}
