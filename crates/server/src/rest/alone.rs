//! `nexus-mint rest`: the engine alone, at `/`, with PostgREST's settings, tokens and CORS.

use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
    serve::ListenerExt as _,
};
use pgrest::{error::Refusal, response::Reply};

use super::{
    engine::{Behaviour, Engine, Timings},
    http, listen,
    session::{Limits, Sessions},
    token::{self, Verifier},
};
use crate::{
    config::postgrest::RestSettings,
    db::Login,
    problem::{AnyError, chain},
    request_line::Lenient,
    serve::{stop_signal, stopped},
};

/// How often a database is tried that is not there yet.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

struct Alone {
    engine: Arc<Engine>,
    verifier: Verifier,
    origins: Vec<String>,
    has_timing: bool,
    trace_header: Option<String>,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the settings do not fit, or the operating system refuses.
pub async fn run(settings: RestSettings, listener: TcpListener) -> Result<(), AnyError> {
    let stop = stop_signal()?;
    let channel = settings.channel.clone();
    let alone = Arc::new(alone(settings)?);
    let engine = alone.engine.clone();
    let looking = tokio::spawn(match channel {
        Some(channel) => futures_util::future::Either::Left(listen::listen(engine.clone(), channel)),
        None => futures_util::future::Either::Right(load_once(engine.clone())),
    });
    let app = Router::new().fallback(answer).with_state(alone);
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|connection| {
        // Without it, it is just slower.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(Lenient(listener), app)
        .with_graceful_shutdown(stopped(stop))
        .await?;
    looking.abort();
    engine.close();
    Ok(())
}

async fn load_once(engine: Arc<Engine>) {
    while let Err(error) = engine.reload().await {
        tracing::error!(cause = %chain(&error), "the schema cache cannot be loaded; trying again");
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

fn alone(settings: RestSettings) -> Result<Alone, AnyError> {
    let verifier = Verifier::new(
        settings.jwt_secret.as_ref().map(|secret| secret.expose()),
        settings.jwt_secret_is_base64,
        settings.jwt_audience,
        token::role_claim(&settings.jwt_role_claim)
            .map_err(|_| format!("failed to parse role-claim-key value ({})", settings.jwt_role_claim))?,
        settings.anonymous_role.as_deref(),
    )
    .map_err(|expected| format!("PGRST_JWT_SECRET: expected {expected}"))?;
    let login = Login::from(settings.database.as_ref());
    let limits = Limits {
        connections_max: settings.connections_max,
        wait: settings.wait,
    };
    let share = settings.connections_max;
    // In options, a backslash stands before what would end a word.
    let options = |role: &str| {
        let escaped: String = role
            .chars()
            .flat_map(|letter| {
                [
                    Some('\\').filter(|_| letter == '\\' || letter.is_whitespace()),
                    Some(letter),
                ]
            })
            .flatten()
            .collect();
        format!("-c role={escaped}")
    };
    let sessions = Sessions::new(login.clone(), limits, options, move |_| share);
    let behaviour = Behaviour {
        options: settings.options,
        extra_search_path: settings.extra_search_path,
        pre_request: settings.pre_request,
        hoisted: settings.hoisted,
        app_settings: settings.app_settings,
    };
    Ok(Alone {
        engine: Arc::new(Engine::new(behaviour, login, sessions)),
        verifier,
        origins: settings.origins,
        has_timing: settings.has_timing,
        trace_header: settings.trace_header,
    })
}

async fn answer(State(alone): State<Arc<Alone>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let is_preflight = parts.method == axum::http::Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_head = parts.method == axum::http::Method::HEAD;
    let (reply, timing) = if is_preflight {
        (
            Reply {
                status: 200,
                ..Reply::default()
            },
            None,
        )
    } else {
        let begun = Instant::now();
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        let who = alone.verifier.identify(authorization, now);
        let verified = begun.elapsed();
        match http::asked(&parts, body, "").await {
            Ok(asked) => {
                let (reply, timings) = alone.engine.answer(who, &asked).await;
                (reply, Some((verified, timings)))
            }
            Err(refusal) => (refused(&refusal), Some((verified, Timings::default()))),
        }
    };
    let mut response = http::response(reply, is_head);
    let added = response.headers_mut();
    if let Some((jwt, timings)) = timing.filter(|_| alone.has_timing) {
        set(added, "server-timing", &http::server_timing(jwt, timings));
    }
    if let Some(name) = &alone.trace_header
        && let Some(value) = headers.get(name.as_str()).and_then(|value| value.to_str().ok())
    {
        set(added, name, value);
    }
    alone.share_with_origin(headers, is_preflight, added);
    response
}

fn refused(refusal: &Refusal) -> Reply {
    refusal.reply().into()
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

impl Alone {
    /// CORS, as PostgREST has it.
    fn share_with_origin(&self, asked: &HeaderMap, is_preflight: bool, added: &mut HeaderMap) {
        let Some(origin) = asked.get(header::ORIGIN).and_then(|value| value.to_str().ok()) else {
            return;
        };
        if self.origins.is_empty() {
            set(added, "access-control-allow-origin", "*");
        } else if self.origins.iter().any(|known| known == origin) {
            set(added, "access-control-allow-origin", origin);
            set(added, "access-control-allow-credentials", "true");
            set(added, "vary", "Origin");
        } else {
            added.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            return;
        }
        if is_preflight {
            let wanted = asked
                .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
                .and_then(|value| value.to_str().ok());
            set(
                added,
                "access-control-allow-methods",
                "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD",
            );
            set(
                added,
                "access-control-allow-headers",
                &allowed_headers(wanted.unwrap_or_default()),
            );
            set(added, "access-control-max-age", "86400");
        } else {
            set(
                added,
                "access-control-expose-headers",
                "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, \
                 Transfer-Encoding, Range-Unit",
            );
        }
    }
}

/// What a browser may send: what it asked for, one by one, among what everybody may.
fn allowed_headers(wanted: &str) -> String {
    let wanted = wanted.split(',').map(str::trim).filter(|name| !name.is_empty());
    let always = ["Accept", "Accept-Language", "Content-Language"];
    let all: Vec<&str> = std::iter::once("Authorization").chain(wanted).chain(always).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_were_asked_for_are_listed_one_by_one() {
        let always = "Accept, Accept-Language, Content-Language";
        assert_eq!(allowed_headers(""), format!("Authorization, {always}"));
        assert_eq!(
            allowed_headers("Foo,Bar, "),
            format!("Authorization, Foo, Bar, {always}")
        );
    }
}
