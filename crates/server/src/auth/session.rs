//! Sessions: a row for each login, and the access tokens that belong to it.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use mint_core::role::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    AuthRefusal,
    events::{self, Event},
    hook, refresh,
    request::Asked,
    token::ApiRole,
    users::{self, User},
};
use crate::{
    app::App,
    config::BaseUrl,
    db::{Tx, sql},
    problem::Problem,
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

/// How somebody showed who it is, as the `amr` claim says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A password.
    Password,
    /// A code or link that was mailed.
    Otp,
    /// Not at all.
    Anonymous,
    /// A wallet's signature.
    Web3,
    /// Another provider's word.
    OAuth,
    /// A code of an authenticator.
    Totp,
    /// An operator's word.
    Operator,
}

impl Method {
    /// Its name in tokens and rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Password => "password",
            Method::Otp => "otp",
            Method::Anonymous => "anonymous",
            Method::Web3 => "web3",
            Method::OAuth => "oauth",
            Method::Totp => "totp",
            Method::Operator => OPERATOR_METHOD,
        }
    }
}

/// Opens a session that an operator asked for. It cannot be refreshed. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn open(tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<Session, tokio_postgres::Error> {
    let agent = Some("nexus-mint user token");
    insert(tx, user_id, Method::Operator, None, agent, None, now).await
}

/// Opens a session for somebody who just showed who it is. Its first refresh token has the number 0.
///
/// # Errors
/// What the database answered.
pub async fn begin(tx: &Tx, user_id: Uuid, method: Method, asked: &Asked) -> Result<Session, tokio_postgres::Error> {
    let address = asked.address.map(|address| address.to_string());
    let session = insert(tx, user_id, method, Some(0), asked.agent.as_deref(), address, asked.now).await?;
    events::note(tx, Event::SignedIn, Some(user_id), Some(session.id), asked.now).await?;
    Ok(session)
}

async fn insert(
    tx: &Tx,
    user_id: Uuid,
    method: Method,
    counter: Option<i64>,
    agent: Option<&str>,
    address: Option<String>,
    now: DateTime<Utc>,
) -> Result<Session, tokio_postgres::Error> {
    let id = Uuid::new_v4();
    tx.execute(
        sql!(
            "insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, refresh_token_counter)
             values ($1, $2, $3, $3, 'aal1', $4, $5::text::inet, $6)"
        ),
        &[&id, &user_id, &now, &agent, &address, &counter],
    )
    .await?;
    add_method(tx, id, method, now).await?;
    tx.execute(
        sql!("update auth.users set last_sign_in_at = $2 where id = $1"),
        &[&user_id, &now],
    )
    .await?;
    Ok(Session { id, since: now })
}

/// Notes that a session's person showed who it is in one more way, or again.
///
/// # Errors
/// What the database answered.
pub async fn add_method(
    tx: &Tx,
    session_id: Uuid,
    method: Method,
    now: DateTime<Utc>,
) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
             values ($1, $2, $3, $4, $4)
             on conflict (session_id, authentication_method) do update set updated_at = excluded.updated_at"
        ),
        &[&Uuid::new_v4(), &session_id, &method.name(), &now],
    )
    .await?;
    Ok(())
}

/// How far a session's person showed who it is.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The session.
    pub session_id: Uuid,
    /// `aal1`, or `aal2` with a second factor.
    pub aal: String,
    /// In which ways and when, newest first.
    pub methods: Vec<(String, DateTime<Utc>)>,
    /// When the session began.
    pub since: DateTime<Utc>,
    /// The number of the refresh token that counts, where there is one.
    pub counter: Option<i64>,
    /// In which branch it was given last.
    pub branch: i32,
}

/// Reads how far a session's person showed who it is; nothing where it has ended.
///
/// # Errors
/// What the database answered.
pub async fn standing(
    tx: &Tx,
    session_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Standing>, tokio_postgres::Error> {
    let rows = tx
        .query(
            sql!(
                "select coalesce(s.aal::text, 'aal1'), s.created_at, s.refresh_token_counter, m.authentication_method, m.updated_at,
                   coalesce(l.given, 0)
                 from auth.sessions as s left join auth.mfa_amr_claims as m on m.session_id = s.id
                   left join nexus.late_refreshes as l on l.session_id = s.id and l.counter = s.refresh_token_counter
                 where s.id = $1 and coalesce(s.not_after > $2, true)
                 order by m.updated_at desc, m.id"
            ),
            &[&session_id, &now],
        )
        .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut standing = Standing {
        session_id,
        aal: first.try_get(0)?,
        methods: Vec::new(),
        since: first.try_get::<_, Option<DateTime<Utc>>>(1)?.unwrap_or(now),
        counter: first.try_get(2)?,
        branch: first.try_get(5)?,
    };
    for row in &rows {
        if let (Some(method), Some(at)) = (row.try_get(3)?, row.try_get(4)?) {
            standing.methods.push((method, at));
        }
    }
    Ok(Some(standing))
}

/// What a client gets that signed in: the tokens of the session and whose it is. `tx` is the auth role's.
///
/// # Errors
/// When the person or the session is gone.
pub async fn tokens(app: &App, tx: &Tx, user_id: Uuid, session_id: Uuid, now: DateTime<Utc>) -> Result<Value, Problem> {
    let user = users::find(tx, user_id).await?.ok_or(AuthRefusal::UserNotFound)?;
    let standing = standing(tx, session_id, now)
        .await?
        .ok_or(AuthRefusal::SessionNotFound)?;
    let named: String = tx
        .query_one(sql!("select nexus.api_role_of($1)"), &[&user_id])
        .await?
        .try_get(0)?;
    let role = if named == ApiRole::Staff.name() {
        ApiRole::Staff
    } else {
        ApiRole::Authenticated
    };
    let claims = claims_of(&user, &standing, role, &app.public_url, now, Ttl::default());
    let claims = match &app.config.settings.logins.token_hook {
        Some(name) => hook::with_custom_claims(tx, name, user_id, claims).await?,
        None => claims,
    };
    let access_token = app.keys.sign_token(&claims).map_err(Problem::internal)?;
    let shown = users::shown(tx, &user).await?;
    let mut answer = json!({
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": TTL_DEFAULT.as_secs(),
        "expires_at": (now + TTL_DEFAULT).timestamp(),
        "user": shown,
    });
    if let (Some(counter), Some(object)) = (standing.counter, answer.as_object_mut()) {
        let token = refresh::token(&app.keys, session_id, counter, standing.branch);
        object.insert("refresh_token".to_owned(), json!(token));
    }
    Ok(answer)
}

/// Ends sessions of a person, and says how many.
///
/// # Errors
/// What the database answered.
pub async fn end(tx: &Tx, user_id: Uuid, which: Ending) -> Result<u64, tokio_postgres::Error> {
    let (own, others) = match which {
        Ending::All => (None, None),
        Ending::This(id) => (Some(id), None),
        Ending::Others(id) => (None, Some(id)),
    };
    tx.execute(
        sql!(
            "delete from auth.sessions
             where user_id = $1 and coalesce(id = $2, true) and coalesce(id <> $3, true)"
        ),
        &[&user_id, &own, &others],
    )
    .await
}

/// Which sessions of a person end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All.
    All,
    /// This one.
    This(Uuid),
    /// All but this one.
    Others(Uuid),
}

/// Whether the session is there and has not ended. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn is_open(tx: &Tx, id: Uuid, now: DateTime<Utc>) -> Result<bool, tokio_postgres::Error> {
    let text = sql!("select from auth.sessions where id = $1 and coalesce(not_after > $2, true)");
    Ok(tx.query_opt(text, &[&id, &now]).await?.is_some())
}

/// Where a session stands that a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It has ended, or never was.
    Over,
    /// Its person has a second factor that counts, and it does not rest on one.
    LacksFactor,
    /// It is open.
    Open,
}

/// Where a session stands at `now`. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn stand(tx: &Tx, id: Uuid, now: DateTime<Utc>) -> Result<Stand, tokio_postgres::Error> {
    let text = sql!(
        "select coalesce(s.aal::text, 'aal1') = 'aal1'
           and exists (select from auth.mfa_factors as f where f.user_id = s.user_id and f.status = 'verified')
         from auth.sessions as s where s.id = $1 and coalesce(s.not_after > $2, true)"
    );
    Ok(match tx.query_opt(text, &[&id, &now]).await? {
        None => Stand::Over,
        Some(row) if row.try_get(0)? => Stand::LacksFactor,
        Some(_) => Stand::Open,
    })
}

/// A session as its person sees it in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// When it began.
    pub since: DateTime<Utc>,
    /// When it was last refreshed, or began.
    pub seen_at: DateTime<Utc>,
    /// What the client says that it is.
    pub agent: Option<String>,
    /// The network address that it was last used from.
    pub address: Option<String>,
}

/// The open sessions of a person, the newest first, 100 at most. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn listed(tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<Vec<Listed>, tokio_postgres::Error> {
    let text = sql!(
        "select s.id, coalesce(s.created_at, $2), coalesce(s.refreshed_at at time zone 'utc', s.created_at, $2), s.user_agent, host(s.ip)
         from auth.sessions as s where s.user_id = $1 and coalesce(s.not_after > $2, true)
         order by 3 desc, s.id limit 100"
    );
    let rows = tx.query(text, &[&user_id, &now]).await?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Listed {
            id: row.try_get(0)?,
            since: row.try_get(1)?,
            seen_at: row.try_get(2)?,
            agent: row.try_get(3)?,
            address: row.try_get(4)?,
        })
    };
    rows.iter().map(read).collect()
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

/// The claims of an operator's access token.
#[must_use]
pub fn claims(user: &User, session: Session, role: ApiRole, issuer: &BaseUrl, now: DateTime<Utc>, ttl: Ttl) -> Value {
    let standing = Standing {
        session_id: session.id,
        aal: "aal1".to_owned(),
        methods: vec![(OPERATOR_METHOD.to_owned(), session.since)],
        since: session.since,
        counter: None,
        branch: 0,
    };
    claims_of(user, &standing, role, issuer, now, ttl)
}

/// The claims of an access token, as GoTrue writes them.
fn claims_of(user: &User, standing: &Standing, role: ApiRole, issuer: &BaseUrl, now: DateTime<Utc>, ttl: Ttl) -> Value {
    let methods: Vec<Value> = standing
        .methods
        .iter()
        .map(|(method, at)| json!({ "method": method, "timestamp": at.timestamp() }))
        .collect();
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
        "aal": standing.aal,
        "amr": methods,
        "session_id": standing.session_id,
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
