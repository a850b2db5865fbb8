//! Every route, and what happens to every request.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, Method, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, Any, CorsLayer},
};
use tracing::Instrument as _;

use crate::{app::App, auth, console, functions, health, payments, problem::Problem, realtime, rest, storage};

/// The largest body of a route that does not say otherwise (bytes): GoTrue's, and enough for any JSON that a person
/// makes. Files have their own routes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a request may take: longer than every statement may, so that the database's answer arrives first.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a browser may remember the answer to a preflight (PostgREST's value).
const PREFLIGHT_AGE: Duration = Duration::from_secs(86_400);

/// The whole server.
pub fn router(app: App) -> Router {
    let timed = Router::new()
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .nest("/auth/v1", auth::routes::routes())
        .nest("/functions/v1", functions::routes())
        .merge(rest::routes::routes())
        .nest("/realtime/v1", realtime::routes())
        .nest("/sandbox", payments::sandbox::checkout::routes())
        .merge(console::routes(&app))
        .fallback(console::missing)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .with_state(app.clone())
        .layer(from_fn(in_time));
    // Files take as long as they take; their bodies are timed piece by piece.
    let files = Router::new()
        .nest("/storage/v1", storage::routes())
        .with_state(app.clone());
    timed
        .merge(files)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Problem::internal(format!("panic: {text}")).into_response()
        }))
        .layer(cors())
        .layer(from_fn_with_state(app, storage::resumable::announced))
        .layer(from_fn(logged))
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::Timeout.into_response(),
    }
}

/// One span and one line a request: what was asked for by its route, never by its path or query, which may hold keys.
async fn logged(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", method = %request.method(), route);
    let response = next.run(request).instrument(span.clone()).await;
    let (status, latency_ms) = (response.status().as_u16(), begun.elapsed().as_millis());
    let _entered = span.enter();
    if response.status().is_server_error() {
        tracing::warn!(status, latency_ms, "answered");
    } else {
        tracing::debug!(status, latency_ms, "answered");
    }
    response
}

/// Any site may use the API: a token in a header is what gives rights, and no browser adds that by itself.
fn cors() -> CorsLayer {
    const EXPOSED: [&str; 18] = [
        "content-range",
        "content-location",
        "location",
        "preference-applied",
        "x-total-count",
        "link",
        "x-supabase-api-version",
        "x-relay-error",
        "content-encoding",
        "upload-offset",
        "upload-length",
        "upload-expires",
        "tus-resumable",
        "tus-version",
        "tus-extension",
        "tus-max-size",
        "tus-complete",
        "sb-request-id",
    ];
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::PATCH,
        Method::POST,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let exposed = EXPOSED.map(HeaderName::from_static).into_iter();
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(methods)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.chain([header::DATE, header::SERVER]).collect::<Vec<_>>())
        .max_age(PREFLIGHT_AGE)
}
