//! Signing up and in, and back in: by password, by a mailed link or code, with a second factor. The pages call what clients
//! call at `/auth/v1`, and keep what it gives in cookies.

use axum::{
    Json,
    extract::{Query, State},
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use maud::{Markup, html};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    account::ways::half_agreed,
    call::beside_form,
    cookies::Cookie,
    fault,
    form::Fields,
    layout::{Head, page, token},
    parts::{self, Field, Tone},
    preferences::own_place,
    visit::Visit,
    wallet,
};
use crate::{
    app::App,
    auth::{
        account, factors, grant, links,
        request::{Asked, Body},
        signup, verify,
    },
    config::secret::random_bytes,
    problem::Problem,
};

/// Where to go afterwards, and what a link brought back.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
    #[serde(default)]
    email: String,
    code: Option<String>,
    message: Option<String>,
    error_code: Option<String>,
}

impl Next {
    fn place(&self) -> String {
        if self.next.is_empty() {
            "/portfolio".to_owned()
        } else {
            own_place(&self.next)
        }
    }
}

/// A body or query of the protocol, which has no constructor of its own.
pub(crate) fn made<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(Problem::internal)
}

fn next_field(next: &str) -> Markup {
    html! { input type="hidden" name="next" value=(next); }
}

/// A path with those pairs of a query that have a value.
fn place_with(path: &str, pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given)
        .finish();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// `GET /sign-in`.
pub(crate) async fn sign_in_page(State(app): State<App>, visit: Visit, Query(next): Query<Next>) -> Response {
    if visit.person.is_some() {
        return Redirect::to(&next.place()).into_response();
    }
    if visit.is_half_in {
        return Redirect::to(&place_with("/sign-in/second", &[("next", &next.next)])).into_response();
    }
    sign_in_form(&app, &visit, &next.next, "", None)
}

/// The page of every way in.
pub(crate) fn sign_in_form(app: &App, visit: &Visit, next: &str, email: &str, problem: Option<&Problem>) -> Response {
    let content = html! {
        div.form-page.stack {
            div.page-head { h1 { (visit.t("sign-in-title")) } }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            form.form.card #by-password method="post" action="/sign-in" {
                (token(visit)) (next_field(next))
                (Field::text("email", visit.t("field-email")).kind("email").value(email).autocomplete("username").show(visit))
                (Field::text("password", visit.t("field-password")).kind("password").autocomplete("current-password").show(visit))
                button.button.full { (visit.t("nav-sign-in")) }
                p.fine { a href=(place_with("/recover", &[("email", email)])) { (visit.t("sign-in-forgot")) } }
            }
            form.form.card #by-mail method="post" action="/sign-in/mail" {
                (token(visit)) (next_field(next))
                h2 { (visit.t("sign-in-mail-title")) }
                p.soft { (visit.t("sign-in-mail-text")) }
                div.field {
                    label for="mail-email" { (visit.t("field-email")) }
                    input #mail-email name="email" type="email" required value=(email) autocomplete="email" dir="ltr";
                }
                button.button.secondary.full { (visit.t("sign-in-mail-send")) }
            }
            @if app.config.settings.logins.ethereum {
                section.card #by-wallet {
                    h2 { (visit.t("sign-in-wallet-title")) }
                    p.soft { (visit.t("sign-in-wallet-text")) }
                    (wallet::form(visit, "/sign-in/wallet", next, &visit.t("sign-in-wallet")))
                }
            }
            p { (visit.t("sign-in-new")) " " a href=(place_with("/sign-up", &[("next", next)])) { (visit.t("nav-sign-up")) } }
        }
    };
    answered(page(visit, &Head::titled(visit.t("sign-in-title")), content), problem)
}

/// A form that met a problem has the problem's status.
pub(crate) fn answered(mut response: Response, problem: Option<&Problem>) -> Response {
    if let Some(problem) = problem {
        *response.status_mut() = problem.status();
    }
    response
}

/// `POST /sign-in`.
pub(crate) async fn sign_in(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let (email, next) = (fields.get("email"), fields.get("next"));
    let body = json!({ "email": email, "password": fields.exact("password") });
    let by_password = made(json!({ "grant_type": "password" }))?;
    match grant::token(State(app.clone()), Query(by_password), visit.asked.clone(), Body(body)).await {
        Ok((_, Json(answer))) => Ok(sent_on(&visit, &answer, next)),
        Err(problem) => Ok(sign_in_form(&app, &visit, next, email, Some(&beside_form(problem)?))),
    }
}

/// On to where the person was going; by way of the second factor, where there is one.
pub(crate) fn sent_on(visit: &Visit, answer: &Value, next: &str) -> Response {
    let factors = answer.pointer("/user/factors").and_then(Value::as_array);
    let has_factor = factors.is_some_and(|all| {
        all.iter()
            .any(|factor| factor.get("status") == Some(&json!("verified")))
    });
    let wanted = Next {
        next: next.to_owned(),
        ..Next::default()
    };
    if has_factor {
        let place = place_with("/sign-in/second", &[("next", next)]);
        return visit.signed_in(answer, &place);
    }
    visit.signed_in(answer, &wanted.place())
}

/// `GET /sign-in/second`.
pub(crate) async fn second_page(visit: Visit, Query(next): Query<Next>) -> Response {
    if !visit.is_half_in {
        return Redirect::to(&next.place()).into_response();
    }
    second_form(&visit, &next.next, None)
}

fn second_form(visit: &Visit, next: &str, problem: Option<&Problem>) -> Response {
    let content = html! {
        div.form-page.stack {
            div.page-head { h1 { (visit.t("second-title")) } p.soft { (visit.t("second-text")) } }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            form.form.card method="post" action="/sign-in/second" {
                (token(visit)) (next_field(next))
                (code_field(visit))
                button.button.full { (visit.t("second-go-on")) }
            }
            form method="post" action="/sign-out" { (token(visit)) button.button.quiet { (visit.t("second-other")) } }
        }
    };
    answered(page(visit, &Head::titled(visit.t("second-title")), content), problem)
}

/// A field for six digits.
pub(crate) fn code_field(visit: &Visit) -> Markup {
    Field::text("code", visit.t("field-code"))
        .autocomplete("one-time-code")
        .with("inputmode", "numeric")
        .with("maxlength", "10")
        .show(visit)
}

/// `POST /sign-in/second`.
pub(crate) async fn second(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let next = fields.get("next");
    let Json(user) = account::show(State(app.clone()), visit.bearer(), visit.asked.clone()).await?;
    let factors = user
        .get("factors")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let verified = factors
        .iter()
        .filter(|factor| factor.get("status") == Some(&json!("verified")));
    let mut refused = None;
    for factor in verified {
        let id = factor.get("id").and_then(Value::as_str).unwrap_or_default();
        match show_factor(&app, &visit, id, fields.get("code")).await {
            Ok(answer) => {
                return Ok(visit.signed_in(
                    &answer,
                    &Next {
                        next: next.to_owned(),
                        ..Next::default()
                    }
                    .place(),
                ));
            }
            Err(problem @ Problem::Auth(_)) => refused = Some(problem),
            Err(other) => return Err(other),
        }
    }
    Ok(second_form(
        &visit,
        next,
        Some(&refused.unwrap_or(Problem::NotSignedIn)),
    ))
}

/// Shows a factor's code: challenge and answer in one.
pub(crate) async fn show_factor(app: &App, visit: &Visit, id: &str, code: &str) -> Result<Value, Problem> {
    let path = || axum::extract::Path(id.to_owned());
    let Json(challenge) = factors::challenge(State(app.clone()), visit.bearer(), visit.asked.clone(), path()).await?;
    let code: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
    let body = made(json!({ "challenge_id": challenge.get("id"), "code": code }))?;
    let Json(answer) = factors::verify(
        State(app.clone()),
        visit.bearer(),
        visit.asked.clone(),
        path(),
        Body(body),
    )
    .await?;
    Ok(answer)
}

/// A link that comes back to this server with a code, which only the browser that asked for it can turn into a session.
pub(crate) struct Link {
    verifier: String,
    pub(crate) challenge: Value,
    pub(crate) asked: Asked,
}

impl Link {
    /// Has the browser keep what turns the link's code into a session.
    pub(crate) fn keep(&self, visit: &Visit, response: &mut Response) {
        visit.set(response, Cookie::Link, &self.verifier);
    }
}

/// A link of a mail that leads back to `next` in this browser.
pub(crate) fn link(app: &App, visit: &Visit, next: &str) -> Result<Link, Problem> {
    let verifier = URL_SAFE_NO_PAD.encode(random_bytes().map_err(Problem::internal)?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let mut asked = visit.asked.clone();
    asked.redirect_to = Some(format!(
        "{}{}",
        app.public_url,
        place_with("/sign-in/link", &[("next", next)])
    ));
    Ok(Link {
        verifier,
        challenge: json!({ "code_challenge": challenge, "code_challenge_method": "s256" }),
        asked,
    })
}

/// A body with more fields.
pub(crate) fn with(mut body: Value, more: &Value) -> Value {
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

/// On to the page that waits for the mail's link or code.
fn mailed(visit: &Visit, verifier: &str, email: &str, next: &str, kind: &str) -> Response {
    let place = place_with("/sign-in/code", &[("email", email), ("next", next), ("kind", kind)]);
    let mut response = Redirect::to(&place).into_response();
    visit.set(&mut response, Cookie::Link, verifier);
    response
}

/// `POST /sign-in/mail`.
pub(crate) async fn mail(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let (email, next) = (fields.get("email"), fields.get("next"));
    let link = link(&app, &visit, next)?;
    let body = made(with(json!({ "email": email, "create_user": true }), &link.challenge))?;
    match links::otp(State(app.clone()), link.asked, Body(body)).await {
        Ok(_) => Ok(mailed(&visit, &link.verifier, email, next, "email")),
        Err(problem) => Ok(sign_in_form(&app, &visit, next, email, Some(&beside_form(problem)?))),
    }
}

/// What the page of a mailed code is about.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Awaited {
    #[serde(default)]
    email: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    kind: String,
}

/// `GET /sign-in/code`.
pub(crate) async fn code_page(State(app): State<App>, visit: Visit, Query(awaited): Query<Awaited>) -> Response {
    code_form(&app, &visit, &awaited, None)
}

fn code_form(app: &App, visit: &Visit, awaited: &Awaited, problem: Option<&Problem>) -> Response {
    let content = html! {
        div.form-page.stack {
            div.page-head {
                h1 { (visit.t("code-title")) }
                p.soft { (visit.t("code-text")) " " bdi { strong { (awaited.email) } } }
            }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            @if app.config.settings.dev_keys {
                (parts::alert(visit, Tone::Plain, html! { p { (visit.t("code-developer")) " " a href="/auth/v1/dev/mails" { "/auth/v1/dev/mails" } } }))
            }
            form.form.card method="post" action="/sign-in/code" {
                (token(visit)) (next_field(&awaited.next))
                input type="hidden" name="email" value=(awaited.email);
                input type="hidden" name="kind" value=(awaited.kind);
                (code_field(visit))
                button.button.full { (visit.t("second-go-on")) }
            }
            p { a href="/sign-in" { (visit.t("code-again")) } }
        }
    };
    answered(page(visit, &Head::titled(visit.t("code-title")), content), problem)
}

/// `POST /sign-in/code`.
pub(crate) async fn code(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let awaited = Awaited {
        email: fields.get("email").to_owned(),
        next: fields.get("next").to_owned(),
        kind: fields.get("kind").to_owned(),
    };
    let kind = ["signup", "recovery", "email"]
        .into_iter()
        .find(|known| *known == awaited.kind)
        .unwrap_or("email");
    let body = made(json!({ "type": kind, "email": awaited.email, "token": fields.get("code") }))?;
    match verify::post(State(app.clone()), visit.asked.clone(), Body(body)).await {
        Ok(Json(answer)) => Ok(sent_on(&visit, &answer, &awaited.next)),
        Err(problem) => Ok(code_form(&app, &visit, &awaited, Some(&beside_form(problem)?))),
    }
}

/// `GET /sign-in/link`: where a mailed link leads.
pub(crate) async fn link_back(
    State(app): State<App>,
    visit: Visit,
    headers: HeaderMap,
    Query(next): Query<Next>,
) -> Result<Response, Problem> {
    // One of the two addresses of a change agreed; the other one has a link of its own.
    if next.message.is_some() && next.code.is_none() {
        return Ok(half_agreed(&visit));
    }
    let verifier = visit.cookie(&headers, Cookie::Link);
    let outcome = match (&next.code, verifier, &next.error_code) {
        (Some(code), Some(verifier), None) => {
            let body = json!({ "auth_code": code, "code_verifier": verifier });
            let by_link = made(json!({ "grant_type": "pkce" }))?;
            grant::token(State(app.clone()), Query(by_link), visit.asked.clone(), Body(body)).await
        }
        (Some(_), None, None) => Err(crate::auth::AuthRefusal::BadVerifier.into()),
        (_, _, _) => Err(crate::auth::AuthRefusal::LinkExpired.into()),
    };
    match outcome {
        Ok((_, Json(answer))) => {
            let mut response = sent_on(&visit, &answer, &next.next);
            visit.remove(&mut response, Cookie::Link);
            Ok(response)
        }
        Err(problem) => Ok(sign_in_form(&app, &visit, &next.next, "", Some(&beside_form(problem)?))),
    }
}

/// `GET /sign-up`.
pub(crate) async fn sign_up_page(State(app): State<App>, visit: Visit, Query(next): Query<Next>) -> Response {
    if visit.person.is_some() {
        return Redirect::to(&next.place()).into_response();
    }
    sign_up_form(&app, &visit, &next.next, ("", ""), None)
}

fn sign_up_form(
    app: &App,
    visit: &Visit,
    next: &str,
    (name, email): (&str, &str),
    problem: Option<&Problem>,
) -> Response {
    let content = html! {
        div.form-page.stack {
            div.page-head { h1 { (visit.t("nav-sign-up")) } p.soft { (visit.t("sign-up-text")) } }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            @if app.config.settings.logins.sign_up {
                form.form.card method="post" action="/sign-up" {
                    (token(visit)) (next_field(next))
                    (Field::text("name", visit.t("field-name")).value(name).autocomplete("name").with("maxlength", "200").show(visit))
                    (Field::text("email", visit.t("field-email")).kind("email").value(email).hint(visit.t("field-email-hint")).autocomplete("username").show(visit))
                    (Field::text("password", visit.t("field-password")).kind("password").hint(visit.t("field-password-hint")).autocomplete("new-password").with("minlength", "6").show(visit))
                    button.button.full { (visit.t("nav-sign-up")) }
                }
            } @else {
                (parts::alert(visit, Tone::Stop, html! { p { (visit.t("sign-up-closed")) } }))
            }
            p { (visit.t("sign-up-known")) " " a href=(place_with("/sign-in", &[("next", next)])) { (visit.t("nav-sign-in")) } }
        }
    };
    answered(page(visit, &Head::titled(visit.t("nav-sign-up")), content), problem)
}

/// `POST /sign-up`.
pub(crate) async fn sign_up(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let (name, email, next) = (fields.get("name"), fields.get("email"), fields.get("next"));
    if visit.person.is_some() {
        return Ok(Redirect::to("/portfolio").into_response());
    }
    // Without an address the protocol would let somebody in without a name: not what this form is for.
    if email.is_empty() {
        let problem = crate::auth::AuthRefusal::EmailInvalid.into();
        return Ok(sign_up_form(&app, &visit, next, (name, email), Some(&problem)));
    }
    let next = if next.is_empty() { "/verification" } else { next };
    let link = link(&app, &visit, next)?;
    let body = json!({ "email": email, "password": fields.exact("password"), "data": { "full_name": name } });
    match signup::signup(State(app.clone()), link.asked, Body(made(with(body, &link.challenge))?)).await {
        Ok(Json(answer)) if answer.get("access_token").is_some() => Ok(sent_on(&visit, &answer, next)),
        Ok(_) => Ok(mailed(&visit, &link.verifier, email, next, "signup")),
        Err(problem) => Ok(sign_up_form(
            &app,
            &visit,
            next,
            (name, email),
            Some(&beside_form(problem)?),
        )),
    }
}

/// `GET /recover`.
pub(crate) async fn recover_page(visit: Visit, Query(next): Query<Next>) -> Response {
    recover_form(&visit, &next.email, None)
}

fn recover_form(visit: &Visit, email: &str, problem: Option<&Problem>) -> Response {
    let content = html! {
        div.form-page.stack {
            div.page-head { h1 { (visit.t("recover-title")) } p.soft { (visit.t("recover-text")) } }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            form.form.card method="post" action="/recover" {
                (token(visit))
                (Field::text("email", visit.t("field-email")).kind("email").value(email).autocomplete("username").show(visit))
                button.button.full { (visit.t("recover-send")) }
            }
            p { a href="/sign-in" { (visit.t("nav-sign-in")) } }
        }
    };
    answered(page(visit, &Head::titled(visit.t("recover-title")), content), problem)
}

/// `POST /recover`.
pub(crate) async fn recover(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let (email, next) = (fields.get("email"), "/account#password");
    let link = link(&app, &visit, next)?;
    let body = made(with(json!({ "email": email }), &link.challenge))?;
    match links::recover(State(app), link.asked, Body(body)).await {
        Ok(_) => Ok(mailed(&visit, &link.verifier, email, next, "recovery")),
        Err(problem) => Ok(recover_form(&visit, email, Some(&beside_form(problem)?))),
    }
}

/// `POST /sign-out`: this session ends, and the browser forgets it.
pub(crate) async fn sign_out(State(app): State<App>, visit: Visit, _: Fields) -> Result<Response, Problem> {
    let which = made(json!({ "scope": "local" }))?;
    match account::logout(State(app), visit.bearer(), visit.asked.clone(), Query(which)).await {
        // A session that is over already is over.
        Ok(_) | Err(Problem::Auth(_)) => {}
        Err(other) => return Err(other),
    }
    let mut response = Redirect::to("/").into_response();
    for cookie in [Cookie::Access, Cookie::Refresh, Cookie::Seed, Cookie::Link] {
        visit.remove(&mut response, cookie);
    }
    Ok(response)
}
