//! A visit: who looks, in which language and theme, and what a page of theirs needs to know. Every request of the console
//! goes through [`dress`], which makes the visit, and gives every answer its headers and its cookies.

use std::{ops::Deref, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use fluent_bundle::FluentValue;
use mint_core::role::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{cookies::Cookie, fault, language::Language};
use crate::{
    app::App,
    auth::{
        refresh,
        request::Asked,
        session::{self, Stand},
        token::Caller,
    },
    config::secret::random_bytes,
    db::{Tx, sql},
    problem::Problem,
};

/// What a page may load, and whom it may talk to: this server alone, and nothing that stands in the page itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const PERMISSIONS_POLICY: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";

/// How a page looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the device says.
    Device,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All of them.
    pub(crate) const ALL: [Theme; 3] = [Theme::Device, Theme::Light, Theme::Dark];

    /// Its name in forms and cookies.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Theme::Device => "device",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The theme of a name.
    pub(crate) fn named(name: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

/// Somebody who is signed in, as the navigation shows it.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The login.
    pub(crate) id: Uuid,
    /// What to call the person.
    pub(crate) name: String,
    /// Roles in force now.
    pub(crate) roles: Vec<Role>,
    /// Notifications that were not read.
    pub(crate) unread: i64,
    /// Where the verification of identity stands.
    pub(crate) kyc_status: String,
}

/// What is known of a visit.
pub(crate) struct Known {
    /// Whose rights the page has.
    pub(crate) caller: Caller,
    /// Who is signed in.
    pub(crate) person: Option<Person>,
    /// In which language.
    pub(crate) language: Language,
    /// How it looks.
    pub(crate) theme: Theme,
    /// Path and query of the request.
    pub(crate) place: String,
    /// The request as the functions of auth want it.
    pub(crate) asked: Asked,
    /// Whether somebody showed one thing and must show a second one before anything is theirs.
    pub(crate) is_half_in: bool,
    access: Option<String>,
    form_token: String,
    is_https: bool,
}

/// A visit, cheap to clone.
#[derive(Clone)]
pub(crate) struct Visit(Arc<Known>);

impl Deref for Visit {
    type Target = Known;
    fn deref(&self) -> &Known {
        &self.0
    }
}

impl FromRequestParts<App> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Visit, Problem> {
        let visit = parts.extensions.get::<Visit>().cloned();
        visit.ok_or_else(|| Problem::internal("a page outside of the console's middleware"))
    }
}

impl Visit {
    /// A text in the visitor's language.
    pub(crate) fn t(&self, key: &str) -> std::borrow::Cow<'static, str> {
        self.language.text(key)
    }

    /// A text with values in it.
    pub(crate) fn tv(&self, key: &str, values: &[(&'static str, FluentValue<'_>)]) -> std::borrow::Cow<'static, str> {
        self.language.text_with(key, values)
    }

    /// The text of a word that the database uses for a state: `state-<word>`, or the word itself where there is none.
    pub(crate) fn word(&self, family: &str, word: &str) -> String {
        let key = format!("{family}-{}", word.replace('_', "-"));
        if self.language.has(&key) {
            self.language.text(&key).into_owned()
        } else {
            word.replace('_', " ")
        }
    }

    /// What a form of this visit carries, so that no other site can send it.
    pub(crate) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whoever is signed in.
    ///
    /// # Errors
    /// [`Problem::NotSignedIn`], which sends a reader to the sign-in page.
    pub(crate) fn person(&self) -> Result<&Person, Problem> {
        self.person.as_ref().ok_or(Problem::NotSignedIn)
    }

    /// Whether somebody with one of these roles is signed in.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.person.as_ref().is_some_and(|person| person.roles.contains(&role))
    }

    /// Somebody with one of these roles. Whoever lacks them finds nothing here. What the page shows is the business of
    /// policies and proofs; this only keeps a page from being empty.
    ///
    /// # Errors
    /// [`Problem::NotSignedIn`], [`Problem::NotFound`].
    pub(crate) fn one_of(&self, roles: &[Role]) -> Result<&Person, Problem> {
        let person = self.person()?;
        if roles.iter().any(|role| person.roles.contains(role)) {
            Ok(person)
        } else {
            Err(Problem::NotFound)
        }
    }

    /// A transaction with the visitor's own rights.
    ///
    /// # Errors
    /// When none is to be had.
    pub(crate) async fn reads(&self, app: &App) -> Result<Tx, Problem> {
        Ok(app.db.as_caller(&self.caller).await?)
    }

    /// The header by which the functions of auth know who asks.
    pub(crate) fn bearer(&self) -> HeaderMap {
        let value = self
            .access
            .as_ref()
            .and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
        value.into_iter().map(|value| (header::AUTHORIZATION, value)).collect()
    }

    /// Sends the browser on with the cookies of a session that has just begun, or changed.
    pub(crate) fn signed_in(&self, answer: &Value, to: &str) -> Response {
        let mut response = Redirect::to(to).into_response();
        for (cookie, field) in [(Cookie::Access, "access_token"), (Cookie::Refresh, "refresh_token")] {
            if let Some(token) = answer.get(field).and_then(Value::as_str) {
                self.set(&mut response, cookie, token);
            }
        }
        // A form that was made for the visitor is none of the person's.
        if let Ok(seed) = fresh_seed() {
            self.set(&mut response, Cookie::Seed, &seed);
        }
        response
    }

    /// Sets a cookie with an answer.
    pub(crate) fn set(&self, response: &mut Response, cookie: Cookie, value: &str) {
        append(response, cookie.set(value, self.is_https));
    }

    /// Removes a cookie with an answer.
    pub(crate) fn remove(&self, response: &mut Response, cookie: Cookie) {
        append(response, cookie.remove(self.is_https));
    }

    /// A cookie that came with the request. For what is not read for every page.
    pub(crate) fn cookie(&self, headers: &HeaderMap, cookie: Cookie) -> Option<String> {
        cookie.read(headers, self.is_https)
    }
}

fn append(response: &mut Response, value: Option<HeaderValue>) {
    if let Some(value) = value {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn fresh_seed() -> Result<String, Problem> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes().map_err(Problem::internal)?))
}

/// Makes the visit, lets the page answer, and gives the answer its headers. A problem becomes a page that says what happened.
pub(crate) async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let method = parts.method.clone();
    let (visit, cookies) = match begin(&app, &mut parts).await {
        Ok(begun) => begun,
        Err(problem) => return problem.into_response(),
    };
    let mut response = if let Err(problem) = check_origin(&app, &parts) {
        problem.into_response()
    } else {
        parts.extensions.insert(visit.clone());
        next.run(Request::from_parts(parts, body)).await
    };
    if let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned() {
        let is_reader = method == Method::GET || method == Method::HEAD;
        let mut shown = if is_reader && matches!(*problem, Problem::NotSignedIn) {
            sign_in_first(&visit)
        } else {
            fault::page(&visit, &problem)
        };
        // Cookies of the answer that the problem took the place of.
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            shown.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        response = shown;
    }
    for cookie in cookies {
        // What the page set itself is newer.
        let name = cookie
            .as_bytes()
            .split(|byte| *byte == b'=')
            .next()
            .unwrap_or_default()
            .to_vec();
        let is_set = response
            .headers()
            .get_all(header::SET_COOKIE)
            .iter()
            .any(|set| set.as_bytes().starts_with(&name));
        if !is_set {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    protect(&mut response, &visit);
    response
}

/// What answers where nothing is: a page to a browser, a problem to a client of the protocols.
pub(crate) async fn missing(State(app): State<App>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let accepts = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepts.is_some_and(|accepts| accepts.contains("text/html"));
    let of_protocol = ["/auth/", "/rest/", "/functions/", "/storage/", "/realtime/"];
    if !is_browser || of_protocol.iter().any(|prefix| parts.uri.path().starts_with(prefix)) {
        return Problem::NotFound.into_response();
    }
    match begin(&app, &mut parts).await {
        Ok((visit, _)) => {
            let mut response = fault::page(&visit, &Problem::NotFound);
            protect(&mut response, &visit);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Where somebody goes who must sign in first, and comes back from.
fn sign_in_first(visit: &Visit) -> Response {
    let back = url::form_urlencoded::byte_serialize(visit.place.as_bytes()).collect::<String>();
    Redirect::to(&format!("/sign-in?next={back}")).into_response()
}

/// Whether search engines may show a page: the first one, the list without a search, a property.
fn is_for_everybody(place: &str) -> bool {
    let property = place.strip_prefix("/properties/").unwrap_or("/");
    matches!(place, "/" | "/properties") || !property.is_empty() && !property.contains(['/', '?'])
}

/// Headers of every answer. What an answer says for itself holds.
fn protect(response: &mut Response, visit: &Visit) {
    let is_found = response.status() == StatusCode::OK && is_for_everybody(&visit.place);
    let headers = response.headers_mut();
    let mut unless_said = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    unless_said(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    unless_said(header::CACHE_CONTROL, "private, no-store");
    unless_said(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    unless_said(header::X_FRAME_OPTIONS, "DENY");
    unless_said(header::REFERRER_POLICY, "same-origin");
    unless_said(HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY);
    unless_said(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    unless_said(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if !is_found {
        unless_said(HeaderName::from_static("x-robots-tag"), "noindex");
    }
    if visit.is_https {
        unless_said(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// A request that changes something comes from a page of this server: browsers say from where. Beside the form's token, and
/// beside cookies that other sites' forms do not carry.
fn check_origin(app: &App, parts: &Parts) -> Result<(), Problem> {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return Ok(());
    }
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = Problem::NotPermitted("a page of this site".to_owned());
    match text("sec-fetch-site") {
        Some("same-origin" | "none") => return Ok(()),
        Some(_) => return Err(foreign),
        None => {}
    }
    let Some(origin) = text("origin") else { return Ok(()) };
    let host = text("host").unwrap_or_default();
    let is_host = origin.split_once("://").is_some_and(|(_, place)| place == host);
    if is_host || origin == app.public_url.as_str() {
        Ok(())
    } else {
        Err(foreign)
    }
}

async fn begin(app: &App, parts: &mut Parts) -> Result<(Visit, Vec<HeaderValue>), Problem> {
    let is_https = app.public_url.as_str().starts_with("https://");
    let asked = Asked::from_request_parts(parts, app).await?;
    let headers = &parts.headers;
    let read = |cookie: Cookie| cookie.read(headers, is_https);
    let (held, mut cookies) = held(app, &asked, read(Cookie::Access), read(Cookie::Refresh), is_https).await?;
    let seed = match read(Cookie::Seed) {
        Some(seed) => seed,
        None => {
            let seed = fresh_seed()?;
            cookies.extend(Cookie::Seed.set(&seed, is_https));
            seed
        }
    };
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    let language = read(Cookie::Language)
        .and_then(|tag| Language::of_tag(&tag))
        .or_else(|| Language::accepted(accepted?));
    let session_id = held
        .as_ref()
        .and_then(|held| held.caller.session_id())
        .unwrap_or_default();
    let access = held.as_ref().map(|held| held.token.clone());
    let is_half_in = held.as_ref().is_some_and(|held| held.is_half_in);
    // Until the second factor was shown, whoever has the password is a visitor.
    let (caller, person) = held
        .filter(|held| !held.is_half_in)
        .map_or_else(|| (Caller::visitor(), None), |held| (held.caller, held.person));
    let place = parts
        .uri
        .path_and_query()
        .map_or("/", |place| place.as_str())
        .to_owned();
    let mac = app.keys.mac("console form", &[seed.as_bytes(), session_id.as_bytes()]);
    let visit = Visit(Arc::new(Known {
        caller,
        person,
        is_half_in,
        language: language.unwrap_or(Language::English),
        theme: read(Cookie::Theme)
            .and_then(|name| Theme::named(&name))
            .unwrap_or(Theme::Device),
        place,
        asked,
        access,
        form_token: URL_SAFE_NO_PAD.encode(mac),
        is_https,
    }));
    Ok((visit, cookies))
}

/// Whoever the cookies prove.
struct Held {
    caller: Caller,
    /// The access token.
    token: String,
    /// Whether a second factor must be shown first.
    is_half_in: bool,
    person: Option<Person>,
}

/// Whoever the cookies prove, with the cookies to set where the session was refreshed, or has ended.
async fn held(
    app: &App,
    asked: &Asked,
    access: Option<String>,
    refresh_token: Option<String>,
    is_https: bool,
) -> Result<(Option<Held>, Vec<HeaderValue>), Problem> {
    if let Some(token) = access
        && let Ok(caller) = app.keys.verify(&token, asked.now)
        && let Some(held) = held_by(app, caller, token, asked.now).await?
    {
        return Ok((Some(held), Vec::new()));
    }
    let over = [Cookie::Access, Cookie::Refresh]
        .into_iter()
        .filter_map(|cookie| cookie.remove(is_https));
    let Some(refresh_token) = refresh_token else {
        return Ok((None, Vec::new()));
    };
    let body = serde_json::from_value(json!({ "refresh_token": refresh_token })).map_err(Problem::internal)?;
    let answer = match refresh::grant(app, asked, &body).await {
        Ok((_, answer)) => answer,
        // The session has ended: the visitor goes on as one.
        Err(Problem::Auth(_)) => return Ok((None, over.collect())),
        Err(other) => return Err(other),
    };
    let text = |field: &str| answer.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let token = text("access_token");
    let caller = app.keys.verify(&token, asked.now).map_err(Problem::internal)?;
    let set = [(Cookie::Access, &token), (Cookie::Refresh, &text("refresh_token"))];
    let set = set
        .into_iter()
        .filter_map(|(cookie, value)| cookie.set(value, is_https))
        .collect();
    Ok((held_by(app, caller, token, asked.now).await?, set))
}

/// Whoever a token names, while its session is open: one that was ended, on another device as well, is over at once. The two
/// questions are of two roles; they are asked side by side.
async fn held_by(app: &App, caller: Caller, token: String, now: DateTime<Utc>) -> Result<Option<Held>, Problem> {
    let (stand, person) = tokio::try_join!(stand(app, &caller, now), person(app, &caller))?;
    let is_half_in = match stand {
        Stand::Over => return Ok(None),
        Stand::LacksFactor => true,
        Stand::Open => false,
    };
    Ok(Some(Held {
        caller,
        token,
        is_half_in,
        person,
    }))
}

async fn stand(app: &App, caller: &Caller, now: DateTime<Utc>) -> Result<Stand, Problem> {
    let Some(session_id) = caller.session_id() else {
        return Ok(Stand::Over);
    };
    let tx = app.db.as_auth().await?;
    let stand = session::stand(&tx, session_id, now).await?;
    tx.commit().await?;
    Ok(stand)
}

async fn person(app: &App, caller: &Caller) -> Result<Option<Person>, Problem> {
    let Some(id) = caller.user_id() else {
        return Ok(None);
    };
    let tx = app.db.as_caller(caller).await?;
    let text = sql!(
        "select coalesce(nullif(p.display_name, ''), nullif(p.full_name, ''), p.email, ''), p.kyc_status,
                array(select a.role from public.user_role_assignments as a where a.user_id = p.id and a.is_active),
                (select count(*) from public.notifications as n where n.user_id = p.id and not n.read)
         from public.user_profiles as p where p.id = $1"
    );
    let row = tx.query_opt(text, &[&id]).await?;
    tx.commit().await?;
    let Some(row) = row else { return Ok(None) };
    let names: Vec<String> = row.try_get(2)?;
    Ok(Some(Person {
        id,
        name: row.try_get(0)?,
        kyc_status: row.try_get(1)?,
        roles: names.iter().filter_map(|name| name.parse().ok()).collect(),
        unread: row.try_get(3)?,
    }))
}

/// Whether a form's token is the visit's.
pub(crate) fn is_own_form(visit: &Visit, token: &str) -> bool {
    let own = visit.form_token();
    own.len() == token.len()
        && own
            .bytes()
            .zip(token.bytes())
            .fold(0, |differing, (a, b)| differing | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_engines_show_what_is_for_everybody() {
        for place in ["/", "/properties", "/properties/0190"] {
            assert!(is_for_everybody(place), "{place}");
        }
        for place in [
            "/properties?q=a",
            "/properties/",
            "/properties/0190/buy",
            "/properties/0190?did=done",
            "/portfolio",
            "/sign-in",
        ] {
            assert!(!is_for_everybody(place), "{place}");
        }
    }
}
