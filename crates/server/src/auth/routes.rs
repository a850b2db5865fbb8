//! `/auth/v1`, and GoTrue's form of a problem.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{AuthRefusal, session, token::Caller, users};
use crate::{app::App, problem::Problem};

/// The version of the protocol whose errors have their code under `code`.
const API_VERSION: &str = "2024-01-01";
const API_VERSION_HEADER: HeaderName = HeaderName::from_static("x-supabase-api-version");
const ERROR_CODE_HEADER: HeaderName = HeaderName::from_static("x-sb-error-code");

/// The routes below `/auth/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/user", get(user))
        .layer(from_fn(in_gotrue_form))
}

async fn health() -> Json<Value> {
    Json(json!({
        "version": concat!("v", env!("CARGO_PKG_VERSION")),
        "name": "GoTrue",
        "description": "Nexus Mint: logins and sessions in the protocol of GoTrue",
    }))
}

/// Public keys only, and a shared secret has none.
async fn jwks(State(app): State<App>) -> impl axum::response::IntoResponse {
    (
        [(header::CACHE_CONTROL, "public, max-age=600")],
        Json(json!(app.keys.public())),
    )
}

/// Who is asking. A session that was ended is refused here at once, whatever its tokens say.
async fn user(State(app): State<App>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let now = app.now();
    let caller = bearer(&app, &headers)?;
    let user_id = caller.user_id().ok_or(AuthRefusal::NoSubject)?;
    let tx = app.db.as_auth().await?;
    let user = users::find(&tx, user_id).await?.ok_or(AuthRefusal::UserNotFound)?;
    if let Some(session_id) = caller.session_id()
        && !session::is_open(&tx, session_id, now).await?
    {
        return Err(AuthRefusal::SessionNotFound.into());
    }
    if user.is_banned(now) {
        return Err(AuthRefusal::UserBanned.into());
    }
    let (identities, factors) = tokio::try_join!(users::identities(&tx, user_id), users::factors(&tx, user_id))?;
    tx.commit().await?;
    Ok(Json(user.to_json(&identities, &factors)))
}

/// The caller whom the `Authorization` header proves.
///
/// # Errors
/// See [`AuthRefusal`].
pub fn bearer(app: &App, headers: &HeaderMap) -> Result<Caller, AuthRefusal> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or(AuthRefusal::NoAuthorization)?;
    app.keys.verify(token, app.now()).map_err(AuthRefusal::BadToken)
}

/// Gives a problem the body that auth clients read: one of two, by the version that they ask for.
async fn in_gotrue_form(request: Request, next: Next) -> Response {
    let asked = request
        .headers()
        .get(API_VERSION_HEADER)
        .and_then(|value| value.to_str().ok());
    // Versions are dates, so that their text has their order.
    let is_new = asked.is_some_and(|version| version.len() == API_VERSION.len() && version >= API_VERSION);
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned() else {
        return response;
    };
    let code = match &*problem {
        Problem::Auth(refusal) => refusal.code(),
        Problem::Timeout => "request_timeout",
        Problem::Unavailable(_) | Problem::TooBusy | Problem::Internal(_) => "unexpected_failure",
        Problem::NotFound
        | Problem::MethodNotAllowed
        | Problem::BodyTooLarge
        | Problem::NotSignedIn
        | Problem::NotPermitted(_)
        | Problem::Invalid(_)
        | Problem::KeyReused
        | Problem::Refused(_)
        | Problem::NotAvailable => "validation_failed",
    };
    let body = if is_new {
        json!({ "code": code, "message": problem.to_string() })
    } else {
        json!({ "code": problem.status().as_u16(), "error_code": code, "msg": problem.to_string() })
    };
    let mut response = (problem.status(), Json(body)).into_response();
    response
        .headers_mut()
        .insert(ERROR_CODE_HEADER, HeaderValue::from_static(code));
    if is_new {
        response
            .headers_mut()
            .insert(API_VERSION_HEADER, HeaderValue::from_static(API_VERSION));
    }
    response
}
