//! What requests of the auth protocol have in common: bodies, who asks and from where, the person signed in.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Query, Request, connect_info::Connected},
    http::{HeaderMap, header, request::Parts},
    serve::{IncomingStream, Listener},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    AuthRefusal,
    session::{self, Standing},
    token::{ApiRole, Caller, TokenError},
    users::{self, User},
};
use crate::{app::App, db::Tx, problem::Problem, request_line::Lenient};

/// What is kept of a client's name for itself (characters).
const AGENT_LENGTH_MAX: usize = 300;

/// A body that is JSON, whatever its content type says. A body that may be left out is `{}`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, app)
            .await
            .map_err(|_| Problem::BodyTooLarge)?;
        let bytes: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) {
            b"{}"
        } else {
            &bytes
        };
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| AuthRefusal::BadJson(place_of(&error)))?;
        if has_nul(&value) {
            return Err(NUL.into());
        }
        // What a field should have been, and never what it was: it may be a password.
        let body = serde_json::from_value(value)
            .map_err(|_| AuthRefusal::Invalid("the body has a field of a wrong type".into()))?;
        Ok(Body(body))
    }
}

/// PostgreSQL has no text with this character.
pub(super) const NUL: AuthRefusal = AuthRefusal::Invalid(std::borrow::Cow::Borrowed("a text has the character U+0000"));

fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
    }
}

fn place_of(error: &serde_json::Error) -> String {
    format!("line {} column {}", error.line(), error.column())
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl<L: Listener<Addr = SocketAddr>> Connected<IncomingStream<'_, Lenient<L>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Lenient<L>>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

/// Who asks, when, and where to go afterwards.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When.
    pub now: DateTime<Utc>,
    /// The network address, where it is known.
    pub address: Option<IpAddr>,
    /// What the client says that it is.
    pub agent: Option<String>,
    /// Where the client wants to go, as it said it.
    pub redirect_to: Option<String>,
    /// Where it comes from, as it said it.
    pub referer: Option<String>,
}

#[derive(Deserialize)]
struct RedirectQuery {
    redirect_to: Option<String>,
}

impl FromRequestParts<App> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Asked, Problem> {
        let text = |name: &str| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
            value.map(|value| value.chars().take(AGENT_LENGTH_MAX).collect::<String>())
        };
        let proxied = app.config.settings.logins.client_address_header.as_deref();
        let address = match proxied {
            Some(name) => last_address(&parts.headers, name),
            None => parts
                .extensions
                .get::<ConnectInfo<Peer>>()
                .map(|ConnectInfo(Peer(address))| address.ip()),
        };
        let query = Query::<RedirectQuery>::try_from_uri(&parts.uri).ok();
        Ok(Asked {
            now: app.now(),
            address,
            agent: text("user-agent"),
            redirect_to: query.and_then(|Query(query)| query.redirect_to),
            referer: text("referer"),
        })
    }
}

/// The address that the nearest proxy wrote: what stands before it, the client may have written.
fn last_address(headers: &HeaderMap, name: &str) -> Option<IpAddr> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next()?.trim().parse().ok()
}

/// Somebody who signed in, whose session is open.
pub struct Person {
    /// Who.
    pub user: User,
    /// How far they showed it.
    pub standing: Standing,
}

/// The person whom the `Authorization` header proves. `tx` is the auth role's.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn person(app: &App, headers: &HeaderMap, tx: &Tx, now: DateTime<Utc>) -> Result<Person, Problem> {
    let caller = bearer(app, headers)?;
    let user_id = caller.user_id().ok_or(AuthRefusal::NoSubject)?;
    let user = users::find(tx, user_id).await?.ok_or(AuthRefusal::UserNotFound)?;
    if user.is_banned(now) {
        return Err(AuthRefusal::UserBanned.into());
    }
    let standing = match caller.session_id() {
        Some(session_id) => session::standing(tx, session_id, now)
            .await?
            .ok_or(AuthRefusal::SessionNotFound)?,
        None => Standing {
            session_id: Uuid::nil(),
            aal: "aal1".to_owned(),
            methods: Vec::new(),
            since: now,
            counter: None,
            branch: 0,
        },
    };
    Ok(Person { user, standing })
}

/// The caller whom the `Authorization` header proves.
///
/// # Errors
/// See [`AuthRefusal`].
pub fn bearer(app: &App, headers: &HeaderMap) -> Result<Caller, AuthRefusal> {
    let token = shown(headers).ok_or(AuthRefusal::NoAuthorization)?;
    app.keys.verify(token, app.now()).map_err(AuthRefusal::BadToken)
}

/// Makes sure that the service asks, by its key in either header and of either form.
///
/// # Errors
/// See [`AuthRefusal`].
pub fn service(app: &App, headers: &HeaderMap) -> Result<(), AuthRefusal> {
    let shown = shown(headers).or_else(|| headers.get("apikey").and_then(|value| value.to_str().ok()));
    let shown = shown.ok_or(AuthRefusal::NoAuthorization)?;
    let caller = match app.keys.caller(shown, app.now()) {
        // The other role that GoTrue takes for its own administration; nowhere else is it one.
        Err(TokenError::Role(name)) if name == "supabase_admin" => return Ok(()),
        caller => caller.map_err(AuthRefusal::BadToken)?,
    };
    match caller.role() {
        ApiRole::Service => Ok(()),
        ApiRole::Anon | ApiRole::Authenticated | ApiRole::Staff => Err(AuthRefusal::NotAdmin),
    }
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// An answer without anything in it.
pub fn nothing() -> Json<serde_json::Value> {
    Json(serde_json::json!({}))
}
