//! `/account`: the person's own login: names, address, password, second factor, ways to sign in, sessions.

pub(crate) mod ways;

use axum::{
    Json,
    extract::{Query, State},
    http::header,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    act,
    call::beside_form,
    entry::{answered, code_field, show_factor},
    fault,
    form::Fields,
    layout::{Head, Section, page, token},
    parts::{self, Field, Tone},
    visit::Visit,
};
use crate::{
    app::App,
    auth::{account, factors, request::Body, session},
    db::{OnConstraint as _, sql},
    problem::Problem,
};

/// What may have been done last.
const DONE: [&str; 11] = [
    "profile",
    "password",
    "factor",
    "factor-removed",
    "sessions",
    "session",
    "address",
    "address-asked",
    "address-half",
    "wallet",
    "way-removed",
];

/// What was done last, to be said once.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Done {
    done: Option<String>,
}

/// What the page shows beside what is stored.
#[derive(Default)]
struct Met<'a> {
    done: Option<&'a str>,
    problem: Option<(&'static str, &'a Problem)>,
    /// A second factor that waits for its first code.
    enrolment: Option<Value>,
    typed: Option<&'a Fields>,
}

struct Profile {
    email: String,
    full_name: String,
    display_name: String,
    phone: String,
}

/// `GET /account`.
pub(crate) async fn show(State(app): State<App>, visit: Visit, Query(done): Query<Done>) -> Result<Response, Problem> {
    shown(
        &app,
        &visit,
        &Met {
            done: done.done.as_deref(),
            ..Met::default()
        },
    )
    .await
}

/// `GET /profile`: where notifications of verification lead.
pub(crate) async fn profile() -> Response {
    Redirect::to("/verification").into_response()
}

async fn shown(app: &App, visit: &Visit, met: &Met<'_>) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(app).await?;
    let text = sql!(
        "select coalesce(p.email, ''), coalesce(p.full_name, ''), coalesce(p.display_name, ''), coalesce(p.phone, '')
         from public.user_profiles as p where p.id = $1"
    );
    let row = tx.query_one(text, &[&person.id]).await?;
    tx.commit().await?;
    let profile = Profile {
        email: row.try_get(0)?,
        full_name: row.try_get(1)?,
        display_name: row.try_get(2)?,
        phone: row.try_get(3)?,
    };
    let Json(user) = account::show(State(app.clone()), visit.bearer(), visit.asked.clone()).await?;
    let tx = app.db.as_auth().await?;
    let sessions = session::listed(&tx, person.id, visit.asked.now).await?;
    tx.commit().await?;
    let problem_at = |section: &str| match met.problem {
        Some((at, problem)) if at == section => fault::alert(visit, problem),
        Some(_) | None => html! {},
    };
    let at = met.problem.map_or("profile", |(at, _)| at);
    let typed_at = |section: &str| {
        met.typed
            .filter(|_| at == section)
            .map_or("", |fields| fields.get("email"))
    };
    let content = html! {
        (own_tabs(visit, "/account"))
        div.page-head {
            h1 { (visit.t("account-title")) }
            p.soft { bdi { (profile.email) } }
        }
        @if let Some(done) = met.done.filter(|done| DONE.contains(done)) {
            div.alert-slot { (parts::alert(visit, Tone::Good, html! { p { (visit.language.text(&format!("account-done-{done}"))) } })) }
        }
        div.columns {
            div.stack {
                section.card {
                    h2 { (visit.t("account-profile")) }
                    (problem_at("profile"))
                    (profile_form(visit, &profile, met.typed.filter(|_| at == "profile")))
                }
                section.card #address {
                    h2 { (visit.t("account-address")) }
                    (problem_at("address"))
                    (ways::address(visit, &user, typed_at("address")))
                }
                section.card #password {
                    h2 { (visit.t("account-password")) }
                    (problem_at("password"))
                    (password_form(visit, &profile))
                }
            }
            div.stack {
                section.card #second-factor {
                    h2 { (visit.t("account-factor")) }
                    (problem_at("factor"))
                    (factor_section(visit, &user, met.enrolment.as_ref()))
                }
                section.card #ways {
                    h2 { (visit.t("account-ways")) }
                    (problem_at("ways"))
                    (ways::ways(app, visit, &user))
                }
                section.card #sessions {
                    h2 { (visit.t("account-sessions")) }
                    (ways::sessions(visit, &sessions))
                }
            }
        }
    };
    let head = Head::titled(visit.t("account-title")).within(Section::Account);
    Ok(answered(
        page(visit, &head, content),
        met.problem.map(|(_, problem)| problem),
    ))
}

fn profile_form(visit: &Visit, profile: &Profile, typed: Option<&Fields>) -> Markup {
    let show = |name: &'static str, stored: &str| typed.map_or(stored.to_owned(), |fields| fields.get(name).to_owned());
    let (full, display, phone) = (
        show("full_name", &profile.full_name),
        show("display_name", &profile.display_name),
        show("phone", &profile.phone),
    );
    html! {
        form.form method="post" action="/account/profile" {
            (token(visit))
            (Field::text("full_name", visit.t("field-name")).value(&full).autocomplete("name").with("maxlength", "200").show(visit))
            (Field::text("display_name", visit.t("field-display-name")).value(&display).optional().autocomplete("nickname").with("maxlength", "200").show(visit))
            (Field::text("phone", visit.t("field-phone")).kind("tel").value(&phone).optional().autocomplete("tel").with("maxlength", "50").show(visit))
            div { button.button.secondary { (visit.t("account-save")) } }
        }
    }
}

fn password_form(visit: &Visit, profile: &Profile) -> Markup {
    html! {
        form.form method="post" action="/account/password" {
            (token(visit))
            input type="hidden" name="username" value=(profile.email) autocomplete="username";
            (Field::text("current_password", visit.t("field-password-now")).kind("password").optional().hint(visit.t("field-password-now-hint")).autocomplete("current-password").show(visit))
            (Field::text("password", visit.t("field-password-new")).kind("password").hint(visit.t("field-password-hint")).autocomplete("new-password").with("minlength", "6").show(visit))
            div { button.button.secondary { (visit.t("account-set-password")) } }
        }
    }
}

fn factor_section(visit: &Visit, user: &Value, enrolment: Option<&Value>) -> Markup {
    let factors = user
        .get("factors")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let verified: Vec<&Value> = factors
        .iter()
        .filter(|factor| factor.get("status") == Some(&json!("verified")))
        .collect();
    let text = |value: &Value, place: &str| {
        value
            .pointer(place)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    html! {
        @if let Some(enrolment) = enrolment {
            p { (visit.t("factor-scan")) }
            div.qr role="img" aria-label=(visit.t("factor-picture")) { (parts::drawn(text(enrolment, "/totp/qr_code"))) }
            p { (visit.t("factor-secret")) }
            p.secret dir="ltr" { (text(enrolment, "/totp/secret")) }
            form.form method="post" action="/account/factor/verify" {
                (token(visit))
                input type="hidden" name="factor" value=(text(enrolment, "/id"));
                (code_field(visit))
                div { button.button { (visit.t("factor-turn-on")) } }
            }
        } @else if verified.is_empty() {
            p.soft { (visit.t("factor-none")) }
            form method="post" action="/account/factor" { (token(visit)) button.button.secondary { (visit.t("factor-add")) } }
        } @else {
            p { (parts::badge(Tone::Good, &visit.t("factor-on"))) }
            @for factor in verified {
                (act::folded(&visit.t("factor-remove"), html! {
                    p.fine { (visit.t("factor-remove-text")) }
                    form method="post" action="/account/factor/remove" {
                        (token(visit))
                        input type="hidden" name="factor" value=(text(factor, "/id"));
                        button.button.danger { (visit.t("factor-remove")) }
                    }
                }))
            }
        }
    }
}

/// The pages of a person's own, one of which is open.
pub(crate) fn own_tabs(visit: &Visit, open: &str) -> Markup {
    let pages = [
        ("/account", "account-title"),
        ("/verification", "account-verification"),
        ("/accreditation", "accreditation-title"),
        ("/tax-forms", "tax-title"),
        ("/notices", "notices-title"),
    ];
    let pages = pages.map(|(path, key)| (path, visit.language.text(key).into_owned()));
    parts::tabs(&visit.t("account-pages"), &pages, open)
}

fn done(what: &str) -> Response {
    Redirect::to(&format!("/account?done={what}")).into_response()
}

/// The page once more, with what was refused beside its form.
///
/// # Errors
/// What is no matter of a form.
pub(crate) async fn refused(
    app: &App,
    visit: &Visit,
    section: &'static str,
    typed: Option<&Fields>,
    problem: Problem,
) -> Result<Response, Problem> {
    let problem = beside_form(problem)?;
    let met = Met {
        problem: Some((section, &problem)),
        typed,
        ..Met::default()
    };
    shown(app, visit, &met).await
}

/// `POST /account/profile`: with the person's own rights, as a client would.
pub(crate) async fn set_profile(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let person = visit.person()?;
    let tx = visit.reads(&app).await?;
    let text = sql!(
        "update public.user_profiles set full_name = $2, display_name = nullif($3, ''), phone = nullif($4, '') where id = $1"
    );
    let given = [fields.get("full_name"), fields.get("display_name"), fields.get("phone")];
    let [full, display, phone] = given;
    let saved = tx.execute(text, &[&person.id, &full, &display, &phone]).await;
    let too_long =
        || Problem::Invalid("a name has at most 200 characters, and a telephone number at most 50".to_owned());
    let saved = saved
        .on_constraint("user_profiles_full_name_is_short", too_long)
        .on_constraint("user_profiles_display_name_is_short", too_long)
        .on_constraint("user_profiles_phone_is_short", too_long);
    match saved {
        Ok(_) => {
            tx.commit().await?;
            Ok(done("profile"))
        }
        Err(problem) => {
            drop(tx);
            refused(&app, &visit, "profile", Some(&fields), problem).await
        }
    }
}

/// `POST /account/password`.
pub(crate) async fn set_password(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let mut body = json!({ "password": fields.exact("password") });
    if let (Some(current), Some(body)) = (fields.given("current_password"), body.as_object_mut()) {
        body.insert("current_password".to_owned(), current.into());
    }
    let change = serde_json::from_value(body).map_err(Problem::internal)?;
    match account::change(State(app.clone()), visit.bearer(), visit.asked.clone(), Body(change)).await {
        Ok(_) => Ok(done("password")),
        Err(problem) => refused(&app, &visit, "password", None, problem).await,
    }
}

/// `POST /account/factor`: shows what the authenticator scans.
pub(crate) async fn enroll(State(app): State<App>, visit: Visit, _: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let name = Uuid::new_v4().simple().to_string();
    let body = json!({ "factor_type": "totp", "friendly_name": name, "issuer": "Nexus Mint" });
    let body = serde_json::from_value(body).map_err(Problem::internal)?;
    let begun = factors::enroll(State(app.clone()), visit.bearer(), visit.asked.clone(), Body(body)).await;
    match begun {
        Ok(Json(enrolment)) => {
            shown(
                &app,
                &visit,
                &Met {
                    enrolment: Some(enrolment),
                    ..Met::default()
                },
            )
            .await
        }
        Err(problem) => refused(&app, &visit, "factor", None, problem).await,
    }
}

/// `POST /account/factor/verify`.
pub(crate) async fn verify_factor(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    match show_factor(&app, &visit, fields.get("factor"), fields.get("code")).await {
        Ok(answer) => {
            let mut response = visit.signed_in(&answer, "/account?done=factor");
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Err(problem) => refused(&app, &visit, "factor", None, problem).await,
    }
}

/// `POST /account/factor/remove`.
pub(crate) async fn remove_factor(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.person()?;
    let path = axum::extract::Path(fields.get("factor").to_owned());
    match factors::unenroll(State(app.clone()), visit.bearer(), visit.asked.clone(), path).await {
        Ok(_) => Ok(done("factor-removed")),
        Err(problem) => refused(&app, &visit, "factor", None, problem).await,
    }
}
