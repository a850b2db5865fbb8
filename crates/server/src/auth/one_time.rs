//! Codes and links that are mailed and hold once.
//!
//! A code has six digits; the link's token is a keyed hash of the code and its purpose; the row keeps a hash of that
//! token. Who reads the database can sign in with none of the three.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{AuthRefusal, keys::Keys, token::same};
use crate::{
    config::secret::random_bytes,
    db::{Tx, sql},
    problem::Problem,
};

/// How long a code holds: short, because it can be guessed.
const CODE_HOLDS: TimeDelta = TimeDelta::hours(1);
/// How long a link holds.
const LINK_HOLDS: TimeDelta = TimeDelta::hours(24);
/// Bytes of a link's token: those of GoTrue's.
const TOKEN_BYTES: usize = 28;
/// How the token of a link begins whose flow ends with a code for its own client.
pub const PKCE_PREFIX: &str = "pkce_";

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To show that an address is the person's who signed up or was invited.
    Confirmation,
    /// To sign in without a password.
    Recovery,
    /// To show that a new address is the person's.
    EmailChangeNew,
    /// To agree from the old address.
    EmailChangeCurrent,
    /// To show once more who asks.
    Reauthentication,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Confirmation => "confirmation_token",
            Purpose::Recovery => "recovery_token",
            Purpose::EmailChangeNew => "email_change_token_new",
            Purpose::EmailChangeCurrent => "email_change_token_current",
            Purpose::Reauthentication => "reauthentication_token",
        }
    }

    fn of(name: &str) -> Option<Purpose> {
        [
            Purpose::Confirmation,
            Purpose::Recovery,
            Purpose::EmailChangeNew,
            Purpose::EmailChangeCurrent,
            Purpose::Reauthentication,
        ]
        .into_iter()
        .find(|purpose| purpose.name() == name)
    }
}

/// What was made.
pub struct Issued {
    /// Six digits.
    pub code: String,
    /// What a link carries.
    pub token: String,
}

/// Whether the flow ends with tokens, or with a code for the client that began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// With tokens.
    Implicit,
    /// With a code.
    Pkce,
}

/// Makes a code for a person and purpose; an earlier one no longer holds. `tx` is the auth role's.
///
/// # Errors
/// What the database answered, or that there is no randomness.
pub async fn issue(
    tx: &Tx,
    keys: &Keys,
    user_id: Uuid,
    purpose: Purpose,
    email: &str,
    flow: Flow,
    now: DateTime<Utc>,
) -> Result<Issued, Problem> {
    let code = code()?;
    let plain = token_of(keys, purpose, email, &code);
    let token = match flow {
        Flow::Implicit => plain,
        Flow::Pkce => format!("{PKCE_PREFIX}{plain}"),
    };
    tx.execute(
        sql!(
            "insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
             values ($1, $2, $3::text::auth.one_time_token_type, $4, $5, $6::timestamptz at time zone 'utc', $6::timestamptz at time zone 'utc')
             on conflict (user_id, token_type) do update set token_hash = excluded.token_hash,
               relates_to = excluded.relates_to, created_at = excluded.created_at, updated_at = excluded.updated_at"
        ),
        &[&Uuid::new_v4(), &user_id, &purpose.name(), &kept(&token), &email, &now],
    )
    .await?;
    Ok(Issued { code, token })
}

/// A code or token that held.
#[derive(Debug, Clone)]
pub struct Redeemed {
    /// Whose it is.
    pub user_id: Uuid,
    /// What it was for.
    pub purpose: Purpose,
    /// The address that it was mailed to.
    pub email: String,
}

/// Uses up a code that was mailed to `email`. `tx` is the auth role's.
///
/// # Errors
/// [`AuthRefusal::CodeExpired`], or what the database answered.
pub async fn redeem_code(
    tx: &Tx,
    keys: &Keys,
    email: &str,
    code: &str,
    purposes: &[Purpose],
    now: DateTime<Utc>,
) -> Result<Redeemed, Problem> {
    let tokens = purposes.iter().flat_map(|purpose| {
        let plain = token_of(keys, *purpose, email, code);
        [kept(&format!("{PKCE_PREFIX}{plain}")), kept(&plain)]
    });
    let found = redeem(tx, &tokens.collect::<Vec<_>>(), purposes, now - CODE_HOLDS).await?;
    found
        .filter(|found| same(&found.email, email))
        .ok_or_else(|| AuthRefusal::CodeExpired.into())
}

/// Uses up the token of a link. `tx` is the auth role's.
///
/// # Errors
/// [`AuthRefusal::LinkExpired`], or what the database answered.
pub async fn redeem_token(tx: &Tx, token: &str, purposes: &[Purpose], now: DateTime<Utc>) -> Result<Redeemed, Problem> {
    let found = redeem(tx, &[kept(token)], purposes, now - LINK_HOLDS).await?;
    found.ok_or_else(|| AuthRefusal::LinkExpired.into())
}

async fn redeem(
    tx: &Tx,
    kept: &[String],
    purposes: &[Purpose],
    since: DateTime<Utc>,
) -> Result<Option<Redeemed>, Problem> {
    let names: Vec<&str> = purposes.iter().map(|purpose| purpose.name()).collect();
    let row = tx
        .query_opt(
            sql!(
                "delete from auth.one_time_tokens where id = (
                   select id from auth.one_time_tokens
                   where token_hash = any ($1::text[]) and token_type::text = any ($2::text[])
                     and created_at at time zone 'utc' >= $3
                   limit 1 for update)
                 returning user_id, token_type::text, relates_to"
            ),
            &[&kept, &names, &since],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(purpose) = Purpose::of(row.try_get(1)?) else {
        return Ok(None);
    };
    Ok(Some(Redeemed {
        user_id: row.try_get(0)?,
        purpose,
        email: row.try_get(2)?,
    }))
}

fn token_of(keys: &Keys, purpose: Purpose, email: &str, code: &str) -> String {
    let mac = keys.mac(
        "one-time",
        &[purpose.name().as_bytes(), email.as_bytes(), code.as_bytes()],
    );
    hex(mac.iter().take(TOKEN_BYTES))
}

fn kept(token: &str) -> String {
    hex(Sha256::digest(token.as_bytes()).iter())
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Six random digits, each as likely as any other.
fn code() -> Result<String, Problem> {
    loop {
        let random = random_bytes().map_err(Problem::internal)?;
        for part in random.chunks_exact(4) {
            let number = part.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
            // The last incomplete million would make some codes likelier.
            if number < u32::MAX - u32::MAX % 1_000_000 {
                return Ok(format!("{:06}", number % 1_000_000));
            }
        }
    }
}
