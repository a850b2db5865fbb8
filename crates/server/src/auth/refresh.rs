//! Refresh tokens: a new access token for a session that is still open.
//!
//! A token says which session and which number it has, under a keyed hash; the session's row knows which number counts.
//! So no token is kept, and a forged one is refused without asking the database.
//!
//! - The token that counts is replaced by the next number.
//! - The one before it gives the next one again, at any time: a client lost the answer. Within ten seconds of a refresh every
//!   earlier one gives the one that counts: several tabs woke up together.
//! - Anything earlier was copied by somebody: the session ends, for both.
//! - Two holders who take turns would each time be one behind. So a number that is given again later is given as another
//!   branch: a client that lost an answer never had the branch that was lost. Where two branches of one number are shown,
//!   there are two holders, and the session ends. However often answers are lost, it does not.

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
/// Bytes of the keyed hash in a token.
const MAC_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;

/// The body of `grant_type=refresh_token`.
#[derive(Deserialize)]
pub struct Refresh {
    refresh_token: Option<String>,
}

/// The refresh token of a session with this number, in this branch.
#[must_use]
pub fn token(keys: &Keys, session_id: Uuid, number: i64, branch: i32) -> String {
    let mut bytes = vec![0];
    bytes.extend_from_slice(session_id.as_bytes());
    push(&mut bytes, u64::try_from(number).unwrap_or_default());
    // The first branch is not written: then it is GoTrue's form.
    if branch > 0 {
        push(&mut bytes, u64::try_from(branch).unwrap_or_default());
    }
    let mac = keys.mac("refresh", &[&bytes]);
    bytes.extend(mac.iter().take(MAC_BYTES));
    let checksum = Sha256::digest(&bytes);
    bytes.extend(checksum.iter().take(CHECKSUM_BYTES));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seven bits a byte, lowest first.
fn push(bytes: &mut Vec<u8>, mut rest: u64) {
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        bytes.push(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            break;
        }
    }
}

/// The number at the beginning, and what is after it.
fn pull(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut shift) = (0_u64, 0_u32);
    for (at, byte) in bytes.iter().enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

/// Which session, number and branch a token has, if it is one of ours: it is made again and compared.
fn read(keys: &Keys, shown: &str) -> Option<(Uuid, i64, i32)> {
    let bytes = URL_SAFE_NO_PAD.decode(shown).ok()?;
    let session_id = Uuid::from_slice(bytes.get(1..17)?).ok()?;
    let (number, rest) = pull(bytes.get(17..)?)?;
    let branch = if rest.len() == MAC_BYTES + CHECKSUM_BYTES {
        0
    } else {
        pull(rest)?.0
    };
    let (number, branch) = (i64::try_from(number).ok()?, i32::try_from(branch).ok()?);
    super::token::same(shown, &token(keys, session_id, number, branch)).then_some((session_id, number, branch))
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
    let (session_id, number, branch) = read(&app.keys, shown).ok_or(AuthRefusal::RefreshTokenNotFound)?;
    let tx = app.db.as_auth().await?;
    let row = tx
        .query_opt(
            sql!(
                "select s.user_id, s.refresh_token_counter, s.refreshed_at at time zone 'utc', s.not_after, u.banned_until,
                   l.taken, l.session_id is null
                 from auth.sessions as s join auth.users as u on u.id = s.user_id and u.deleted_at is null
                   left join nexus.late_refreshes as l on l.session_id = s.id and l.counter = s.refresh_token_counter
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
    let state = State {
        counts,
        // Where nothing is written down, there was one branch.
        taken: if row.try_get(6)? { Some(0) } else { row.try_get(5)? },
        is_soon: refreshed_at.is_some_and(|at| asked.now - at <= REUSE_INTERVAL),
    };
    let is_stolen = match shown_as(number, branch, state) {
        Shown::Current => {
            advance(&tx, session_id, counts, branch, asked).await?;
            false
        }
        Shown::Again => false,
        Shown::Late => {
            branch_off(&tx, session_id, state, asked).await?;
            false
        }
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

/// What a session's rows say of its refresh tokens.
#[derive(Debug, Clone, Copy)]
struct State {
    /// The number that counts.
    counts: i64,
    /// Which branch of the number before was shown for it; nothing where it is not known.
    taken: Option<i32>,
    /// Whether a token was given a moment ago.
    is_soon: bool,
}

fn shown_as(number: i64, branch: i32, state: State) -> Shown {
    match state.counts.saturating_sub(number) {
        0 => Shown::Current,
        behind if behind < 0 => Shown::Unknown,
        1 if state.taken.is_some_and(|taken| taken != branch) => Shown::Stolen,
        _ if state.is_soon => Shown::Again,
        1 => Shown::Late,
        _ => Shown::Stolen,
    }
}

async fn advance(
    tx: &Tx,
    session_id: Uuid,
    counts: i64,
    branch: i32,
    asked: &Asked,
) -> Result<(), tokio_postgres::Error> {
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
    if branch > 0 {
        write(tx, session_id, counts.saturating_add(1), Some(branch)).await?;
    }
    Ok(())
}

/// Gives the number that counts in one more branch.
async fn branch_off(tx: &Tx, session_id: Uuid, state: State, asked: &Asked) -> Result<(), tokio_postgres::Error> {
    write(tx, session_id, state.counts, state.taken).await?;
    tx.execute(
        sql!("update nexus.late_refreshes set given = given + 1 where session_id = $1"),
        &[&session_id],
    )
    .await?;
    // Other tabs that wake up now get the same one.
    tx.execute(
        sql!("update auth.sessions set refreshed_at = $2::timestamptz at time zone 'utc' where id = $1"),
        &[&session_id, &asked.now],
    )
    .await?;
    Ok(())
}

/// Writes down for a number which branch of the one before was shown; what was written for it stays.
async fn write(tx: &Tx, session_id: Uuid, number: i64, taken: Option<i32>) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "insert into nexus.late_refreshes as l (session_id, counter, taken, given) values ($1, $2, $3, 0)
             on conflict (session_id) do update set counter = excluded.counter, taken = excluded.taken, given = 0
             where l.counter <> excluded.counter"
        ),
        &[&session_id, &number, &taken],
    )
    .await?;
    Ok(())
}

/// Notes that a session was given its next number without a refresh token: any branch of the one before may be the one that
/// its client has. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn note_given(tx: &Tx, session_id: Uuid) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "update nexus.late_refreshes as l set counter = s.refresh_token_counter, taken = null, given = 0
             from auth.sessions as s where s.id = $1 and l.session_id = s.id and l.counter = s.refresh_token_counter - 1"
        ),
        &[&session_id],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::tests::keys_with;

    #[test]
    fn a_token_is_read_back_and_none_other_is() {
        let keys = keys_with(true, [("UNUSED", ""), ("UNUSED", "")]).unwrap();
        let id = Uuid::new_v4();
        for (counter, branch) in [(0, 0), (1, 0), (127, 1), (128, 127), (300, 128), (i64::MAX, i32::MAX)] {
            let made = token(&keys, id, counter, branch);
            assert_eq!(read(&keys, &made), Some((id, counter, branch)));
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
        let at = |taken, is_soon| State {
            counts: 5,
            taken,
            is_soon,
        };
        for (number, branch, state, expect) in [
            (5, 0, at(Some(0), true), Shown::Current),
            (5, 2, at(Some(0), false), Shown::Current),
            (4, 0, at(Some(0), true), Shown::Again),
            (1, 0, at(Some(0), true), Shown::Again),
            (4, 0, at(Some(0), false), Shown::Late),
            (4, 1, at(None, false), Shown::Late),
            (4, 1, at(Some(0), true), Shown::Stolen),
            (4, 0, at(Some(1), false), Shown::Stolen),
            (3, 0, at(Some(0), false), Shown::Stolen),
            (6, 0, at(Some(0), true), Shown::Unknown),
        ] {
            assert_eq!(shown_as(number, branch, state), expect, "{number}.{branch} {state:?}");
        }
    }
}
