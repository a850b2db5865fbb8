//! `nexus-mint rest`: the engine alone, at `/`, with PostgREST's settings, tokens and CORS.

use std::{
    future::IntoFuture as _,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt as _,
};
use pgrest::{error::Refusal, response::Reply};

use super::{
    access_log::{self, Caller},
    engine::{Behaviour, Engine, Timings},
    http,
    listen::{self, Follows},
    role_claim::RoleClaim,
    session::{Keep, Limits, Sessions},
    token::Verifier,
};
use crate::{
    config::{
        Environment,
        postgrest::{IN_DATABASE, Listener, RestSettings, Wanted},
    },
    db::{Login, sql},
    problem::{AnyError, chain},
    request_line::Lenient,
    serve::{stop_signal, stopped},
};

/// How often a database is tried that is not there yet.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Settings of the session of the role that logs in, which a role, a database and a function may have set.
const SETTINGS: &str = sql!(
    "select name, current_setting('pgrst.' || name, true) as setting
       from unnest($1::text[]) as name
      where current_setting('pgrst.' || name, true) is not null
      order by name"
);

struct Alone {
    engine: Arc<Engine>,
    verifier: Verifier,
    origins: Vec<String>,
    has_timing: bool,
    trace_header: Option<String>,
    logs: Wanted,
    /// What the database said when this was made.
    told: Vec<(String, String)>,
}

/// The engine alone as it is now: what the database says of its settings may change while it serves.
#[derive(Clone)]
pub struct Current(Arc<Configured>);

struct Configured {
    environment: Environment,
    is_configured_by_database: bool,
    pre_config: Option<String>,
    login: Login,
    now: RwLock<Arc<Alone>>,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the settings do not fit, or the operating system refuses.
pub async fn run(
    environment: &Environment,
    settings: RestSettings,
    listener: Listener,
    admin: Option<std::net::TcpListener>,
) -> Result<(), AnyError> {
    let stop = stop_signal()?;
    let channel = settings.channel.clone();
    let current = Current::new(environment, settings)?;
    let looking = tokio::spawn(match channel {
        Some(channel) => futures_util::future::Either::Left(listen::listen(current.clone(), channel)),
        None => futures_util::future::Either::Right(load_once(current.clone())),
    });
    if let Some(admin) = admin {
        let admin = tokio::net::TcpListener::from_std(admin)?;
        let app = current.admin_routes();
        tokio::spawn(
            axum::serve(admin, app)
                .with_graceful_shutdown(stopped(stop.clone()))
                .into_future(),
        );
    }
    let tidying = tokio::spawn(listen::tidy(current.clone()));
    let app = current.routes().into_make_service_with_connect_info::<Caller>();
    match listener {
        Listener::Tcp(listener) => {
            let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|connection| {
                // Without it, it is just slower.
                let _ = connection.set_nodelay(true);
            });
            axum::serve(Lenient(listener), app)
                .with_graceful_shutdown(stopped(stop))
                .await?;
        }
        Listener::Unix(listener, path) => {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            axum::serve(Lenient(listener), app)
                .with_graceful_shutdown(stopped(stop))
                .await?;
            // Somebody may have taken it away, and whoever comes next replaces it.
            let _ = std::fs::remove_file(path);
        }
    }
    looking.abort();
    tidying.abort();
    current.alone().engine.close();
    Ok(())
}

async fn load_once(current: Current) {
    current.reconfigure().await;
    while let Err(error) = current.engine().reload().await {
        tracing::error!(cause = %chain(&error), "the schema cache cannot be loaded; trying again");
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
        current.reconfigure().await;
    }
}

impl Current {
    /// As the environment has it; the database was not asked yet.
    ///
    /// # Errors
    /// When the settings do not fit.
    pub fn new(environment: &Environment, settings: RestSettings) -> Result<Current, AnyError> {
        Ok(Current(Arc::new(Configured {
            environment: environment.clone(),
            is_configured_by_database: settings.in_database,
            pre_config: settings.pre_config.clone(),
            login: Login::from(settings.database.as_ref()),
            now: RwLock::new(Arc::new(alone(settings, Vec::new())?)),
        })))
    }

    /// What clients ask.
    pub fn routes(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// What those ask who watch it: `/live`, `/ready` and `/metrics`.
    pub fn admin_routes(&self) -> Router {
        Router::new()
            .route("/live", get(async || StatusCode::OK))
            .route("/ready", get(is_ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }

    fn alone(&self) -> Arc<Alone> {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the database for its settings, and serves by them once the schema cache fits them. What is wrong with them is
    /// logged, and changes nothing.
    pub async fn reconfigure(&self) {
        if !self.0.is_configured_by_database {
            return;
        }
        if let Err(error) = self.ask_database().await {
            tracing::error!(cause = %chain(error.as_ref()), "the database's settings are not used");
        }
    }

    async fn ask_database(&self) -> Result<(), AnyError> {
        let told = in_database(&self.0.login, self.0.pre_config.as_deref()).await?;
        if told == self.alone().told {
            return Ok(());
        }
        let settings = RestSettings::with_database(&self.0.environment, &told)?;
        let new = Arc::new(alone(settings, told)?);
        new.engine.reload().await?;
        let old = std::mem::replace(&mut *self.0.now.write().unwrap_or_else(PoisonError::into_inner), new);
        old.engine.close();
        tracing::info!("the database has settings of its own");
        Ok(())
    }
}

impl Follows for Current {
    fn engine(&self) -> Arc<Engine> {
        self.alone().engine.clone()
    }

    async fn reconfigure(&self) {
        Current::reconfigure(self).await;
    }
}

/// What the database says to the role that logs in, after its function before that, if it has one.
async fn in_database(login: &Login, pre_config: Option<&str>) -> Result<Vec<(String, String)>, AnyError> {
    let client = login.connect().await?;
    client.batch_execute("begin").await?;
    if let Some(function) = pre_config {
        client.batch_execute(&pgrest::sql::before(function)).await?;
    }
    let rows = client.query(SETTINGS, &[&IN_DATABASE.as_slice()]).await?;
    let pairs = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(pairs.collect::<Result<_, tokio_postgres::Error>>()?)
}

async fn metrics(State(current): State<Current>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let alone = current.alone();
    (kind, alone.engine.metrics() + &alone.verifier.lookups.text())
}

async fn is_ready(State(current): State<Current>) -> StatusCode {
    if current.engine().is_ready() && current.0.login.connect().await.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn alone(settings: RestSettings, told: Vec<(String, String)>) -> Result<Alone, AnyError> {
    let verifier = Verifier::new(
        settings.jwt_secret.as_ref().map(|secret| secret.expose()),
        settings.jwt_secret_is_base64,
        settings.jwt_audience,
        RoleClaim::parse(&settings.jwt_role_claim)
            .map_err(|_| format!("failed to parse role-claim-key value ({})", settings.jwt_role_claim))?,
        settings.anonymous_role.as_deref(),
    )
    .map_err(|expected| format!("PGRST_JWT_SECRET: expected {expected}"))?;
    let login = Login::from(settings.database.as_ref());
    let limits = Limits {
        connections_max: settings.connections_max,
        wait: settings.wait,
        keep: Keep {
            lifetime: settings.lifetime,
            idle: settings.idle,
        },
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
    let sessions = Sessions::new(login.clone(), limits, options, move |_| share).with_settings(settings.app_settings);
    let behaviour = Behaviour {
        options: settings.options,
        extra_search_path: settings.extra_search_path,
        pre_request: settings.pre_request,
        hoisted: settings.hoisted,
    };
    Ok(Alone {
        engine: Arc::new(Engine::new(behaviour, login, sessions)),
        verifier,
        origins: settings.origins,
        has_timing: settings.has_timing,
        trace_header: settings.trace_header,
        logs: settings.requests,
        told,
    })
}

async fn answer(State(current): State<Current>, request: Request) -> Response {
    let alone = current.alone();
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let is_preflight = parts.method == axum::http::Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_head = parts.method == axum::http::Method::HEAD;
    let mut role = None;
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
        role = who.as_ref().ok().map(|who| who.role.clone());
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
    if alone.logs.has(response.status()) {
        access_log::write(&parts, role.as_deref(), &response);
    }
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
