//! Refresh tokens: a new access token for a session that is still open.
//!
//! A token says which session and which number it has, under a keyed hash; the session's row knows which number counts.
//! So no token is kept, and a forged one is refused without asking the database.
//!
//! - The token that counts is replaced by the next number.
//! - The one before it gives the same next one again: a client that lost the answer, or two tabs. So does every earlier
//!   one for ten seconds after a refresh.
//! - Anything earlier was copied by somebody: the session ends, for both.
//! - Two holders who take turns would each time be one behind. A client that lost an answer asks again soon, and seldom
//!   twice in a row; at the third number in a row that is given again late, the session ends as well.

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    AuthRefusal,
    events::{self, Event},
    keys::Keys,
    request::Asked,
    session::{self, Ending},
};
use crate::{
    app::App,
    db::{Tx, sql},
    problem::Problem,
};

/// How long after a refresh earlier tokens still give the one that counts: several tabs that woke up at once.
const REUSE_INTERVAL: TimeDelta = TimeDelta::seconds(10);
/// At this many numbers in a row that were given again late there are two holders.
const LATE_RUN_MAX: i32 = 3;
/// Bytes of the keyed hash in a token.
const MAC_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;

/// The body of `grant_type=refresh_token`.
#[derive(Deserialize)]
pub struct Refresh {
    refresh_token: Option<String>,
}

/// The refresh token of a session with this number.
#[must_use]
pub fn token(keys: &Keys, session_id: Uuid, counter: i64) -> String {
    let mut bytes = vec![0];
    bytes.extend_from_slice(session_id.as_bytes());
    let mut rest = u64::try_from(counter).unwrap_or_default();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        bytes.push(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            break;
        }
    }
    let mac = keys.mac("refresh", &[&bytes]);
    bytes.extend(mac.iter().take(MAC_BYTES));
    let checksum = Sha256::digest(&bytes);
    bytes.extend(checksum.iter().take(CHECKSUM_BYTES));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Which session and number a token has, if it is one of ours: it is made again and compared.
fn read(keys: &Keys, shown: &str) -> Option<(Uuid, i64)> {
    let bytes = URL_SAFE_NO_PAD.decode(shown).ok()?;
    let session_id = Uuid::from_slice(bytes.get(1..17)?).ok()?;
    let (mut counter, mut shift) = (0_u64, 0_u32);
    for byte in bytes.get(17..)? {
        counter |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let counter = i64::try_from(counter).ok()?;
    super::token::same(shown, &token(keys, session_id, counter)).then_some((session_id, counter))
}

/// Gives a new access token for a refresh token.
///
/// # Errors
/// See [`AuthRefusal`]. A fault of the database is no refusal: the client keeps the session and asks again.
pub async fn grant(app: &App, asked: &Asked, body: &Refresh) -> Result<(HeaderMap, Value), Problem> {
    let shown = body.refresh_token.as_deref().unwrap_or_default();
    if shown.is_empty() {
        return Err(AuthRefusal::OAuth("refresh_token required").into());
    }
    let (session_id, number) = read(&app.keys, shown).ok_or(AuthRefusal::RefreshTokenNotFound)?;
    let tx = app.db.as_auth().await?;
    let row = tx
        .query_opt(
            sql!(
                "select s.user_id, s.refresh_token_counter, s.refreshed_at at time zone 'utc', s.not_after, u.banned_until
                 from auth.sessions as s join auth.users as u on u.id = s.user_id and u.deleted_at is null
                 where s.id = $1 for update of s"
            ),
            &[&session_id],
        )
        .await?
        .ok_or(AuthRefusal::RefreshTokenNotFound)?;
    let user_id: Uuid = row.try_get(0)?;
    let counts: i64 = row
        .try_get::<_, Option<i64>>(1)?
        .ok_or(AuthRefusal::RefreshTokenNotFound)?;
    let refreshed_at: Option<DateTime<Utc>> = row.try_get(2)?;
    if row
        .try_get::<_, Option<DateTime<Utc>>>(3)?
        .is_some_and(|end| end <= asked.now)
    {
        return Err(AuthRefusal::SessionExpired.into());
    }
    if row
        .try_get::<_, Option<DateTime<Utc>>>(4)?
        .is_some_and(|until| until > asked.now)
    {
        return Err(AuthRefusal::SignInBanned.into());
    }
    let is_soon = refreshed_at.is_some_and(|at| asked.now - at <= REUSE_INTERVAL);
    let is_stolen = match shown_as(number, counts, is_soon) {
        Shown::Current => {
            advance(&tx, session_id, asked).await?;
            false
        }
        Shown::Again => false,
        Shown::Late => late_run(&tx, session_id, counts).await? >= LATE_RUN_MAX,
        Shown::Stolen => true,
        Shown::Unknown => return Err(AuthRefusal::RefreshTokenNotFound.into()),
    };
    if is_stolen {
        session::end(&tx, user_id, Ending::This(session_id)).await?;
        events::note(&tx, Event::TokenReused, Some(user_id), Some(session_id), asked.now).await?;
        tx.commit().await?;
        return Err(AuthRefusal::RefreshTokenUsed.into());
    }
    let answer = session::tokens(app, &tx, user_id, session_id, asked.now).await?;
    tx.commit().await?;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("sb-auth-user-id", user_id.to_string()),
        ("sb-auth-session-id", session_id.to_string()),
    ] {
        headers.extend(
            value
                .parse()
                .map(|value| (axum::http::HeaderName::from_static(name), value)),
        );
    }
    Ok((headers, answer))
}

#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// The one that counts.
    Current,
    /// One that was just replaced.
    Again,
    /// The one before, long after it was replaced.
    Late,
    /// One that no honest client has any more.
    Stolen,
    /// One that was never given.
    Unknown,
}

fn shown_as(number: i64, counts: i64, is_soon: bool) -> Shown {
    match counts.saturating_sub(number) {
        0 => Shown::Current,
        behind if behind < 0 => Shown::Unknown,
        _ if is_soon => Shown::Again,
        1 => Shown::Late,
        _ => Shown::Stolen,
    }
}

async fn advance(tx: &Tx, session_id: Uuid, asked: &Asked) -> Result<(), tokio_postgres::Error> {
    let address = asked.address.map(|address| address.to_string());
    tx.execute(
        sql!(
            "update auth.sessions set refresh_token_counter = refresh_token_counter + 1, updated_at = $2,
               refreshed_at = $2::timestamptz at time zone 'utc', user_agent = coalesce($3, user_agent), ip = coalesce($4::text::inet, ip)
             where id = $1"
        ),
        &[&session_id, &asked.now, &asked.agent, &address],
    )
    .await?;
    Ok(())
}

/// Notes that the number that counts is given again late; how many numbers in a row that makes.
async fn late_run(tx: &Tx, session_id: Uuid, counts: i64) -> Result<i32, tokio_postgres::Error> {
    let row = tx
        .query_one(
            sql!(
                "insert into nexus.late_refreshes as l (session_id, counter, run) values ($1, $2, 1)
                 on conflict (session_id) do update set counter = excluded.counter,
                   run = case excluded.counter - l.counter when 0 then l.run when 1 then l.run + 1 else 1 end
                 returning run"
            ),
            &[&session_id, &counts],
        )
        .await?;
    row.try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::tests::keys_with;

    #[test]
    fn a_token_is_read_back_and_none_other_is() {
        let keys = keys_with(true, [("UNUSED", ""), ("UNUSED", "")]).unwrap();
        let id = Uuid::new_v4();
        for counter in [0, 1, 127, 128, 300, i64::MAX] {
            let made = token(&keys, id, counter);
            assert_eq!(read(&keys, &made), Some((id, counter)));
            for at in 0..made.len() {
                let mut changed = made.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(read(&keys, &String::from_utf8(changed).unwrap()), None, "at {at}");
            }
        }
        for wrong in [
            "",
            "A",
            "not a token",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(read(&keys, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn which_token_was_shown() {
        assert_eq!(shown_as(5, 5, true), Shown::Current);
        assert_eq!(shown_as(4, 5, true), Shown::Again);
        assert_eq!(shown_as(1, 5, true), Shown::Again);
        assert_eq!(shown_as(4, 5, false), Shown::Late);
        assert_eq!(shown_as(3, 5, false), Shown::Stolen);
        assert_eq!(shown_as(6, 5, true), Shown::Unknown);
    }
}
