//! `/verification`: a person shows who they are: documents, details, and the decision.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    account::own_tabs,
    call::{beside_form, call, instant, text},
    entry::answered,
    fault, figures,
    form::Fields,
    layout::{Head, Section, page, token},
    papers::{self, Asker, Paper},
    parts::{self, Field, Tone},
    visit::Visit,
};
use crate::{
    app::App, command::Command, compliance, db::Actor, functions::content, permission::Person, problem::Problem,
};

/// What a browser offers to choose from; what a file is, its content says.
pub(crate) const ACCEPTED: &str = "application/pdf,image/jpeg,image/png,image/webp";

/// `GET /verification`.
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    shown(&app, &visit, &Fields::default(), None).await
}

async fn shown(app: &App, visit: &Visit, typed: &Fields, problem: Option<&Problem>) -> Result<Response, Problem> {
    let person = visit.person()?;
    let status = call(app, visit, "verify-kyc", None, json!({ "action": "status" })).await?;
    let tx = visit.reads(app).await?;
    let papers = papers::free(&tx, person.id).await?;
    tx.commit().await?;
    let state = text(&status, "/kycStatus");
    let is_open = matches!(text(&status, "/case/status"), "submitted" | "in_review");
    let is_approved = state == "approved";
    let step = if is_open || is_approved {
        3
    } else if papers.is_empty() {
        1
    } else {
        2
    };
    let content = html! {
        (own_tabs(visit, "/verification"))
        div.narrow.stack {
            div.page-head { h1 { (visit.t("verify-title")) } p.lead { (visit.t("verify-lead")) } }
            ol.wizard aria-label=(visit.t("verify-steps")) {
                @for (at, key) in [(1, "verify-step-documents"), (2, "verify-step-details"), (3, "verify-step-decision")] {
                    li.done[at < step || is_approved] aria-current=[(at == step && !is_approved).then_some("step")] { (visit.language.text(key)) }
                }
            }
            @if let Some(problem) = problem { (fault::alert(visit, problem)) }
            (decision(visit, &status))
            @if !is_open && !is_approved {
                (papers::section(visit, Asker::Verification, &visit.t("verify-documents-text"), &papers))
                @if !papers.is_empty() { (details(visit, &papers, typed)) }
            }
        }
    };
    let head = Head::titled(visit.t("verify-title")).within(Section::Account);
    Ok(answered(page(visit, &head, content), problem))
}

fn decision(visit: &Visit, status: &Value) -> Markup {
    let case = text(status, "/case/status");
    let reason = text(status, "/case/reason");
    match (text(status, "/kycStatus"), case) {
        ("approved", _) => parts::alert(
            visit,
            Tone::Good,
            html! {
                p { strong { (visit.t("verify-approved")) } }
                @if let Some(until) = instant(status, "/kycExpiresAt") { p { (visit.t("verify-until")) " " (figures::date(until, visit.language)) } }
                p { a href="/properties?stage=offered" { (visit.t("verify-next")) } }
            },
        ),
        (_, "submitted" | "in_review") => html! {
            (parts::alert(visit, Tone::Wait, html! {
                p { strong { (visit.t("verify-waiting")) } }
                @if let Some(at) = instant(status, "/case/submittedAt") { p { (visit.t("verify-submitted")) " " (figures::instant(at, visit.language)) } }
                p { (visit.t("verify-waiting-text")) }
            }))
            form method="post" action="/verification/withdraw" {
                (token(visit))
                input type="hidden" name="case" value=(text(status, "/case/id"));
                button.button.danger { (visit.t("verify-withdraw")) }
            }
        },
        (_, "rejected" | "revoked") => parts::alert(
            visit,
            Tone::Stop,
            html! {
                p { strong { (visit.t("verify-rejected")) } }
                @if !reason.is_empty() { p { q dir="auto" { (reason) } } }
                p { (visit.t("verify-rejected-text")) }
            },
        ),
        ("expired", _) => parts::alert(visit, Tone::Wait, html! { p { (visit.t("verify-expired")) } }),
        (_, _) => html! {},
    }
}

/// A bar that a script fills while a file goes up.
pub(crate) fn upload_bar(visit: &Visit) -> Markup {
    html! {
        div.upload-progress hidden {
            progress max="100" value="0" aria-label=(visit.t("upload-progress")) {}
            p.fine { (visit.t("upload-progress")) }
        }
    }
}

fn details(visit: &Visit, papers: &[Paper], typed: &Fields) -> Markup {
    let levels = [
        ("basic", visit.word("level", "basic")),
        ("enhanced", visit.word("level", "enhanced")),
    ];
    html! {
        section.card aria-labelledby="verify-details" {
            h2 #verify-details { (visit.t("verify-step-details")) }
            form.form method="post" action="/verification" {
                (token(visit))
                (Field::text("legal_name", visit.t("field-legal-name")).value(typed.get("legal_name")).hint(visit.t("field-legal-name-hint")).autocomplete("name").with("maxlength", "200").show(visit))
                div.form-grid {
                    (Field::text("born_on", visit.t("field-born-on")).kind("date").value(typed.get("born_on")).autocomplete("bday").show(visit))
                    (Field::text("country", visit.t("field-country")).value(typed.get("country")).hint(visit.t("field-country-hint")).autocomplete("country").with("maxlength", "2").with("minlength", "2").show(visit))
                }
                (Field::text("address", visit.t("field-address")).value(typed.get("address")).autocomplete("street-address").with("maxlength", "500").show(visit))
                (parts::select("level", &visit.t("verify-level"), &levels, typed.get("level")))
                (Field::text("source_of_funds", visit.t("field-source-of-funds")).value(typed.get("source_of_funds")).optional().hint(visit.t("field-source-of-funds-hint")).with("maxlength", "500").show(visit))
                (papers::choice(visit, papers, typed))
                div { button.button { (visit.t("verify-submit")) } }
            }
        }
    }
}

/// `POST /verification`.
pub(crate) async fn submit(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let submission = fields.body(&[
        ("legal_name", "legalName"),
        ("born_on", "dateOfBirth"),
        ("country", "country"),
        ("address", "address"),
        ("source_of_funds", "sourceOfFunds"),
    ]);
    let body = json!({ "action": "submit", "level": fields.given("level").unwrap_or("basic"), "submission": submission, "documentIds": fields.all("document") });
    match call(&app, &visit, "verify-kyc", None, body).await {
        Ok(_) => Ok(Redirect::to("/verification").into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

/// `POST /verification/withdraw`.
pub(crate) async fn withdraw(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    let body = json!({ "action": "withdraw", "caseId": fields.get("case") });
    match call(&app, &visit, "verify-kyc", None, body).await {
        Ok(_) => Ok(Redirect::to("/verification").into_response()),
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, &fields, Some(&problem)).await
        }
    }
}

/// `GET /verification/documents/{id}`: one's own document.
pub(crate) async fn own_document(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    let reader = visit.person()?.id;
    let command = Command::begin(&app, Actor::Person(reader)).await?;
    let person = Person::of(&command, &visit.caller).await?;
    let file = compliance::documents::open_own(&command, &person, id).await?;
    command.commit().await?;
    Ok(readable(content::served(&app, &file, &headers).await?))
}

/// A file that browsers show by themselves, also in a frame of this site. A sandbox would keep a PDF from being shown; what is
/// in it cannot reach the page around it, and is of the kind that its content says.
pub(crate) fn readable(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; object-src 'self'; frame-ancestors 'self'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    response
}
