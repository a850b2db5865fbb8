//! Sessions: a row for each login, and the access tokens that belong to it.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use mint_core::role::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{token::ApiRole, users::User};
use crate::{
    config::BaseUrl,
    db::{Tx, sql},
};

/// How long an access token holds unless asked otherwise: Supabase's default.
const TTL_DEFAULT: Duration = Duration::from_secs(3600);
/// A token outlives the withdrawal of its session, so it does not hold for ever.
const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long an access token holds: from a second to 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(Duration);

impl Default for Ttl {
    fn default() -> Ttl {
        Ttl(TTL_DEFAULT)
    }
}

impl FromStr for Ttl {
    type Err = String;

    /// `90` or `90s`, `15m`, `12h`, `30d`.
    fn from_str(text: &str) -> Result<Ttl, String> {
        let expected = || "expected a time such as 90s, 15m, 12h or 30d, and at most 30d".to_owned();
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let unit = match text.get(digits.len()..) {
            Some("" | "s") => 1,
            Some("m") => 60,
            Some("h") => 3600,
            Some("d") => 24 * 3600,
            Some(_) | None => return Err(expected()),
        };
        let seconds = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(unit))
            .ok_or_else(expected)?;
        let ttl = Duration::from_secs(seconds);
        if ttl.is_zero() || ttl > TTL_MAX {
            Err(expected())
        } else {
            Ok(Ttl(ttl))
        }
    }
}

/// A session of `auth.sessions`.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Its id, which its tokens carry.
    pub id: Uuid,
    /// When and how its person logged in.
    pub since: DateTime<Utc>,
}

/// How the person logged in, as the `amr` claim says it. An operator who hands out a token vouches for the person as a
/// mailed link would.
const OPERATOR_METHOD: &str = "magiclink";

/// Opens a session that an operator asked for. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn open(tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<Session, tokio_postgres::Error> {
    let id = Uuid::new_v4();
    tx.execute(
        sql!(
            "insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent)
             values ($1, $2, $3, $3, 'aal1', 'nexus-mint user token')"
        ),
        &[&id, &user_id, &now],
    )
    .await?;
    tx.execute(
        sql!(
            "insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
             values ($1, $2, $3, $4, $4)"
        ),
        &[&Uuid::new_v4(), &id, &OPERATOR_METHOD, &now],
    )
    .await?;
    tx.execute(
        sql!("update auth.users set last_sign_in_at = $2 where id = $1"),
        &[&user_id, &now],
    )
    .await?;
    Ok(Session { id, since: now })
}

/// Whether the session is there and has not ended. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn is_open(tx: &Tx, id: Uuid, now: DateTime<Utc>) -> Result<bool, tokio_postgres::Error> {
    let text = sql!("select from auth.sessions where id = $1 and coalesce(not_after > $2, true)");
    Ok(tx.query_opt(text, &[&id, &now]).await?.is_some())
}

/// The database role for a person with these roles: who works for the company acts as staff.
#[must_use]
pub fn api_role(roles: &[Role]) -> ApiRole {
    if roles.iter().any(|role| role.is_staff()) {
        ApiRole::Staff
    } else {
        ApiRole::Authenticated
    }
}

/// The claims of an access token, as GoTrue writes them.
#[must_use]
pub fn claims(user: &User, session: Session, role: ApiRole, issuer: &BaseUrl, now: DateTime<Utc>, ttl: Ttl) -> Value {
    json!({
        "iss": format!("{issuer}/auth/v1"),
        "sub": user.id,
        "aud": "authenticated",
        "exp": (now + ttl.0).timestamp(),
        "iat": now.timestamp(),
        "email": user.email,
        "phone": user.phone,
        "app_metadata": user.app_metadata,
        "user_metadata": user.user_metadata,
        "role": role.name(),
        "aal": "aal1",
        "amr": [{ "method": OPERATOR_METHOD, "timestamp": session.since.timestamp() }],
        "session_id": session.id,
        "is_anonymous": user.is_anonymous,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live() {
        let seconds = |text: &str| text.parse::<Ttl>().ok().map(|ttl| ttl.0.as_secs());
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("15m"), Some(900));
        assert_eq!(seconds("30d"), Some(2_592_000));
        for wrong in [
            "",
            "0",
            "31d",
            "1w",
            "m",
            "-1",
            "99999999999999999999",
            "18446744073709551615d",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn who_works_for_the_company_acts_as_staff() {
        assert_eq!(api_role(&[]), ApiRole::Authenticated);
        assert_eq!(api_role(&[Role::Investor]), ApiRole::Authenticated);
        for role in [Role::Admin, Role::ComplianceOfficer, Role::PropertyManager] {
            assert_eq!(api_role(&[Role::Investor, role]), ApiRole::Staff);
        }
    }
}
