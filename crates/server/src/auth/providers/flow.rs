//! `/authorize` and `/callback`: a browser goes to a provider and comes back.

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    External, ProviderTokens, Redeeming,
    account::{self, Outcome},
    metadata::{Endpoints, Known},
    redeem,
};
use crate::{
    app::App,
    auth::{
        AuthRefusal,
        events::{self, Event},
        keys::Keys,
        limits,
        pkce::{self, Challenge},
        redirect,
        request::{Asked, Person, bearer, person},
        session::{self, Method},
        token::same,
    },
    config::secret::random_bytes,
    db::{Tx, sql},
    problem::Problem,
};

/// How long a person may take at the provider.
const FLOW_HOLDS: TimeDelta = TimeDelta::minutes(10);
/// The longest list of scopes (bytes).
const SCOPES_BYTES_MAX: usize = 1000;
/// The longest other parameter (bytes).
const PASSED_BYTES_MAX: usize = 500;
/// What clients may say to a provider through us: nothing that says who asks, or where the answer goes.
const PASSED: [&str; 12] = [
    "access_type",
    "acr_values",
    "domain_hint",
    "display",
    "hd",
    "include_granted_scopes",
    "login_hint",
    "max_age",
    "prompt",
    "screen_hint",
    "ui_locales",
    "claims_locales",
];

/// The query of `/authorize`.
#[derive(Deserialize)]
pub struct Begin {
    provider: Option<String>,
    scopes: Option<String>,
    skip_http_redirect: Option<String>,
    #[serde(flatten)]
    challenge: Challenge,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, Value>,
}

/// What a provider sends back.
#[derive(Deserialize)]
pub struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// A flow that came back.
struct Flow {
    provider: String,
    redirect_to: String,
    challenge: Option<(String, String)>,
    session_id: Option<Uuid>,
    is_bound: bool,
}

/// `GET /authorize`: sends the browser to the provider.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn authorize(State(app): State<App>, asked: Asked, Query(begin): Query<Begin>) -> Result<Response, Problem> {
    let known = app.providers.get(begin.provider.as_deref())?;
    let is_sent = begin.skip_http_redirect.as_deref() != Some("true");
    // Without a challenge the tokens go to whatever browser comes back: only the one that began may.
    let is_bound = is_sent && begin.challenge.parts()?.is_none();
    let tx = app.db.as_auth().await?;
    limits::REQUESTS_OF_ADDRESS
        .check_address(&tx, &app.keys, asked.address, asked.now)
        .await?;
    let (state, url) = begun(&app, tx, known, &begin, None, is_bound, &asked).await?;
    if !is_sent {
        return Ok(Json(json!({ "url": url })).into_response());
    }
    let mut response = sent(StatusCode::FOUND, url);
    if is_bound {
        let secure = if app.public_url.as_str().starts_with("https:") {
            "; Secure"
        } else {
            ""
        };
        let cookie = format!(
            "{}={}; HttpOnly; SameSite=Lax; Path=/auth/v1/callback; Max-Age={}{secure}",
            cookie_name(&state),
            derived(&app.keys, "flow-browser", &state),
            FLOW_HOLDS.num_seconds()
        );
        let cookie = HeaderValue::try_from(cookie).map_err(Problem::internal)?;
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `GET /user/identities/authorize`: the person who asks adds a way to sign in.
///
/// # Errors
/// See [`AuthRefusal`].
pub async fn authorize_link(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Query(begin): Query<Begin>,
) -> Result<Response, Problem> {
    bearer(&app, &headers)?;
    if !app.config.settings.logins.linking {
        return Err(AuthRefusal::LinkingDisabled.into());
    }
    let known = app.providers.get(begin.provider.as_deref())?;
    let tx = app.db.as_auth().await?;
    let Person { standing, .. } = person(&app, &headers, &tx, asked.now).await?;
    if standing.session_id.is_nil() {
        return Err(AuthRefusal::SessionNotFound.into());
    }
    let (_, url) = begun(&app, tx, known, &begin, Some(standing.session_id), false, &asked).await?;
    if begin.skip_http_redirect.as_deref() == Some("true") {
        return Ok(Json(json!({ "url": url })).into_response());
    }
    Ok(sent(StatusCode::FOUND, url))
}

/// Writes the flow down; gives its state and the provider's address for it.
async fn begun(
    app: &App,
    tx: Tx,
    known: &Known,
    begin: &Begin,
    session_id: Option<Uuid>,
    is_bound: bool,
    asked: &Asked,
) -> Result<(String, String), Problem> {
    let (challenge, method) = begin.challenge.parts()?.unzip();
    let state = URL_SAFE_NO_PAD.encode(random_bytes().map_err(Problem::internal)?);
    let target = redirect::target(app, None, asked);
    tx.execute(
        sql!("delete from nexus.provider_flows where created_at < $1"),
        &[&(asked.now - FLOW_HOLDS)],
    )
    .await?;
    tx.execute(
        sql!(
            "insert into nexus.provider_flows (state_digest, provider, redirect_to, code_challenge, code_challenge_method,
               session_id, is_bound, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8)"
        ),
        &[
            &&digest(&state)[..],
            &known.name,
            &target,
            &challenge,
            &method,
            &session_id,
            &is_bound,
            &asked.now,
        ],
    )
    .await?;
    tx.commit().await?;
    let endpoints = known.endpoints(asked.now).await?;
    let url = address(app, known, &endpoints, begin, &state)?;
    Ok((state, url))
}

fn address(app: &App, known: &Known, endpoints: &Endpoints, begin: &Begin, state: &str) -> Result<String, AuthRefusal> {
    let provider = &known.provider;
    let more = begin.scopes.as_deref().unwrap_or_default();
    if more.len() > SCOPES_BYTES_MAX || more.contains(char::is_control) {
        return Err(AuthRefusal::Invalid("scopes are too long or no scopes".into()));
    }
    let mut scopes: Vec<&str> = provider.scopes().split_whitespace().collect();
    for scope in more.split_whitespace() {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let verifier = derived(&app.keys, "flow-verifier", state);
    let callback = callback_url(app);
    let mut pairs = vec![
        ("response_type", "code".to_owned()),
        ("client_id", provider.client_id.clone()),
        ("redirect_uri", callback),
        ("scope", scopes.join(" ")),
        ("state", state.to_owned()),
        ("code_challenge", URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))),
        ("code_challenge_method", "S256".to_owned()),
    ];
    if provider.issuer.is_some() {
        pairs.push(("nonce", derived(&app.keys, "flow-nonce", state)));
    }
    for name in PASSED {
        let value = begin.rest.get(name).and_then(Value::as_str);
        if let Some(value) = value.filter(|value| value.len() <= PASSED_BYTES_MAX) {
            pairs.push((name, value.to_owned()));
        }
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Ok(redirect::with_query(&endpoints.authorization, &pairs))
}

fn callback_url(app: &App) -> String {
    format!("{}/auth/v1/callback", app.public_url)
}

/// What is kept of a state.
fn digest(state: &str) -> [u8; 32] {
    Sha256::digest(state).into()
}

/// What belongs to a state and cannot be made from it without the JWT secret.
fn derived(keys: &Keys, purpose: &str, state: &str) -> String {
    URL_SAFE_NO_PAD.encode(keys.mac(purpose, &[state.as_bytes()]))
}

/// Each flow has its own, so that two tabs do not end each other's.
fn cookie_name(state: &str) -> String {
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(state));
    format!("nexus-mint-flow-{}", digest.get(..12).unwrap_or_default())
}

fn sent(status: StatusCode, place: String) -> Response {
    let headers = [
        (header::LOCATION, place),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (status, headers).into_response()
}

/// `POST /callback`, by which some providers answer: as a `GET`, with which the browser sends its cookie.
///
/// # Errors
/// [`Problem::BodyTooLarge`].
pub async fn posted(State(app): State<App>, form: Result<Bytes, BytesRejection>) -> Result<Response, Problem> {
    let form = form.map_err(|_| Problem::BodyTooLarge)?;
    let kept = ["state", "code", "error", "iss"];
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&form)
        .filter(|(key, _)| kept.contains(&key.as_ref()))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    Ok(sent(
        StatusCode::SEE_OTHER,
        redirect::with_query(&callback_url(&app), &pairs),
    ))
}

/// `GET /callback`: always sends the browser on, with what it may know.
///
/// # Errors
/// When the database cannot be asked for the flow; whatever else goes to the front end.
pub async fn callback(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Asked,
    Query(back): Query<Back>,
) -> Result<Response, Problem> {
    let state = back.state.clone().unwrap_or_default();
    let Some(flow) = taken(&app, &state, asked.now).await? else {
        // Where it wanted to go is not known: home.
        let home = redirect::home(&app).to_owned();
        return Ok(sent(
            StatusCode::FOUND,
            with_error(&home, &AuthRefusal::BadState.into()),
        ));
    };
    let place = match ended(&app, &flow, &back, &state, &headers, &asked).await {
        Ok(place) => place,
        Err(problem) => {
            note_refused(&app, &asked).await?;
            with_error(&flow.redirect_to, &problem)
        }
    };
    Ok(sent(StatusCode::FOUND, place))
}

/// Takes a flow: it counts once.
async fn taken(app: &App, state: &str, now: DateTime<Utc>) -> Result<Option<Flow>, Problem> {
    let tx = app.db.as_auth().await?;
    let row = tx
        .query_opt(
            sql!(
                "delete from nexus.provider_flows where state_digest = $1
                 returning provider, redirect_to, code_challenge, code_challenge_method, session_id, is_bound, created_at"
            ),
            &[&&digest(state)[..]],
        )
        .await?;
    tx.commit().await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<_, DateTime<Utc>>(6)? + FLOW_HOLDS < now {
        return Ok(None);
    }
    let (challenge, method): (Option<String>, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
    Ok(Some(Flow {
        provider: row.try_get(0)?,
        redirect_to: row.try_get(1)?,
        challenge: challenge.zip(method),
        session_id: row.try_get(4)?,
        is_bound: row.try_get(5)?,
    }))
}

async fn ended(
    app: &App,
    flow: &Flow,
    back: &Back,
    state: &str,
    headers: &HeaderMap,
    asked: &Asked,
) -> Result<String, Problem> {
    if flow.is_bound && !is_same_browser(app, headers, state) {
        return Err(AuthRefusal::BadState.into());
    }
    let known = app.providers.get(Some(&flow.provider))?;
    if back.error.is_some() {
        return Err(AuthRefusal::ProviderRefused.into());
    }
    let code = back.code.as_deref().filter(|code| !code.is_empty());
    let code = code.ok_or(AuthRefusal::BadCallback)?;
    check_sender(known, back, asked.now).await?;
    let redeeming = Redeeming {
        code,
        verifier: &derived(&app.keys, "flow-verifier", state),
        nonce: &derived(&app.keys, "flow-nonce", state),
        redirect_uri: &callback_url(app),
    };
    let (external, tokens) = redeem(known, &redeeming, asked.now).await?;
    let tx = app.db.as_auth().await?;
    let user_id = match flow.session_id {
        Some(session_id) => linked(&tx, session_id, &external, asked).await?,
        None => match account::login_of(app, &tx, &external, asked).await? {
            Outcome::Login(user_id) => user_id,
            Outcome::ConfirmFirst => {
                tx.commit().await?;
                return Err(AuthRefusal::EmailNeedsVerification.into());
            }
        },
    };
    finish(app, tx, flow, user_id, &tokens, asked).await
}

/// An answer that says who it is from is from this provider (RFC 9207): another one would get its code.
async fn check_sender(known: &Known, back: &Back, now: DateTime<Utc>) -> Result<(), Problem> {
    let must = known.endpoints(now).await?.names_itself;
    let fits = match (&back.iss, &known.provider.issuer) {
        (Some(sender), Some(issuer)) => sender == issuer,
        (Some(_), None) => true,
        (None, _) => !must,
    };
    if fits {
        Ok(())
    } else {
        Err(AuthRefusal::BadState.into())
    }
}

/// The session that began is still open: else its person has left.
async fn linked(tx: &Tx, session_id: Uuid, external: &External, asked: &Asked) -> Result<Uuid, Problem> {
    if !session::is_open(tx, session_id, asked.now).await? {
        return Err(AuthRefusal::SessionNotFound.into());
    }
    let row = tx
        .query_opt(sql!("select user_id from auth.sessions where id = $1"), &[&session_id])
        .await?
        .ok_or(AuthRefusal::SessionNotFound)?;
    let user_id = row.try_get(0)?;
    account::link(tx, user_id, external, asked).await?;
    Ok(user_id)
}

async fn finish(
    app: &App,
    tx: Tx,
    flow: &Flow,
    user_id: Uuid,
    tokens: &ProviderTokens,
    asked: &Asked,
) -> Result<String, Problem> {
    if let Some((challenge, method)) = &flow.challenge {
        let by = (flow.provider.as_str(), tokens);
        let code = pkce::code_by_provider(app, &tx, user_id, (challenge, method), by, asked.now).await?;
        tx.commit().await?;
        return Ok(redirect::with_query(&flow.redirect_to, &[("code", &code)]));
    }
    let session = session::begin(&tx, user_id, Method::OAuth, asked).await?;
    let answer = session::tokens(app, &tx, user_id, session.id, asked.now).await?;
    tx.commit().await?;
    let text = |key: &str| {
        let value = answer.get(key).unwrap_or(&Value::Null);
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut pairs = vec![
        ("access_token", text("access_token")),
        ("expires_at", text("expires_at")),
        ("expires_in", text("expires_in")),
        ("refresh_token", text("refresh_token")),
        ("token_type", "bearer".to_owned()),
    ];
    let given = [
        ("provider_token", &tokens.access),
        ("provider_refresh_token", &tokens.refresh),
    ];
    pairs.extend(given.into_iter().filter_map(|(key, token)| Some((key, token.clone()?))));
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Ok(redirect::with_fragment(&flow.redirect_to, &pairs))
}

fn is_same_browser(app: &App, headers: &HeaderMap, state: &str) -> bool {
    let (name, wanted) = (cookie_name(state), derived(&app.keys, "flow-browser", state));
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .any(|(key, value)| key == name && same(value, &wanted))
}

async fn note_refused(app: &App, asked: &Asked) -> Result<(), Problem> {
    let tx = app.db.as_auth().await?;
    events::note(&tx, Event::SignInRefused, None, None, asked.now).await?;
    tx.commit().await?;
    Ok(())
}

/// Where the browser goes with what went wrong, as GoTrue words it: in the query for a code flow's client, in the fragment
/// for others.
fn with_error(target: &str, problem: &Problem) -> String {
    let (error, code, text) = match problem {
        Problem::Auth(refusal) => {
            let error = match refusal.status().as_u16() {
                401 => "unauthorized_client",
                403 | 422 => "access_denied",
                _ => "invalid_request",
            };
            (error, refusal.code(), refusal.to_string())
        }
        Problem::Unavailable(_) | Problem::TooBusy | Problem::Timeout => (
            "temporarily_unavailable",
            "unexpected_failure",
            "The provider or this server is not available; try again".to_owned(),
        ),
        Problem::NotFound
        | Problem::MethodNotAllowed
        | Problem::BodyTooLarge
        | Problem::NotSignedIn
        | Problem::NotPermitted(_)
        | Problem::Invalid(_)
        | Problem::KeyReused
        | Problem::Refused(_)
        | Problem::NotAvailable
        | Problem::Internal(_) => ("server_error", "unexpected_failure", problem.to_string()),
    };
    if let Problem::Internal(cause) = problem {
        tracing::error!(cause = %crate::problem::chain(cause.as_ref()), "a sign-in at a provider failed");
    }
    let pairs = [
        ("error", error),
        ("error_code", code),
        ("error_description", text.as_str()),
    ];
    redirect::with_fragment(&redirect::with_query(target, &pairs), &pairs)
}
