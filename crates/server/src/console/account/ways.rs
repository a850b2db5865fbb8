//! How a person signs in, and where: the address, other ways, sessions.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{done, refused};
use crate::{
    app::App,
    auth::{AuthRefusal, account, events, identities, request::Body, session, siwe::Address},
    console::{
        call::text,
        entry::{link, made, with},
        figures,
        form::Fields,
        layout::token,
        parts::{self, Field, Tone},
        visit::Visit,
        wallet,
    },
    problem::Problem,
};

/// The address, and the change that waits for both to agree.
pub(super) fn address(visit: &Visit, user: &Value, typed: &str) -> Markup {
    let (now, new) = (text(user, "/email"), text(user, "/new_email"));
    html! {
        @if now.is_empty() { p.soft { (visit.t("address-none")) } } @else { p { bdi { (now) } } }
        @if !new.is_empty() {
            (parts::alert(visit, Tone::Wait, html! { p { (visit.t("address-waits")) " " strong { bdi { (new) } } } }))
        }
        form.form method="post" action="/account/email" {
            (token(visit))
            (Field::text("email", visit.t("address-new")).kind("email").value(typed).hint(visit.t("address-hint")).autocomplete("email").show(visit))
            div { button.button.secondary { (visit.t("address-change")) } }
        }
    }
}

/// Each way to sign in, and one more wallet.
pub(super) fn ways(app: &App, visit: &Visit, user: &Value) -> Markup {
    let none = Vec::new();
    let known = user.get("identities").and_then(Value::as_array).unwrap_or(&none);
    let logins = &app.config.settings.logins;
    html! {
        ul.evidence {
            @for identity in known {
                li {
                    div.what {
                        @match text(identity, "/provider") {
                            "email" => { strong { (visit.t("way-email")) } span.fine { bdi { (text(identity, "/identity_data/email")) } } }
                            "web3" => { strong { (visit.t("way-wallet")) } code.fine { (address_of(text(identity, "/id"))) } }
                            other => { strong { bdi { (other) } } span.fine { bdi { (text(identity, "/identity_data/email")) } } }
                        }
                    }
                    @if logins.linking && known.len() > 1 && text(identity, "/provider") != "email" {
                        form method="post" action="/account/ways/remove" {
                            (token(visit))
                            input type="hidden" name="way" value=(text(identity, "/identity_id"));
                            button.button.danger.small aria-label={ (visit.t("way-remove")) ": " (text(identity, "/id")) } { (visit.t("way-remove")) }
                        }
                    }
                }
            }
        }
        @if logins.linking && logins.ethereum { (wallet::form(visit, "/account/wallets", "", &visit.t("way-add-wallet"))) }
    }
}

/// The address in what the platform knows a wallet by, as wallets show it.
fn address_of(provider_id: &str) -> String {
    let digits = provider_id.rsplit(':').next().unwrap_or_default();
    Address::parse(digits).map_or_else(|| digits.to_owned(), Address::checksummed)
}

/// Where the person is signed in.
pub(super) fn sessions(visit: &Visit, sessions: &[session::Listed]) -> Markup {
    let own = visit.caller.session_id();
    html! {
        ul.evidence {
            @for listed in sessions {
                li {
                    div.what {
                        strong { bdi lang="en" { (device(listed.agent.as_deref())) } }
                        span.fine {
                            (visit.t("session-since")) " " (figures::instant(listed.since, visit.language))
                            @if listed.seen_at != listed.since { ", " (visit.t("session-seen")) " " (figures::instant(listed.seen_at, visit.language)) }
                            @if let Some(address) = &listed.address { ", " bdi { (address) } }
                        }
                    }
                    @if Some(listed.id) == own { (parts::badge(Tone::Good, &visit.t("session-this"))) }
                    @else {
                        form method="post" action="/account/sessions" {
                            (token(visit))
                            input type="hidden" name="session" value=(listed.id);
                            button.button.secondary.small aria-label={ (visit.t("session-end")) ": " (device(listed.agent.as_deref())) } { (visit.t("session-end")) }
                        }
                    }
                }
            }
        }
        @if sessions.len() > 2 {
            form method="post" action="/account/sessions" { (token(visit)) button.button.danger { (visit.t("session-end-others")) } }
        }
    }
}

/// What a browser says of itself, as short as a person needs it.
fn device(agent: Option<&str>) -> String {
    let Some(agent) = agent else { return "?".to_owned() };
    let known = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| *name)
    };
    let browser = known(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = known(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => agent.chars().take(60).collect(),
    }
}

/// `POST /account/email`: asks both addresses, by a link each that leads back to this browser.
pub(crate) async fn set_address(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let email = fields.get("email");
    if email.is_empty() {
        return refused(&app, &visit, "address", Some(&fields), AuthRefusal::EmailInvalid.into()).await;
    }
    let link = link(&app, &visit, "/account?done=address")?;
    let body = made(with(json!({ "email": email }), &link.challenge))?;
    let body: Body<account::Change> = Body(body);
    match account::change(State(app.clone()), visit.bearer(), link.asked.clone(), body).await {
        Ok(_) => {
            let mut response = done("address-asked");
            link.keep(&visit, &mut response);
            Ok(response)
        }
        Err(problem) => refused(&app, &visit, "address", Some(&fields), problem).await,
    }
}

/// `POST /account/ways/remove`.
pub(crate) async fn remove_way(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let id = Path(fields.get("way").to_owned());
    match identities::unlink(State(app.clone()), visit.bearer(), visit.asked.clone(), id).await {
        Ok(_) => Ok(done("way-removed")),
        Err(problem) => refused(&app, &visit, "ways", None, problem).await,
    }
}

/// `POST /account/sessions`: the one that is named ends, or every other one.
pub(crate) async fn end_sessions(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let person = visit.person()?;
    let own = visit.caller.session_id().ok_or(Problem::NotSignedIn)?;
    let (which, what) = match fields.given("session") {
        Some(id) => {
            let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
            (session::Ending::This(id), "session")
        }
        None => (session::Ending::Others(own), "sessions"),
    };
    let tx = app.db.as_auth().await?;
    session::end(&tx, person.id, which).await?;
    events::note(
        &tx,
        events::Event::SignedOut,
        Some(person.id),
        Some(own),
        visit.asked.now,
    )
    .await?;
    tx.commit().await?;
    Ok(done(what))
}

/// What a mailed link to change the address brought back: the first of two, so that the other one is waited for.
pub(crate) fn half_agreed(visit: &Visit) -> Response {
    if visit.person.is_some() {
        done("address-half")
    } else {
        Redirect::to("/sign-in").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_for_people() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36";
        assert_eq!(device(Some(agent)), "Chrome, Linux");
        assert_eq!(device(Some("curl/8.0")), "curl");
        assert_eq!(device(None), "?");
    }
}
