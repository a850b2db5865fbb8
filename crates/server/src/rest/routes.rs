//! `/rest/v1` of the server: its own tokens and API keys, the engine behind them.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    response::Response,
    routing::any,
};
use pgrest::{error::Refusal, request::Options, response::Reply};
use serde_json::json;

use super::{
    engine::{Behaviour, Engine, Identity},
    http,
    session::{Keep, Limits, Sessions},
};
use crate::{
    app::App,
    auth::token::{ApiRole, Caller},
    db::{Db, DbRole},
};

/// Where the protocol begins.
const PREFIX: &str = "/rest/v1";

/// Connections of all API roles together, beside those of [`crate::db`]: with them still below PostgreSQL's usual 100.
const CONNECTIONS_MAX: usize = 24;

/// How a session of a role begins, and how many there may be. Roles that no token of ours can carry have none.
fn role_of(name: &str) -> Option<DbRole> {
    ApiRole::ALL
        .into_iter()
        .find(|role| role.name() == name)
        .map(DbRole::from)
}

/// The engine of the server.
#[must_use]
pub fn engine(db: &Db, options: Options) -> Engine {
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        wait: crate::db::WAIT_FOR_CONNECTION,
        keep: Keep::default(),
    };
    let sessions = Sessions::new(
        db.login().clone(),
        limits,
        // A role that is none can have no session: PostgreSQL says so.
        |name| role_of(name).map_or_else(|| "-c role=none_of_ours".to_owned(), DbRole::options),
        |name| role_of(name).map_or(1, |role| role.limits().0),
    );
    let behaviour = Behaviour {
        options,
        extra_search_path: vec!["public".to_owned(), "extensions".to_owned()],
        hoisted: ["statement_timeout", "default_transaction_isolation"]
            .map(str::to_owned)
            .to_vec(),
        ..Behaviour::default()
    };
    Engine::new(behaviour, db.login().clone(), sessions)
}

/// The routes below `/rest/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PREFIX, any(answer))
        .route("/rest/v1/", any(answer))
        .route("/rest/v1/{*path}", any(answer))
}

async fn answer(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let who = match who(&app, &parts.headers) {
        Ok(who) => who,
        Err(reply) => return http::response(reply, is_head),
    };
    let engine: &Arc<Engine> = &app.rest;
    let reply = match http::asked(&parts, body, PREFIX).await {
        Ok(asked) => engine.answer(who, &asked).await.0,
        Err(refusal) => refusal.reply().into(),
    };
    http::response(reply, is_head)
}

/// Who asks, by his token or else by the API key; who shows neither is turned away as the gateway would.
fn who(app: &App, headers: &HeaderMap) -> Result<Result<Identity, Refusal>, Reply> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let api_key = headers.get("apikey").and_then(|value| value.to_str().ok());
    let Some(shown) = bearer.or(api_key) else {
        return Err(gateway_refusal("No API key found in request"));
    };
    let caller = match app.keys.caller(shown, app.now()) {
        Ok(caller) => caller,
        // An opaque key that is not ours is the gateway's to refuse.
        Err(_) if shown.starts_with("sb_") => return Err(gateway_refusal("Invalid authentication credentials")),
        Err(error) => {
            let text = error.to_string();
            return Ok(Err(if error.is_about_claims() {
                Refusal::Claims(text)
            } else {
                Refusal::Token { text, details: None }
            }));
        }
    };
    Ok(Ok(identity(&caller)))
}

fn identity(caller: &Caller) -> Identity {
    Identity {
        role: Arc::from(caller.role().name()),
        claims: Arc::from(caller.claims()),
        is_authenticated: caller.role() != ApiRole::Anon,
    }
}

fn gateway_refusal(message: &str) -> Reply {
    Reply {
        status: 401,
        headers: vec![("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned())],
        body: json!({ "message": message }).to_string().into_bytes(),
        ..Reply::default()
    }
}
