//! `/auth/v1`, and GoTrue's form of a problem.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{any, delete, get, post},
};
use serde_json::{Map, Value, json};

use super::request::NUL;
pub use super::request::bearer;
use super::{AuthRefusal, account, admin, factors, grant, identities, links, mail, providers::flow, signup, verify};
use crate::{app::App, problem::Problem};

/// The version of the protocol whose errors have their code under `code`.
const API_VERSION: &str = "2024-01-01";
const API_VERSION_HEADER: HeaderName = HeaderName::from_static("x-supabase-api-version");
const ERROR_CODE_HEADER: HeaderName = HeaderName::from_static("x-sb-error-code");

/// The routes below `/auth/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/settings", get(settings))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/signup", post(signup::signup))
        .route("/token", post(grant::by_client))
        .route("/otp", post(links::otp))
        .route("/magiclink", post(links::magic_link))
        .route("/recover", post(links::recover))
        .route("/resend", post(links::resend))
        .route("/verify", get(verify::get).post(verify::post))
        .route("/invite", post(links::invite))
        .route("/user", get(account::show).put(account::change))
        .route("/logout", post(account::logout))
        .route("/reauthenticate", get(account::reauthenticate))
        .route("/user/identities/authorize", get(flow::authorize_link))
        .route("/user/identities/{id}", delete(identities::unlink))
        .route("/factors", post(factors::enroll))
        .route("/factors/{id}", delete(factors::unenroll))
        .route("/factors/{id}/challenge", post(factors::challenge))
        .route("/factors/{id}/verify", post(factors::verify))
        .route("/admin/users", get(admin::list).post(admin::add))
        .route(
            "/admin/users/{id}",
            get(admin::show).put(admin::change).delete(admin::remove),
        )
        .route("/admin/users/{id}/factors", get(factors::of_user))
        .route(
            "/admin/users/{id}/factors/{factor}",
            delete(factors::remove_of_user).put(factors::change_of_user),
        )
        .route("/admin/generate_link", post(admin::generate_link::generate_link))
        .route("/admin/audit", get(admin::audit))
        .route("/dev/mails", get(mail::page::mails))
        .route("/authorize", get(flow::authorize))
        .route("/callback", get(flow::callback).post(flow::posted))
        .route("/sso", post(async || refused(AuthRefusal::SamlDisabled)))
        .route(
            "/passkeys/{*rest}",
            any(async || refused(AuthRefusal::PasskeysDisabled)),
        )
        .route("/oauth/{*rest}", any(async || refused(AuthRefusal::FeatureDisabled)))
        .route("/openapi.json", get(openapi))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn(in_gotrue_form))
}

fn refused(refusal: AuthRefusal) -> Problem {
    refusal.into()
}

async fn health() -> Json<Value> {
    Json(json!({
        "version": concat!("v", env!("CARGO_PKG_VERSION")),
        "name": "GoTrue",
        "description": "Nexus Mint: logins and sessions in the protocol of GoTrue",
    }))
}

/// What there is, for programs (OpenAPI 3.0).
async fn openapi() -> impl axum::response::IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        include_str!("openapi.json"),
    )
}

/// Providers that clients look for in the settings, whether they are there or not: those of GoTrue.
const PROVIDERS: [&str; 22] = [
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "slack",
    "slack_oidc",
    "snapchat",
    "spotify",
    "twitch",
    "twitter",
    "zoom",
];

/// What a front end may offer.
async fn settings(State(app): State<App>) -> Json<Value> {
    let settings = &app.config.settings;
    let mut external = Map::from_iter(PROVIDERS.map(|name| (name.to_owned(), json!(false))));
    external.extend(app.providers.names().map(|name| (name.to_owned(), json!(true))));
    for (name, is_on) in [
        ("anonymous_users", settings.logins.anonymous),
        ("email", true),
        ("phone", false),
        ("web3_ethereum", settings.logins.ethereum),
    ] {
        external.insert(name.to_owned(), json!(is_on));
    }
    Json(json!({
        "external": external,
        "disable_signup": !settings.logins.sign_up,
        "mailer_autoconfirm": settings.mail_autoconfirm,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
        "passkeys_enabled": false,
    }))
}

/// Public keys only, and a shared secret has none.
async fn jwks(State(app): State<App>) -> impl axum::response::IntoResponse {
    (
        [(header::CACHE_CONTROL, "public, max-age=600")],
        Json(json!(app.keys.public())),
    )
}

/// Gives a problem the body that auth clients read: one of two, by the version that they ask for.
async fn in_gotrue_form(request: Request, next: Next) -> Response {
    let asked = request
        .headers()
        .get(API_VERSION_HEADER)
        .and_then(|value| value.to_str().ok());
    // Versions are dates, so that their text has their order.
    let is_new = asked.is_some_and(|version| version.len() == API_VERSION.len() && version >= API_VERSION);
    let response = if request.uri().to_string().contains("%00") {
        Problem::from(NUL).into_response()
    } else {
        Problem::in_place_of_text(next.run(request).await)
    };
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
    let text = problem.to_string();
    let mut body = if let Problem::Auth(AuthRefusal::OAuth(text)) = &*problem {
        json!({ "error": "invalid_request", "error_description": text })
    } else if is_new {
        json!({ "code": code, "message": text })
    } else {
        json!({ "code": problem.status().as_u16(), "error_code": code, "msg": text })
    };
    if let (Problem::Auth(AuthRefusal::WeakPassword { reasons, .. }), Some(object)) = (&*problem, body.as_object_mut())
    {
        object.insert("weak_password".to_owned(), json!({ "reasons": reasons }));
    }
    let mut response = (problem.status(), Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(ERROR_CODE_HEADER, HeaderValue::from_static(code));
    if is_new {
        headers.insert(API_VERSION_HEADER, HeaderValue::from_static(API_VERSION));
    }
    response
}
